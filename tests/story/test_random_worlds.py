"""Random small worlds, played through the portal: what is released and counted is what the oracle works out."""

import asyncio
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from story.counting import Count, Rows
from story.oracle import Expected, work_out
from story.plans import PLANS, PRACTICES, Plan
from story.playing import START, Player, moment
from world import World, copied, opened_in

from portal.outside.tokens import pseudonym
from portal.records.people import Patient

FEW, MANY = 40, 2_000


def test_what_random_worlds_let_through_is_what_the_oracle_lets_through(
    first: World, seed: Path, tmp_path: Path, how_many: Callable[[int, int], int]
) -> None:
    numbers = count()

    @settings(
        max_examples=how_many(FEW, MANY), deadline=None, database=None, derandomize=True, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(PLANS)
    def check(plan: Plan) -> None:
        folder = tmp_path / str(next(numbers))
        asyncio.run(play(copied(first, seed, folder, START), plan))
        shutil.rmtree(folder)

    check()


async def play(world: World, plan: Plan) -> Expected:
    """The whole life of a plan, and the comparison. Returns what both say."""
    async with opened_in(world.folder):
        player = Player(world, plan)
        released, counted = await lived(player)
        player.inputs.write_story(world.folder)
        expected = work_out(world.folder)
        assert dict(counted.withheld) == dict(expected.withheld)
        assert await named(player, expected) == released
    return expected


async def lived(player: Player) -> tuple[Rows, Count]:
    """From the beginning to the seal, with the plan's events where their days put them."""
    counted, waiting = Count(player), list(player.plan.events)

    async def until(day: str, hour: int) -> None:
        while waiting and moment(waiting[0].day, 12) < moment(day, hour):
            event = waiting.pop(0)
            await player.happen(event)
        player.day(day, hour)

    await player.begin()
    await until("03-01", 13)
    await player.read_returns(complete=True)
    await until("03-02", 9)
    for practice in PRACTICES:
        counted.at_permit[practice] = await counted.ask()
        await player.fetch(practice)
    await until("03-02", 15)
    for practice in PRACTICES:
        await hand_over(player, counted, practice)
    await until("03-03", 9)
    await player.prepare()
    await counted.first_crossing()
    await counted.after_prepared()
    await until("03-04", 9)
    return await counted.after_sealed(await player.seal()), counted


async def hand_over(player: Player, counted: Count, practice: str) -> None:
    """An extraction that is refused when it arrives is made again, with a new permit."""
    await player.hand_over(practice)
    if practice not in player.permits:
        counted.at_permit[practice] = await counted.ask()
        await player.fetch(practice)
        await player.hand_over(practice)
    counted.at_arrival[practice] = await counted.ask()


async def named(player: Player, expected: Expected) -> Rows:
    """The oracle's rows by the pseudonym under which the study knows each person: one person, one pseudonym."""
    known = {
        (p.practice_id, p.number): pseudonym(player.world.means.ring, "study:diabetes", p.person_id.bytes).hex()
        for p in await Patient.all()
    }
    rows: Rows = {}
    for person, theirs in expected.rows.items():
        (name,) = {known[who] for who in expected.patients[person]}
        assert name not in rows
        rows[name] = theirs
    return rows
