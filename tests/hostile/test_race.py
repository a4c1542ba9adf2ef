"""Objections racing seals, on real connections: nobody whose no was logged before a seal is in what was sealed.

The same race is run against seals that were built wrong, and has to catch each of them: a race that no wrong
design loses would prove nothing about the right one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from asyncpg import SerializationError
from race import Outcome, race
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.context import TortoiseContext
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow.assemble import Draft
from portal.flow.decide import snapshot
from portal.flow.look import Looked
from portal.flow.means import Means
from portal.flow.sealing import try_seal
from portal.records.database import Connection, configuration, transact, transact_alone
from portal.records.ledger import enter, last_entry
from portal.records.releases import Release
from portal.rules.words import ReleaseState

OBJECTORS, OTHERS = 20, 4


async def crowd(means: Means, clock: PlayedClock, folder: Path) -> World:
    """Patients of one active doctor, told forty days ago; `links` are those of the ones who will object."""
    world = await build(means, clock, folder)
    await world.enrol()
    await world.register([patient(str(n)) for n in range(1, OBJECTORS + OTHERS + 1)])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    world.links = dict(list(world.links.items())[:OBJECTORS])
    return world


@pytest.fixture
async def on_postgres(postgres_url: str, means: Means, clock: PlayedClock, tmp_path: Path) -> AsyncIterator[World]:
    EXECUTOR_CACHE.clear()
    async with TortoiseContext() as context:
        await context.init(config=configuration(f"{postgres_url}?minsize=8&maxsize=24"))
        yield await crowd(means, clock, tmp_path)


@pytest.fixture
async def on_sqlite(sqlite_url: str, means: Means, clock: PlayedClock, tmp_path: Path) -> AsyncIterator[World]:
    EXECUTOR_CACHE.clear()
    async with TortoiseContext() as context:
        await context.init(config=configuration(sqlite_url))
        yield await crowd(means, clock, tmp_path)


# --- the design, and designs that look right -----------------------------------------------------------------------


async def as_designed(world: World, release: Release, kept: Draft) -> Looked:
    return await transact_alone(
        lambda c: try_seal(world.means, c, release, kept, instead_of=kept, actor=world.operator.actor)
    )


async def without_its_look(world: World, release: Release, kept: Draft) -> Looked:
    """The list was decided a moment ago: why ask again?"""

    async def step(c: Connection) -> Looked:
        now = await world.means.now(c)
        entry = await enter(c, "release_sealed", actor="operator:1", at=now, touches=[("release", release.id)])
        sealed = {"state": ReleaseState.SEALED, "sealed_at": now, "sealed_by": "operator:1", "entry_id": entry}
        await Release.filter(id=release.id).update(**sealed)
        return Looked(frozenset(), entry)

    return await transact_alone(step)


async def with_its_snapshot_before_the_lock(world: World, release: Release, kept: Draft) -> Looked:
    """A look that sees the database as it was when it began to wait."""

    async def step(c: Connection) -> Looked:
        await snapshot(c)
        await last_entry(c)
        await c.execute_script("LOCK TABLE log_entry IN SHARE ROW EXCLUSIVE MODE")
        return await try_seal(world.means, c, release, kept, instead_of=kept, actor=world.operator.actor)

    return await transact(step)


async def with_serializable_only(world: World, release: Release, kept: Draft) -> Looked:
    """Any serial order satisfies the database, also the one in which the objection came after."""

    async def step(c: Connection) -> Looked:
        await c.execute_script("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        return await try_seal(world.means, c, release, kept, instead_of=kept, actor=world.operator.actor)

    while True:
        try:
            return await transact(step)
        except SerializationError:
            await asyncio.sleep(0.01)


async def cut_without_the_lock() -> int:
    """The highest entry that can be seen: one that is under way may still appear beneath it."""
    return await transact(last_entry)


# --- the trials ----------------------------------------------------------------------------------------------------


def _close_enough(outcome: Outcome) -> bool:
    return min(outcome.sealed, outcome.taken_out) >= 100 and min(outcome.served, outcome.held_back) >= 5


@pytest.mark.shows("R2")
async def test_no_objection_leaks_through_a_seal_on_postgres(
    on_postgres: World, how_many: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    objections = how_many(500, 10_000)
    rounds = -(-objections // OBJECTORS) + 1
    outcome = await race(on_postgres, as_designed, rounds=rounds, close_enough=_close_enough)
    record_property("trials", outcome.objections)
    assert outcome.leaks == 0
    assert outcome.served_although_closed == 0
    assert outcome.objections >= objections
    assert outcome.sealed >= 100
    assert outcome.taken_out >= 100, "the race was not close enough to prove anything"
    assert min(outcome.served, outcome.held_back) >= 5


@pytest.mark.shows("R2")
async def test_no_objection_leaks_through_a_seal_on_sqlite(
    on_sqlite: World, record_property: Callable[[str, object], None]
) -> None:
    outcome = await race(on_sqlite, as_designed, rounds=5, close_enough=lambda o: o.taken_out >= 20)
    record_property("trials", outcome.objections)
    assert outcome.leaks == 0
    assert outcome.served_although_closed == 0
    assert outcome.taken_out >= 20, "the race was not close enough to prove anything"


@pytest.mark.parametrize(
    "seal", [without_its_look, with_its_snapshot_before_the_lock, with_serializable_only], ids=lambda f: f.__name__
)
async def test_the_race_catches_a_seal(seal, on_postgres: World) -> None:
    outcome = await race(on_postgres, seal, rounds=50, until_leak=True)
    assert outcome.leaks > 0


async def test_the_race_catches_a_cut_without_the_lock(on_postgres: World) -> None:
    outcome = await race(on_postgres, as_designed, cut=cut_without_the_lock, rounds=50, until_leak=True)
    assert outcome.leaks > 0
