"""A release takes two persons, and what the second one approved is what is sealed."""

from datetime import date

import pytest
from kept import refused
from line import RECORDS, Line, approved, in_release, named, objects, record
from tortoise.exceptions import IntegrityError
from world import reviewed

from portal.flow import release as flow
from portal.flow.sign_in import add_staff
from portal.records.accounts import Account
from portal.records.releases import Release
from portal.rules.reviewed import ReviewedFile
from portal.rules.words import ReleaseState, Role


async def test_preparing_needs_an_operator_and_approving_a_dpo_with_a_second_factor(stored: Line) -> None:
    world = stored.world
    for by in (world.dpo, world.recipient):
        async with refused("G09"):
            await flow.prepare(world.means, "diabetes", by=by)
    release_id = await flow.prepare(world.means, "diabetes", by=world.operator)
    for by, second_factor in ((world.operator, True), (world.recipient, True), (world.dpo, False)):
        async with refused("G09"):
            await flow.approve(world.means, release_id, by=by, second_factor=second_factor)


async def test_the_same_human_with_a_second_account_does_not_approve_her_own_release(stored: Line) -> None:
    world = stored.world
    release_id = await flow.prepare(world.means, "diabetes", by=world.operator)
    by_subject = await add_staff(world.means, email="other@example.org", role=Role.DPO, study_id=None, actor="s")
    await Account.filter(id=by_subject.id).update(issuer=world.operator.issuer, subject=world.operator.subject)
    by_address = await add_staff(
        world.means, email="operator@example.org", role=Role.DPO, study_id=None, actor="system:test"
    )
    for second in (by_subject, by_address):
        async with refused("G09"):
            await flow.approve(world.means, release_id, by=await Account.get(id=second.id), second_factor=True)


async def test_the_database_itself_refuses_the_preparer_as_approver_and_a_seal_without_approval(stored: Line) -> None:
    world = stored.world
    release_id = await flow.prepare(world.means, "diabetes", by=world.operator)
    mine = {"approved_by": world.operator.actor, "approved_at": world.clock.now()}
    for changes in (mine, {"state": ReleaseState.APPROVED}, {"state": ReleaseState.SEALED}):
        with pytest.raises(IntegrityError):
            await Release.filter(id=release_id).update(**changes)


async def test_a_release_is_sealed_only_when_approved_and_only_by_who_may(stored: Line) -> None:
    world = stored.world
    release_id = await flow.prepare(world.means, "diabetes", by=world.operator)
    async with refused("release_state"):
        await flow.seal(world.means, release_id, by=world.operator)
    await flow.approve(world.means, release_id, by=world.dpo, second_factor=True)
    async with refused("G09"):
        await flow.seal(world.means, release_id, by=world.recipient)


async def test_a_study_that_changed_after_it_was_prepared_is_prepared_again(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    await Release.filter(id=release_id).update(conditions_hash="0" * 64)
    async with refused("G72"):
        await flow.seal(world.means, release_id, by=world.operator)


async def test_an_authorisation_that_gives_more_after_the_approval_needs_a_new_approval(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    wider = reviewed().authorisation[0]
    wider = wider.model_copy(
        update={"conditions": wider.conditions.model_copy(update={"period_from": date(2000, 1, 1)})}
    )
    await world.load(ReviewedFile(authorisation=(wider,)))
    async with refused("G72"):
        await flow.seal(world.means, release_id, by=world.operator)


async def test_an_extraction_received_after_the_approval_adds_nothing_to_the_release(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    await stored.receive(await stored.extract(*RECORDS, record("2", recorded_on="2025-09-01")))
    await objects(world, "1")
    assert await flow.seal(world.means, release_id, by=world.operator) == 2
    assert sorted(in_release(world, release_id)) == sorted([await named(world, "2"), await named(world, "3")])
