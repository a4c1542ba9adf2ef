"""The portal against an identity provider that others wrote: npm's oidc-provider, a program of its own, over HTTP."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urljoin, urlsplit

import httpx2
import pytest
from openid_peer import DISCOVERY, SECRET, Peer, colleague, doctor, peer
from whole_site import BASE
from world import build as build_world

from portal.app import build
from portal.demo.clock import PlayedClock
from portal.flow.means import Means
from portal.flow.sign_in import add_staff
from portal.outside.clock import SystemClock
from portal.outside.identity import OpenIdProvider
from portal.records.accounts import Session
from portal.rules.refusals import Refused
from portal.rules.words import Role
from portal.settings import DoctorSignIn, Settings, SignIn, StaffSignIn

CALLBACK = f"{BASE}/login/callback"
DOCTORS = (doctor("anna"), doctor("nurse", profession="60"), doctor("weak", acr="eidas0"))
STAFF = (colleague("op"), colleague("lazy", amr=("pwd",)), colleague("card", acr="high", amr=()), colleague("stranger"))


@pytest.fixture(scope="module")
def doctors() -> Iterator[Peer]:
    with peer(BASE, DOCTORS) as running:
        yield running


@pytest.fixture(scope="module")
def staff() -> Iterator[Peer]:
    with peer(BASE, STAFF, staff=True, auth="client_secret_post") as running:
        yield running


def doctor_settings(of: Peer, **changes: Any) -> DoctorSignIn:
    """As in production: the discovery document has Pro Santé Connect's name."""
    given = {"issuer": of.issuer, "discovery_url": f"{of.issuer}{DISCOVERY}", "client_id": "doctors"}
    return DoctorSignIn(**{**given, "client_secret": SECRET, **changes})


def staff_settings(of: Peer, **changes: Any) -> StaffSignIn:
    given = {"issuer": of.issuer, "client_id": "desk", "client_auth": "client_secret_post"}
    return StaffSignIn(**{**given, "client_secret": SECRET, **changes})


class There:
    """Somebody's browser at the provider: keeps cookies, goes where it is sent, comes back with an address."""

    def __init__(self) -> None:
        self.client = httpx2.AsyncClient()

    async def sign_in(self, url: str, sub: str) -> str:
        """The address to which the provider sends the browser back; `sub` is chosen when it asks who that is."""
        while not url.startswith(BASE):
            answer = await self.client.get(url)
            if answer.status_code == 200:
                assert "Who are you?" in answer.text
                answer = await self.client.post(url, data={"sub": sub})
            assert answer.status_code == 303, answer.text
            url = urljoin(url, answer.headers["location"])
        return url

    async def is_asked(self, url: str) -> bool:
        """Whether the provider asks who that is, or still knows."""
        answer = await self.client.get(url)
        return "/interaction/" in answer.headers["location"]

    async def sign_out(self, url: str) -> str:
        """Confirms on the provider's page; the address to which it then sends the browser."""
        page = await self.client.get(url)
        assert page.status_code == 200, page.text
        hidden = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
        action = re.search(r'action="([^"]+)"', page.text)
        assert action, page.text
        done = await self.client.post(action[1], data={"xsrf": hidden["xsrf"], "logout": "yes"})
        return str(done.headers.get("location", ""))


