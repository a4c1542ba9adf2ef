"""F4 (Cegedim, HRi): a state teleservice's history was copied into the record by itself, and from there into studies.

Here every record says where it came from. What came by itself, and what does not say, never leaves the practice; a
provenance rewritten on the way is no longer what the practice signed.
"""

import pyarrow as pa
import pyarrow.parquet as pq
from kept import refused
from line import Line, approved, record

from portal.flow import release


async def test_what_a_teleservice_wrote_by_itself_and_what_does_not_say_never_leave(line: Line) -> None:
    extraction = await line.extract(
        record("1"),
        record("2", provenance="teleservice_auto"),
        record("3", provenance="unknown"),
        record("3", provenance=""),
    )
    assert line.counted is not None
    assert line.counted.by_reason == {"G30": 1, "G31": 2}
    (file,) = (extraction / "records").glob("*.parquet")
    assert pq.read_table(file)["provenance"].to_pylist() == ["entered"]


async def test_neither_does_it_reach_a_study(line: Line) -> None:
    await line.receive(await line.extract(record("1"), record("2"), record("3", provenance="teleservice_auto")))
    release_id = await approved(line.world)
    assert await release.seal(line.world.means, release_id, by=line.world.operator) == 2


async def test_a_provenance_rewritten_on_the_way_is_refused(line: Line) -> None:
    extraction = await line.extract(record("1"), record("2", provenance="imported"))
    (file,) = (extraction / "records").glob("*.parquet")
    table = pq.read_table(file)
    place = table.column_names.index("provenance")
    pq.write_table(table.set_column(place, "provenance", pa.array(["entered"] * table.num_rows)), file)
    async with refused("extraction_hash"):
        await line.receive(extraction)
