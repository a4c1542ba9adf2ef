"""The whole site for the tests of pages: the application, its demo identity provider, browsers, somebody signed in."""

import asyncio
import csv
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Self

import httpx2
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server
from itsdangerous import URLSafeSerializer
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount
from world import World

from portal.app import build
from portal.demo.provider import DemoClient, DemoPerson, DemoProvider
from portal.flow import permit, receive, release
from portal.flow.sign_in import sign_in_doctor, sign_in_staff
from portal.gate.filtering import filter_extraction
from portal.gate.permit import read_permit
from portal.outside.identity import Identity, OpenIdProvider, Site
from portal.outside.own_pages import Pages
from portal.records.accounts import Account, Session
from portal.rules.words import Crossing
from portal.settings import DoctorSignIn, Settings, StaffSignIn
from portal.web.routes import Page
from portal.web.session import stamped

PARAMS = {
    "{token}": "x" * 43, "{reader}": "easy", "{id:int}": "77", "{id}": "unknown", "{practice}": "practice-a",
    "{extraction}": "0" * 64, "{file}": "0.parquet",
}  # fmt: skip
BASE = "http://127.0.0.1:8000"
ISSUER = f"{BASE}/demo/id"
STAFF_ISSUER = "https://id.example.org"
SECRET = b"s" * 40


def address(page: Page) -> str:
    """The address of a page, with a link and ids that lead nowhere."""
    path = page.path
    for name, value in PARAMS.items():
        path = path.replace(name, value)
    return path


def doctor_person(sub: str = "doctor", *finess: str) -> DemoPerson:
    """A doctor with Pro Santé Connect's claims, practising at these sites."""
    activities = [
        {"numeroFinessSite": site, "raisonSocialeSite": f"Cabinet {site}", "codeModeExercice": "L"} for site in finess
    ]
    claims = {
        "sub": sub, "SubjectNameID": "899700000013", "given_name": "Dominique", "family_name": "Exemple",
        "SubjectRefPro": {"exercices": [{"codeProfession": "10", "activities": activities}]},
    }  # fmt: skip
    return DemoPerson(sub, claims)


def staff_person(sub: str, email: str, **changes: Any) -> DemoPerson:
    claims = {"sub": sub, "given_name": "Alix", "family_name": sub, "email": email, "email_verified": True}
    return DemoPerson(sub, claims, **changes)


class Shown(HTMLParser):
    """What a test looks for in a page: links, forms with their hidden fields, the text of its main heading."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.hidden: dict[str, str] = {}
        self.heading, self._in_heading = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(given.get("href", ""))
        if tag == "input" and given.get("type") == "hidden":
            self.hidden[given["name"]] = given.get("value", "")
        self._in_heading = self._in_heading or tag == "h1"

    def handle_endtag(self, tag: str) -> None:
        self._in_heading = self._in_heading and tag != "h1"

    def handle_data(self, data: str) -> None:
        self.heading += data if self._in_heading else ""


def secret_of(browser: httpx2.AsyncClient) -> str:
    """The secret in a browser's session cookie, of which the database has the hash."""
    return str(URLSafeSerializer(SECRET, salt="session").loads(browser.cookies["session"])[0])


