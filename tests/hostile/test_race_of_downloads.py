"""Objections racing downloads: no version holds anybody whose no came before it left; the others are taken back."""

import asyncio
import random
from collections.abc import Callable
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


@pytest.mark.shows("R2")
async def test_nobody_who_said_no_before_a_download_is_in_it_and_everybody_delivered_is_taken_back(
    stored: World, how_many: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    chance, rounds = random.Random(5), how_many(3, 60)
    record_property("trials", rounds * OBJECTORS)
    taken_back, spared, span = 0, 0, 0.2
    for _ in range(rounds):
        release_id = await approved(stored)
        await flow.seal(stored.means, release_id, by=stored.operator)
        fetched: list[set[str]] = []
        before, *racing, after = chance.sample(sorted(stored.links.values()), OBJECTORS)
        await _object(stored, before, 0)
        await asyncio.gather(
            _downloads(stored, release_id, fetched),
            *(_object(stored, link, chance.uniform(0, DOWNLOADS * span)) for link in racing),
        )
        await _object(stored, after, 0)
        span = await _one_download(stored, release_id, fetched)
        back, never = await _hold_to_the_log(stored, release_id, fetched)
        taken_back, spared = taken_back + back, spared + never
        await rows(connection(), "DELETE FROM objection")
    assert taken_back + spared == rounds * OBJECTORS
    assert min(taken_back, spared) >= rounds


async def _object(world: World, link: str, wait: float) -> None:
    await asyncio.sleep(wait)
    await opt_out.object_(world.means, link, Scope.EVERYTHING)


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
    await retract.reconcile(world.means)
    delivered = set().union(*fetched)
    made = {r.pseudonym for r in await Retraction.filter(release_id=release_id)}
    assert made == {name for name in named.values() if name in delivered}
    assert fetched[-1].isdisjoint(named.values())
    assert await Delivery.filter(release_id=release_id).count() == len({frozenset(names) for names in fetched})
    assert await ReleasePerson.filter(release_id=release_id).count() == OBJECTORS + OTHERS
    return len(made), len(named) - len(made)
