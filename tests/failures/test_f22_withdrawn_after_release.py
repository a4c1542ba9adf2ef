"""F22 (openneuro 2967): withdrawn after a release, and nobody tells those who have it.

Here the worker's next round gives each recipient the pseudonym and a day; who is late receives nothing more.
"""

from kept import refused
from world import World, patient

from portal.flow import opt_out, release, retract
from portal.outside.tokens import pseudonym
from portal.records import overview
from portal.records.notices import Notice
from portal.records.people import Patient
from portal.records.retractions import open_by_release, open_lines
from portal.rules.waiting import paris_day
from portal.rules.words import Scope
from portal.service import one_round


async def says_no(world: World, number: str) -> str:
    """A no by the link; the pseudonym under which this study knows the patient."""
    await opt_out.object_(world.means, world.links[f"patient{number}@example.org"], Scope.EVERYTHING)
    person = (await Patient.get(practice_id="practice-a", number=number)).person_id
    return pseudonym(world.means.ring, "study:diabetes", person.bytes).hex()


async def work(world: World) -> None:
    """A round of the worker. The register is handed in again, so that it is not its age that stops a release."""
    await world.register([patient("1"), patient("2"), patient("3")])
    await one_round(world.means, world.post, world.returns, reading=True)


async def test_who_says_no_after_the_download_is_on_the_recipients_list_with_a_day(
    delivered: tuple[World, str],
) -> None:
    world, release_id = delivered
    named = await says_no(world, "2")
    await work(world)
    due = (await open_by_release("diabetes"))[0]["due_on"]
    assert await open_lines("diabetes") == [(release_id, named, due)]
    assert (due - paris_day(world.clock.now())).days == 30


async def test_a_recipient_that_does_not_answer_is_reminded_shown_to_the_desk_and_blocked(
    delivered: tuple[World, str],
) -> None:
    world, release_id = delivered
    await says_no(world, "2")
    await work(world)
    world.wait(25)
    await work(world)
    shown = (await open_by_release("diabetes"))[0]
    assert shown["reminded_at"] is not None
    assert await overview.to_do(paris_day(world.clock.now())) == []
    world.wait(6)
    await work(world)
    (late,) = await overview.to_do(paris_day(world.clock.now()))
    assert (late["kind"], late["count"]) == ("late_deletions", 1)
    async with refused("G07"):
        await release.prepare(world.means, "diabetes", by=world.operator)
    await retract.acknowledge(world.means, release_id, up_to=shown["up_to"], by=world.recipient)
    assert await overview.to_do(paris_day(world.clock.now())) == []
    assert await release.prepare(world.means, "diabetes", by=world.operator)


async def test_a_bounce_read_in_a_round_is_taken_back_in_the_same_round(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    person = await Patient.get(number="3")
    world.returns.bounced.append(str((await Notice.get(patient_id=person.id)).id))
    await one_round(world.means, world.post, world.returns, reading=True)
    assert len(await open_lines("diabetes")) == 1
