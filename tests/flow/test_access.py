"""The right of access: asked for by anybody who may, withholding nobody, answered with everything and nothing else."""

import asyncio
import json
from dataclasses import asdict
from uuid import uuid4

import pytest
from kept import one_entry, refused
from line import RECORDS, Line, approved
from world import World, patient

from portal.flow import access, opt_out, release, rights, who_is_who
from portal.flow.decide import Asked, explain
from portal.records.accounts import Account
from portal.records.identity_overview import requests
from portal.records.people import Patient
from portal.records.rights_requests import RightsRequest
from portal.rules.clearance import Cleared
from portal.rules.waiting import month_after, paris_day
from portal.rules.words import RightsKind, RightsState, Scope


async def asked(world: World, number: str = "1") -> rights.Opened:
    return await rights.open_request(
        world.means, practice_id="practice-a", number=number, kind=RightsKind.ACCESS, by=world.dpo
    )


async def gathered(world: World, number: str = "1", *, by: Account | None = None) -> access.Answer:
    return await access.gather(world.means, (await asked(world, number)).id, by=by or world.dpo)


def text(answer: access.Answer) -> str:
    return json.dumps(asdict(answer), default=str, ensure_ascii=False)


async def test_who_asks_to_see_what_is_kept_goes_on_passing(told: World) -> None:
    opened = await asked(told)
    assert opened.due_on == month_after(paris_day(told.clock.now()))
    for state in (RightsState.OPEN, RightsState.GRANTED):
        await RightsRequest.filter(id=opened.id).update(state=state)
        verdict, _ = await explain(told.means, Asked("demo"), practice_id="practice-a", number="1")
        assert isinstance(verdict, Cleared)


async def test_everything_kept_of_her_is_there_and_that_it_was_read_is_entered(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    await release.seal(world.means, release_id, by=world.operator)
    await release.serve(world.means, release_id, by=world.recipient)
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.OBSERVATORY)
    opened, one = await asked(world), await Patient.get(practice_id="practice-a", number="1")
    async with one_entry("access_gathered", ("contact", str(one.id))):
        answer = await access.gather(world.means, opened.id, by=world.dpo)
    held = answer.held
    [hers], [contact], [told] = held["patients"], held["contacts"], held["notices"]
    assert (hers["practice_id"], hers["number"], hers["birth_date"]) == ("practice-a", "1", "1960-05-17")
    assert (contact["family_name"], contact["email"]) == ("Bernard", "patient1@example.org")
    assert (told["channel"], told["state"], told["address_kept"]) == ("email", "sent", True)
    assert [(o["scope"], o["channel"], o["withdrawn_at"]) for o in held["objections"]] == [
        ("observatory", "link", None)
    ]
    assert [(r["kind"], r["state"]) for r in held["requests"]] == [("access", "open")]
    assert [(d["study_id"], d["recipient"]) for d in held["sent"]] == [("diabetes", "Laboratoire d’essai")]
    assert {entry["kind"] for entry in held["log"]} >= {"objected", "right_asked", "access_gathered"}
    assert {entry["actor"] for entry in held["log"]} <= {"patient", "dpo", "operator", "system"}
    mine = [record for record in RECORDS if record["patient_id"] == "1"]
    assert len(answer.records) == len(mine) > 0
    assert {r["record"]["diagnosis"] for r in answer.records} == {r["diagnosis"] for r in mine}
    for other in ("Thomas", "patient2@example.org", "pseudonym"):
        assert other not in text(answer)


async def test_who_represents_her_is_said_and_not_where_that_person_lives(told: World) -> None:
    answer = await gathered(told, "4")
    assert [c["addressee"] for c in answer.held["contacts"]] == ["self", "parent"]
    assert "parent4@example.org" not in text(answer)
    assert "Un Parent" not in text(answer)


async def test_what_was_told_to_who_had_the_number_before_is_not_hers(told: World) -> None:
    assert len((await gathered(told)).held["notices"]) == 1
    await Patient.filter(number="1").update(stands_since=told.clock.now())
    assert (await gathered(told)).held["notices"] == []


