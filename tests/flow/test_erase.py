"""Whoever may no longer be in the observatory's own store leaves it by a day, and it can be shown that she has."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from kept import dump, kinds_since, one_entry, refused
from line import Line, approved, record
from world import World, child, patient

from portal.flow import enrol, erase, govern, opt_out, rewrite, rights
from portal.flow import release as flow
from portal.gate.folders import sha256_of
from portal.gate.verify import verify_release
from portal.outside.tokens import pseudonym
from portal.records.database import NothingToDo, connection, rows
from portal.records.enrolments import Enrolment
from portal.records.ledger import last_entry
from portal.records.notices import Notice
from portal.records.people import Patient
from portal.records.releases import Extraction, ReleasePerson
from portal.records.store_overview import erasures, store_counts
from portal.records.stored import StoreChange, StoredPerson, StoreRetraction
from portal.rules.waiting import paris_day
from portal.rules.words import WITHHOLDING, RightsKind, RightsState, Scope

RECORDS = tuple(record(number, recorded_on=day) for number in ("1", "2", "3") for day in ("2025-06-30", "2025-07-01"))


@pytest.fixture
async def stored(told: World) -> Line:
    """Two records of each of three adults in the store."""
    line = Line(told)
    await line.open()
    await line.receive(await line.extract(*RECORDS))
    return line


async def objects(world: World, number: str = "1") -> None:
    await opt_out.object_(world.means, world.links[f"patient{number}@example.org"], Scope.EVERYTHING)


async def _bounces(world: World) -> None:
    person = await Patient.get(number="1", practice_id="practice-a")
    world.returns.bounced.append(str((await Notice.get(patient_id=person.id)).id))
    await world.read_returns()


async def _dies(world: World) -> None:
    await world.register([patient("1", deceased_on=world.clock.now().date())], partial=True)


async def _taken_back(world: World) -> None:
    await objects(world)
    await opt_out.withdraw(world.means, world.links["patient1@example.org"])


async def leaves(world: World, number: str = "doctor-1") -> None:
    enrolment = await Enrolment.get(doctor_number=number).select_related("account")
    await enrol.leave(world.means, enrolment.account, enrolment.id)


CAUSES: dict[str, Callable[[World], Awaitable[None]]] = {
    "objection": objects, "late bounce": _bounces, "death": _dies, "taken back": _taken_back,
}  # fmt: skip


def files(world: World, practice_id: str = "practice-a") -> list[Path]:
    return sorted((world.means.store / practice_id).iterdir())


def inside(world: World) -> set[str]:
    """Every pseudonym in any file of the folder, whether it counts or not."""
    return {name for file in files(world) for name in pq.read_table(file, partitioning=None)["pseudonym"].to_pylist()}


async def named(world: World, number: str, practice_id: str = "practice-a") -> str:
    person = (await Patient.get(number=number, practice_id=practice_id)).person_id
    return pseudonym(world.means.ring, "observatory:demo", person.bytes).hex()


async def round_(world: World) -> None:
    await erase.reconcile_store(world.means)
    await rewrite.erase_due(world.means)


async def test_it_is_known_who_is_in_the_store_without_opening_a_file(stored: Line) -> None:
    found = await StoredPerson.all()
    assert {p.pseudonym for p in found} == inside(stored.world) == {await named(stored.world, n) for n in "123"}
    assert {p.file_sha256 for p in found} == {(await Extraction.get()).file_sha256}


@pytest.mark.parametrize("cause", CAUSES)
async def test_whoever_closes_leaves_the_store_with_proof(stored: Line, cause: str) -> None:
    world = stored.world
    name, (old,) = await named(world, "1"), files(world)
    before = sha256_of(old)
    await CAUSES[cause](world)
    async with one_entry("store_retractions_made", ("extraction", "practice-a")):
        assert await erase.reconcile_store(world.means) == 1
    made = await StoreRetraction.get()
    assert (made.part, made.ref, made.erased_at) == ("person", name, None)
    assert made.due_on == paris_day(world.clock.now()) + timedelta(days=30)
    assert name in inside(world), "asked to leave, not gone yet"

    start = await last_entry(connection())
    assert await rewrite.erase_due(world.means) == 1
    assert await kinds_since(start) == ["store_rewritten", "store_erased"]
    (new,) = files(world)
    assert name not in inside(world) == {await named(world, n) for n in "23"}
    assert {p.pseudonym for p in await StoredPerson.all()} == inside(world)
    (extraction,) = await Extraction.all()
    assert (extraction.file_name, extraction.file_sha256, extraction.rows) == (new.name, sha256_of(new), 4)
    change = await StoreChange.get()
    assert (change.old_sha256, change.new_sha256, change.rows_removed) == (before, sha256_of(new), 2)
    said = (await rows(connection(), "SELECT summary FROM log_entry WHERE id = $1", change.entry_id))[0]["summary"]
    assert before in said
    assert sha256_of(new) in said
    erased = await StoreRetraction.get()
    assert (erased.change_id, erased.erased_at) == (change.id, world.clock.now())

    kept = await dump()
    await round_(world)
    assert await dump() == kept, "a second round does nothing and leaves no entry"


async def test_nobody_who_may_stay_leaves_and_a_pause_or_an_old_register_says_nothing(stored: Line) -> None:
    world = stored.world
    assert await erase.reconcile_store(world.means) == 0
    enrolment = await Enrolment.get().select_related("account")
    await enrol.pause(world.means, enrolment.account, enrolment.id)
    world.wait(60)
    assert await erase.reconcile_store(world.means) == 0
    await objects(world)
    assert await erase.reconcile_store(world.means) == 1, "a no is heard all the same"


async def test_an_objection_to_one_study_leaves_the_store_as_it_is(stored: Line) -> None:
    world = stored.world
    await objects(world)
    await rows(connection(), "UPDATE objection SET scope = 'study', scope_ref = 'diabetes'")
    assert await erase.reconcile_store(world.means) == 0
    await opt_out.withdraw(world.means, world.links["patient1@example.org"])
    await rows(connection(), "UPDATE objection SET withdrawn_at = received_at, withdrawal_id = entry_id + 1")
    assert await erase.reconcile_store(world.means) == 0


@pytest.mark.parametrize("kind", WITHHOLDING)
async def test_an_erasure_or_a_rectification_leaves_once_it_is_granted_and_a_restriction_stays(
    stored: Line, kind: RightsKind
) -> None:
    world = stored.world
    opened = await rights.open_request(world.means, practice_id="practice-a", number="1", kind=kind, by=world.dpo)
    assert await erase.reconcile_store(world.means) == 0, "asked for, not granted"
    await rights.answer(world.means, opened.id, RightsState.GRANTED, by=world.dpo)
    await round_(world)
    stays = kind is RightsKind.RESTRICTION
    assert (await named(world, "1") in inside(world)) is stays
    assert {await named(world, n) for n in "23"} <= inside(world)


async def test_what_was_rectified_before_the_extraction_stays(told: World) -> None:
    world = told
    opened = await rights.open_request(
        world.means, practice_id="practice-a", number="1", kind=RightsKind.RECTIFICATION, by=world.dpo
    )
    await rights.answer(world.means, opened.id, RightsState.GRANTED, by=world.dpo)
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(*RECORDS))
    assert await erase.reconcile_store(world.means) == 0
    assert len(inside(world)) == 3


async def test_a_no_that_is_taken_back_closes_whoever_it_bound_without_a_row_of_hers(stored: Line) -> None:
    """She was parted since from the one who said it: the objection binds her, and so does its end."""
    world = stored.world
    await objects(world)
    other = (await Patient.get(number="2", practice_id="practice-a")).person_id
    await rows(
        connection(),
        "INSERT INTO objection_binding (objection_id, person_id, entry_id) SELECT id, $1, entry_id FROM objection",
        other,
    )
    await opt_out.withdraw(world.means, world.links["patient1@example.org"])
    await round_(world)
    assert inside(world) == {await named(world, "3")}


async def test_who_turns_18_leaves_by_time_alone(told: World) -> None:
    """Her parents were told; since midnight it is she who would have to be."""
    world = told
    await world.register([child("5", birth_date="2008-06-01")], partial=True)
    await world.tell()
    world.wait(45)
    await world.read_returns()
    world.clock.advance_to(world.clock.now().replace(month=5, day=31, hour=12))
    await world.register([patient(n) for n in "123"] + [child("4"), child("5", birth_date="2008-06-01")])
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(record("5"), *RECORDS))
    name = await named(world, "5")
    assert name in inside(world)
    await round_(world)
    assert name in inside(world)
    world.clock.advance_to(world.clock.now().replace(hour=22, minute=30))
    await round_(world)
    assert name not in inside(world)


async def test_a_practice_that_left_has_an_empty_folder(stored: Line) -> None:
    world = stored.world
    await leaves(world)
    await round_(world)
    assert files(world) == []
    assert await StoredPerson.all().count() == 0
    (extraction,) = await Extraction.all()
    assert (extraction.file_name, extraction.rows) == ("", 0)
    assert (await store_counts("demo", paris_day(world.clock.now()))) == {"open": 0, "overdue": 0, "erased": 1}
    assert (await erasures())[0]["new_sha256"] == ""


async def test_a_doctor_who_leaves_a_shared_practice_takes_her_records_and_those_that_name_nobody(
    told: World,
) -> None:
    world = told
    await world.enrol(number="doctor-2", rpps="10000000002")
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(record("1"), record("2", doctor_id="doctor-2"), record("3", doctor_id="")))
    assert len(inside(world)) == 3
    await leaves(world, "doctor-2")
    await round_(world)
    assert inside(world) == {await named(world, "1")}


async def test_a_doctor_who_left_and_joined_again_between_two_rounds_is_not_overlooked(stored: Line) -> None:
    world = stored.world
    await leaves(world)
    world.wait(1)
    await world.enrol()
    assert await Enrolment.get(state="active")
    await round_(world)
    assert files(world) == []


async def test_an_authorisation_that_ended_empties_the_store_on_the_day_and_not_before(stored: Line) -> None:
    """It may be an error, or be renewed next morning: nothing passes meanwhile, but nothing is lost."""
    world = stored.world
    await govern.suspend_authorisation(world.means, "cnil-1", by=world.dpo)
    await round_(world)
    assert len(inside(world)) == 3
    assert (await StoreRetraction.get()).part == "file"
    await objects(world)
    await round_(world)
    assert await named(world, "1") not in inside(world), "a no does not wait for the day"
    world.wait(29)
    await round_(world)
    assert len(inside(world)) == 2
    world.wait(1)
    await round_(world)
    assert files(world) == []
    assert (await store_counts("demo", paris_day(world.clock.now())))["overdue"] == 0


async def test_an_authorisation_that_is_mended_before_the_day_keeps_the_store(stored: Line) -> None:
    world = stored.world
    await govern.suspend_authorisation(world.means, "cnil-1", by=world.dpo)
    await round_(world)
    world.wait(10)
    await rows(connection(), "UPDATE authorisation SET suspended_at = NULL")
    async with one_entry("store_retractions_lifted", ("extraction", "practice-a")):
        await round_(world)
    world.wait(30)
    await round_(world)
    assert len(inside(world)) == 3
    assert (await store_counts("demo", paris_day(world.clock.now())))["overdue"] == 0


async def test_a_store_is_not_judged_with_a_key_that_is_not_its_own(stored: Line) -> None:
    """Nobody in it would be known, and everything erased."""
    world, before = stored.world, inside(stored.world)
    world.means.ring.delete("observatory:demo")
    world.means.ring.create("observatory:demo")
    async with refused("G13"):
        await round_(world)
    await rows(connection(), "DELETE FROM key_binding")
    await rows(connection(), "DELETE FROM stored_person")
    async with refused("G13"):
        await round_(world)
    assert inside(world) == before


async def test_two_workers_erase_at_once(stored: Line) -> None:
    world = stored.world
    await objects(world)
    await erase.reconcile_store(world.means)
    await asyncio.gather(*(rewrite.erase_due(world.means) for _ in range(4)))
    (only,) = files(world)
    extraction = await Extraction.get()
    assert (only.name, sha256_of(only), extraction.rows) == (extraction.file_name, extraction.file_sha256, 4)
    assert (await StoreChange.all().count(), (await StoreRetraction.get()).erased_at is not None) == (1, True)


async def test_a_new_extraction_takes_what_had_to_leave_with_the_old_file(stored: Line) -> None:
    world = stored.world
    name = await named(world, "1")
    await objects(world)
    await erase.reconcile_store(world.means)
    await stored.receive(await stored.extract(*RECORDS))
    assert name not in inside(world)
    await round_(world)
    made = await StoreRetraction.get()
    assert made.erased_at is not None
    assert {p.pseudonym for p in await StoredPerson.all()} == inside(world)


async def test_a_store_that_an_older_version_filled_is_taken_stock_of(stored: Line) -> None:
    """Nobody wrote down who is in it: it is opened once, and whom nobody knows goes."""
    world = stored.world
    await rows(connection(), "DELETE FROM stored_person")
    person = await Patient.get(number="3")
    stranger = await named(world, "3")
    (other,) = await rows(connection(), "SELECT person_id FROM patient WHERE number = '4'")
    await rows(connection(), "UPDATE patient SET person_id = $1 WHERE id = $2", other["person_id"], person.id)
    await objects(world)
    await round_(world)
    assert inside(world) == {await named(world, "2")}
    assert {r.ref for r in await StoreRetraction.all()} >= {stranger}


# --- whole or not at all -------------------------------------------------------------------------------------------


async def test_a_file_that_no_committed_entry_names_does_not_count(stored: Line) -> None:
    """Killed after the new file was written and before the commit: the old one counts, and the next round goes on."""
    world = stored.world
    (old,) = files(world)
    await objects(world)
    await erase.reconcile_store(world.means)
    rewrite._write(old, (await _due(world)))
    assert len(files(world)) == 2
    assert (await Extraction.get()).file_name == old.name
    await rewrite.erase_due(world.means)
    assert len(files(world)) == 1
    assert await named(world, "1") not in inside(world)


async def test_nothing_is_said_to_be_erased_while_the_old_file_is_there(stored: Line) -> None:
    """Killed after the commit and before the deletion: the new file counts, and the next round deletes the old."""
    world = stored.world
    (old,) = files(world)
    aside = world.folder / "aside.parquet"
    shutil.copyfile(old, aside)
    await objects(world)
    await erase.reconcile_store(world.means)
    due = await _due(world)
    (file,) = await rewrite.current_files(connection())
    new, names = rewrite._write(old, due)
    assert new is not None
    await rewrite.carry_over(connection(), file.practice_id, file.sha256, new.sha256, str(names).replace("'", '"'))
    await rewrite.transact_alone(lambda c: rewrite._commit(world.means, c, file, new, due, len(names)))
    assert (await Extraction.get()).file_name == new.path.name
    assert (await StoreRetraction.get()).erased_at is None
    assert old.exists()
    await rewrite.erase_due(world.means)
    assert not old.exists()
    assert (await StoreRetraction.get()).erased_at is not None


async def _due(world: World) -> list[rewrite.Leaving]:
    (due,) = (await rewrite.due_to_leave(connection(), paris_day(world.clock.now()))).values()
    return due


@pytest.mark.parametrize("moment", ["written", "carried over", "committed"])
async def test_an_extraction_that_comes_in_while_a_file_is_written_again_wins(stored: Line, moment: str) -> None:
    """Whatever the moment, the store consists of one whole file, named by the last commit, and of nobody else."""
    world = stored.world
    extraction = await stored.extract(*RECORDS)
    await objects(world)
    await erase.reconcile_store(world.means)
    due = await _due(world)
    (file,) = await rewrite.current_files(connection())
    new, names = rewrite._write(world.means.store / "practice-a" / file.name, due)
    assert new is not None
    if moment != "written":
        await rewrite.carry_over(connection(), file.practice_id, file.sha256, new.sha256, str(names).replace("'", '"'))
    if moment == "committed":
        await rewrite.transact_alone(lambda c: rewrite._commit(world.means, c, file, new, due, len(names)))
    await stored.receive(extraction)
    for late, inside_it in ((new, len(names)), (None, 0)):
        with pytest.raises(NothingToDo):
            await rewrite.transact_alone(
                lambda c, n=late, i=inside_it: rewrite._commit(world.means, c, file, n, due, i)
            )
    await round_(world)
    (only,) = files(world)
    newest = await Extraction.all().order_by("-id").first()
    assert newest is not None
    assert (only.name, sha256_of(only)) == (newest.file_name, newest.file_sha256)
    assert inside(world) == {await named(world, n) for n in "23"} == {p.pseudonym for p in await StoredPerson.all()}
    assert (await StoreRetraction.get()).erased_at is not None


async def test_the_same_extraction_sent_twice_at_once_leaves_the_file_that_counts(stored: Line) -> None:
    world = stored.world
    extraction = await stored.extract(*RECORDS)
    done = await asyncio.gather(*(stored.receive(extraction) for _ in range(3)), return_exceptions=True)
    assert sum(isinstance(one, BaseException) for one in done) == 2
    newest = await Extraction.all().order_by("-id").first()
    assert newest is not None
    (only,) = files(world)
    assert (only.name, sha256_of(only)) == (newest.file_name, newest.file_sha256)


async def test_a_file_that_is_missing_or_altered_stays_open_and_is_overdue_after_its_day(stored: Line) -> None:
    world = stored.world
    (old,) = files(world)
    await objects(world)
    await erase.reconcile_store(world.means)
    old.write_bytes(old.read_bytes() + b"\0")
    assert await rewrite.erase_due(world.means) == 0
    assert (await StoreRetraction.get()).erased_at is None
    world.wait(30)
    assert await erase.alarm_overdue(world.means) == 0
    world.wait(1)
    async with one_entry("store_retractions_overdue", ("extraction", "practice-a")):
        assert await erase.alarm_overdue(world.means) == 1
    assert await erase.alarm_overdue(world.means) == 0
    assert (await store_counts("demo", paris_day(world.clock.now())))["overdue"] == 1


# --- a release that was prepared from the older file ---------------------------------------------------------------


async def test_a_release_prepared_before_the_erasure_shrinks_and_is_sealed(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    await objects(world)
    await round_(world)
    assert await flow.seal(world.means, release_id, by=world.operator) == 4
    folder = await flow.serve(world.means, release_id, by=world.recipient)
    assert verify_release(folder, world.means.ring.public_key()).persons == 2
    gone = (await Patient.get(number="1")).person_id
    assert gone not in {p.person_id for p in await ReleasePerson.filter(release_id=release_id, left_version=None)}


async def test_a_release_shrinks_also_when_nothing_of_a_practice_is_left(told: World) -> None:
    world = told
    await world.enrol(2, number="doctor-9", rpps="10000000009")
    both = [patient("21", doctor_id="doctor-9"), patient("22", doctor_id="doctor-9")]
    await world.register(both, "practice-b")
    await world.tell("practice-b")
    world.wait(40)
    await world.read_returns()
    await world.register(both, "practice-b")
    await world.register([patient(n) for n in "123"])
    for practice, doctor, numbers in (("practice-a", "doctor-1", "123"), ("practice-b", "doctor-9", ("21", "22"))):
        line = Line(world, practice)
        await line.open()
        await line.receive(await line.extract(*(record(n, doctor_id=doctor) for n in numbers)))
    release_id = await approved(world)
    await leaves(world, "doctor-9")
    await round_(world)
    assert await flow.seal(world.means, release_id, by=world.operator) == 3


async def test_a_release_prepared_before_a_newer_extraction_is_sealed_from_what_was_kept_of_it(stored: Line) -> None:
    """Decision 0010: who closed leaves the kept files, and nothing of the newer extraction comes in."""
    world = stored.world
    release_id = await approved(world)
    await objects(world)
    await round_(world)
    await stored.receive(await stored.extract(*RECORDS))
    assert await flow.seal(world.means, release_id, by=world.operator) == 4
    folder = await flow.serve(world.means, release_id, by=world.recipient)
    assert verify_release(folder, world.means.ring.public_key()).persons == 2


async def test_a_release_whose_doctor_left_is_not_filtered_again_from_a_newer_extraction(told: World) -> None:
    """Her rows cannot be told in what was kept, and the newer file may hold more than was approved."""
    world = told
    await world.enrol(number="doctor-2", rpps="10000000002")
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(record("1"), record("2", doctor_id="doctor-2"), record("3")))
    release_id = await approved(world)
    await leaves(world, "doctor-2")
    await round_(world)
    await line.receive(await line.extract(record("1"), record("3")))
    with pytest.raises(flow.Refused) as no:
        await flow.seal(world.means, release_id, by=world.operator)
    assert no.value.code == "G72"