@asynccontextmanager
async def portal(means: Means, doctors: DoctorSignIn, staff: SignIn | None = None) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser at the portal, whose identity providers are these."""
    settings = Settings(
        demo=True, base_url=BASE, data_dir=means.data_dir, secret="s" * 40, doctor_oidc=doctors,
        staff_oidc=staff or StaffSignIn(),
    )  # fmt: skip
    app = build(
        settings,
        means,
        doctors=OpenIdProvider(settings.doctor_oidc, SystemClock()),
        staff=OpenIdProvider(settings.staff_oidc, SystemClock()),
        database=False,
    )
    way = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=way, base_url=BASE, headers={"Origin": BASE}) as here:
        yield here


async def began(here: httpx2.AsyncClient, way: str) -> str:
    return str((await here.get(f"/login/{way}")).headers["location"])


async def signed_in(here: httpx2.AsyncClient, there: There, way: str, sub: str) -> httpx2.Response:
    return await here.get(await there.sign_in(await began(here, way), sub))


def way_out(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.headers["refresh"]).removeprefix("0; url=")


async def test_a_doctor_signs_in_finds_her_sites_and_signs_out_at_both_ends(
    database: str, means: Means, clock: PlayedClock, tmp_path: Path, doctors: Peer
) -> None:
    await build_world(means, clock, tmp_path)
    there = There()
    async with portal(means, doctor_settings(doctors)) as here:
        begun = await began(here, "doctor")
        asked = {name: values[0] for name, values in parse_qs(urlsplit(begun).query).items()}
        assert (asked["scope"], asked["acr_values"]) == ("openid scope_all", "eidas1")
        back = await here.get(await there.sign_in(begun, "anna"))
        assert back.headers["location"] == "/doctor"
        assert "CABINET A" in (await here.get("/doctor/enrol")).text
        session = await Session.get().select_related("account")
        assert [(s["finess"], s["siret"]) for s in session.sites] == [("750000001", ""), ("", "00000000000018")]
        assert (session.account.issuer, session.account.rpps) == (doctors.issuer, "99700000013")

        assert not await there.is_asked(await began(here, "doctor")), "she is signed in there too"
        away = way_out(await here.post("/logout"))
        assert not await Session.exists(), "ended here before anything is asked there"
        assert (await here.get("/doctor")).headers["location"] == "/login"
        assert await there.sign_out(away) == f"{BASE}/"
        assert await there.is_asked(await began(here, "doctor")), "and no more"


async def test_staff_sign_in_with_what_proves_a_second_factor(database: str, means: Means, staff: Peer, doctors: Peer):
    for sub in ("op", "lazy", "card"):
        await add_staff(means, email=f"{sub}@example.org", role=Role.OPERATOR, study_id=None, actor="system:test")
    by_acr = {"acr_values": "high", "second_factor_acr": frozenset({"high"})}
    for changes, let_in in (({}, {"op"}), (by_acr, {"op", "card"})):
        async with portal(means, doctor_settings(doctors), staff_settings(staff, **changes)) as here:
            for sub in ("op", "lazy", "card", "stranger"):
                back = await signed_in(here, There(), "staff", sub)
                assert (back.status_code == 303) == (sub in let_in), (sub, changes)
                assert back.status_code in (303, 403)


@pytest.mark.shows("R13")
@pytest.mark.parametrize(
    ("sub", "says"),
    [
        ("nurse", "Ce compte n’est pas celui d’un médecin en exercice."),
        ("weak", "Cette façon de se connecter ne suffit pas."),
        ("", "Vous n’êtes pas connecté."),
    ],
    ids=["no-physician", "low-level", "changed-her-mind"],
)
async def test_who_may_not_is_told_why(database: str, means: Means, doctors: Peer, sub: str, says: str) -> None:
    async with portal(means, doctor_settings(doctors)) as here:
        back = await signed_in(here, There(), "doctor", sub)
        assert back.status_code in (400, 403)
        assert f"<h1>{says}</h1>" in back.text
        assert not await Session.exists()


async def refused(signing_in: Any) -> str:
    with pytest.raises(Refused) as no:
        await signing_in
    return no.value.code


async def called_back(ours: OpenIdProvider, there: There) -> tuple[dict[str, str], dict[str, str]]:
    begun = await ours.begin(CALLBACK)
    back = await there.sign_in(begun.url, "anna")
    return begun.flow, dict(parse_qsl(urlsplit(back).query))


@pytest.mark.shows("R13")
async def test_a_real_code_is_good_once_for_who_began_and_with_the_secret(doctors: Peer) -> None:
    ours = OpenIdProvider(doctor_settings(doctors), SystemClock())
    impostor = OpenIdProvider(doctor_settings(doctors, client_secret="another"), SystemClock())
    there = There()
    flow, callback = await called_back(ours, there)
    assert await refused(impostor.finish(flow, callback)) == "code_refused"
    flow, callback = await called_back(ours, there)
    other = (await ours.begin(CALLBACK)).flow
    assert await refused(ours.finish(flow | {"verifier": other["verifier"]}, callback)) == "code_refused"
    flow, callback = await called_back(ours, there)
    assert await refused(ours.finish(flow | {"nonce": other["nonce"]}, callback)) == "nonce"
    flow, callback = await called_back(ours, there)
    assert (await ours.finish(flow, callback)).rpps == "99700000013"
    assert await refused(ours.finish(flow, callback)) == "code_refused"
    assert await refused(ours.finish(flow, callback | {"iss": "http://127.0.0.1:1"})) == "mixed_up"


async def test_every_address_can_be_set_by_hand(doctors: Peer) -> None:
    """Pro Santé Connect's pages for people stand elsewhere than its addresses for programs."""
    wrong = dict.fromkeys(("authorization_url", "token_url", "userinfo_url", "jwks_url", "logout_url"))
    elsewhere = {name: f"http://127.0.0.1:1/{name}" for name in wrong}
    ours = OpenIdProvider(doctor_settings(doctors, **elsewhere), SystemClock())
    assert (await ours.begin(CALLBACK)).url.startswith(f"{elsewhere['authorization_url']}?")
    assert str(await ours.logout_url("", f"{BASE}/")).startswith(f"{elsewhere['logout_url']}?")
    for name in ("token_url", "userinfo_url", "jwks_url"):
        ours = OpenIdProvider(doctor_settings(doctors, **{name: elsewhere[name]}), SystemClock())
        assert await refused(ours.finish(*await called_back(ours, There()))) == "provider_unreachable", name
    paths = {"authorization_url": "auth", "token_url": "token", "userinfo_url": "me", "jwks_url": "jwks"}
    by_hand = {name: f"{doctors.issuer}/{path}" for name, path in paths.items()}
    ours = OpenIdProvider(doctor_settings(doctors, **by_hand), SystemClock())
    assert (await ours.finish(*await called_back(ours, There()))).subject == "anna"


