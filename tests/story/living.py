"""A plan lived from the first sign-in to the seal, and laid beside the oracle."""

from story.counting import Count, Rows
from story.oracle import Expected, work_out
from story.plans import PRACTICES, Plan
from story.playing import Player, moment
from world import World, opened_in

from portal.outside.tokens import pseudonym
from portal.records.people import Patient


async def compared(world: World, plan: Plan) -> Expected:
    """The whole life of a plan, and the comparison: counts and rows. Returns what both say."""
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
