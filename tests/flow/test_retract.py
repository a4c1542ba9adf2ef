"""Whoever closes after a delivery is taken back: once, as delivered, by a day, without a reason."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta

import pytest
from kept import dump, kinds_since, one_entry, refused
from line import Line, approved, record
from world import World, patient, publish

from portal.flow import enrol, govern, opt_out, retract
from portal.flow import release as flow
from portal.flow.behind_link import deliveries
from portal.flow.sign_in import add_staff
from portal.outside.tokens import pseudonym
from portal.records.accounts import Account
from portal.records.database import connection
from portal.records.enrolments import Enrolment
from portal.records.ledger import last_entry
from portal.records.notices import Notice
from portal.records.objections import Objection
from portal.records.people import Patient
from portal.records.releases import ReleasePerson
from portal.records.retractions import Retraction, counts, open_by_release, open_lines
from portal.rules.waiting import paris_day
from portal.rules.words import Role, Scope

KEY = "ins:157049990786733"


@pytest.fixture
async def sealed(told: World) -> tuple[World, str]:
    """Three adults of one practice in a sealed release."""
    line = Line(told)
    await line.open()
    await line.receive(await line.extract(*(record(str(n)) for n in (1, 2, 3))))
    release_id = await approved(told)
    await flow.seal(told.means, release_id, by=told.operator)
    return told, release_id


@pytest.fixture
async def delivered(sealed: tuple[World, str]) -> tuple[World, str]:
    """The same, downloaded."""
    world, release_id = sealed
    await flow.serve(world.means, release_id, by=world.recipient)
    return world, release_id


async def objects(world: World, number: str = "1") -> None:
    await opt_out.object_(world.means, world.links[f"patient{number}@example.org"], Scope.EVERYTHING)


async def _bounces(world: World, number: str = "1") -> None:
    person = await Patient.get(number=number, practice_id="practice-a")
    world.returns.bounced.append(str((await Notice.get(patient_id=person.id)).id))
    await world.read_returns()


async def _dies(world: World) -> None:
    await world.register([patient("1", deceased_on=world.clock.now().date())], partial=True)


async def _taken_back(world: World) -> None:
    """Between two rounds, so that no round ever saw the objection in force."""
    await objects(world)
    await opt_out.withdraw(world.means, world.links["patient1@example.org"])


async def _doctor_leaves(world: World) -> None:
    enrolment = await Enrolment.get(doctor_number="doctor-1").select_related("account")
    await enrol.leave(world.means, enrolment.account, enrolment.id)


async def _suspended(world: World) -> None:
    await govern.suspend_authorisation(world.means, "cnil-1", by=world.dpo)


Cause = Callable[[World], Awaitable[None]]
CAUSES: dict[str, tuple[Cause, int]] = {
    "objection": (objects, 1), "late bounce": (_bounces, 1), "death": (_dies, 1), "taken back": (_taken_back, 1),
    "doctor leaves": (_doctor_leaves, 3), "authorisation suspended": (_suspended, 3),
}  # fmt: skip
"""What closes, and how many of the three delivered patients it closes."""


async def as_delivered(release_id: str) -> dict[str, str]:
    return {
        str(p.person_id): p.pseudonym for p in await ReleasePerson.filter(release_id=release_id).order_by("pseudonym")
    }


# --- every cause ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cause", CAUSES)
async def test_whatever_closes_after_a_download_makes_one_retraction_as_delivered(
    delivered: tuple[World, str], cause: str
) -> None:
    world, release_id = delivered
    closes, many = CAUSES[cause]
    named = await as_delivered(release_id)
    await closes(world)
    async with one_entry("retractions_made", ("release", release_id)):
        assert await retract.reconcile(world.means) == many
    made = await Retraction.all()
    assert len(made) == many
    assert all(r.release_id == release_id and r.pseudonym == named[str(r.person_id)] for r in made)
    if many == 1:
        person = (await Patient.get(number="1")).person_id
        assert [r.person_id for r in made] == [person]
        assert made[0].pseudonym == pseudonym(world.means.ring, "study:diabetes", person.bytes).hex()
    assert {r.due_on for r in made} == {paris_day(world.clock.now()) + timedelta(days=30)}

    before = await dump()
    assert await retract.reconcile(world.means) == 0
    assert await dump() == before, "a second run makes nothing and leaves no entry"


async def test_no_two_causes_can_be_told_apart(delivered: tuple[World, str]) -> None:
    """The log's entry and the row of a no and of a bounce are the same but for ids, moments and names."""
    world, _ = delivered
    shapes = set()
    for cause, number in ((objects, "1"), (_bounces, "2")):
        await cause(world, number)
        start = await last_entry(connection())
        await retract.reconcile(world.means)
        assert await kinds_since(start) == ["retractions_made"]
        made = await Retraction.all().order_by("-id").first()
        assert made is not None
        entry = [row for row in (await dump())["log_entry"] if "'retractions_made'" in row][-1]
        shapes.add((made.due_on, made.acknowledged_by, entry.partition("'summary'")[2]))
    assert len(shapes) == 1
    columns = set(Retraction._meta.db_fields)
    assert not {"reason", "cause", "code", "kind", "objection_id"} & columns


