"""A no that was said without a link is taken back the way it was said; what was recorded until then stays out."""

import asyncio
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from kept import one_entry, refused
from line import Line, record
from world import World

from portal.flow import erase, opt_out, provisional, taken_back, told_doctor
from portal.flow.decide import Asked, explain
from portal.flow.opt_out import Brought
from portal.flow.provisional import Spoken
from portal.flow.told_doctor import object_for
from portal.records.accounts import Account
from portal.records.objections import Objection
from portal.records.people import Patient
from portal.rules.clearance import Withheld
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import ObjectionChannel, Role, Scope

ONE = Spoken(family_name="Bernard", given_names="Camille", birth="1960-05-17")
BY = ObjectionChannel


async def reasons(world: World, number: str = "1") -> tuple[str, ...]:
    verdict, _ = await explain(world.means, Asked("demo"), practice_id="practice-a", number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


async def said(world: World, channel: ObjectionChannel = BY.PAPER) -> UUID:
    by = provisional.PUBLIC if channel is BY.FORM else world.operator.actor
    return (await provisional.record(world.means, ONE, scope=Scope.EVERYTHING, channel=channel, by=by)).id


async def bound(world: World, channel: ObjectionChannel = BY.PAPER) -> UUID:
    no = await said(world, channel)
    one = await Patient.get(practice_id="practice-a", number="1")
    await provisional.bind(world.means, no, [one.id], by=world.dpo)
    return no


async def back(world: World, no: UUID, *, channel: ObjectionChannel = BY.PAPER, said_on: date | None = None) -> int:
    return await taken_back.bound(world.means, no, said_on=said_on, channel=channel, by=world.dpo)


async def doctor() -> Account:
    return await Account.get(role=Role.DOCTOR, subject="doctor-doctor-1")


async def told_no(world: World) -> UUID:
    return await object_for(world.means, practice_id="practice-a", number="1", by=await doctor())


# --- on paper, by telephone, by the form ----------------------------------------------------------------------------


async def test_the_dpo_takes_it_back_for_the_person_and_that_is_entered(told: World) -> None:
    no, one = await bound(told), await Patient.get(practice_id="practice-a", number="1")
    told.wait(5)
    touches = (("provisional", str(no)), ("person", str(one.person_id)), ("patient", str(one.id)))
    async with one_entry("objection_taken_back", *touches):
        assert await back(told, no, said_on=paris_day(told.clock.now()) - timedelta(days=2)) == 1
    assert await reasons(told) == ()
    assert (await Objection.get()).withdrawn_at == told.clock.now(), "from its entry on, not from the day it was said"
    async with refused("nothing_stands"):
        await back(told, no)


async def test_what_was_recorded_while_it_stood_stays_out(line: Line) -> None:
    world = line.world
    no = await bound(world)
    world.wait(10)
    await back(world, no)
    world.wait(10)
    await line.extract(record("1", recorded_on="2026-04-15"), record("1", recorded_on="2026-04-29"))
    assert line.counted is not None
    assert line.counted.by_reason == {"G32": 1}


@pytest.mark.parametrize(
    ("came", "goes", "may"),
    [
        (BY.PAPER, BY.PAPER, True), (BY.PAPER, BY.PHONE, False), (BY.PHONE, BY.PHONE, True), (BY.PHONE, BY.PAPER, True),
        (BY.FORM, BY.PHONE, True), (BY.FORM, BY.FORM, False), (BY.DOCTOR, BY.DOCTOR, True),
        (BY.DOCTOR, BY.PHONE, False),
    ],
)  # fmt: skip
async def test_by_the_same_kind_of_proof_or_a_better_one(
    told: World, came: ObjectionChannel, goes: ObjectionChannel, may: bool
) -> None:
    no = await bound(told, came)
    if may:
        assert await back(told, no, channel=goes) == 1
        return
    async with refused("weaker_proof"):
        await back(told, no, channel=goes)


def test_every_way_in_has_its_ways_back() -> None:
    assert set(taken_back.PROVES) == set(BY)
    assert not any(BY.LINK in ways for ways in taken_back.PROVES.values())


async def test_it_lifts_that_no_only(told: World) -> None:
    no = await bound(told)
    link = told.links["patient1@example.org"]
    await opt_out.object_(told.means, link, Scope.EVERYTHING)
    other = await bound(told, BY.PHONE)
    assert await back(told, no) == 1
    assert await reasons(told) == ("G41",)
    await back(told, other, channel=BY.PHONE)
    assert await reasons(told) == ("G41",)
    assert await opt_out.withdraw(told.means, link) == 1
    assert await reasons(told) == ()


async def test_one_that_is_not_bound_is_nobodys_to_take_back_yet(told: World) -> None:
    no = await said(told)
    async with refused("nothing_stands"):
        await back(told, no)
    async with refused("nothing_stands"):
        await back(told, uuid4())
    assert await reasons(told) == ("G45",)


async def test_a_letter_written_before_the_no_does_not_take_it_back(told: World) -> None:
    no = await bound(told)
    async with refused("before_the_no"):
        await back(told, no, said_on=paris_day(told.clock.now()) - timedelta(days=1))
    assert await back(told, no, said_on=paris_day(told.clock.now()) + timedelta(days=9)) == 1, "a day ahead is today"


async def test_only_a_dpo_takes_back_at_the_desk(told: World) -> None:
    no = await bound(told)
    for by in (told.operator, await doctor()):
        async with refused("not_dpo"):
            await taken_back.bound(told.means, no, said_on=None, channel=BY.PAPER, by=by)
        async with refused("not_dpo"):
            await taken_back.told(
                told.means, practice_id="practice-a", number="1", said_on=None, channel=BY.DOCTOR, by=by
            )


async def test_twice_at_once_it_is_taken_back_once(told: World) -> None:
    no = await bound(told)
    answers = await asyncio.gather(*(back(told, no) for _ in range(4)), return_exceptions=True)
    assert answers.count(1) == 1
    assert {a.code for a in answers if isinstance(a, Refused)} == {"nothing_stands"}


# --- told to the doctor ---------------------------------------------------------------------------------------------


async def test_the_doctor_who_recorded_it_hears_later_that_it_is_taken_back(told: World) -> None:
    no, one = await told_no(told), await Patient.get(practice_id="practice-a", number="1")
    told.wait(9)
    assert (await told_doctor.told(told.means, no, by=await doctor())).mine
    async with one_entry("objection_taken_back", ("person", str(one.person_id)), ("patient", str(one.id))):
        await told_doctor.take_back_told(told.means, no, said_on=None, by=await doctor())
    shown = await told_doctor.told(told.means, no, by=await doctor())
    assert (shown.taken_back_at, shown.undone, shown.mine) == (told.clock.now(), False, False)
    assert await reasons(told) == ()
    async with refused("not_told_her"):
        await told_doctor.take_back_told(told.means, no, said_on=None, by=await doctor())


async def test_no_other_doctor_takes_it_back_and_no_day_before_it(told: World) -> None:
    no = await told_no(told)
    colleague = await told.enrol(number="doctor-7", rpps="10000000007")
    async with refused("not_told_her"):
        await told_doctor.take_back_told(told.means, no, said_on=None, by=colleague)
    stranger = await told.enrol(2, number="doctor-2", rpps="10000000002")
    async with refused("unknown_objection"):
        await told_doctor.take_back_told(told.means, no, said_on=None, by=stranger)
    async with refused("before_the_no"):
        before = paris_day(told.clock.now()) - timedelta(days=1)
        await told_doctor.take_back_told(told.means, no, said_on=before, by=await doctor())
    assert await reasons(told) == ("G41",)


async def test_the_dpo_takes_back_what_was_told_to_a_doctor_and_nothing_else(told: World) -> None:
    await told_no(told)
    link = told.links["patient1@example.org"]
    brought = Brought(BY.PAPER, None, told.operator.actor)
    await opt_out.object_(told.means, link, Scope.OBSERVATORY, brought=brought)
    given = {"practice_id": "practice-a", "said_on": None, "by": told.dpo}
    async with refused("weaker_proof"):
        await taken_back.told(told.means, number="1", channel=BY.PHONE, **given)
    async with refused("nothing_stands"):
        await taken_back.told(told.means, number="2", channel=BY.PAPER, **given)
    assert await taken_back.told(told.means, number="1", channel=BY.PAPER, **given) == 1
    assert await reasons(told) == ("G42",), "a narrower no of another kind stands"


@pytest.mark.parametrize("other", [BY.PAPER, BY.DOCTOR])
async def test_what_was_bound_from_a_letter_is_not_what_was_told_to_a_doctor(
    told: World, other: ObjectionChannel
) -> None:
    await told_no(told)
    await bound(told, other)
    given = {"practice_id": "practice-a", "number": "1", "said_on": None, "by": told.dpo}
    assert await taken_back.told(told.means, channel=BY.PAPER, **given) == 1
    assert await reasons(told) == ("G41",)


async def test_rows_taken_in_before_it_was_taken_back_leave_the_store(stored: Line) -> None:
    world = stored.world
    no = await bound(world)
    await back(world, no)
    assert await erase.reconcile_store(world.means) == 1