async def test_without_the_id_token_the_provider_is_told_who_asks(database: str, means: Means, doctors: Peer) -> None:
    there = There()
    async with portal(means, doctor_settings(doctors)) as here:
        await signed_in(here, there, "doctor", "anna")
        await Session.all().update(id_token=None)
        away = way_out(await here.post("/logout"))
        assert "id_token_hint" not in away
        assert await there.sign_out(away) == f"{BASE}/"
        assert await there.is_asked(await began(here, "doctor"))


async def test_a_provider_without_a_page_for_it_leaves_that_to_the_reader(database: str, means: Means) -> None:
    with peer(BASE, DOCTORS, logout=False) as plain:
        async with portal(means, doctor_settings(plain)) as here:
            await signed_in(here, There(), "doctor", "anna")
            out = await here.post("/logout")
    assert (out.status_code, "refresh" in out.headers) == (200, False)
    assert "Votre connexion à Pro Santé Connect dure peut-être encore." in out.text
    assert not await Session.exists()


async def test_a_provider_that_is_down_stops_the_sign_in_and_never_the_sign_out(database: str, means: Means) -> None:
    with peer(BASE, DOCTORS) as mortal:
        settings = doctor_settings(mortal)
        async with portal(means, settings) as here:
            await signed_in(here, There(), "doctor", "anna")
            cookies = here.cookies
            unfinished = await There().sign_in(await began(here, "doctor"), "anna")
            mortal.stop()
            late = await here.get(unfinished)
            assert (late.status_code, "Recommencez dans quelques minutes." in late.text) == (503, True)
        async with portal(means, settings) as here:  # started anew, it knows nothing of the provider
            here.cookies = cookies
            begun = await here.get("/login/doctor")
            assert begun.status_code == 503
            assert "Pro Santé Connect ne répond pas comme il faut." in begun.text
            assert (await here.get("/doctor")).status_code == 200
            out = await here.post("/logout")
            assert (out.status_code, "refresh" in out.headers) == (200, False)
            assert not await Session.exists()
