"""A restriction, an erasure or a rectification withholds the person at every practice while it stands."""

from datetime import timedelta
from uuid import uuid4

import pytest
from kept import one_entry, refused
from line import Line, approved, record
from world import World, child, patient

from portal.flow import release, retract, rights
from portal.flow.decide import Asked, explain
from portal.records.identity_overview import requests
from portal.records.people import Patient
from portal.records.retractions import open_lines
from portal.rules.clearance import Withheld
from portal.rules.waiting import month_after, paris_day
from portal.rules.words import WITHHOLDING, RightsKind, RightsState

KEY = "ins:157049990786733"
EVERYBODY = [patient("1"), patient("2"), patient("3"), child("4")]


async def reasons(world: World, number: str, practice_id: str = "practice-a") -> tuple[str, ...]:
    verdict, _ = await explain(world.means, Asked("demo"), practice_id=practice_id, number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


async def ask(world: World, kind: RightsKind, number: str = "1", **options: object) -> rights.Opened:
    given = {"practice_id": "practice-a", "number": number, "kind": kind, "by": world.dpo} | options
    return await rights.open_request(world.means, **given)


@pytest.mark.parametrize("kind", WITHHOLDING)
async def test_a_right_that_is_asked_for_withholds_until_it_is_answered(told: World, kind: RightsKind) -> None:
    one = await Patient.get(practice_id="practice-a", number="1")
    async with one_entry("right_asked", ("person", str(one.person_id)), ("patient", str(one.id))):
        opened = await ask(told, kind)
    assert opened.due_on == month_after(paris_day(told.clock.now()))
    assert await reasons(told, "1") == ("G46",)
    assert await reasons(told, "2") == ()
    async with one_entry("right_answered", ("person", str(one.person_id))):
        await rights.answer(told.means, opened.id, RightsState.REFUSED, by=told.dpo)
    assert await reasons(told, "1") == ()


async def test_it_withholds_at_every_practice(told: World) -> None:
    await told.register([patient("1", person_key=KEY)], partial=True)
    same = patient("7", person_key=KEY, family_name="Bernard", given_names="Camille")
    await told.register([same], "practice-b")
    await ask(told, RightsKind.RESTRICTION)
    assert "G46" in await reasons(told, "7", "practice-b")


async def test_a_restriction_lasts_until_it_is_ended_and_an_erasure_for_good(told: World) -> None:
    restricted, erased, mended = [
        await ask(told, kind, number) for kind, number in zip(WITHHOLDING, "123", strict=True)
    ]
    for opened in (restricted, erased, mended):
        await rights.answer(told.means, opened.id, RightsState.GRANTED, by=told.dpo)
    assert await reasons(told, "1") == await reasons(told, "2") == ("G46",)
    assert await reasons(told, "3") == ()
    await rights.answer(told.means, restricted.id, RightsState.ENDED, by=told.dpo)
    assert await reasons(told, "1") == ()
    for opened in (erased, mended, restricted):
        async with refused("rights_state"):
            await rights.answer(told.means, opened.id, RightsState.ENDED, by=told.dpo)


async def test_only_a_dpo_opens_and_answers_and_only_what_there_is(told: World) -> None:
    opened = await ask(told, RightsKind.ERASURE)
    async with refused("not_dpo"):
        await ask(told, RightsKind.ERASURE, by=told.operator)
    async with refused("not_dpo"):
        await rights.answer(told.means, opened.id, RightsState.REFUSED, by=told.operator)
    async with refused("unknown_patient"):
        await ask(told, RightsKind.ERASURE, "99")
    async with refused("unknown_request"):
        await rights.answer(told.means, uuid4(), RightsState.REFUSED, by=told.dpo)
    async with refused("rights_state"):
        await rights.answer(told.means, opened.id, RightsState.OPEN, by=told.dpo)


async def test_the_month_runs_from_the_day_it_was_asked_and_its_end_is_seen(told: World) -> None:
    day = paris_day(told.clock.now()) - timedelta(days=20)
    opened = await ask(told, RightsKind.RECTIFICATION, received=day)
    assert opened.due_on == month_after(day)
    ahead = await ask(told, RightsKind.ERASURE, "2", received=paris_day(told.clock.now()) + timedelta(days=9))
    assert ahead.due_on == month_after(paris_day(told.clock.now()))
    assert [r["late"] for r in await requests(opened.due_on)] == [False, False]
    assert [r["late"] for r in await requests(opened.due_on + timedelta(days=1))] == [True, False]


async def delivered(world: World) -> str:
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(*(record(str(n)) for n in (1, 2, 3))))
    release_id = await approved(world)
    await release.seal(world.means, release_id, by=world.operator)
    await release.serve(world.means, release_id, by=world.recipient)
    return release_id


@pytest.mark.parametrize("kind", [RightsKind.ERASURE, RightsKind.RECTIFICATION])
async def test_what_was_delivered_is_taken_back_once_it_is_granted_and_not_while_it_is_asked(
    told: World, kind: RightsKind
) -> None:
    await delivered(told)
    opened = await ask(told, kind)
    await retract.reconcile(told.means)
    assert await open_lines("diabetes") == []
    await rights.answer(told.means, opened.id, RightsState.GRANTED, by=told.dpo)
    await retract.reconcile(told.means)
    assert len(await open_lines("diabetes")) == 1


async def test_a_right_asked_for_between_approval_and_seal_takes_the_record_out(told: World) -> None:
    line = Line(told)
    await line.open()
    await line.receive(await line.extract(*(record(str(n)) for n in (1, 2, 3))))
    release_id = await approved(told)
    await ask(told, RightsKind.RESTRICTION)
    assert await release.seal(told.means, release_id, by=told.operator) == 2
