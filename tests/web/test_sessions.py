"""How a session begins and ends: a new secret each time, two ends by the clock, and at once when somebody goes."""

from datetime import timedelta

import httpx2
import pytest
from kept import dump, one_entry, refused
from whole_site import Web, doctor_person, secret_of, site, staff_person

from portal.flow import enrol
from portal.flow.sign_in import add_staff
from portal.flow.staff import remove_staff
from portal.records.accounts import Account, Session
from portal.records.enrolments import Enrolment
from portal.rules.words import Role
from portal.web.session import stamped

MINUTE = 1 / 24 / 60
BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


async def is_in(browser: httpx2.AsyncClient, page: str = "/desk") -> bool:
    answer = await browser.get(page)
    assert answer.status_code in (200, 303)
    return answer.status_code == 200


async def invited(web: Web, role: Role = Role.OPERATOR, study_id: str | None = None) -> Account:
    return await add_staff(web.world.means, email="new@example.org", role=role, study_id=study_id, actor="system:test")


async def arrives(web: Web) -> httpx2.AsyncClient:
    if not any(each.label == "new" for each in web.persons["desk"]):
        web.persons["desk"].append(staff_person("new", "new@example.org"))
    browser, _ = await web.sign_in("staff", "new")
    return browser


async def test_each_sign_in_has_a_secret_of_its_own_and_one_set_beforehand_never_counts(web: Web) -> None:
    await invited(web)
    web.persons["desk"].append(staff_person("new", "new@example.org"))
    planted = stamped(b"s" * 40, "planted", web.world.clock.now().timestamp())
    secrets = {"planted"}
    browser = web.browser()
    for cookie in (planted, None, None):
        if cookie:
            browser.cookies.set("session", cookie, domain="127.0.0.1")
        before = secret_of(browser)
        begun = await browser.get("/login/staff")
        chosen = await browser.post(begun.headers["location"], data={"sub": "new"})
        await browser.get(chosen.headers["location"])
        secrets.add(secret_of(browser))
        former = web.browser()
        former.cookies.set("session", stamped(b"s" * 40, before, web.world.clock.now().timestamp()))
        assert not await is_in(former), "the session before it is over"
        assert await is_in(browser)
    assert len(secrets) == 4
    assert await Session.filter(account__email="new@example.org").count() == 1


async def test_a_session_ends_when_nobody_uses_it_and_a_page_renews_it_without_a_write(web: Web) -> None:
    browser = await web.as_account(web.world.operator)
    before = await dump()
    for _ in range(3):
        web.world.wait(59 * MINUTE)
        assert await is_in(browser)
    assert await dump() == before
    web.world.wait(60 * MINUTE)
    assert not await is_in(browser)
    assert (await browser.post("/desk/log/read")).status_code == 401


async def test_a_session_ends_after_eight_hours_although_it_is_used(web: Web) -> None:
    browser = await web.as_account(web.world.operator)
    for _ in range(8):
        assert await is_in(browser)
        web.world.wait(59.9 * MINUTE)
    assert await is_in(browser)
    web.world.wait(0.9 * MINUTE)
    assert not await is_in(browser)
    again = await web.as_account(web.world.operator)
    assert await is_in(again)
    assert await Session.filter(account_id=web.world.operator.id).count() == 1, "ended ones do not stay"


async def test_what_the_operator_sets_is_what_counts(web: Web) -> None:
    w = web.world
    object.__setattr__(w.means, "session_lasts", timedelta(minutes=10))
    async with site(w, session_idle_minutes=5) as other:
        browser = await other.as_account(w.operator)
        w.wait(4.9 * MINUTE)
        assert await is_in(browser)
        w.wait(4.9 * MINUTE)
        assert await is_in(browser)
        w.wait(0.3 * MINUTE)
        assert not await is_in(browser)
        browser = await other.as_account(w.operator)
        w.wait(5 * MINUTE)
        assert not await is_in(browser)


async def test_a_cookie_is_renewed_once_a_minute_and_never_for_who_is_out(web: Web) -> None:
    browser = await web.as_account(web.world.operator)
    assert "set-cookie" not in (await browser.get("/desk")).headers
    web.world.wait(MINUTE)
    renewed = (await browser.get("/desk")).headers["set-cookie"]
    assert renewed.startswith("session=")
    assert "HttpOnly" in renewed
    stranger = web.browser()
    stranger.cookies.set("session", stamped(b"s" * 40, "guessed", web.world.clock.now().timestamp() - 600))
    assert "set-cookie" not in (await stranger.get("/desk")).headers


