"""From enrolment to a decision: who passes and, for everybody else, why not. On both databases."""

from pathlib import Path

import pytest
from world import World, build, child, patient

from portal.demo.clock import PlayedClock
from portal.flow import enrol, opt_out
from portal.flow.decide import Asked, explain
from portal.flow.means import Means
from portal.records.enrolments import Enrolment
from portal.rules.clearance import Cleared, Withheld
from portal.rules.words import Scope

EXTRACTION, RELEASE = Asked("demo"), Asked("demo", "diabetes")


@pytest.fixture
async def world(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> World:
    """One enrolled doctor, three adults and a child told forty days ago, the returns read since."""
    made = await build(means, clock, tmp_path)
    await made.enrol()
    await made.register([patient("1"), patient("2"), patient("3"), child("4")])
    await made.tell()
    made.wait(40)
    await made.read_returns()
    return made


async def reasons(world: World, number: str, asked: Asked = RELEASE) -> tuple[str, ...]:
    verdict, _ = await explain(world.means, asked, practice_id="practice-a", number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


async def test_who_was_told_and_did_not_object_passes_both_crossings(world: World) -> None:
    assert await reasons(world, "1", EXTRACTION) == ()
    assert await reasons(world, "1", RELEASE) == ()
    assert await reasons(world, "4") == ()


async def test_an_objection_to_everything_withholds(world: World) -> None:
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.EVERYTHING)
    assert await reasons(world, "1") == ("G41",)
    assert await reasons(world, "2") == ()


async def test_an_objection_to_the_observatory_withholds(world: World) -> None:
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.OBSERVATORY)
    assert await reasons(world, "1") == ("G42",)


async def test_a_doctor_who_left_closes_her_patients(world: World) -> None:
    enrolment = await Enrolment.get().select_related("account")
    await enrol.leave(world.means, enrolment.account, enrolment.id)
    assert await reasons(world, "1") == ("G23",)


async def test_a_child_passes_until_the_18th_birthday(world: World) -> None:
    verdict, _ = await explain(world.means, RELEASE, practice_id="practice-a", number="4")
    assert isinstance(verdict, Cleared)
    assert verdict.holds_until is not None


async def test_an_authorisation_that_ends_closes_everybody(world: World) -> None:
    world.wait(900)
    assert "G03" in await reasons(world, "1")
