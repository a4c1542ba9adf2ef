"""A release leaves encrypted for its recipient; without the recipient's key nothing is sealed or handed over."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from kept import refused
from line import Line, approved, record
from world import World, reviewed

from portal.flow import govern, opt_out
from portal.flow import release as flow
from portal.flow.clear_away import clear_away
from portal.gate.age import identity_of, recipient_of
from portal.gate.unfinished import alone_with
from portal.gate.verify import open_release, verify_release
from portal.records.governance import Recipient
from portal.records.releases import Release
from portal.rules.refusals import RefusedFile
from portal.rules.reviewed import ReviewedFile
from portal.rules.words import ReleaseState, Scope

ONE, OTHER = identity_of(b"\1" * 32), identity_of(b"\2" * 32)


async def hand_in(world: World, identity: str) -> None:
    """The recipient's public key, as a reviewed file brings it."""
    team = reviewed().recipient[0].model_copy(update={"age_recipient": recipient_of(identity)})
    await world.load(ReviewedFile(recipient=(team,)))


@pytest.fixture
async def in_earnest(told: World) -> World:
    """As outside demo mode: nothing leaves in plain. The store holds three patients' records."""
    line = Line(told)
    await line.open()
    await line.receive(await line.extract(*(record(number) for number in "123")))
    return replace(told, means=replace(told.means, releases_in_plain=False))


def in_plain(folder: Path, world: World, identity: str) -> set[str]:
    out = world.folder / f"opened-{len(list(world.folder.iterdir()))}"
    open_release(folder, out, world.means.ring.public_key(), identity=identity)
    return {n for f in (out / "records").iterdir() for n in pq.read_table(f)["pseudonym"].to_pylist()}


async def test_a_release_for_a_recipient_without_a_key_is_not_sealed(in_earnest: World) -> None:
    world = in_earnest
    release_id = await approved(world)
    async with refused("recipient_key"):
        await flow.seal(world.means, release_id, by=world.operator)
    await hand_in(world, ONE)
    await flow.seal(world.means, release_id, by=world.operator)
    await Recipient.all().update(age_recipient=None)
    async with refused("recipient_key"):
        await flow.serve(world.means, release_id, by=world.recipient)


async def test_a_release_is_encrypted_for_its_recipient_and_no_plain_row_stays(in_earnest: World) -> None:
    world = in_earnest
    await hand_in(world, ONE)
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    folder = await flow.serve(world.means, release_id, by=world.recipient)
    key = world.means.ring.public_key()
    assert not verify_release(folder, key).opened
    assert verify_release(folder, key, identity=ONE).rows == 3
    assert len(in_plain(folder, world, ONE)) == 3
    data = world.means.data_dir
    assert {p.relative_to(data).parts[0] for p in data.rglob("*.parquet")} == {"store"}


async def test_a_new_key_of_the_recipient_is_the_only_one_from_then_on(in_earnest: World) -> None:
    world = in_earnest
    await hand_in(world, ONE)
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    await flow.serve(world.means, release_id, by=world.recipient)
    await hand_in(world, OTHER)
    folder = await flow.serve(world.means, release_id, by=world.recipient)
    assert (await Release.get(id=release_id)).version == 1
    assert len(in_plain(folder, world, OTHER)) == 3


async def test_who_closes_is_gone_from_what_is_encrypted_too(in_earnest: World) -> None:
    world = in_earnest
    await hand_in(world, ONE)
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    before = in_plain(await flow.serve(world.means, release_id, by=world.recipient), world, ONE)
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.EVERYTHING)
    after = in_plain(await flow.serve(world.means, release_id, by=world.recipient), world, ONE)
    assert (len(before - after), len(after)) == (1, 2)


def test_a_key_that_is_none_is_refused_where_it_stands() -> None:
    wrong = recipient_of(ONE)[:-1] + "q"
    for text in (wrong, "age1", ONE, "ssh-ed25519 AAAA", ""):
        with pytest.raises(ValueError, match="age_recipient"):
            ReviewedFile.model_validate({"recipient": [reviewed().recipient[0].model_dump() | {"age_recipient": text}]})


def test_a_reviewed_file_with_a_wrong_key_says_where(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(
        '[[recipient]]\nid = "lab"\nname = "Lab"\ncategory = "public_research"\ncountry = "FR"\n'
        'contract_until = 2027-12-31\nage_recipient = "age1nobody"\n'
    )
    with pytest.raises(RefusedFile, match=r"recipient.0.age_recipient"):
        govern.read_reviewed(tmp_path / "lab.toml")


async def test_what_a_killed_process_left_is_cleared_away_and_what_is_in_use_is_not(in_earnest: World) -> None:
    world = in_earnest
    await hand_in(world, ONE)
    release_id = await approved(world)
    means = world.means
    left = [
        means.work / f"{release_id}~a1b2" / "draft",
        means.work / "diabetes-20990101-01~x" / "draft",
        means.drafts / "diabetes-20990101-01" / "f00",
        means.drafts / release_id / "f00",
        means.drafts / release_id / ".f00.part",
        means.releases / f".{release_id}.next",
        means.releases / f"..{release_id}.next.part",
    ]
    for folder in left:
        folder.mkdir(parents=True)
    async with alone_with(means.lock(release_id)):
        assert await clear_away(means) == 2
        assert (means.work / f"{release_id}~a1b2").exists()
    assert await clear_away(means) == 5
    assert await clear_away(means) == 0
    assert not [folder for folder in left if folder.exists()]
    assert await flow.seal(means, release_id, by=world.operator) == 3
    assert (await Release.get(id=release_id)).state == ReleaseState.SEALED
    assert await clear_away(means) == 0
