"""The demo's identity provider, asked directly."""

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from portal.demo.provider import DemoClient, DemoPerson, DemoProvider
from portal.outside.clock import SystemClock

ASKED = {
    "client_id": "desk",
    "redirect_uri": "http://portal.test/login/callback",
    "response_type": "code",
    "state": "s",
    "nonce": "n",
    "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",  # RFC 7636, appendix B
    "code_challenge_method": "S256",
}
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
PERSON = DemoPerson("Operator <of the desk>", {"sub": "operator"})


@pytest.fixture
async def browser():
    client = DemoClient("secret", ASKED["redirect_uri"], "http://portal.test/", [PERSON])
    provider = DemoProvider("http://portal.test/demo/id", {"desk": client}, SystemClock())
    app = Starlette(routes=[Mount("/demo/id", routes=provider.routes())])
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://portal.test/demo/id/") as each:
        yield each


async def code_of(browser: httpx2.AsyncClient) -> str:
    chosen = await browser.post("authorize", params=ASKED, data={"sub": "operator"})
    return httpx2.URL(chosen.headers["location"]).params["code"]


async def redeem(browser: httpx2.AsyncClient, code: str, **changed: str) -> int:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": ASKED["redirect_uri"],
        "code_verifier": VERIFIER,
        "client_id": "desk",
        "client_secret": "secret",
    }
    return (await browser.post("token", data=form | changed)).status_code


async def test_the_page_lists_the_persons_in_both_languages(browser: httpx2.AsyncClient):
    french = await browser.get("authorize", params=ASKED, headers={"Accept-Language": "fr-FR"})
    english = await browser.get("authorize", params=ASKED, headers={"Accept-Language": "en;q=0.9, fr;q=0.1"})
    assert '<html lang="fr">' in french.text
    assert '<html lang="en">' in english.text
    assert "Operator &lt;of the desk&gt;" in english.text


async def test_a_code_is_redeemed_once(browser: httpx2.AsyncClient):
    code = await code_of(browser)
    assert [await redeem(browser, code), await redeem(browser, code)] == [200, 400]


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": ""},
        {"code_verifier": VERIFIER[::-1]},
        {"redirect_uri": "http://thief.test/"},
        {"client_secret": "guessed"},
        {"client_id": "nobody"},
    ],
    ids=str,
)
async def test_a_code_is_for_whoever_asked_for_it(browser: httpx2.AsyncClient, changed: dict[str, str]):
    assert await redeem(browser, await code_of(browser), **changed) in (400, 401)


@pytest.mark.parametrize(
    "changed",
    [
        {"code_challenge": ""},
        {"code_challenge_method": "plain"},
        {"redirect_uri": "http://thief.test/"},
        {"client_id": "nobody"},
        {"response_type": "token"},
    ],
    ids=str,
)
async def test_an_unknown_way_back_or_no_pkce_is_refused(browser: httpx2.AsyncClient, changed: dict[str, str]):
    assert (await browser.get("authorize", params=ASKED | changed)).status_code == 400
    answer = await browser.post("authorize", params=ASKED | changed, data={"sub": "operator"})
    assert answer.status_code == 400


async def test_an_unknown_person_and_an_unknown_token_are_refused(browser: httpx2.AsyncClient):
    assert (await browser.post("authorize", params=ASKED, data={"sub": "x"})).status_code == 400
    assert (await browser.get("userinfo", headers={"Authorization": "Bearer x"})).status_code == 401


async def test_signing_out_never_leads_elsewhere(browser: httpx2.AsyncClient):
    away = await browser.get("end_session", params={"post_logout_redirect_uri": "http://thief.test/"})
    assert away.status_code == 200