@pytest.mark.parametrize("cause", CAUSES)
async def test_what_never_left_is_not_taken_back(sealed: tuple[World, str], cause: str) -> None:
    world, _ = sealed
    await CAUSES[cause][0](world)
    before = await dump()
    assert await retract.reconcile(world.means) == 0
    assert await dump() == before


async def test_nobody_who_still_passes_is_taken_back(delivered: tuple[World, str]) -> None:
    assert await retract.reconcile(delivered[0].means) == 0


async def test_a_pause_or_an_old_register_says_nothing_of_what_has_left(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    enrolment = await Enrolment.get().select_related("account")
    await enrol.pause(world.means, enrolment.account, enrolment.id)
    assert await retract.reconcile(world.means) == 0
    world.wait(60)
    assert await retract.reconcile(world.means) == 0
    await objects(world)
    assert await retract.reconcile(world.means) == 1, "a no is heard all the same"


async def test_a_doctor_who_leaves_takes_back_her_practice_though_a_colleague_stays(
    sealed: tuple[World, str],
) -> None:
    """Her patients still have a doctor there, but a release does not say whose a record is."""
    world, release_id = sealed
    await flow.serve(world.means, release_id, by=world.recipient)
    await world.enrol(number="doctor-2", rpps="10000000002")
    assert await retract.reconcile(world.means) == 0
    await _doctor_leaves(world)
    assert await retract.reconcile(world.means) == 3


async def test_who_passes_again_keeps_the_retraction(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    await objects(world)
    await retract.reconcile(world.means)
    await opt_out.withdraw(world.means, world.links["patient1@example.org"])
    assert await retract.reconcile(world.means) == 0
    assert await Retraction.filter(acknowledged_at=None).count() == 1


async def test_a_person_of_two_practices_is_taken_back_at_both(told: World) -> None:
    world = told
    await world.register([patient("1", person_key=KEY)], partial=True)
    await world.enrol(2, number="doctor-9", rpps="10000000009")
    await world.register(
        [patient("1", person_key=KEY, doctor_id="doctor-9"), patient("22", doctor_id="doctor-9")], "practice-b"
    )
    await world.tell("practice-b")
    world.wait(40)
    await world.read_returns()
    await world.register([patient(n, person_key=KEY if n == "1" else None) for n in ("1", "2", "3")])
    await world.register(
        [patient("1", person_key=KEY, doctor_id="doctor-9"), patient("22", doctor_id="doctor-9")], "practice-b"
    )
    for practice, doctor in (("practice-a", "doctor-1"), ("practice-b", "doctor-9")):
        line = Line(world, practice)
        await line.open()
        numbers = ("1", "2", "3") if practice == "practice-a" else ("1", "22")
        await line.receive(await line.extract(*(record(n, doctor_id=doctor) for n in numbers)))
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    await flow.serve(world.means, release_id, by=world.recipient)
    await objects(world)
    assert await retract.reconcile(world.means) == 2
    made = await Retraction.all().order_by("practice_id")
    assert [r.practice_id for r in made] == ["practice-a", "practice-b"]
    assert len({r.person_id for r in made}) == len({r.pseudonym for r in made}) == 1
    assert len(await open_lines("diabetes")) == 1, "the recipient is told of a pseudonym once"


async def test_each_release_that_has_left_is_taken_back_from_and_acknowledged_by_itself(
    delivered: tuple[World, str],
) -> None:
    world, first = delivered
    second = await approved(world)
    await flow.seal(world.means, second, by=world.operator)
    await flow.serve(world.means, second, by=world.recipient)
    await objects(world)
    assert await retract.reconcile(world.means, only="another") == 0
    assert await retract.reconcile(world.means, only="diabetes") == 2
    assert [line[0] for line in await open_lines("diabetes")] == sorted([first, second])
    assert await retract.acknowledge(world.means, second, up_to=2**60, by=world.recipient) == 1
    assert [line[0] for line in await open_lines("diabetes")] == [first]
    assert await retract.reconcile(world.means) == 0


async def test_what_a_crash_left_out_is_found_by_the_next_round(delivered: tuple[World, str]) -> None:
    """The process stops after the objection's commit, and again after half of the retractions."""
    world, _ = delivered
    await objects(world, "1")
    await objects(world, "2")
    assert len(await retract.missing(world.means, "diabetes")) == 2
    assert await retract.reconcile(world.means) == 2
    kept = await Retraction.all().order_by("id").first()
    assert kept is not None
    await Retraction.filter(id__not=kept.id).delete()
    assert await retract.reconcile(world.means) == 1
    assert await Retraction.all().count() == 2


async def test_two_rounds_that_found_the_same_make_it_once(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    await objects(world)
    found = await retract.missing(world.means, "diabetes")
    assert await retract._make(world.means, found) == 1
    before = await dump()
    assert await retract._make(world.means, found) == 0
    assert await dump() == before


# --- acknowledged, reminded, blocked -------------------------------------------------------------------------------


async def test_the_recipient_acknowledges_once_and_only_what_it_was_shown(delivered: tuple[World, str]) -> None:
    world, release_id = delivered
    await objects(world, "1")
    await retract.reconcile(world.means)
    shown = (await open_by_release("diabetes"))[0]
    assert (shown["release_id"], shown["count"]) == (release_id, 1)
    await objects(world, "2")
    await retract.reconcile(world.means)
    up_to = shown["up_to"]
    async with one_entry("retractions_acknowledged", ("release", release_id)):
        assert await retract.acknowledge(world.means, release_id, up_to=up_to, by=world.recipient) == 1
    assert await counts("diabetes", paris_day(world.clock.now())) == {"open": 1, "overdue": 0, "acknowledged": 1}
    before = await dump()
    assert await retract.acknowledge(world.means, release_id, up_to=up_to, by=world.recipient) == 0
    assert await dump() == before
    closed = await Retraction.get(acknowledged_at__isnull=False)
    assert closed.acknowledged_by == world.recipient.actor


async def test_nobody_acknowledges_for_another_study(delivered: tuple[World, str]) -> None:
    world, release_id = delivered
    await objects(world)
    await retract.reconcile(world.means)
    other = await add_staff(
        world.means, email="other@example.org", role=Role.RECIPIENT, study_id="diabetes", actor="system:test"
    )
    await Account.filter(id=other.id).update(study_id="another")
    for by in (await Account.get(id=other.id), world.operator, world.dpo):
        async with refused("G09"):
            await retract.acknowledge(world.means, release_id, up_to=2**60, by=by)
    async with refused("unknown_release"):
        await retract.acknowledge(world.means, "none", up_to=2**60, by=world.recipient)


async def test_an_overdue_retraction_blocks_its_recipient_until_it_is_acknowledged(
    delivered: tuple[World, str],
) -> None:
    world, release_id = delivered
    await objects(world)
    await retract.reconcile(world.means)
    world.wait(30)
    rows = [patient(n) for n in ("1", "2", "3")]
    await world.register(rows)
    await flow.prepare(world.means, "diabetes", by=world.operator)
    world.wait(1)
    await world.register(rows)
    async with refused("G07"):
        await flow.prepare(world.means, "diabetes", by=world.operator)
    async with refused("G07"):
        await flow.serve(world.means, release_id, by=world.recipient)
    assert await retract.reconcile(world.means) == 0, "the block itself takes nobody back"
    await retract.acknowledge(world.means, release_id, up_to=2**60, by=world.recipient)
    assert await flow.prepare(world.means, "diabetes", by=world.operator)


async def test_a_decision_holds_no_longer_than_the_day_of_a_retraction(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    await objects(world)
    await retract.reconcile(world.means)
    due = (await Retraction.get()).due_on
    prepared = await flow.prepare(world.means, "diabetes", by=world.operator)
    until = (await flow.Release.get(id=prepared)).holds_until
    assert until is not None
    assert paris_day(until) == due + timedelta(days=1)


async def test_a_recipient_is_reminded_once_a_week_before(delivered: tuple[World, str]) -> None:
    world, release_id = delivered
    await objects(world)
    await retract.reconcile(world.means)
    world.wait(22)
    assert await retract.remind_due(world.means) == []
    world.wait(1)
    async with one_entry("retractions_reminded", ("release", release_id)):
        reminded = await retract.remind_due(world.means)
    assert [(r.study_id, r.release_id, r.count) for r in reminded] == [("diabetes", release_id, 1)]
    before = await dump()
    assert await retract.remind_due(world.means) == []
    assert await dump() == before


# --- what says nothing of rows that have left ---


async def test_a_newer_text_asks_nothing_back_that_left_under_the_older_one(delivered: tuple[World, str]) -> None:
    """Nor does telling everybody again; a bounce of the older notice still does."""
    world, _ = delivered
    await publish(world, "2027-01", material=True)
    assert await retract.reconcile(world.means) == 0
    older = await Notice.get(patient_id=(await Patient.get(number="1")).id)
    assert (await world.tell()).queued == 4
    assert await retract.reconcile(world.means) == 0
    await Notice.filter(patient_id=older.patient_id).exclude(id=older.id).delete()
    await _bounces(world)
    assert await retract.reconcile(world.means) == 1


async def test_a_no_to_another_study_taken_back_asks_nothing_back(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    link = world.links["patient1@example.org"]
    await opt_out.object_(world.means, link, Scope.EVERYTHING)
    await opt_out.withdraw(world.means, link)
    await Objection.all().update(scope=Scope.STUDY, scope_ref="another")
    assert await retract.reconcile(world.means) == 0
    await opt_out.object_(world.means, link, Scope.STUDY, "diabetes")
    await opt_out.withdraw(world.means, link)
    assert await retract.reconcile(world.means) == 1


async def test_a_no_to_the_practice_as_a_source_asks_its_rows_back(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.PRACTICE)
    assert await retract.reconcile(world.means) == 1


# --- the patient's receipt -----------------------------------------------------------------------------------------


async def test_the_receipt_gives_the_day_of_the_retraction_and_then_of_the_deletion(
    delivered: tuple[World, str],
) -> None:
    world, release_id = delivered
    await objects(world)
    world.wait(2)
    await retract.reconcile(world.means)

    async def shown() -> tuple[date, date | None]:
        link = await opt_out.look(connection(), world.links["patient1@example.org"])
        assert link.counts is not None
        (one,) = await deliveries(link, link.counts)
        return one.delete_by, one.deleted_on

    assert await shown() == (paris_day(world.clock.now()) + timedelta(days=30), None)
    due = (await shown())[0]
    world.wait(3)
    await retract.acknowledge(world.means, release_id, up_to=2**60, by=world.recipient)
    assert await shown() == (due, paris_day(world.clock.now()))
