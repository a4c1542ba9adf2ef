"""F21 (asked for in Azure TRE 4568): one person alone releases.

Here who prepared a release does not approve it, whatever account she uses; the database refuses it too.
"""

import random
from collections.abc import Awaitable, Callable

import pytest
from line import approved
from tortoise.exceptions import IntegrityError
from world import World

from portal.flow import release
from portal.flow.sign_in import add_staff, human
from portal.records.accounts import Account
from portal.records.database import connection, rows
from portal.records.releases import Release
from portal.rules.refusals import Refused
from portal.rules.words import ReleaseState, Role

ISSUER, MORE = "https://id.example.org", "https://other.example.org"


async def account(world: World, role: Role, email: str, subject: str | None, issuer: str = ISSUER) -> Account:
    study = "diabetes" if role is Role.RECIPIENT else None
    made = await add_staff(world.means, email=email, role=role, study_id=study, actor="system:test")
    if subject is not None:
        await Account.filter(id=made.id).update(issuer=issuer, subject=subject)
    return await Account.get(id=made.id)


async def of_one_human(world: World) -> list[Account]:
    """The operator's further accounts: by her identity, by her address at another provider, and not signed in yet."""
    who = world.operator
    return [
        await account(world, Role.DPO, "second@example.org", who.subject),
        await account(world, Role.DPO, str(who.email), "another", MORE),
        await account(world, Role.RECIPIENT, "third@example.org", who.subject),
    ]


@pytest.mark.parametrize("second_factor", [True, False])
async def test_no_account_of_the_one_who_prepared_approves(delivered: tuple[World, str], second_factor: bool) -> None:
    world, _ = delivered
    release_id = await release.prepare(world.means, "diabetes", by=world.operator)
    for own in [world.operator, *await of_one_human(world)]:
        with pytest.raises(Refused, match="G09"):
            await release.approve(world.means, release_id, by=own, second_factor=second_factor)
    with pytest.raises(Refused, match="release_state"):
        await release.seal(world.means, release_id, by=world.operator)
    assert (await Release.get(id=release_id)).state == ReleaseState.PREPARED


async def test_an_address_that_nobody_has_signed_in_with_approves_nothing(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    release_id = await release.prepare(world.means, "diabetes", by=world.operator)
    nobody = await account(world, Role.DPO, "nobody@example.org", None)
    with pytest.raises(Refused, match="G09"):
        await release.approve(world.means, release_id, by=nobody, second_factor=True)


async def test_the_database_refuses_two_accounts_of_one_human(delivered: tuple[World, str]) -> None:
    """Written past every step: by identity, by address, and as somebody of whom nothing is known."""
    world, _ = delivered
    release_id = await release.prepare(world.means, "diabetes", by=world.operator)
    by_subject, by_address, _ = await of_one_human(world)
    stranger = await account(world, Role.DPO, "nobody@example.org", None)
    for other in (by_subject, by_address, stranger):
        subject, address = human(other)
        with pytest.raises(IntegrityError):
            await Release.filter(id=release_id).update(
                state=ReleaseState.APPROVED, approved_at=world.clock.now(), approved_by=other.actor,
                approver_subject=subject, approver_address=address,
            )  # fmt: skip
    subject, address = human(world.dpo)
    done = await Release.filter(id=release_id).update(
        state=ReleaseState.APPROVED, approved_at=world.clock.now(), approved_by=world.dpo.actor,
        approver_subject=subject, approver_address=address,
    )  # fmt: skip
    assert done == 1, "another human passes"


async def test_the_database_forgets_neither_of_the_two_once_approved(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    await approved(world)
    for forgotten in ("approver_subject = NULL", "approved_by = NULL, approved_at = NULL"):
        with pytest.raises(IntegrityError):
            await rows(connection(), f"UPDATE release SET {forgotten}")


@pytest.mark.shows("R16")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_one_human_with_any_accounts_releases_nothing_in_any_order_of_steps(
    delivered: tuple[World, str], how_many: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    world, _ = delivered
    mine, chance, workflows = [world.operator, *await of_one_human(world)], random.Random(16), how_many(500, 10_000)
    record_property("trials", workflows)
    record_property("seed", 16)
    prepared = [await release.prepare(world.means, "diabetes", by=world.operator) for _ in range(3)]

    async def approve(release_id: str, by: Account) -> None:
        await release.approve(world.means, release_id, by=by, second_factor=chance.random() < 0.8)

    async def seal(release_id: str, by: Account) -> None:
        await release.seal(world.means, release_id, by=by)

    async def serve(release_id: str, by: Account) -> None:
        await release.serve(world.means, release_id, by=by)

    steps: list[Callable[[str, Account], Awaitable[None]]] = [approve, approve, seal, serve]
    refusals = 0
    for _ in range(workflows):
        release_id = chance.choice(prepared)
        for step in chance.choices(steps, k=chance.randint(2, 5)):
            with pytest.raises(Refused):
                await step(release_id, chance.choice(mine))
            refusals += 1
    states = await Release.filter(id__in=prepared).values_list("state", flat=True)
    assert set(states) == {ReleaseState.PREPARED}
    assert refusals >= 2 * workflows
