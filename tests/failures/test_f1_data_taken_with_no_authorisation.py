"""F1 (Cegedim, SAN-2024-013): health data were taken for years with no authorisation.

Here no authorisation, none that a second person has approved, or none that is in force now means that no permit is
issued, that what is under way is not taken in, and that nothing is released.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from kept import refused
from line import Line, record
from world import World, paris, reviewed

from portal.flow import govern, permit, release
from portal.records.governance import Authorisation
from portal.rules.reviewed import ReviewedFile


async def _only_a_draft(world: World) -> None:
    await Authorisation.all().delete()
    await govern.load(world.means, ReviewedFile(authorisation=reviewed().authorisation), actor=world.operator.actor)


async def _expired(world: World) -> None:
    world.clock.advance_to(paris(2028, 1, 1, 0, 0))


NONE: dict[str, tuple[str, Callable[[World], Awaitable[Any]]]] = {
    "there is none": ("G02", lambda world: Authorisation.all().delete()),
    "nobody has approved it": ("G02", _only_a_draft),
    "it is suspended": ("G03", lambda world: govern.suspend_authorisation(world.means, "cnil-1", by=world.dpo)),
    "it has expired": ("G03", _expired),
}


@pytest.mark.parametrize("why", NONE)
async def test_f1_without_an_authorisation_nothing_leaves_a_practice_and_nothing_is_released(
    why: str, delivered: tuple[World, str]
) -> None:
    world, release_id = delivered
    line = Line(world, turn=1)
    await line.open()
    under_way = await line.extract(record("1"))
    code, happens = NONE[why]
    await happens(world)
    out = world.folder / "no-permit"
    async with refused(code):
        await permit.issue(world.means, observatory_id="demo", practice_id="practice-a", by=world.operator, out=out)
    assert not out.exists()
    async with refused(code, "permit_expired"):
        await line.receive(under_way)
    async with refused(code):
        await release.prepare(world.means, "diabetes", by=world.operator)
    async with refused(code):
        await release.serve(world.means, release_id, by=world.recipient)