@dataclass
class Web:
    """The application over a small observatory."""

    world: World
    app: Starlette
    settings: Settings
    provider: DemoProvider
    persons: dict[str, list[DemoPerson]]
    browsers: list[httpx2.AsyncClient] = field(default_factory=list)

    def browser(self, **headers: str) -> httpx2.AsyncClient:
        """A browser on the site itself: its forms say where they come from."""
        client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app), base_url=BASE, headers={"Origin": BASE, **headers}
        )
        self.browsers.append(client)
        return client

    def program(self, **headers: str) -> httpx2.AsyncClient:
        """A program, which is no browser: it says nothing of where it comes from."""
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url=BASE, headers=headers)
        self.browsers.append(client)
        return client

    async def as_account(self, account: Account, *, second_factor: bool = True) -> httpx2.AsyncClient:
        """A browser in which this account is signed in."""
        identity = Identity(
            account.issuer or "", account.subject or "", "Alix", str(account.role), None, account.rpps, "", frozenset(),
            (Site("750000001", "", "", "Cabinet A", "10", ""),) if account.rpps else (),
        )  # fmt: skip
        if account.rpps:
            _, cookie = await sign_in_doctor(self.world.means, identity)
        else:
            _, cookie = await sign_in_staff(self.world.means, identity, second_factor=True)
        if not second_factor:
            await Session.filter(account_id=account.id).update(second_factor=False)
        client = self.browser()
        client.cookies.set("session", stamped(SECRET, cookie, self.world.clock.now().timestamp()))
        return client

    async def sign_in(self, way: str, sub: str, **query: str) -> tuple[httpx2.AsyncClient, httpx2.Response]:
        """The whole journey over HTTP: away to the identity provider, a choice there, and back."""
        client = self.browser()
        begun = await client.get(f"/login/{way}", params=query)
        chosen = await client.post(begun.headers["location"], data={"sub": sub})
        return client, await client.get(chosen.headers["location"])

    async def extract(self, practice_id: str = "practice-a", *, patients: tuple[str, ...] = ("1", "2", "3")) -> None:
        """Records of these patients leave the practice and are taken into the store."""
        w = self.world
        family = f"practice:{practice_id}"
        if not w.means.ring.exists(family):
            w.means.ring.create(family)
        await receive.register_practice_key(w.means, practice_id, w.means.ring.public_key(family), by=w.operator)
        folder = w.folder / f"extraction-{w.clock.now():%H%M%S%f}"
        await permit.issue(
            w.means, observatory_id="demo", practice_id=practice_id, by=w.operator, out=folder / "permit"
        )
        records = folder / "records.csv"
        _write_records(records, practice_id, patients)
        read = read_permit(folder / "permit", w.means.ring.public_key(), w.clock.now(), crossing=Crossing.EXTRACTION)
        filter_extraction(read, records, folder / "out", practice_key=w.means.ring.signing_key(family))
        await receive.receive(w.means, folder / "out", practice_id=practice_id, actor=w.operator.actor)

    async def prepared(self) -> str:
        await self.extract()
        return await release.prepare(self.world.means, "diabetes", by=self.world.operator)

    async def sealed(self) -> str:
        w = self.world
        release_id = await self.prepared()
        await release.approve(w.means, release_id, by=w.dpo, second_factor=True)
        await release.seal(w.means, release_id, by=w.operator)
        return release_id

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        for client in self.browsers:
            await client.aclose()


def _write_records(path: Path, practice_id: str, patients: tuple[str, ...]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["practice_id", "patient_id", "doctor_id", "recorded_on", "provenance", "diagnosis"])
        for number in patients:
            out.writerow([practice_id, number, "doctor-1", "2026-02-03", "entered", "sct|44054006"])


def site(world: World, *, base: str = BASE, **changes: Any) -> Web:
    """The application as `portal.app.build` makes it, with the demo's identity provider inside and beside it."""
    secret = {"issuer": ISSUER, "client_secret": SecretStr("secret")}
    settings = Settings(
        demo=True, base_url=base, data_dir=world.means.data_dir, keys_dir=world.means.ring.folder,
        secret=SecretStr(SECRET.decode()), doctor_oidc=DoctorSignIn(client_id="doctors", **secret),
        staff_oidc=StaffSignIn(client_id="desk", **secret), **changes,
    )  # fmt: skip
    persons: dict[str, list[DemoPerson]] = {"doctors": [], "desk": []}
    clients = {
        name: DemoClient("secret", f"{BASE}/login/callback", f"{BASE}/", known) for name, known in persons.items()
    }
    provider = DemoProvider(ISSUER, clients, world.clock)
    mount = Mount("/demo/id", routes=provider.routes())
    peer = httpx2.ASGITransport(app=Starlette(routes=[mount]))
    app = build(
        settings,
        world.means,
        doctors=OpenIdProvider(settings.doctor_oidc, world.clock, transport=peer),
        staff=OpenIdProvider(settings.staff_oidc, world.clock, transport=peer),
        more_routes=[mount],
        database=False,
    )
    return Web(world, app, settings, provider, persons)


# --- really served ---------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def served(web: Web, *, port: int = 0) -> AsyncIterator[Pages]:
    """The application behind a real server on this machine: at its public address, or at another port."""
    port = port or int(web.settings.base_url.rpartition(":")[2])
    logging.getLogger("_granian").setLevel(logging.WARNING)
    server = Server(web.app, "127.0.0.1", port, interface=Interfaces.ASGI, log_level=LogLevels.warning)
    serving = asyncio.create_task(server.serve())
    pages = Pages(f"http://127.0.0.1:{port}")
    try:
        for _ in range(200):
            if (await pages.get("/healthz")).status == 200:
                break
            await asyncio.sleep(0.05)
        yield pages
    finally:
        server.stop()
        with suppress(asyncio.CancelledError):
            await serving
