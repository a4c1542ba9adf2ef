"""The site over an observatory where one doctor is active and four patients were told forty days ago."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from whole_site import Web, site
from world import build, child, patient

from portal.demo.clock import PlayedClock
from portal.flow.means import Means


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test names its databases (`on_both`)."""
    return str(request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url"))


@pytest.fixture
async def web(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> AsyncIterator[Web]:
    world = await build(means, clock, tmp_path)
    await world.enrol()
    await world.register([patient("1"), patient("2"), patient("3"), child("4", given_names="Camille")])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    async with site(world) as made:
        yield made
