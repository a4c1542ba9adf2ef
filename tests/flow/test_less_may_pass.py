"""Less may pass than when the permit was issued, or the release sealed: what is under way is held against it."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pytest
from flow.test_batch import columns, narrower
from kept import refused
from line import RECORDS, Line, approved, in_store, named, objects, record
from world import World, child, patient, reviewed, signing

from portal.flow import enrol, opt_out, permit
from portal.flow import release as flow
from portal.flow.decide import Asked, verdicts
from portal.records.enrolments import Enrolment
from portal.records.governance import AgreementText
from portal.records.releases import Permit
from portal.rules.reviewed import ReviewedFile
from portal.rules.waiting import midnight

Event = Callable[[World], Awaitable[Any]]
EVERYBODY = [patient("1"), patient("2"), patient("3"), child("4")]


async def joined_again(world: World, *, history: bool) -> None:
    enrolment = await Enrolment.get(doctor_number="doctor-1").select_related("account")
    await enrol.leave(world.means, enrolment.account, enrolment.id)
    text = await AgreementText.get(language="fr")
    await enrol.sign(world.means, enrolment.account, enrolment.id, signing(world, text, history=history))
    await enrol.verify(world.means, enrolment.id, doctor_number="doctor-1", by=world.operator)


async def _without_history(world: World) -> None:
    await joined_again(world, history=False)


async def _colleague(world: World) -> None:
    world.wait(0.01)
    await world.register([patient("1", doctor_id="doctor-2"), *EVERYBODY[1:]])


LESS: list[tuple[str, str, Event]] = [
    ("G10", "a column is no longer authorised", narrower(columns=columns(diagnosis=None))),
    ("G33", "a code is no longer authorised",
     narrower(columns=columns(diagnosis={"precision": "full", "codes": ["sct|44054006"]}))),
    ("G12", "a column may only be coarser", narrower(columns=columns(year_of_birth={"precision": "decade"}))),
    ("G32", "the period ends sooner", narrower(period_until="2025-01-31")),
    ("G32", "the period begins later", narrower(period_from="2026-01-01")),
    ("G25", "the doctor left and joined again, without the past", _without_history),
    ("G34", "the register names a colleague who has not enrolled", _colleague),
]  # fmt: skip


@pytest.mark.parametrize(("code", "what", "event"), LESS, ids=[what for _, what, _ in LESS])
async def test_what_was_extracted_under_wider_terms_is_refused_and_may_be_extracted_again(
    line: Line, code: str, what: str, event: Event
) -> None:
    extraction = await line.extract(*RECORDS, record("2", doctor_id=""))
    await event(line.world)
    async with refused(code):
        await line.receive(extraction)
    assert in_store(line.world) == set()
    if code == "G10":
        return  # the tests' records have this column
    again = await line.receive(await line.extract(*RECORDS, record("2", doctor_id="")))
    assert again.rows < 5 or code == "G12"


async def test_what_was_extracted_under_terms_that_are_wider_by_now_is_taken_in(line: Line) -> None:
    extraction = await line.extract(*RECORDS)
    await narrower(period_from="2019-01-01")(line.world)
    await joined_again(line.world, history=True)
    assert (await line.receive(extraction)).rows == 4


async def test_what_came_with_a_permit_of_which_nobody_knows_what_it_said_is_refused(line: Line) -> None:
    extraction = await line.extract(*RECORDS)
    await Permit.all().update(terms=None)
    async with refused("G10"):
        await line.receive(extraction)


async def test_the_older_records_of_who_took_a_no_back_meanwhile_are_not_stored(line: Line) -> None:
    world = line.world
    extraction = await line.extract(*RECORDS)
    await objects(world, "1")
    await opt_out.withdraw(world.means, world.links["patient1@example.org"])
    received = await line.receive(extraction)
    assert (received.rows, received.persons, received.dropped) == (2, 2, 1)
    assert await named(world, "1", "observatory:demo") not in in_store(world)


@pytest.mark.parametrize("ends", [{"period_until": "2025-01-31"}, {"period_from": "2026-01-01"}], ids=list)
async def test_a_release_of_a_period_that_is_no_longer_authorised_is_not_handed_over(
    stored: Line, ends: dict[str, str]
) -> None:
    world = stored.world
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    await narrower(**ends)(world)
    async with refused("G72"):
        await flow.serve(world.means, release_id, by=world.recipient)


def beginning(day: date, **conditions: Any) -> ReviewedFile:
    """Another authorisation of the observatory, which will take the place of the one there is."""
    given = reviewed().authorisation[0].conditions.model_dump(mode="json") | conditions
    wanted = {"id": "cnil-2", "valid_from": day, "valid_until": date(2028, 12, 31), "conditions": given}
    return ReviewedFile(authorisation=reviewed(**{f"authorisation__{k}": v for k, v in wanted.items()}).authorisation)


async def test_when_another_authorisation_takes_over_at_midnight_a_sealed_release_is_held_back(stored: Line) -> None:
    world = stored.world
    tomorrow = world.clock.now().date() + timedelta(days=1)
    await world.load(beginning(tomorrow, reflection_days=90))
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    world.clock.advance_to(midnight(tomorrow))
    _, persons = await verdicts(world.means, Asked("demo", "diabetes"))
    assert all("G56" in person.reasons for person in persons if person.practice_id == "practice-a")
    async with refused("G72"):
        await flow.serve(world.means, release_id, by=world.recipient)


async def test_no_permit_outlives_the_midnight_at_which_another_authorisation_begins(line: Line) -> None:
    world = line.world
    tomorrow = world.clock.now().date() + timedelta(days=1)
    await world.load(beginning(tomorrow, reflection_days=90))
    issued = await permit.issue(
        world.means, observatory_id="demo", practice_id="practice-a", by=world.operator, out=world.folder / "p"
    )
    assert issued.expires_at == midnight(tomorrow)


async def test_a_period_of_which_no_day_is_authorised_gives_no_release(stored: Line) -> None:
    await narrower(period_from="2027-01-01", period_until="2027-12-31")(stored.world)
    async with refused("G32"):
        await flow.prepare(stored.world.means, "diabetes", by=stored.world.operator)
