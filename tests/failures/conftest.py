"""Where most failures begin: three patients told forty days ago, a practice with a key, or a release downloaded."""

from pathlib import Path

import pytest
from line import Line, approved, record
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow import release
from portal.flow.means import Means


@pytest.fixture
async def line(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> Line:
    """Three adults of one active doctor, told and waited for; the practice's key is registered."""
    world = await build(means, clock, tmp_path)
    await world.enrol()
    await world.register([patient("1"), patient("2"), patient("3")])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    line = Line(world)
    await line.open()
    return line


@pytest.fixture
async def delivered(line: Line) -> tuple[World, str]:
    """A release of the three that its recipient has downloaded."""
    world = line.world
    await line.receive(await line.extract(*(record(str(n)) for n in (1, 2, 3))))
    release_id = await approved(world)
    await release.seal(world.means, release_id, by=world.operator)
    await release.serve(world.means, release_id, by=world.recipient)
    return world, release_id
