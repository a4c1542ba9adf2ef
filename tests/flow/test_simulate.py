"""Two worlds are counted by the same decision, and nothing of the simulated one is kept."""

import pytest
from kept import dump, refused
from world import World, patient

from portal.flow.decide import Asked
from portal.flow.simulate import PASSES, simulate

RELEASE = Asked("demo", "diabetes")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("doctor-leaves=practice-a/doctor-1", "G23"),
        ("reflection=60", "G56"),
        ("new-notice=demo", "G52"),
        ("withdraw-text=demo-adult-fr-2026-06", "G51"),
    ],
)
async def test_a_change_moves_everybody_to_its_reason_and_leaves_the_database_as_it_was(
    told: World, change: str, code: str
) -> None:
    before = await dump()
    found = await simulate(told.means, RELEASE, change)
    assert found.now == {PASSES: 4}
    assert found.then == {code: 4}
    assert found.difference == {PASSES: -4, code: 4}
    assert await dump() == before


async def test_without_a_change_both_worlds_are_the_same(told: World) -> None:
    found = await simulate(told.means, RELEASE)
    assert (found.now, found.difference) == ({PASSES: 4}, {})


async def test_a_shorter_reflection_lets_more_pass(told: World) -> None:
    """Patient 5 was told ten days ago."""
    await told.register([patient("5")], partial=True)
    await told.tell()
    told.wait(10)
    await told.read_returns()
    found = await simulate(told.means, RELEASE, "reflection=0")
    assert (found.now, found.then) == ({PASSES: 4, "G56": 1}, {PASSES: 5})
    assert found.difference == {PASSES: 1, "G56": -1}


@pytest.mark.parametrize("change", ["weather=rain", "reflection=soon", "doctor-leaves=nowhere/1", "withdraw-text=none"])
async def test_a_change_that_concerns_nobody_is_refused(told: World, change: str) -> None:
    async with refused("unknown_change"):
        await simulate(told.means, RELEASE, change)
