"""Signing in over HTTP against the demo's identity provider, and every way not to be signed in."""

import hashlib

import pytest
from kept import dump
from whole_site import BASE, Web, doctor_person, secret_of, staff_person

from portal.flow.sign_in import add_staff
from portal.flow.staff import remove_staff
from portal.outside.tokens import open_under
from portal.records.accounts import Account, Session
from portal.rules.refusals import Refused
from portal.rules.words import Role
from portal.web.frame import given_day
from portal.web.security import session_cookie, sign_in_cookie


async def invited(web: Web, email: str = "new@example.org", role: Role = Role.OPERATOR) -> None:
    await add_staff(web.world.means, email=email, role=role, study_id=None, actor="system:test")


async def test_a_doctor_signs_in_and_lands_on_her_dashboard(web: Web) -> None:
    web.persons["doctors"].append(doctor_person("new-doctor", "750000001"))
    browser, back = await web.sign_in("doctor", "new-doctor")
    assert (back.status_code, back.headers["location"]) == (303, "/doctor")
    assert "Vous ne participez à aucun observatoire." in (await browser.get("/doctor")).text
    assert (await browser.get("/desk")).status_code == 403


async def test_the_language_that_she_chose_stays_hers_on_the_way_back(web: Web) -> None:
    web.persons["doctors"].append(doctor_person("new-doctor", "750000001"))
    _, back = await web.sign_in("doctor", "new-doctor", lang="en")
    assert back.headers["location"] == "/doctor?lang=en"
    web.persons["desk"].append(staff_person("stranger", "stranger@example.org"))
    _, refused = await web.sign_in("staff", "stranger", lang="en")
    assert '<html lang="en"' in refused.text
    _, foreign = await web.sign_in("doctor", "new-doctor", lang="xx")
    assert foreign.headers["location"] == "/doctor"


@pytest.mark.parametrize(("role", "lands"), [(Role.OPERATOR, "/desk"), (Role.DPO, "/desk"), (Role.AUDITOR, "/desk")])
async def test_staff_land_where_their_role_works(web: Web, role: Role, lands: str) -> None:
    await invited(web, role=role)
    web.persons["desk"].append(staff_person("somebody", "New@example.org"))
    browser, back = await web.sign_in("staff", "somebody")
    assert back.headers["location"] == lands
    assert (await browser.get(lands)).status_code == 200


async def test_the_cookie_is_a_secret_that_no_script_and_no_other_site_uses(web: Web) -> None:
    await invited(web)
    web.persons["desk"].append(staff_person("somebody", "new@example.org"))
    browser, back = await web.sign_in("staff", "somebody")
    cookies = back.headers.get_list("set-cookie")
    session = next(c for c in cookies if c.startswith("session="))
    assert "HttpOnly" in session
    assert "samesite=lax" in session.lower()
    assert "Path=/" in session
    assert "max-age" not in session.lower()
    assert any(c.startswith("sign-in=") and "Max-Age=0" in c for c in cookies), "the sign-in under way is forgotten"
    secret = secret_of(browser)
    kept = str(await dump())
    assert hashlib.sha256(secret.encode()).hexdigest() in kept
    assert secret not in kept, "only its hash is kept"
    session = await Session.get(account__email="new@example.org").select_related("account")
    assert session.id_token
    assert open_under(secret, session.id_token).count(".") == 2, "sealed under the secret that only the browser has"
    assert open_under("another", session.id_token) == ""


def test_over_https_the_cookies_belong_to_this_host_alone(web: Web) -> None:
    https = web.settings.model_copy(update={"base_url": "https://portal.example.org"})
    assert session_cookie(https) == "__Host-session"
    assert sign_in_cookie(https) == "__Host-sign-in"


async def test_staff_without_a_second_factor_are_refused(web: Web) -> None:
    await invited(web)
    web.persons["desk"].append(staff_person("lazy", "new@example.org", amr=("pwd",)))
    browser, back = await web.sign_in("staff", "lazy")
    assert back.status_code == 403
    assert "second facteur" in back.text
    assert (await browser.get("/desk")).headers["location"] == "/login"


async def test_who_was_not_invited_is_refused(web: Web) -> None:
    web.persons["desk"].append(staff_person("stranger", "stranger@example.org"))
    _, back = await web.sign_in("staff", "stranger")
    assert back.status_code == 403


