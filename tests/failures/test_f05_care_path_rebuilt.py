"""F5 (Cegedim, SAN-2024-013): one stable identifier let a twelve-year-old's care path be rebuilt with a spreadsheet.

Here a child who is alone with her year of birth is not in a release, its weeks tell no day, and another study knows
nobody by the same name.
"""

from typing import Any

import pyarrow.parquet as pq
import pytest
from kept import refused
from line import Line, record
from world import World, child, patient

from portal.flow import release
from portal.flow.assemble import opened
from portal.outside.tokens import pseudonym
from portal.records.people import Patient
from portal.records.releases import Release


@pytest.fixture
async def with_child(line: Line) -> Line:
    """Three adults and one child, all told, with six visits each in the store."""
    world = line.world
    await world.register([patient("1"), patient("2"), patient("3"), child("4")])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    visits = [record(str(n), recorded_on=f"2025-0{month}-15") for n in (1, 2, 3) for month in range(1, 7)]
    visits += [record("4", year_of_birth=2013, recorded_on=f"2025-0{month}-15") for month in range(1, 7)]
    await line.receive(await line.extract(*visits))
    return line


async def in_draft(world: World, release_id: str) -> list[dict[str, Any]]:
    kept = await Release.get(id=release_id)
    with opened(world.means, release_id, kept.manifest_sha256) as part:
        files = sorted((part / "release" / "records").glob("*.parquet"))
        return [row for file in files for row in pq.read_table(file, partitioning=None).to_pylist()]


async def test_a_child_who_is_alone_with_her_year_of_birth_is_not_in_the_release(with_child: Line) -> None:
    world = with_child.world
    release_id = await release.prepare(world.means, "diabetes", by=world.operator)
    summary = (await Release.get(id=release_id)).summary
    assert (summary["persons"], summary["suppressed"], summary["uniques"]) == (3, 1, 0)
    assert summary["refused"]["G61"] == 1
    person = (await Patient.get(number="4")).person_id
    rows = await in_draft(world, release_id)
    assert len(rows) == 18
    for family in ("study:diabetes", "observatory:demo"):
        hers = pseudonym(world.means.ring, family, person.bytes).hex()
        assert not [row for row in rows if hers in map(str, row.values())]


async def test_what_is_released_says_neither_day_nor_place_nor_doctor(with_child: Line) -> None:
    world = with_child.world
    release_id = await release.prepare(world.means, "diabetes", by=world.operator)
    rows = await in_draft(world, release_id)
    assert {name for row in rows for name in row} == {
        "pseudonym", "recorded_week", "year_of_birth", "sex", "diagnosis"
    }  # fmt: skip
    assert {row["year_of_birth"] for row in rows} == {1960}


async def test_a_release_in_which_everybody_is_alone_is_refused(line: Line) -> None:
    alone = [record("1", year_of_birth=1960), record("2", year_of_birth=1970), record("3", year_of_birth=1980)]
    await line.receive(await line.extract(*alone))
    async with refused("G61"):
        await release.prepare(line.world.means, "diabetes", by=line.world.operator)
