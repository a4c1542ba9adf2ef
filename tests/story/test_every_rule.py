"""Each rule that the play of the demo does not reach, in a small world of its own: without it the counts are wrong.

The others are tried on the play itself (test_story.py), the batch's in runs of their own (tests/flow/test_batch.py).
"""

from collections import Counter
from pathlib import Path

import pytest
from story.again import Again, decide_again, oracle_counts, without
from story.plans import PLAIN, PRACTICES, Enrolled, Person, Plan
from story.playing import START, Player
from world import World, copied, opened_in

from portal.flow.decide import Asked

PERSONS = tuple(Person(place, "Martin", "1987-05-05", f"local:{place}", "female", "", False) for place in (0, 1))


def plan(stands: str) -> Plan:
    """Two practices with a patient each; how far the first one's doctor got."""
    return Plan((Enrolled(0, stands, True), Enrolled(1, "verified", True)), PERSONS, PLAIN, ())


async def decided(player: Player, day: str) -> tuple[Again, Counter[str]]:
    """The world decided on that day, and what the oracle counts."""
    player.day(day, 9)
    await player.read_returns(complete=True)
    player.story["release"] = {"prepared_at": player.now, "sealed_at": player.now, "reference_year": 2026}
    player.inputs.write_story(player.folder)
    asked, folder = Asked("demo", "diabetes"), player.folder
    again = await decide_again(player.world.means, asked, records=folder / "records", work=folder / "again")
    return again, oracle_counts(folder, "sealed_at")


def is_needed(code: str, again: Again, expected: Counter[str]) -> None:
    assert expected[code]
    assert again.counts() == expected
    assert again.counts(without(code)) != expected


@pytest.mark.parametrize(("code", "stands"), [("G20", "nowhere"), ("G21", "signed"), ("G22", "identified")])
async def test_a_practice_that_stopped_while_enrolling(
    code: str, stands: str, first: World, seed: Path, tmp_path: Path
) -> None:
    world = copied(first, seed, tmp_path / "world", START)
    async with opened_in(world.folder):
        player = Player(world, plan(stands))
        await player.begin()
        is_needed(code, *await decided(player, "03-03"))


async def test_rows_taken_before_the_notice_that_counts(first: World, seed: Path, tmp_path: Path) -> None:
    """Told, her rows taken, that text withdrawn, told again: the rows in the store are older than her notice."""
    world = copied(first, seed, tmp_path / "world", START)
    async with opened_in(world.folder):
        player = Player(world, plan("verified"))
        await player.begin()
        player.day("02-16", 9)
        await player.read_returns(complete=True)
        for practice in PRACTICES:
            await player.fetch(practice)
            await player.hand_over(practice)
        player.day("02-17", 9)
        await player.publish(player.rows[0], "plain")
        await player.withdraw(player.story["texts"][0])
        for row in player.rows:
            await player.campaign(row, "")
        is_needed("G58", *await decided(player, "03-25"))
