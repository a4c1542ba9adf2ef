"""F9 (IQVIA, SAN-2026-008): staff came in with a password alone, and nobody ever looked at the logs.

Here no staff page opens without a second factor, and what one person does alone waits, by a day, for another reader.
"""

from pathlib import Path

import pytest
from kept import one_entry, refused
from whole_site import site
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow import read_log
from portal.flow.means import Means
from portal.flow.read_contacts import with_names
from portal.flow.sign_in import add_staff, sign_in_staff
from portal.outside.identity import Identity
from portal.records import identity_overview, log_reviews
from portal.records.accounts import Account, Session
from portal.records.database import connection
from portal.records.ledger import last_entry
from portal.records.log_reviews import LogReview
from portal.rules.waiting import paris_day
from portal.rules.words import Role
from portal.web.routes import PAGES


@pytest.fixture
async def world(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> World:
    """The DPO has opened the contact of a patient; everything before it was read."""
    world = await build(means, clock, tmp_path)
    await world.enrol()
    await world.register([patient("1")])
    await read_log.read_up_to(means, await last_entry(connection()), by=world.dpo)
    found = await identity_overview.patient_of("practice-a", "1")
    assert found is not None
    await with_names(means, [found], by=world.dpo)
    return world


async def waiting(world: World) -> dict[str, int]:
    return {row["kind"]: row["count"] for row in await log_reviews.to_do(paris_day(world.clock.now()))}


async def second_account(world: World, account: Account, role: Role) -> Account:
    """Another account of the same human."""
    made = await add_staff(world.means, email="second@example.org", role=role, study_id=None, actor="system:test")
    await Account.filter(id=made.id).update(issuer=account.issuer, subject=account.subject)
    return await Account.get(id=made.id)


async def test_staff_are_not_signed_in_with_a_password_alone(world: World) -> None:
    sessions = await Session.all().count()
    identity = Identity(
        world.dpo.issuer or "", world.dpo.subject or "", "Alix", "dpo", None, None, "", frozenset(), ()
    )  # fmt: skip
    async with refused("no_second_factor"):
        await sign_in_staff(world.means, identity, second_factor=False)
    assert await Session.all().count() == sessions
    async with site(world) as web:
        for account in (world.operator, world.dpo, world.recipient):
            browser = await web.as_account(account, second_factor=False)
            for page in PAGES:
                if page.who.roles and Role(account.role) in page.who.roles and "{" not in page.path:
                    assert (await browser.request(page.method, page.path)).status_code == 403, page.path


async def test_what_one_person_did_alone_waits_until_another_has_read_it(world: World) -> None:
    assert await waiting(world) == {"log_unread": 1}
    [line] = await read_log.for_reader(world.operator)
    assert (line["kind"], line["actor"]) == ("contact_read", world.dpo.actor)
    world.wait(8)
    assert await waiting(world) == {"log_unread_late": 1}
    async with one_entry("log_read", ("account", "log")):
        assert await read_log.read_up_to(world.means, line["id"], by=world.operator) == 1
    assert await waiting(world) == {}
    assert [r.entry_id for r in await LogReview.all().order_by("-entry_id").limit(1)] == [line["id"]]


async def test_nobody_reads_her_own_entries_with_any_account(world: World) -> None:
    async with refused("nothing_to_read"):
        await read_log.read_up_to(world.means, 2**40, by=world.dpo)
    second = await second_account(world, world.dpo, Role.AUDITOR)
    assert [row["kind"] for row in await read_log.for_reader(second)] == ["staff_added"]
    assert await read_log.read_up_to(world.means, 2**40, by=second) == 1
    assert [row["kind"] for row in await read_log.for_reader(world.operator)] == ["contact_read"]


async def test_the_desk_shows_what_waits_and_one_press_notes_that_it_was_read(world: World) -> None:
    async with site(world) as web:
        operator, dpo = await web.as_account(world.operator), await web.as_account(world.dpo)
        [line] = await read_log.for_reader(world.operator)
        assert "Lignes du journal à relire" in (await operator.get("/desk")).text
        page = (await operator.get("/desk/log")).text
        assert f'name="last" value="{line["id"]}"' in page
        assert "J’ai relu ces lignes" not in (await dpo.get("/desk/log")).text
        assert (await dpo.post("/desk/log/read", data={"last": str(line["id"])})).status_code == 409
        for last in ("", "x", "9" * 19, "-1"):
            assert (await operator.post("/desk/log/read", data={"last": last})).status_code == 422
        read = await operator.post("/desk/log/read", data={"last": str(line["id"])})
        assert read.headers["location"] == "/desk/log"
        assert "J’ai relu ces lignes" not in (await operator.get("/desk/log")).text
        assert "Lignes du journal à relire" not in (await operator.get("/desk")).text
