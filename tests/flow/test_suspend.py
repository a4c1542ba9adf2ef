"""Pausing, leaving and suspending close the gate at once: no permit, no extraction taken in; and lifting opens it."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from kept import one_entry, refused
from line import RECORDS, Line
from world import World

from portal.flow import enrol, permit, suspend
from portal.records.accounts import Account
from portal.records.database import connection, rows
from portal.records.enrolments import Enrolment
from portal.rules.words import EnrolmentState as State
from portal.rules.words import Role, Suspended

Stop = Callable[[World, Account, int], Awaitable[None]]

STOPS: dict[str, Stop] = {
    "pause": lambda world, account, one: enrol.pause(world.means, account, one),
    "leave": lambda world, account, one: enrol.leave(world.means, account, one),
    "suspend": lambda world, _, one: suspend.suspend(
        world.means, one, reason=Suspended.NOT_IN_EXERCISE, by=world.operator
    ),
}


async def issue(world: World, out: Path) -> permit.Issued:
    return await permit.issue(world.means, observatory_id="demo", practice_id="practice-a", by=world.operator, out=out)


@pytest.mark.parametrize("how", STOPS)
async def test_the_gate_closes_at_once(line: Line, how: str) -> None:
    world = line.world
    account, one = await Account.get(role=Role.DOCTOR), await Enrolment.get()
    under_way = await line.extract(*RECORDS)
    await STOPS[how](world, account, one.id)
    async with refused("G23"):
        await line.receive(under_way)
    async with refused("G23"):
        await issue(world, world.folder / "after")
    assert not (world.folder / "after").exists()


async def test_the_reason_of_a_suspension_stands_in_the_log_as_a_word(world: World) -> None:
    account = await world.enrol()
    one = await Enrolment.get()
    async with one_entry("enrolment_suspended", ("doctor", str(account.id)), ("practice", "practice-a")):
        await suspend.suspend(world.means, one.id, reason=Suspended.IDENTITY, by=world.operator)
    found = await rows(connection(), "SELECT actor, summary FROM log_entry ORDER BY id DESC LIMIT 1")
    assert found == [{"actor": world.operator.actor, "summary": "identity"}]


@pytest.mark.parametrize("before", [State.SIGNED, State.ACTIVE, State.PAUSED])
async def test_lifting_leads_back_to_where_it_was_and_opens_nothing_that_she_had_closed(
    world: World, before: State
) -> None:
    account = await world.enrol(verified=before is not State.SIGNED)
    one = await Enrolment.get()
    if before is State.PAUSED:
        await enrol.pause(world.means, account, one.id)
    await suspend.suspend(world.means, one.id, reason=Suspended.INQUIRY, by=world.operator)
    assert (await Enrolment.get()).state == State.SUSPENDED
    async with refused("enrolment_step"):
        await enrol.resume(world.means, account, one.id)
    async with one_entry("suspension_lifted", ("practice", "practice-a")):
        await suspend.lift(world.means, one.id, by=world.operator)
    now = await Enrolment.get()
    assert (now.state, now.before_suspension, now.active_from) == (before, None, one.active_from)


async def test_a_suspended_doctor_leaves_and_signs_and_is_verified_again(world: World) -> None:
    account = await world.enrol()
    one = await Enrolment.get()
    await suspend.suspend(world.means, one.id, reason=Suspended.INQUIRY, by=world.operator)
    await enrol.leave(world.means, account, one.id)
    async with refused("enrolment_step"):
        await suspend.lift(world.means, one.id, by=world.operator)
    await world.enrol(verified=False)
    assert (await Enrolment.get()).state == State.SIGNED


async def test_only_an_operator_suspends_and_lifts(world: World) -> None:
    await world.enrol()
    one = await Enrolment.get()
    for step in (
        lambda: suspend.suspend(world.means, one.id, reason=Suspended.INQUIRY, by=world.dpo),
        lambda: suspend.lift(world.means, one.id, by=world.dpo),
    ):
        async with refused("other_role"):
            await step()
    async with refused("unknown_enrolment"):
        await suspend.suspend(world.means, one.id + 1, reason=Suspended.INQUIRY, by=world.operator)