async def test_nobody_but_the_portal_can_say_when_a_session_was_used(web: Web) -> None:
    browser = await web.as_account(web.world.operator)
    secret = secret_of(browser)
    web.world.wait(61 * MINUTE)
    now = web.world.clock.now().timestamp()
    whole, other = stamped(b"s" * 40, secret, now), stamped(b"t" * 40, secret, now)
    for value, counts in ((other, False), (secret, False), (whole[:-1], False), ("", False), (whole, True)):
        forger = web.browser()
        forger.cookies.set("session", value)
        assert await is_in(forger) == counts


@BOTH
async def test_who_is_removed_is_out_at_once_and_cannot_come_back(web: Web) -> None:
    account = await invited(web)
    browser = await arrives(web)
    assert await is_in(browser)
    async with one_entry("staff_removed", ("account", str(account.id))):
        assert await remove_staff(web.world.means, email=" New@example.org", role=None, actor="x") == ["operator"]
    assert not await is_in(browser)
    assert not await Session.exists(account_id=account.id)
    _, back = await web.sign_in("staff", "new")
    assert (back.status_code, "Ce compte n’est pas connu ici." in back.text) == (403, True)
    async with refused("unknown_staff"):
        await remove_staff(web.world.means, email="new@example.org", role=None, actor="x")


@BOTH
async def test_a_role_taken_or_given_means_signing_in_anew(web: Web) -> None:
    operator = await invited(web)
    browser = await arrives(web)
    dpo = await invited(web, Role.DPO)
    assert not await is_in(browser), "more than she was signed in for"
    browser = await arrives(web)
    assert await remove_staff(web.world.means, email="new@example.org", role=Role.DPO, actor="x") == ["dpo"]
    assert await is_in(browser), "she is signed in as operator, and is one still"
    assert await remove_staff(web.world.means, email="new@example.org", role=Role.OPERATOR, actor="x") == ["operator"]
    assert not await is_in(browser)
    assert (await invited(web, Role.DPO)).id == dpo.id, "the same account, bound as it was"
    browser = await arrives(web)
    assert await is_in(browser)
    assert {s.account_id for s in await Session.all()} & {operator.id, dpo.id} == {dpo.id}


async def test_an_account_given_back_is_bound_to_whom_it_was(web: Web) -> None:
    await invited(web)
    await arrives(web)
    await remove_staff(web.world.means, email="new@example.org", role=None, actor="x")
    await invited(web)
    web.persons["desk"].append(staff_person("successor", "new@example.org"))
    _, back = await web.sign_in("staff", "successor")
    assert back.status_code == 403, "the address went to somebody else: she is invited under another one"
    async with refused("staff_exists"):
        await invited(web)


async def test_a_recipient_given_back_belongs_to_the_study_said_then(web: Web) -> None:
    await invited(web, Role.RECIPIENT, "diabetes")
    await remove_staff(web.world.means, email="new@example.org", role=Role.RECIPIENT, actor="x")
    assert (await invited(web, Role.RECIPIENT, "another")).study_id == "another"


@BOTH
async def test_a_doctor_who_leaves_is_signed_out_everywhere_but_where_she_reads_it(web: Web) -> None:
    web.persons["doctors"].append(doctor_person("new-doctor", "750000002"))
    here, _ = await web.sign_in("doctor", "new-doctor")
    elsewhere, _ = await web.sign_in("doctor", "new-doctor")
    colleague = await web.as_account(await Account.get(role=Role.DOCTOR, subject="doctor-doctor-1"))
    await here.post("/doctor/enrol", data={"site": "750000002"})
    assert await is_in(elsewhere, "/doctor")
    left = await here.post("/doctor/leave")
    assert "Vous avez quitté l’observatoire." in (await here.get(left.headers["location"])).text
    assert not await is_in(elsewhere, "/doctor")
    assert await is_in(colleague, "/doctor"), "nobody else's session ends"
    enrolment = await Enrolment.get(practice_id="practice-b").select_related("account")
    await enrol.leave(web.world.means, enrolment.account, enrolment.id)
    assert await is_in(here, "/doctor"), "having left already she leaves nothing"
