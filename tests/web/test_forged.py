"""No other site can make anybody's browser post here; the patient's own post needs no cookie (R14)."""

import pytest
from kept import dump
from starlette.datastructures import Headers
from whole_site import BASE, Web, address

from portal.records.accounts import Account
from portal.rules.words import Role
from portal.web.routes import PAGES
from portal.web.security import is_forged, origin_of

UNSAFE = [page for page in PAGES if page.method not in ("GET", "HEAD")]
FORGED = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:8001"},
    {"Origin": "https://127.0.0.1:8000"},
    {"Origin": f"{BASE}.evil.example"},
    {"Origin": f"{BASE}/"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": BASE, "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"},
)


@pytest.mark.shows("R14")
async def test_every_unsafe_route_refuses_every_forged_origin(web: Web) -> None:
    link = web.world.links["patient1@example.org"]
    browsers = {role: await web.as_account(await Account.get(role=role)) for role in (Role.DOCTOR, Role.OPERATOR)}
    before = await dump()
    for page in UNSAFE:
        browser = browsers[Role.DOCTOR if "/doctor" in page.path else Role.OPERATOR]
        del browser.headers["Origin"]
        path = address(page).replace("x" * 43, link)
        for forged in FORGED:
            answer = await browser.post(path, data={"scope": "everything"}, headers=forged)
            assert answer.status_code == 403, (path, forged)
        assert (await browser.post(path)).status_code == 403, "a session's cookie, and no word where it comes from"
        browser.headers["Origin"] = BASE
    assert await dump() == before


@pytest.mark.shows("R14")
@pytest.mark.parametrize(
    "headers", [{}, {"Origin": BASE}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}]
)
async def test_the_patients_own_post_works_without_a_cookie(web: Web, headers: dict[str, str]) -> None:
    browser = web.browser()
    del browser.headers["Origin"]
    link = web.world.links["patient1@example.org"]
    answer = await browser.post(f"/o/{link}/object", data={"scope": "everything"}, headers=headers)
    assert answer.headers["location"] == f"/o/{link}/receipt"


def test_two_origins_of_which_one_is_ours_are_forged() -> None:
    both = Headers(raw=[(b"origin", BASE.encode()), (b"origin", b"https://evil.example")])
    assert is_forged(both, origin=BASE, cookie="session")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Portal.Example.org", "https://portal.example.org"),
        ("https://portal.example.org:443/under", "https://portal.example.org"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    assert origin_of(url) == origin
