"""Every address × every role: who is admitted, and who is turned away how (R12)."""

import pytest
from starlette.routing import Mount
from whole_site import Web, address

from portal.app import build
from portal.flow.sign_in import add_staff
from portal.records.accounts import Account
from portal.rules.refusals import Refused
from portal.rules.words import Role
from portal.web import public
from portal.web.routes import EVERYBODY, MONITORS, PAGES, Door, Page, routes


async def account(web: Web, role: Role) -> Account:
    """Whoever has the role; an auditor is invited first."""
    if role is Role.AUDITOR and not await Account.exists(role=role):
        await add_staff(web.world.means, email="auditor@example.org", role=role, study_id=None, actor="system:test")
        await Account.filter(role=role).update(issuer="https://id.example.org", subject="auditor")
    return await Account.get(role=role)


@pytest.mark.shows("R12")
@pytest.mark.parametrize("role", [None, *Role])
async def test_every_page_admits_those_whom_its_policy_names_and_turns_all_others_away(
    web: Web, role: Role | None
) -> None:
    wrong = []
    for page in PAGES:
        browser = await web.as_account(await account(web, role)) if role else web.browser()
        answer = await browser.request(page.method, address(page))
        found = answer.status_code
        to_login = answer.headers.get("location") == "/login"
        if page.who is MONITORS or page.who.access:
            right = found == 401  # a session is no token
        elif page.who is EVERYBODY or (role is not None and role in (page.who.roles or ())):
            right = found not in (401, 403) and not to_login
        elif role is not None:
            right = found == 403
        else:
            right = to_login if page.method == "GET" else found == 401
        if not right:
            wrong.append((page.method, page.path, found))
    assert not wrong


@pytest.mark.shows("R12")
@pytest.mark.parametrize("role", [Role.OPERATOR, Role.DPO, Role.RECIPIENT, Role.AUDITOR])
async def test_no_staff_page_opens_without_a_second_factor(web: Web, role: Role) -> None:
    browser = await web.as_account(await account(web, role), second_factor=False)
    for page in PAGES:
        if page.who.roles and role in page.who.roles:
            assert (await browser.request(page.method, address(page))).status_code == 403, page.path


@pytest.mark.shows("R12")
async def test_an_ended_or_invented_session_opens_nothing(web: Web) -> None:
    browser = await web.as_account(web.world.operator)
    assert (await browser.get("/desk")).status_code == 200
    web.world.wait(0.5)
    assert (await browser.get("/desk")).headers["location"] == "/login"
    guessing = web.browser()
    guessing.cookies.set("session", "guessed")
    assert (await guessing.get("/desk")).headers["location"] == "/login"


@pytest.mark.shows("R12")
def test_a_page_without_a_policy_stops_the_start() -> None:
    with pytest.raises(TypeError, match="no policy"):
        routes([Page("GET", "/open", public.home, None)])
    with pytest.raises(TypeError):
        Page("GET", "/open", public.home)
    with pytest.raises(TypeError, match="twice"):
        routes([PAGES[0], PAGES[0]])


@pytest.mark.shows("R12")
async def test_nothing_is_served_beside_the_table_but_files_and_the_demos_own_rooms(web: Web) -> None:
    other = [r for r in web.app.routes if not isinstance(getattr(r, "endpoint", None), Door)]
    assert {r.path for r in other if isinstance(r, Mount)} == {"/static", "/demo/id"}
    assert len(other) == 2
    assert {r.path for r in web.app.routes} - {"/static", "/demo/id"} == {p.path for p in PAGES}


@pytest.mark.shows("R12")
async def test_only_the_methods_of_an_address_are_answered(web: Web) -> None:
    browser = web.browser()
    for path in {address(p) for p in PAGES}:
        given = {p.method for p in PAGES if address(p) == path}
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH"} - given:
            answer = await browser.request(method, path)
            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == given


@pytest.mark.shows("R12")
async def test_the_demos_rooms_are_refused_outside_demo_mode(web: Web) -> None:
    p = web.app.state.portal
    with pytest.raises(Refused, match="demo_routes"):
        build(
            p.settings.model_copy(update={"demo": False}), p.means, doctors=p.doctors, staff=p.staff,
            more_routes=[Mount("/demo/id", routes=[])],
        )  # fmt: skip
