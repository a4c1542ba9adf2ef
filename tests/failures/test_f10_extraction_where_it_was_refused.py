"""F10 (IQVIA): the extraction ran at pharmacies that had refused, and was filtered downstream.

Here nothing leaves a practice without a permit that names only those who pass, and what arrives is decided again
before it is stored: a practice that refused has no permit, and what it had under way is turned away.
"""

import pyarrow.parquet as pq
from kept import refused
from line import Line, record

from portal.flow import enrol, opt_out
from portal.records.enrolments import Enrolment
from portal.rules.words import Scope


async def leaves(line: Line) -> None:
    enrolment = await Enrolment.get().select_related("account")
    await enrol.leave(line.world.means, enrolment.account, enrolment.id)


async def test_a_practice_that_has_refused_gets_no_permit(line: Line) -> None:
    await leaves(line)
    async with refused("G23"):
        await line.extract(record("1"))


async def test_a_practice_that_never_joined_gets_no_permit(line: Line) -> None:
    other = Line(line.world, practice_id="practice-b")
    await other.open()
    async with refused("G20"):
        await other.extract(record("1"))


async def test_what_was_under_way_when_it_refused_is_turned_away_whole(line: Line) -> None:
    extraction = await line.extract(record("1"))
    await leaves(line)
    async with refused("G23"):
        await line.receive(extraction)
    assert not list(line.world.means.store.rglob("*.parquet"))


async def test_a_permit_names_nobody_who_refused_so_her_records_never_leave_the_practice(line: Line) -> None:
    await opt_out.object_(line.world.means, line.world.links["patient2@example.org"], Scope.EVERYTHING)
    extraction = await line.extract(record("1"), record("2"))
    allowed = pq.read_table(extraction.parent / "permit" / "allowed.parquet")
    assert allowed["patient_id"].to_pylist() == ["1", "3"]
    (file,) = (extraction / "records").glob("*.parquet")
    assert pq.read_table(file).num_rows == 1


async def test_who_refused_meanwhile_is_dropped_before_anything_is_stored(line: Line) -> None:
    extraction = await line.extract(record("1"), record("2"))
    await opt_out.object_(line.world.means, line.world.links["patient2@example.org"], Scope.EVERYTHING)
    received = await line.receive(extraction)
    assert (received.rows, received.dropped) == (1, 1)
    (file,) = line.world.means.store.rglob("*.parquet")
    assert pq.read_table(file).num_rows == 1
