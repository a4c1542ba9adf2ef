"""An idle worker does not decide everybody again, and still nobody who closes is overlooked."""

import pytest
from kept import dump
from line import Line, approved, record
from world import World, child, patient

from portal.flow import notify, opt_out
from portal.flow import release as flow
from portal.flow.unchanged import Seen, unchanged
from portal.records.retractions import Retraction
from portal.rules.words import Scope
from portal.service import one_round


@pytest.fixture
async def quiet(told: World) -> tuple[World, Seen]:
    """A delivered release with somebody who is 17 until the end of May, and a worker that has come to rest."""
    world = told
    await world.register([child("5", birth_date="2008-06-01")], partial=True)
    await world.tell()
    world.wait(45)
    await world.read_returns()
    world.clock.advance_to(world.clock.now().replace(month=5, day=31, hour=21, minute=30))
    rows = [patient(n) for n in "123"] + [child("4"), child("5", birth_date="2008-06-01")]
    await world.register(rows)
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(*(record(n) for n in "1235")))
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    await flow.serve(world.means, release_id, by=world.recipient)
    seen = await rest(world, None)
    return world, seen


async def rest(world: World, seen: Seen | None) -> Seen:
    seen = await one_round(world.means, world.post, world.returns, reading=False, seen=seen)
    assert seen is not None
    return seen


async def says_no(world: World, number: str = "1") -> None:
    await opt_out.object_(world.means, world.links[f"patient{number}@example.org"], Scope.EVERYTHING)


async def test_a_round_in_which_nothing_happened_is_skipped(quiet: tuple[World, Seen]) -> None:
    world, seen = quiet
    assert await unchanged(world.means, seen)
    before = await dump()
    assert await rest(world, seen) is seen
    await notify.read_returns(world.means, world.returns)
    assert await unchanged(world.means, seen), "a reading that found nothing closes nobody"
    assert (await dump())["retraction"] == before["retraction"]


async def test_who_says_no_is_taken_back_by_the_next_round(quiet: tuple[World, Seen]) -> None:
    world, seen = quiet
    await says_no(world)
    assert not await unchanged(world.means, seen)
    seen = await rest(world, seen)
    assert await Retraction.all().count() == 1
    seen = await rest(world, seen)
    assert await unchanged(world.means, seen)


async def test_an_18th_birthday_is_taken_back_though_the_log_is_silent(quiet: tuple[World, Seen]) -> None:
    """By midnight alone: no entry, and less than an hour since the last look."""
    world, seen = quiet
    world.clock.advance_to(world.clock.now().replace(minute=59))
    await rest(world, seen)
    assert await Retraction.all().count() == 0
    undated = Seen(seen.cut, seen.at, None, seen.marks)
    assert await unchanged(world.means, undated)
    world.clock.advance_to(world.clock.now().replace(hour=22, minute=0))
    assert not await unchanged(world.means, undated), "a day has begun in Paris, whatever was written down"
    assert not await unchanged(world.means, seen)
    await rest(world, seen)
    assert await Retraction.all().count() == 1


async def test_a_list_that_was_emptied_is_filled_again(quiet: tuple[World, Seen]) -> None:
    """F16: nothing happened since, and all the same the report must not stay empty."""
    world, seen = quiet
    await says_no(world)
    seen = await rest(world, await rest(world, seen))
    assert await unchanged(world.means, seen)
    await Retraction.all().delete()
    assert not await unchanged(world.means, seen)
    await rest(world, seen)
    assert await Retraction.all().count() == 1


async def test_what_is_not_known_is_done(quiet: tuple[World, Seen]) -> None:
    world, seen = quiet
    assert not await unchanged(world.means, None)
    ahead = Seen(seen.cut, seen.at.replace(year=2030), seen.until, seen.marks)
    assert not await unchanged(world.means, ahead), "a clock that was set back"
    soon = Seen(seen.cut, seen.at, seen.at, seen.marks)
    assert not await unchanged(world.means, soon), "somebody's time is up"


async def test_a_release_served_since_is_looked_at(quiet: tuple[World, Seen]) -> None:
    """It delivered people whose time may be up sooner than that of all others."""
    world, seen = quiet
    release_id = await approved(world)
    assert not await unchanged(world.means, seen)
    seen = await rest(world, await rest(world, seen))
    await flow.seal(world.means, release_id, by=world.operator)
    await flow.serve(world.means, release_id, by=world.recipient)
    assert not await unchanged(world.means, seen)
