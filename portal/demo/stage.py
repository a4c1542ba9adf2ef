"""The stage: keys, database, served pages, mailbox and identity provider, all real, on this machine."""

import asyncio
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server
from pydantic import SecretStr
from starlette.routing import Mount

from portal.app import build
from portal.demo.clock import PlayedClock
from portal.demo.mailbox import DemoMailbox
from portal.demo.mailbox_pages import mailbox_routes
from portal.demo.people import demo_persons
from portal.demo.provider import DemoClient, DemoPerson, DemoProvider
from portal.flow.means import Means
from portal.outside.identity import OpenIdProvider
from portal.outside.mail import Server as MailServer
from portal.outside.mail import SmtpPost
from portal.outside.returns import MaildirReturns
from portal.records.migrations import migrate
from portal.settings import DoctorSignIn, Settings, StaffSignIn
from portal.web.render import folder
from portal.wiring import make_means

ISSUER = "http://id.demo.invalid"
"""The demo's identity provider keeps its name whatever the port, so that accounts stay bound to it."""

FAMILIES = ("contacts", "blind", "links", "matching", "signing", "releases")


@dataclass(frozen=True, slots=True)
class Stage:
    """What the driver holds: where the pages are served, the mail, and the means of its worker."""

    base: str
    folder: Path
    settings: Settings
    means: Means
    clock: PlayedClock
    mailbox: DemoMailbox
    post: SmtpPost
    returns: MaildirReturns


def demo_settings(folder_: Path, base: str, database_url: str | None) -> Settings:
    """Demo mode with everything under one folder."""
    given: dict[str, Any] = {
        "issuer": ISSUER,
        "discovery_url": f"{base}/demo/id/.well-known/openid-configuration",
        "client_secret": SecretStr(secrets.token_urlsafe(24)),
    }
    return Settings(
        demo=True,
        database_url=database_url or f"sqlite://{folder_}/portal.sqlite3",
        data_dir=folder_,
        keys_dir=folder_ / "keys",
        base_url=base,
        clock="played",
        mail_from="notices@observatory.example.org",
        returns_address="returns+{ref}@observatory.example.org",
        smtp_starttls=False,
        returns_maildir=folder_ / "returns",
        doctor_oidc=DoctorSignIn(client_id="portal-doctors", **given),
        staff_oidc=StaffSignIn(client_id="portal-staff", **given),
    )


@asynccontextmanager
async def stage(
    folder_: Path,
    *,
    clock: PlayedClock,
    doctors: list[DemoPerson],
    port: int = 0,
    database_url: str | None = None,
    guide: Callable[[], dict[str, Any] | None] = lambda: None,
) -> AsyncIterator[Stage]:
    """Everything started, in this process and on loopback only; everything stopped afterwards."""
    port = port or _free_port()
    base = f"http://127.0.0.1:{port}"
    settings = demo_settings(folder_, base, database_url)
    means = make_means(settings, clock)
    for family in FAMILIES:
        if not means.ring.exists(family):
            means.ring.create(family)
    means.ring.export_public(folder_ / "portal.pub")
    await asyncio.to_thread(migrate, settings.database_url, folder("alembic"))
    provider = DemoProvider(ISSUER, _clients(settings, doctors), clock, at=f"{base}/demo/id")
    async with DemoMailbox(folder_ / "mail", returns=folder_ / "returns") as mailbox:
        app = build(
            settings,
            means,
            doctors=OpenIdProvider(settings.doctor_oidc, clock),
            staff=OpenIdProvider(settings.staff_oidc, clock),
            more_routes=[
                Mount("/demo/id", routes=provider.routes()),
                Mount("/demo/mail", routes=mailbox_routes(mailbox.kept, at="/demo/mail")),
            ],
            guide=guide,
        )
        logging.getLogger("_granian").setLevel(logging.WARNING)
        server = Server(app, "127.0.0.1", port, interface=Interfaces.ASGI, log_level=LogLevels.warning)
        serving = asyncio.create_task(server.serve())
        try:
            await _listening(port, serving)
            mail = MailServer("127.0.0.1", mailbox.port, starttls=False)
            async with SmtpPost(mail) as post:
                returns = MaildirReturns(folder_ / "returns", settings.returns_address)
                yield Stage(base, folder_, settings, means, clock, mailbox, post, returns)
        finally:
            server.stop()  # type: ignore[no-untyped-call] # granian does not annotate it
            with suppress(asyncio.CancelledError):
                await serving


def _clients(settings: Settings, doctors: list[DemoPerson]) -> dict[str, DemoClient]:
    back, home = f"{settings.base_url}/login/callback", f"{settings.base_url}/"
    return {
        peer.client_id: DemoClient(peer.client_secret.get_secret_value(), back, home, persons)
        for peer, persons in ((settings.doctor_oidc, doctors), (settings.staff_oidc, demo_persons()))
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _listening(port: int, serving: asyncio.Task[Any]) -> None:
    """Wait until the pages answer; what stopped the server is raised here."""
    for _ in range(200):
        if serving.done():
            serving.result()
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("the pages did not start")
