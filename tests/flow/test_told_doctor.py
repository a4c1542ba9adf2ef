"""A no told to the doctor: one click, effective at once, dated back, undone the same day by the same doctor only."""

import asyncio
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from kept import dump, refused
from world import World

from portal.flow import enrol, told_doctor
from portal.flow.decide import Asked, explain
from portal.records.accounts import Account
from portal.records.enrolments import Enrolment
from portal.records.objections import Objection
from portal.rules.clearance import Withheld
from portal.rules.refusals import Refused
from portal.rules.waiting import midnight, paris_day
from portal.rules.words import EnrolmentState, Role

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


async def doctor() -> Account:
    return await Account.get(role=Role.DOCTOR, subject="doctor-doctor-1")


async def told_no(world: World, number: str = "1", **options: object) -> UUID:
    given = {"practice_id": "practice-a", "by": await doctor()} | options
    return await told_doctor.object_for(world.means, number=number, **given)


async def reasons(world: World, number: str = "1") -> tuple[str, ...]:
    verdict, _ = await explain(world.means, Asked("demo"), practice_id="practice-a", number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


@ON_BOTH
async def test_one_click_closes_her_and_a_second_click_is_the_same_no(told: World) -> None:
    assert await reasons(told) == ()
    first = await told_no(told)
    assert await reasons(told) == ("G41",)
    assert await reasons(told, "2") == ()
    assert {first} == set(await asyncio.gather(*(told_no(told) for _ in range(4))))
    assert await Objection.all().count() == 1


async def test_an_earlier_day_dates_it_back_and_a_later_one_changes_nothing(told: World) -> None:
    now = told.clock.now()
    said_on = paris_day(now) - timedelta(days=12)
    no = await told_no(told)
    assert await told_no(told, said_on=said_on) == no
    assert (await Objection.get()).received_at == midnight(said_on)
    await told_no(told, said_on=paris_day(now) + timedelta(days=9))
    assert (await told_doctor.told(told.means, no, by=await doctor())).received_at == midnight(said_on)


async def test_a_day_ahead_is_now(told: World) -> None:
    await told_no(told, said_on=paris_day(told.clock.now()) + timedelta(days=9))
    assert (await Objection.get()).received_at == told.clock.now()
    assert await reasons(told) == ("G41",)


@ON_BOTH
async def test_a_wrong_row_is_undone_the_same_day_and_stays_in_the_log(told: World) -> None:
    no = await told_no(told)
    await told_doctor.undo(told.means, no, by=await doctor())
    assert "G41" not in await reasons(told)
    assert (await Objection.get()).withdrawn_at is not None
    async with refused("too_late"):
        await told_doctor.undo(told.means, no, by=await doctor())
    assert await told_no(told) != no


async def test_the_next_day_only_the_patient_changes_her_mind(told: World) -> None:
    no = await told_no(told)
    told.wait(1)
    assert not (await told_doctor.told(told.means, no, by=await doctor())).undoable
    before = await dump()
    async with refused("too_late"):
        await told_doctor.undo(told.means, no, by=await doctor())
    assert await dump() == before


async def test_a_doctor_of_another_practice_records_and_sees_nothing(told: World) -> None:
    no = await told_no(told)
    other = await told.enrol(2, number="doctor-2", rpps="10000000002")
    for step in (
        told_doctor.object_for(told.means, practice_id="practice-a", number="1", by=other),
        told_doctor.told(told.means, no, by=other),
        told_doctor.undo(told.means, no, by=other),
        told_doctor.told(told.means, uuid4(), by=other),
        told_doctor.object_for(told.means, practice_id="practice-b", number="1", by=other),
    ):
        with pytest.raises(Refused) as no_such:
            await step
        assert no_such.value.code in ("unknown_patient", "unknown_objection")
    assert await reasons(told) == ("G41",)


async def test_a_colleague_sees_it_and_takes_nothing_back(told: World) -> None:
    no = await told_no(told)
    colleague = await told.enrol(number="doctor-7", rpps="10000000007")
    assert not (await told_doctor.told(told.means, no, by=colleague)).undoable
    async with refused("too_late"):
        await told_doctor.undo(told.means, no, by=colleague)
    assert await reasons(told) == ("G41",)


async def test_who_only_says_that_she_works_there_records_and_sees_nothing(told: World) -> None:
    no = await told_no(told)
    newcomer = await told.enrol(number="doctor-7", rpps="10000000007", verified=False)
    async with refused("unknown_patient"):
        await told_no(told, "2", by=newcomer)
    async with refused("unknown_objection"):
        await told_doctor.told(told.means, no, by=newcomer)


async def test_a_doctor_who_has_left_still_records_what_she_was_told(told: World) -> None:
    await enrol.leave(told.means, await doctor(), (await Enrolment.get(account_id=(await doctor()).id)).id)
    await told_no(told)
    assert "G41" in await reasons(told)


@ON_BOTH
async def test_what_a_colleague_heard_stands_when_she_undoes_her_own_wrong_row(told: World) -> None:
    mistaken = await told_no(told)
    colleague = await told.enrol(number="doctor-7", rpps="10000000007")
    heard = await told_no(told, by=colleague)
    assert heard != mistaken
    await told_doctor.undo(told.means, mistaken, by=await doctor())
    assert await reasons(told) == ("G41",)


async def test_who_is_suspended_or_gone_or_past_her_last_day_opens_nothing_again(told: World) -> None:
    no, hers = await told_no(told), Enrolment.filter(account_id=(await doctor()).id)
    before = await hers.get()
    for changes in (
        {"state": EnrolmentState.SUSPENDED, "before_suspension": EnrolmentState.ACTIVE},
        {"state": EnrolmentState.LEFT}, {"closes_on": paris_day(told.clock.now())},
    ):  # fmt: skip
        await hers.update(**changes)
        shown = await told_doctor.told(told.means, no, by=await doctor())
        assert (shown.mine, shown.undoable) == (False, False)
        async with refused("not_taking_part"):
            await told_doctor.undo(told.means, no, by=await doctor())
        async with refused("not_taking_part"):
            await told_doctor.take_back_told(told.means, no, said_on=None, by=await doctor())
        await hers.update(state=before.state, before_suspension=None, closes_on=None)
    await told_doctor.undo(told.means, no, by=await doctor())
    assert await reasons(told) == ()


async def test_a_day_of_another_age_is_heard_all_the_same(told: World) -> None:
    await told_no(told, said_on=date(1, 1, 1))
    assert await reasons(told) == ("G41",)
