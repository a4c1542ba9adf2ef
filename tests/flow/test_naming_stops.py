"""G11 where a line is crossed: a value that could name somebody stops all of it, though a reviewed list let it pass."""

from pathlib import Path

import pytest
from kept import refused
from line import Line, record
from world import COLUMNS, build, patient, reviewed

from portal.demo.clock import PlayedClock
from portal.flow import release
from portal.flow.means import Means
from portal.gate import naming
from portal.rules.refusals import Refused

LISTED = {**COLUMNS, "diagnosis": {"precision": "full", "codes": ["sct|44054006", "urn:note|0612345678"]}}


@pytest.fixture
async def line(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> Line:
    """Three adults told; somebody has put a telephone number on the list of codes, and nobody saw it."""
    given = reviewed().authorisation[0].conditions.model_dump(mode="json") | {"columns": LISTED}
    asked = reviewed().study[0].conditions.model_dump(mode="json")
    asked |= {"columns": {**LISTED, "year_of_birth": {"precision": "decade"}}}
    world = await build(means, clock, tmp_path, authorisation__conditions=given, study__conditions=asked)
    await world.enrol()
    await world.register([patient("1"), patient("2"), patient("3")])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    line = Line(world)
    await line.open()
    return line


async def test_an_extraction_is_refused_on_arrival_and_nothing_is_stored(line: Line) -> None:
    plain = [record("1"), record("2")]
    extraction = await line.extract(*plain, record("3", diagnosis="urn:note|0612345678"))
    async with refused("G11"):
        await line.receive(extraction)
    assert not list(line.world.means.store.rglob("*.parquet"))
    await line.receive(await line.extract(*plain, record("3")))
    assert await release.prepare(line.world.means, "diabetes", by=line.world.operator)


async def test_the_refusal_does_not_say_the_number(line: Line) -> None:
    extraction = await line.extract(record("1", diagnosis="urn:note|0612345678"))
    with pytest.raises(Refused) as no:
        await line.receive(extraction)
    assert "0612345678" not in str(no.value)
    with pytest.raises(Refused, match="G11"):
        naming.refuse_identifiers(sorted((extraction / "records").glob("*.parquet")), ())