async def test_an_answer_that_nobody_here_asked_for_is_refused(web: Web) -> None:
    await invited(web)
    web.persons["desk"].append(staff_person("somebody", "new@example.org"))
    victim, attacker = web.browser(), web.browser()
    begun = await attacker.get("/login/staff")
    chosen = await attacker.post(begun.headers["location"], data={"sub": "somebody"})
    assert (await victim.get(chosen.headers["location"])).status_code == 400
    await victim.get("/login/staff")
    assert (await victim.get(chosen.headers["location"])).status_code == 400, "another sign-in is under way there"
    assert "session" not in victim.cookies


async def test_a_sign_in_counts_once_and_for_ten_minutes(web: Web) -> None:
    await invited(web)
    web.persons["desk"].append(staff_person("somebody", "new@example.org"))
    browser, back = await web.sign_in("staff", "somebody")
    assert back.status_code == 303
    assert (await browser.get(str(back.url))).status_code == 400
    late = web.browser()
    begun = await late.get("/login/staff")
    chosen = await late.post(begun.headers["location"], data={"sub": "somebody"})
    web.world.wait(11 / 24 / 60)
    assert (await late.get(chosen.headers["location"])).status_code == 400


async def test_a_forged_sign_in_cookie_is_refused(web: Web) -> None:
    browser = web.browser()
    for value in ("", "nonsense", "eyJzaWRlIjoic3RhZmYifQ.AAAA"):
        browser.cookies.set("sign-in", value, domain="127.0.0.1")
        assert (await browser.get("/login/callback?code=1&state=2")).status_code == 400


async def test_signing_out_ends_the_session_on_the_server(web: Web) -> None:
    browser = await web.as_account(web.world.operator)
    stolen = web.browser()
    stolen.cookies.set("session", browser.cookies["session"])
    assert (await stolen.get("/desk")).status_code == 200
    out = await browser.post("/logout")
    assert out.status_code == 200
    assert "Vous êtes déconnecté de ce portail." in out.text
    assert (await stolen.get("/desk")).headers["location"] == "/login"
    again = await browser.post("/logout")
    assert (again.status_code, again.headers["location"]) == (303, "/"), "nobody is signed in any more"


async def test_a_failed_sign_in_leaves_a_line_without_a_name_and_shows_its_reference(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    web.persons["doctors"].append(doctor_person("liar", "750000001"))
    web.provider.twist = lambda name, told: told | {"aud": "another"} if name == "claims" else told
    _, back = await web.sign_in("doctor", "liar")
    assert back.status_code == 400
    assert "<h1>La réponse du service d’identité n’est pas valable.</h1>" in back.text
    line = next(record.getMessage() for record in caplog.records if "audience" in record.getMessage())
    assert line.split()[1].rstrip(":") in back.text
    assert not [record for record in caplog.records if "liar" in record.getMessage()]


async def test_the_way_back_is_the_settings_and_never_the_hosts(web: Web) -> None:
    begun = await web.browser().get("/login/doctor", headers={"Host": "evil.example"})
    assert begun.headers["location"].startswith(f"{BASE}/demo/id/authorize")
    assert "evil" not in begun.headers["location"]


async def test_whoever_was_removed_and_invited_under_another_address_has_her_account_again(web: Web) -> None:
    means = web.world.means
    await invited(web, "old@example.org")
    web.persons["desk"].append(staff_person("somebody", "old@example.org"))
    await web.sign_in("staff", "somebody")
    first = await Account.get(email="old@example.org")
    await remove_staff(means, email="old@example.org", role=None, actor="system:test")
    await invited(web, "new@example.org")
    web.persons["desk"][-1] = staff_person("somebody", "new@example.org")
    _, back = await web.sign_in("staff", "somebody")
    assert (back.status_code, back.headers["location"]) == (303, "/desk")
    again = await Account.get(email="new@example.org")
    assert (again.id, again.closed_at) == (first.id, None)
    assert not await Account.filter(email="old@example.org").exists()
    await invited(web, "third@example.org")
    web.persons["desk"][-1] = staff_person("somebody", "third@example.org")
    _, back = await web.sign_in("staff", "somebody")
    assert back.status_code == 303, "she works in this role already"
    assert (await Account.get(email="third@example.org")).subject is None


async def test_a_day_of_another_age_is_refused_in_a_form(web: Web) -> None:
    for day in ("0001-01-01", "9999-12-31"):
        with pytest.raises(Refused, match="2026-04-16"):
            given_day({"until": day}, "until")
