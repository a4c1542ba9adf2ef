"""Two observatories to begin with: one where nothing has happened yet, and one where patients have been told."""

from dataclasses import replace
from pathlib import Path

import pytest
from line import RECORDS, Line
from settling import EVERYBODY
from world import World, build, child, patient

from portal.demo.clock import PlayedClock
from portal.flow.means import Means


@pytest.fixture
async def world(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> World:
    """Texts approved, staff invited; nobody enrolled."""
    return await build(means, clock, tmp_path)


@pytest.fixture
async def told(world: World) -> World:
    """One active doctor, three adults and a child told forty days ago, the returns read since."""
    await world.enrol()
    await world.register([patient("1"), patient("2"), patient("3"), child("4")])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    return world


@pytest.fixture
async def line(told: World) -> Line:
    """A practice whose key is registered."""
    made = Line(told)
    await made.open()
    return made


@pytest.fixture
async def stored(line: Line) -> Line:
    """The store holds four records of three patients."""
    await line.receive(await line.extract(*RECORDS))
    return line


@pytest.fixture
async def two(told: World) -> World:
    """Patient 1 is a patient of both practices too, as patient 7; each was told, and no key is known."""
    await told.enrol(2, number="doctor-2")
    same = replace(patient("1"), patient_id="7", email="seven@example.org", doctor_id="doctor-2")
    await told.register([same], "practice-b")
    await told.tell("practice-b")
    told.wait(40)
    await told.read_returns()
    await told.register(EVERYBODY)
    await told.register([same], "practice-b")
    return told