async def test_only_a_dpo_gathers_and_only_what_was_asked_and_not_refused(told: World) -> None:
    opened = await asked(told)
    async with refused("not_dpo"):
        await access.gather(told.means, opened.id, by=told.operator)
    async with refused("unknown_request"):
        await access.gather(told.means, uuid4(), by=told.dpo)
    await rights.answer(told.means, opened.id, RightsState.GRANTED, by=told.dpo)
    await access.gather(told.means, opened.id, by=told.dpo)
    again = await asked(told)
    await rights.answer(told.means, again.id, RightsState.REFUSED, by=told.dpo)
    other = await rights.open_request(
        told.means, practice_id="practice-a", number="2", kind=RightsKind.ERASURE, by=told.dpo
    )
    for wrong in (again, other):
        async with refused("rights_state"):
            await access.gather(told.means, wrong.id, by=told.dpo)


async def test_nothing_is_handed_out_while_it_is_in_doubt_who_she_is(told: World) -> None:
    opened = await asked(told)
    await told.register([patient("1", family_name="Zimmermann")], partial=True)
    async with refused("in_doubt"):
        await access.gather(told.means, opened.id, by=told.dpo)


async def test_she_asks_through_her_link_and_twice_is_once(told: World) -> None:
    link, one = told.links["patient1@example.org"], await Patient.get(number="1")
    async with one_entry("right_asked", ("person", str(one.person_id)), ("patient", str(one.id))):
        opened = await rights.ask(told.means, link, RightsKind.RECTIFICATION)
    verdict, _ = await explain(told.means, Asked("demo"), practice_id="practice-a", number="1")
    assert not isinstance(verdict, Cleared)
    told.wait(3)
    again = await rights.ask(told.means, link, RightsKind.RECTIFICATION)
    assert (again.id, again.due_on) == (opened.id, opened.due_on)
    assert await RightsRequest.all().count() == 1
    [listed] = await requests(paris_day(told.clock.now()))
    assert (listed["kind"], listed["by_link"], listed["number"]) == ("rectification", True, "1")
    await rights.answer(told.means, opened.id, RightsState.REFUSED, by=told.dpo)
    assert (await rights.ask(told.means, link, RightsKind.RECTIFICATION)).id != opened.id
    async with refused("dead_link"):
        await rights.ask(told.means, "x" * 43, RightsKind.ACCESS)


async def test_two_presses_at_once_are_one_request(told: World) -> None:
    link = told.links["patient1@example.org"]
    for kind in RightsKind:
        opened = await asyncio.gather(*(rights.ask(told.means, link, kind) for _ in range(12)))
        assert len({one.id for one in opened}) == await RightsRequest.filter(kind=kind).count() == 1


async def test_noted_by_the_dpo_with_an_earlier_day_the_month_runs_from_that_day(told: World) -> None:
    link = told.links["patient1@example.org"]
    await rights.ask(told.means, link, RightsKind.ACCESS)
    day = paris_day(told.clock.now()).replace(day=1)
    noted = await rights.ask(told.means, link, RightsKind.ACCESS, received=day, by=told.dpo)
    assert noted.due_on == month_after(day)
    assert await RightsRequest.filter(due_on=noted.due_on).count() == await RightsRequest.all().count() == 1
    async with refused("not_dpo"):
        await rights.ask(told.means, link, RightsKind.ACCESS, by=told.operator)


@pytest.mark.parametrize("of_age", [False, True])
async def test_a_parent_asks_until_her_child_is_of_age(told: World, of_age: bool) -> None:
    link = told.links["parent4@example.org"]
    if not of_age:
        await rights.ask(told.means, link, RightsKind.ERASURE)
        return
    await Patient.filter(number="4").update(adult_on=paris_day(told.clock.now()))
    async with refused("now_adult"):
        await rights.ask(told.means, link, RightsKind.ERASURE)


async def test_who_is_parted_from_another_has_not_asked_to_see_what_that_one_asked_to_see(told: World) -> None:
    key = "ins:157049990786733"
    await told.register([patient("1", person_key=key)], partial=True)
    await told.register([patient("7", person_key=key, family_name="Bernard", given_names="Camille")], "practice-b")
    await asked(told)
    await rights.ask(told.means, told.links["patient1@example.org"], RightsKind.RESTRICTION)
    await who_is_who.part(told.means, "practice-b", "7", by=told.dpo)
    other = (await Patient.get(practice_id="practice-b")).person_id
    assert other != (await Patient.get(practice_id="practice-a", number="1")).person_id
    assert [r.kind for r in await RightsRequest.filter(person_id=other)] == ["restriction"]
