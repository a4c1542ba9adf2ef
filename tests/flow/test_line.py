"""Permit, extraction, store: the first line on a few records, and everything that stops it."""

from datetime import timedelta
from pathlib import Path

from kept import kinds_since, one_entry, refused
from line import RECORDS, Line, approved, in_release, in_store, named, objects, record
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow import enrol, govern, receive
from portal.flow import release as flow
from portal.flow.means import Means
from portal.gate.verify import verify_release
from portal.records.database import connection
from portal.records.enrolments import Enrolment
from portal.records.ledger import last_entry
from portal.records.releases import Extraction, Release


async def test_from_a_permit_to_a_verified_release(line: Line) -> None:
    world = line.world
    before = await last_entry(connection())
    received = await line.receive(await line.extract(*RECORDS))
    assert (received.rows, received.persons, received.dropped) == (4, 3, 0)
    release_id = await approved(world)
    assert await flow.seal(world.means, release_id, by=world.operator) == 4
    folder = await flow.serve(world.means, release_id, by=world.recipient)
    verified = verify_release(folder, world.means.ring.public_key())
    assert (verified.rows, verified.persons, verified.study_id) == (4, 3, "diabetes")
    assert verified.log_entry == (await Release.get(id=release_id)).entry_id
    assert sorted(in_release(world, release_id)) == sorted(
        [await named(world, "1")] * 2 + [await named(world, "2"), await named(world, "3")]
    )
    assert await kinds_since(before) == [
        "permit_issued", "extraction_received", "release_prepared", "release_approved", "release_sealed",
        "release_served",
    ]  # fmt: skip


async def test_only_records_of_those_in_the_permit_by_enrolled_doctors_get_through(line: Line) -> None:
    await objects(line.world, "3")
    await line.extract(
        record("1"),
        record("2", doctor_id="doctor-2"),
        record("2", doctor_id=""),
        record("2", provenance="teleservice_auto"),
        record("2", provenance="unknown"),
        record("2", recorded_on="2019-12-31"),
        record("2", diagnosis="sct|0"),
        record("3"),
        record("999"),
    )
    assert line.counted is not None
    assert (line.counted.passed, line.counted.not_in_permit) == (2, 2)
    assert line.counted.by_reason == {"G30": 1, "G31": 1, "G32": 1, "G33": 1, "G34": 1}


async def test_an_unnamed_record_stays_out_where_a_colleague_has_not_enrolled(line: Line) -> None:
    await line.world.register([patient("1"), patient("2", doctor_id="doctor-2")], partial=True)
    await line.extract(record("1"), record("1", doctor_id=""))
    assert line.counted is not None
    assert (line.counted.passed, line.counted.by_reason) == (1, {"G34": 1})


async def test_history_stays_out_where_the_doctor_did_not_sign_for_it(
    database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    world = await build(means, clock, tmp_path)
    await world.enrol(history=False)
    await world.register([patient("1")])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    line = Line(world)
    await line.open()
    await line.extract(record("1", recorded_on="2026-03-01"), record("1", recorded_on="2026-03-02"))
    assert line.counted is not None
    assert (line.counted.passed, line.counted.by_reason) == (1, {"G25": 1})


# --- on arrival ----------------------------------------------------------------------------------------------------


async def test_who_objects_between_permit_and_arrival_is_dropped_before_anything_is_stored(line: Line) -> None:
    extraction = await line.extract(*RECORDS)
    await objects(line.world, "2")
    async with one_entry("extraction_received", ("extraction", "practice-a")):
        received = await line.receive(extraction)
    assert (received.rows, received.persons, received.dropped) == (3, 2, 1)
    assert await named(line.world, "2", "observatory:demo") not in in_store(line.world)


async def test_an_extraction_is_refused_once_its_doctor_has_left(line: Line) -> None:
    extraction = await line.extract(*RECORDS)
    enrolment = await Enrolment.get().select_related("account")
    await enrol.leave(line.world.means, enrolment.account, enrolment.id)
    async with refused("G23"):
        await line.receive(extraction)
    assert in_store(line.world) == set()


async def test_an_extraction_under_a_superseded_permit_is_refused(line: Line) -> None:
    extraction = await line.extract(*RECORDS)
    await line.extract(*RECORDS)
    async with refused("permit_superseded"):
        await line.receive(extraction)


async def test_an_extraction_under_an_expired_permit_is_refused(line: Line) -> None:
    extraction = await line.extract(*RECORDS)
    line.world.clock.advance_to(line.world.clock.now() + timedelta(hours=24))
    async with refused("permit_expired"):
        await line.receive(extraction)


async def test_an_extraction_is_taken_in_once(line: Line) -> None:
    extraction = await line.extract(*RECORDS)
    await line.receive(extraction)
    async with refused("already_received"):
        await line.receive(extraction)


async def test_an_extraction_signed_by_another_key_is_refused(line: Line) -> None:
    stranger = Line(line.world, turn=10)
    extraction = await stranger.extract(*RECORDS)
    async with refused("extraction_signature"):
        await line.receive(extraction)


async def test_a_practice_without_a_registered_key_sends_nothing(told: World) -> None:
    line = Line(told)
    extraction = await line.extract(*RECORDS)
    async with refused("practice_key"):
        await line.receive(extraction)


async def test_an_extraction_of_an_authorisation_that_was_suspended_meanwhile_is_refused(line: Line) -> None:
    extraction = await line.extract(*RECORDS)
    await govern.suspend_authorisation(line.world.means, "cnil-1", by=line.world.dpo)
    async with refused("G03"):
        await line.receive(extraction)


async def test_a_new_extraction_replaces_the_practices_older_one(stored: Line) -> None:
    await objects(stored.world, "2")
    await stored.receive(await stored.extract(*RECORDS))
    assert await Extraction.all().count() == 2
    assert await named(stored.world, "2", "observatory:demo") not in in_store(stored.world)
    assert len(list((stored.world.means.store / "practice-a").iterdir())) == 1


async def test_no_permit_for_a_practice_without_an_active_doctor(line: Line) -> None:
    enrolment = await Enrolment.get().select_related("account")
    await enrol.pause(line.world.means, enrolment.account, enrolment.id)
    async with refused("G23"):
        await line.extract(*RECORDS)


async def test_registering_a_practices_key_enters_the_log(told: World) -> None:
    line = Line(told)
    async with one_entry("practice_key_registered", ("practice", "practice-a")):
        await line.open()
    async with refused("unknown_practice"):
        await receive.register_practice_key(told.means, "practice-z", line.key.public_key(), by=told.operator)
