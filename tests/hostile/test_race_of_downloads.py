"""Objections racing downloads: no version holds anybody whose no came before it left; the others are taken back."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pyarrow.parquet as pq
import pytest
from line import Line, approved, record
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow import opt_out, retract
from portal.flow import release as flow
from portal.flow.means import Means
from portal.outside.tokens import pseudonym
from portal.records.database import connection, rows
from portal.records.objections import Objection
from portal.records.releases import Delivery, ReleasePerson
from portal.records.retractions import Retraction
from portal.rules.words import Scope

OBJECTORS, OTHERS, DOWNLOADS = 8, 3, 5


@pytest.fixture
async def stored(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> World:
    world = await build(means, clock, tmp_path)
    await world.enrol()
    numbers = [str(n) for n in range(1, OBJECTORS + OTHERS + 1)]
    await world.register([patient(number) for number in numbers])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(*(record(number) for number in numbers)))
    world.links = {address: world.links[address] for address in list(world.links)[:OBJECTORS]}
    return world


Says = Callable[[World, str, str, float], Awaitable[object]]
"""Somebody says no, of this release, by her link; over a line so slow (seconds), where a line matters."""


# --- the design, and one that looks right --------------------------------------------------------------------------


async def as_designed(world: World, release_id: str, link: str, slow: float) -> None:
    """What has to be taken back is found later, from what stands in the database (`retract.reconcile`)."""
    await opt_out.object_(world.means, link, Scope.EVERYTHING)


async def with_her_deliveries_read_first(world: World, release_id: str, link: str, slow: float) -> None:
    """Whom have we handed her rows to? Then the no; then a retraction for each. Nobody else is looked for."""
    behind = await opt_out.look(connection(), link)
    delivered = await rows(
        connection(),
        "SELECT m.practice_id, m.pseudonym FROM release_person m JOIN delivery d ON d.release_id = m.release_id "
        "AND (m.left_version IS NULL OR d.version < m.left_version) WHERE m.release_id = $1 AND m.person_id = $2 "
        "LIMIT 1",
        release_id, behind.person_id,
    )  # fmt: skip
    await asyncio.sleep(slow)
    await as_designed(world, release_id, link, slow)
    said = await Objection.get(person_id=behind.person_id)
    for row in delivered:
        await Retraction.create(
            release_id=release_id, person_id=behind.person_id, practice_id=row["practice_id"],
            pseudonym=row["pseudonym"], due_on=world.clock.now().date(), made_at=world.clock.now(),
            entry_id=said.entry_id,
        )  # fmt: skip


# --- the trials ----------------------------------------------------------------------------------------------------


@pytest.mark.shows("R2")
async def test_nobody_who_said_no_before_a_download_is_in_it_and_everybody_delivered_is_taken_back(
    stored: World, how_many: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    chance, rounds = random.Random(5), how_many(3, 60)
    record_property("trials", rounds * OBJECTORS)
    taken_back, spared, span = 0, 0, 0.2
    for _ in range(rounds):
        release_id, fetched, span = await _round(stored, as_designed, chance, span)
        await retract.reconcile(stored.means)
        back, never = await _hold_to_the_log(stored, release_id, fetched)
        taken_back, spared = taken_back + back, spared + never
        assert await _missing(stored, release_id, fetched) == set()
        await rows(connection(), "DELETE FROM objection")
    assert taken_back + spared == rounds * OBJECTORS
    assert min(taken_back, spared) >= rounds


async def test_the_race_catches_deliveries_that_are_read_before_the_no_is_logged(stored: World) -> None:
    chance, span, missing = random.Random(5), 0.2, set[str]()
    for _ in range(50):
        release_id, fetched, span = await _round(stored, with_her_deliveries_read_first, chance, span)
        missing = await _missing(stored, release_id, fetched)
        if missing:
            break
        await rows(connection(), "DELETE FROM objection")
    assert missing
    await retract.reconcile(stored.means)
    assert await _missing(stored, release_id, fetched) == set(), "the portal finds what such a design leaves out"


async def _round(world: World, says: Says, chance: random.Random, span: float) -> tuple[str, list[set[str]], float]:
    """A release sealed and fetched again and again while its patients say no. Returns it, what was fetched, and how
    long a download took."""
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    fetched: list[set[str]] = []
    before, *racing, after = chance.sample(sorted(world.links.values()), OBJECTORS)
    await says(world, release_id, before, 0)
    await asyncio.gather(
        _downloads(world, release_id, fetched),
        *(_later(chance.uniform(0, DOWNLOADS * span), says(world, release_id, link, span)) for link in racing),
    )
    await says(world, release_id, after, 0)
    return release_id, fetched, await _one_download(world, release_id, fetched)


async def _later(wait: float, said: Awaitable[object]) -> None:
    await asyncio.sleep(wait)
    await said


async def _downloads(world: World, release_id: str, fetched: list[set[str]]) -> None:
    for _ in range(DOWNLOADS):
        await _one_download(world, release_id, fetched)


async def _one_download(world: World, release_id: str, fetched: list[set[str]]) -> float:
    began = asyncio.get_running_loop().time()
    fetched.append(await flow.hand_over(world.means, release_id, by=world.recipient, take=_read))
    return asyncio.get_running_loop().time() - began


def _read(folder: Path) -> set[str]:
    files = sorted((folder / "records").glob("*.parquet"))
    return {name for file in files for name in pq.read_table(file)["pseudonym"].to_pylist()}


async def _hold_to_the_log(world: World, release_id: str, fetched: list[set[str]]) -> tuple[int, int]:
    """What was really fetched, against the places in the log alone; returns how many were taken back and never left."""
    said = {UUID(str(o.person_id)): o.entry_id for o in await Objection.all()}
    named = {p: pseudonym(world.means.ring, "study:diabetes", p.bytes).hex() for p in said}
    served = await rows(
        connection(),
        "SELECT e.id FROM log_entry e JOIN log_touch t ON t.entry_id = e.id AND t.kind = 'release' AND t.ref = $1 "
        "WHERE e.kind = 'release_served' ORDER BY e.id",
        release_id,
    )
    assert len(served) == len(fetched)
    for entry, names in zip(served, fetched, strict=True):
        assert not [p for p, no in said.items() if no < entry["id"] and named[p] in names], "a leak"
    made = {r.pseudonym for r in await Retraction.filter(release_id=release_id)}
    assert made <= set().union(*fetched) & set(named.values())
    assert fetched[-1].isdisjoint(named.values())
    assert await Delivery.filter(release_id=release_id).count() == len({frozenset(names) for names in fetched})
    assert await ReleasePerson.filter(release_id=release_id).count() == OBJECTORS + OTHERS
    return len(made), len(named) - len(made)


async def _missing(world: World, release_id: str, fetched: list[set[str]]) -> set[str]:
    """Who was fetched, said no, and has no retraction."""
    named = {
        pseudonym(world.means.ring, "study:diabetes", UUID(str(o.person_id)).bytes).hex() for o in await Objection.all()
    }
    made = {r.pseudonym for r in await Retraction.filter(release_id=release_id)}
    return (set().union(*fetched) & named) - made
