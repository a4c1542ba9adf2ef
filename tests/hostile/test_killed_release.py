"""The process that makes a release is killed at any moment: there is none or a whole one, and the next goes on."""

import asyncio
import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from forked import forked
from killed import Place, work
from line import Line, record
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow.means import Means
from portal.gate.verify import verify_release
from portal.outside.keys import KeyRing

PEOPLE = [str(n) for n in range(1, 6)]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
async def stored(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> World:
    """Five patients' records in the store; nothing prepared."""
    world = await build(means, clock, tmp_path)
    await world.enrol()
    await world.register([patient(number) for number in PEOPLE])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(*(record(number) for number in PEOPLE)))
    return world


def a_copy(world: World, number: int) -> Place:
    folder = world.folder / f"trial-{number}"
    folder.mkdir()
    shutil.copytree(world.means.data_dir, folder / "data")
    with sqlite3.connect(world.folder / "portal.sqlite3") as from_, sqlite3.connect(folder / "portal.sqlite3") as to:
        from_.backup(to)
    return Place(folder, world.means.ring.folder, world.clock.now(), world.links["patient1@example.org"])


def started(place: Place) -> BaseProcess:
    return forked(work, place)


def to_its_end(place: Place) -> None:
    process = started(place)
    process.join()
    assert process.exitcode == 0


def is_whole_or_absent(place: Place) -> str:
    """What a stranger sees of the release: nothing, or a genuine one."""
    key = KeyRing(place.keys).public_key()
    releases = place.folder / "data" / "releases"
    found = [folder for folder in releases.glob("*") if not folder.name.startswith(".")]
    assert len(found) <= 1
    return f"version {verify_release(found[0], key).version}" if found else "nothing"


def what_came_of_it(place: Place) -> None:
    """Everything as if nobody had been killed, and nothing left over."""
    data = place.folder / "data"
    with sqlite3.connect(place.folder / "portal.sqlite3") as c:
        (release,) = c.execute("SELECT id, state, version, manifest_sha256 FROM release").fetchall()
        gone = c.execute("SELECT count(*) FROM release_person WHERE left_version IS NOT NULL").fetchall()
        delivered = {version for (version,) in c.execute("SELECT version FROM delivery")}
    release_id, state, version, manifest_sha256 = release
    assert state == "sealed"
    assert gone == [(1,)]
    verified = verify_release(data / "releases" / release_id, KeyRing(place.keys).public_key(), version=version)
    assert (verified.manifest_sha256, verified.persons) == (manifest_sha256, len(PEOPLE) - 1)
    assert version in delivered
    assert [f.name for f in (data / "releases").iterdir()] == [release_id]
    assert [f.name for f in (data / "drafts").iterdir()] == [release_id]
    assert [f.name for f in (data / "drafts" / release_id).iterdir()] == [manifest_sha256]
    assert list((data / "work").iterdir()) == []


async def test_killed_at_any_moment_there_is_no_release_or_a_whole_one(
    stored: World, how_many: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    chance, trials = random.Random(7), how_many(20, 300)
    record_property("trials", trials)
    whole = a_copy(stored, 0)
    began = time.perf_counter()
    to_its_end(whole)
    lasts = time.perf_counter() - began
    what_came_of_it(whole)
    seen: list[str] = []
    for number in range(1, trials + 1):
        place = a_copy(stored, number)
        process = started(place)
        await asyncio.sleep(chance.uniform(0.05, 1) * lasts)
        process.kill()
        process.join()
        seen.append(is_whole_or_absent(place))
        to_its_end(place)
        what_came_of_it(place)
        shutil.rmtree(place.folder)
    assert len(set(seen)) >= 2, "the kills did not hit different moments"
