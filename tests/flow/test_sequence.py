"""The tree comes after: places in order and without gaps, one sequencer at a time, and whatever is changed is seen."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from world import World

from portal.flow.audit import verify_log
from portal.flow.means import Means
from portal.flow.sequence import checkpoint, proof_of, sequence
from portal.gate.checkpoint import Checkpoint, read_checkpoint, read_way, write_checkpoint
from portal.records.database import Connection, connection, rows, transact
from portal.records.ledger import enter
from portal.records.tree import LogCheckpoint, LogPlace, alone
from portal.rules.log_leaf import commitment
from portal.rules.merkle import is_consistent, is_included, leaf_hash
from portal.rules.refusals import Refused
from portal.service import one_round

on_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


async def write(means: Means, many: int = 1) -> list[int]:
    """So many entries, each a step of its own."""

    async def step(c: Connection) -> int:
        now = means.clock.now()
        return await enter(c, "noted", actor="system:test", at=now, touches=[("person", "p"), ("doctor", "d")])

    return [await transact(step) for _ in range(many)]


async def places() -> list[tuple[int, int]]:
    return [(p.place, p.entry_id) for p in await LogPlace.all().order_by("place")]


async def change(statement: str, *values: object) -> None:
    """By hand, past every rule of the house."""
    await rows(connection(), statement, *values)


async def audited(means: Means, kept: str | None = None) -> tuple[int, int, int, int]:
    found = await verify_log(means.ring.public_key(), kept=kept)
    return found.size, found.checkpoints, found.forgotten, found.waiting


async def refusal(means: Means, kept: str | None = None) -> str:
    with pytest.raises(Refused) as refused:
        await verify_log(means.ring.public_key(), kept=kept)
    return refused.value.code


# --- places ----------------------------------------------------------------------------------------------------------


async def test_an_empty_log_has_no_checkpoint_and_holds(database: str, means: Means) -> None:
    assert await sequence(means) == 0
    with pytest.raises(Refused, match="no_checkpoint"):
        await checkpoint()
    assert await audited(means) == (0, 0, 0, 0)


async def test_entries_get_their_places_in_order_and_nothing_new_signs_nothing(database: str, means: Means) -> None:
    first = await write(means, 5)
    assert await sequence(means) == 5
    assert await sequence(means) == 0
    second = await write(means, 3)
    assert await sequence(means) == 3
    assert await places() == list(enumerate(first + second))
    assert [c.size for c in await LogCheckpoint.all().order_by("size")] == [5, 8]
    await write(means)
    assert await audited(means) == (8, 2, 0, 1)


async def test_a_rolled_back_entry_leaves_no_gap(database: str, means: Means) -> None:
    before = await write(means, 2)

    async def fails(c: Connection) -> None:
        await enter(c, "noted", actor="system:test", at=means.clock.now(), touches=[])
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await transact(fails)
    after = await write(means, 2)
    assert await sequence(means) == 4
    assert await places() == list(enumerate(before + after))
    await audited(means)


async def test_more_than_one_transaction_takes_are_placed(database: str, means: Means) -> None:
    written = await write(means, 5)
    assert await sequence(means, at_once=2) == 5
    assert await places() == list(enumerate(written))
    assert [c.size for c in await LogCheckpoint.all().order_by("size")] == [2, 4, 5]
    await audited(means)


async def test_many_sequencers_at_once_give_each_place_once(database: str, means: Means) -> None:
    written = await write(means, 10)
    given = await asyncio.gather(*(sequence(means) for _ in range(8)))
    assert sum(given) == 10
    assert await places() == list(enumerate(written))
    await audited(means)


@on_postgres
async def test_nobody_waits_for_a_sequencer(database: str, means: Means) -> None:
    await write(means, 2)
    begun, over = asyncio.Event(), asyncio.Event()

    async def slow(c: Connection) -> None:
        assert await alone(c)
        begun.set()
        await over.wait()

    first = asyncio.create_task(transact(slow))
    await begun.wait()
    assert await sequence(means) == 0
    await write(means)
    over.set()
    await first
    assert await sequence(means) == 3


@on_postgres
async def test_an_entry_that_commits_after_a_later_one_is_not_lost(database: str, means: Means) -> None:
    """Entry n is under way while n+1 commits: neither may get a place before both have committed."""
    begun, over = asyncio.Event(), asyncio.Event()

    async def slow(c: Connection) -> int:
        entry = await enter(c, "noted", actor="system:test", at=means.clock.now(), touches=[("person", "p")])
        begun.set()
        await over.wait()
        return entry

    first = asyncio.create_task(transact(slow))
    await begun.wait()
    (later,) = await write(means)
    sequencing = asyncio.create_task(sequence(means))
    await asyncio.sleep(0.1)
    assert await places() == []
    over.set()
    earlier = await first
    await sequencing
    await sequence(means)
    assert earlier < later
    assert await places() == [(0, earlier), (1, later)]
    assert await audited(means) == (2, 1, 0, 0)


async def test_a_sequencer_that_dies_leaves_all_or_nothing(database: str, means: Means) -> None:
    """Without its key it dies after the places are written and before the checkpoint: neither stays."""
    await write(means, 3)
    key = means.ring.folder / "signing.key"
    hidden = key.rename(key.with_suffix(".away"))
    with pytest.raises(Refused, match="key_missing"):
        await sequence(means)
    assert await places() == []
    hidden.rename(key)
    assert await sequence(means) == 3
    await audited(means)


async def test_every_round_of_the_worker_gives_places(told: World) -> None:
    await one_round(told.means, told.post, told.returns, reading=False)
    assert (await audited(told.means))[3] == 0
    await one_round(told.means, told.post, told.returns, reading=True)
    assert (await audited(told.means))[1:] == (2, 0, 0), "the reading of the returns has its place as well"


# --- checkpoints and proofs ------------------------------------------------------------------------------------------


async def test_every_checkpoint_is_signed_and_contains_the_ones_before(database: str, means: Means) -> None:
    notes = []
    for many in (1, 4, 2):
        await write(means, many)
        await sequence(means)
        notes.append(await checkpoint())
    key = means.ring.public_key()
    read = [read_checkpoint(note, key) for note in notes]
    assert [(c.origin, c.size) for c in read] == [("127.0.0.1:8000/log", size) for size in (1, 5, 7)]
    for old in read[:2]:
        way = read_way(await checkpoint(since=old.size), key)
        assert (way.checkpoint, way.old) == (read[2], old.size)
        assert is_consistent(old.size, 7, old.root, way.checkpoint.root, way.path)
    for note in notes:
        await audited(means, kept=note)
    with pytest.raises(Refused, match="no_such_size"):
        await checkpoint(since=8)


async def test_a_proof_leads_from_what_an_entry_says_to_the_signed_root(database: str, means: Means) -> None:
    written = await write(means, 9)
    for place, entry in enumerate(written):
        proof = await proof_of(means, entry)
        leaf = leaf_hash(commitment(bytes.fromhex(proof["salt"]), proof["entry"]))
        signed = read_checkpoint(proof["checkpoint"], means.ring.public_key())
        path = [bytes.fromhex(step) for step in proof["path"]]
        assert (proof["place"], proof["entry"]["id"], proof["leaf_hash"]) == (place, entry, leaf.hex())
        assert is_included(leaf, place, signed.size, path, signed.root)


# --- what is seen ----------------------------------------------------------------------------------------------------


async def test_an_erased_salt_forgets_and_the_log_still_holds(database: str, means: Means) -> None:
    written = await write(means, 4)
    await sequence(means)
    await change("DELETE FROM log_salt WHERE entry_id = $1", written[1])
    assert await audited(means) == (4, 1, 1, 0)
    await write(means, 2)
    await sequence(means)
    assert await audited(means) == (6, 2, 1, 0)
    with pytest.raises(Refused, match="log_forgotten"):
        await proof_of(means, written[1])


Spoil = Callable[[Means, list[int]], Awaitable[None]]


def run(statement: str, index: int | None = None) -> Spoil:
    async def spoil(means: Means, written: list[int]) -> None:
        await change(statement, *([] if index is None else [written[index]]))

    return spoil


async def without_its_entry(means: Means, written: list[int]) -> None:
    """The last entry, and all that hangs on it; the checkpoints stay."""
    for table, column in (("log_touch", "entry_id"), ("log_salt", "entry_id"), ("log_place", "entry_id")):
        await change(f"DELETE FROM {table} WHERE {column} = $1", written[-1])
    await change("DELETE FROM log_entry WHERE id = $1", written[-1])


def swapped(one: int, other: int) -> Spoil:
    async def spoil(means: Means, written: list[int]) -> None:
        for old, new in ((one, 100), (other, one), (100, other)):
            await change("UPDATE log_place SET place = $1 WHERE place = $2", new, old)

    return spoil


async def an_earlier_entry(means: Means, written: list[int]) -> None:
    """Written by hand under an id that was free."""
    await change(
        "INSERT INTO log_entry (id, kind, at, actor, summary) SELECT $1, kind, at, actor, summary FROM log_entry "
        "WHERE id = $2",
        written[0] - 1,
        written[0],
    )


async def signed_by_another(means: Means, written: list[int]) -> None:
    one = await LogCheckpoint.get(size=3)
    note = write_checkpoint(Checkpoint("127.0.0.1:8000/log", 3, bytes(one.root)), Ed25519PrivateKey.generate())
    await change("UPDATE log_checkpoint SET note = $1 WHERE size = 3", note)


async def another_root(means: Means, written: list[int]) -> None:
    """Well signed, in a row that says the same: only the entries can contradict it."""
    false = leaf_hash(b"false")
    note = write_checkpoint(Checkpoint("127.0.0.1:8000/log", 1, false), means.ring.signing_key())
    now = means.clock.now() + timedelta(days=1)
    await change(
        "INSERT INTO log_checkpoint (size, root, edge, note, made_at) VALUES (1, $1, $2, $3, $4)",
        false, false, note, now,
    )  # fmt: skip


SPOILS: list[tuple[str, Spoil]] = [
    ("log_entry", run("UPDATE log_entry SET kind = 'other' WHERE id = $1", 0)),
    ("log_entry", run("UPDATE log_entry SET actor = 'operator:9' WHERE id = $1", 1)),
    ("log_entry", run("UPDATE log_entry SET summary = 'x' WHERE id = $1", 2)),
    ("log_entry", run("UPDATE log_entry SET at = '2020-01-01 00:00:00+00:00' WHERE id = $1", 3)),
    ("log_entry", run("UPDATE log_touch SET ref = 'q' WHERE entry_id = $1 AND kind = 'person'", 4)),
    ("log_entry", run("DELETE FROM log_touch WHERE entry_id = $1 AND kind = 'doctor'", 5)),
    ("log_entry", run("INSERT INTO log_touch (entry_id, kind, ref) VALUES ($1, 'text', 't')", 6)),
    ("log_entry", run("UPDATE log_salt SET salt = (SELECT salt FROM log_salt ORDER BY entry_id DESC LIMIT 1) "
                      "WHERE entry_id = $1", 0)),
    ("log_entry", run("UPDATE log_place SET leaf_hash = (SELECT leaf_hash FROM log_place WHERE place = 1) "
                      "WHERE entry_id = $1", 0)),
    ("log_place", run("DELETE FROM log_place WHERE entry_id = $1", 2)),
    ("log_place", swapped(4, 5)),
    ("log_root", swapped(2, 3)),
    ("log_place", an_earlier_entry),
    ("log_cut", run("DELETE FROM log_place WHERE place = 6")),
    ("log_cut", without_its_entry),
    ("log_checkpoint", run("DELETE FROM log_checkpoint WHERE size = 7")),
    ("log_checkpoint", run("UPDATE log_checkpoint SET root = edge WHERE size = 3")),
    ("log_checkpoint", run("UPDATE log_checkpoint SET edge = root WHERE size = 3")),
    ("log_checkpoint", run("UPDATE log_checkpoint SET size = 4 WHERE size = 3")),
    ("log_checkpoint", run("UPDATE log_checkpoint SET note = replace(note, 'log', 'dog')")),
    ("log_checkpoint", signed_by_another),
    ("log_root", another_root),
]  # fmt: skip


@pytest.mark.shows("R9")
@pytest.mark.parametrize(("code", "spoil"), SPOILS, ids=[f"{n}-{code}" for n, (code, _) in enumerate(SPOILS)])
async def test_whatever_is_changed_is_seen(database: str, means: Means, code: str, spoil: Spoil) -> None:
    written = await write(means, 3)
    await sequence(means)
    written += await write(means, 4)
    await sequence(means)
    assert await audited(means) == (7, 2, 0, 0)
    await spoil(means, written)
    assert await refusal(means) == code


async def test_a_changed_entry_without_a_salt_is_seen_by_its_leaf_no_longer(database: str, means: Means) -> None:
    """What forgetting costs: the count of forgotten entries is what an auditor is told."""
    written = await write(means, 2)
    await sequence(means)
    await change("DELETE FROM log_salt WHERE entry_id = $1", written[0])
    await change("UPDATE log_entry SET summary = 'x' WHERE id = $1", written[0])
    assert await audited(means) == (2, 1, 1, 0)


async def test_nothing_is_signed_over_a_log_that_does_not_go_on(database: str, means: Means) -> None:
    written = await write(means, 5)
    await sequence(means)
    await without_its_entry(means, written)
    await write(means, 2)
    with pytest.raises(Refused, match="log_broken"):
        await sequence(means)
    await change("DELETE FROM log_checkpoint")
    with pytest.raises(Refused, match="log_broken"):
        await sequence(means)
    assert await LogCheckpoint.all().count() == 0


async def test_a_kept_checkpoint_of_another_key_or_no_checkpoint_is_refused(database: str, means: Means) -> None:
    await write(means, 2)
    await sequence(means)
    one = read_checkpoint(await checkpoint(), means.ring.public_key())
    assert await refusal(means, kept=write_checkpoint(one, Ed25519PrivateKey.generate())) == "log_checkpoint"
    assert await refusal(means, kept="no checkpoint") == "log_checkpoint"
    other = Checkpoint(one.origin, 1, leaf_hash(b"another log"))
    assert await refusal(means, kept=write_checkpoint(other, means.ring.signing_key())) == "log_root"
