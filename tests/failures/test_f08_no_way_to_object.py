"""F8 (IQVIA, SAN-2026-008): the way to object did not work, and nobody knew.

Here it is tried every hour, on the served pages, by somebody whom the gate must withhold for it. When it is not known
to work the desk is told, and nobody's time to think goes on.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from whole_site import Web, free_port, served, site
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow.canary import EVERY, sing
from portal.flow.decide import Asked, verdicts
from portal.flow.hatch import hatch
from portal.flow.means import Means
from portal.outside.own_pages import Pages
from portal.records import path_overview
from portal.records.database import connection, is_postgres, rows
from portal.records.overview import outages
from portal.rules.words import CanaryOutcome


@pytest.fixture
async def web(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> AsyncIterator[Web]:
    """One patient told today, and a canary hatched the day before."""
    world = await build(means, clock, tmp_path)
    await world.enrol()
    assert await hatch(means)
    world.wait(1)
    await world.register([patient("1")])
    await world.tell()
    async with site(world, base=f"http://127.0.0.1:{free_port()}") as made:
        yield made


async def withheld(world: World) -> tuple[str, ...]:
    await world.register([patient("1")])
    await world.read_returns()
    _, found = await verdicts(world.means, Asked("demo"))
    return found[0].reasons


async def alarms(world: World) -> set[str]:
    return {row["kind"] for row in await path_overview.to_do(world.clock.now())}


async def test_pages_that_do_not_answer_are_noticed_and_lengthen_the_time_to_think(web: Web) -> None:
    world = web.world
    told_at = world.clock.now()
    async with served(web) as pages:
        assert await sing(world.means, pages, pauses=()) is CanaryOutcome.WORKED
    world.clock.advance_to(told_at + EVERY)
    assert await sing(world.means, Pages(web.settings.base_url), pauses=()) is CanaryOutcome.UNREACHABLE
    assert await alarms(world) == {"canary"}
    world.clock.advance_to(told_at + timedelta(days=3))
    async with served(web) as pages:
        assert await sing(world.means, pages, pauses=()) is CanaryOutcome.WORKED
    assert await alarms(world) == set()
    world.clock.advance_to(told_at + timedelta(days=33))
    assert await withheld(world) == ("G56",), "three days of them did not count"
    world.clock.advance_to(told_at + timedelta(days=34))
    assert await withheld(world) == ()


REFUSES = {
    "sqlite": "CREATE TRIGGER no_room BEFORE INSERT ON objection BEGIN SELECT RAISE({how}); END",
    "postgres": "CREATE FUNCTION refuse_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {how}; END $$; "
    "CREATE TRIGGER no_room BEFORE INSERT ON objection FOR EACH ROW EXECUTE FUNCTION refuse_row()",
}
FULL = {"sqlite": "ABORT, 'full'", "postgres": "RAISE EXCEPTION 'full'"}
LOST = {"sqlite": "IGNORE", "postgres": "RETURN NULL"}


@pytest.mark.parametrize("how", [FULL, LOST], ids=["full", "lost"])
async def test_a_no_that_the_database_does_not_keep_is_noticed(web: Web, how: dict[str, str]) -> None:
    world, c = web.world, connection()
    async with served(web) as pages:
        assert await sing(world.means, pages, pauses=()) is CanaryOutcome.WORKED
        engine = "postgres" if is_postgres(c) else "sqlite"
        await c.execute_script(REFUSES[engine].format(how=how[engine]))
        world.clock.advance_to(world.clock.now() + EVERY)
        assert await sing(world.means, pages, pauses=()) is CanaryOutcome.NOT_RECORDED
    assert await alarms(world) == {"canary"}
    assert [o["ended_at"] for o in await outages()] == [None]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_path_is_tried_by_hand_once_it_was_mended(web: Web, database: str) -> None:
    given = {
        "DATABASE_URL": database, "KEYS_DIR": str(web.world.means.ring.folder),
        "DATA_DIR": str(web.world.means.data_dir), "BASE_URL": web.settings.base_url,
    }  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}

    async def tried() -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "portal", "canary", stdout=PIPE, stderr=PIPE,
            env=kept | {f"PORTAL_{name}": value for name, value in given.items()},
        )  # fmt: skip
        out, error = await process.communicate()
        return process.returncode, out.decode(), error.decode()

    status, _, error = await tried()
    assert (status, error.count("\n"), "unreachable" in error) == (1, 1, True)
    async with served(web):
        status, said, error = await tried()
    assert (status, error) == (0, "")
    assert "was said" in said
    assert [o["ended_at"] is None for o in await outages()] == [False]


async def test_pages_that_take_every_browser_for_a_stranger_are_noticed(web: Web) -> None:
    """Served at another address than the settings say: each form seems to come from another site."""
    async with served(web, port=free_port()) as pages:
        assert await sing(web.world.means, pages, pauses=()) is CanaryOutcome.NOT_RECORDED
    assert await alarms(web.world) == {"canary"}


@pytest.mark.parametrize(
    ("deaf", "outcome"),
    [
        ("UPDATE verdict SET bits = 0, reason = NULL", CanaryOutcome.NOT_WITHHELD),
        ("UPDATE verdict SET bits = bits | 1, reason = 'G01'", CanaryOutcome.WITHHELD_ANYWAY),
    ],
    ids=["lets her pass", "withholds everybody"],
)
async def test_a_gate_that_does_not_tell_a_no_is_noticed(web: Web, deaf: str, outcome: CanaryOutcome) -> None:
    """A gate that lets everybody pass, and one that withholds everybody: with it no round proves anything."""
    await rows(connection(), deaf)
    async with served(web) as pages:
        assert await sing(web.world.means, pages, pauses=()) is outcome
    assert await alarms(web.world) == {"canary"}
