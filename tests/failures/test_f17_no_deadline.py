"""F17 (GPDPR, England): a wrong deadline was told, and objections were "not retroactive".

Here a no has no last day, reaches what has already left, and the receipt says so.
"""

from datetime import timedelta

from world import World

from portal.flow import opt_out, retract
from portal.flow.behind_link import Delivery, deliveries
from portal.records.database import connection
from portal.records.retractions import open_by_release, open_lines
from portal.rules.waiting import paris_day
from portal.rules.words import Scope
from portal.service import one_round


async def delivered_of(link: str) -> list[Delivery]:
    behind = await opt_out.look(connection(), link)
    assert behind.counts is not None
    return list(await deliveries(behind, behind.counts))


async def test_a_no_said_a_year_after_the_release_reaches_what_has_left(delivered: tuple[World, str]) -> None:
    world, release_id = delivered
    sent_on = paris_day(world.clock.now())
    world.wait(400)
    link = world.links["patient1@example.org"]
    await opt_out.object_(world.means, link, Scope.EVERYTHING)

    (told,) = await delivered_of(link)
    today = paris_day(world.clock.now())
    assert (told.sent_on, told.delete_by, told.deleted_on) == (sent_on, today + timedelta(days=30), None)

    await one_round(world.means, world.post, world.returns, reading=True)
    ((release, _, due_on),) = await open_lines("diabetes")
    assert (release, due_on) == (release_id, told.delete_by), "what the receipt said at once is what was made"

    world.wait(10)
    up_to = (await open_by_release("diabetes"))[0]["up_to"]
    await retract.acknowledge(world.means, release_id, up_to=up_to, by=world.recipient)
    (told,) = await delivered_of(link)
    assert told.deleted_on == paris_day(world.clock.now())
