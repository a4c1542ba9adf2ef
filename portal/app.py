"""Puts the parts together: settings, means, identity providers, pages and guards become one application."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from granian import Granian
from granian.constants import Interfaces
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount
from tortoise.contrib.starlette import RegisterTortoise

from portal.flow.means import Means
from portal.flow.notify import read_returns, send_due
from portal.outside.clock import Clock, SystemClock
from portal.outside.identity import OpenIdProvider
from portal.outside.keys import KeyRing
from portal.outside.mail import Post, Server, SmtpPost
from portal.outside.returns import MaildirReturns
from portal.records.clearance import renew_verdicts
from portal.records.database import configuration
from portal.rules.refusals import Refused
from portal.settings import Settings, signing_secret, unsafe
from portal.web.frame import Guide, Portal
from portal.web.letters import render_letter
from portal.web.problems import Faults, on_http, on_refused
from portal.web.public import Static
from portal.web.routes import routes
from portal.web.security import Guard

BETWEEN_ROUNDS = 15.0
"""Seconds that the worker rests when nothing is due."""
ROUNDS_A_READING = 60
"""So many rounds pass between two readings of the returns: each one is an entry of the log."""


def make_means(settings: Settings, clock: Clock) -> Means:
    """What the steps need from outside, as the settings say."""
    return Means(
        clock=clock,
        ring=KeyRing(settings.keys_dir),
        data_dir=settings.data_dir,
        base_url=settings.base_url,
        mail_from=settings.mail_from,
        returns_address=settings.returns_address,
    )


def make_providers(settings: Settings, clock: Clock) -> tuple[OpenIdProvider, OpenIdProvider]:
    """Where doctors and where staff sign in."""
    return OpenIdProvider(settings.doctor_oidc, clock), OpenIdProvider(settings.staff_oidc, clock)


def build(
    settings: Settings,
    means: Means,
    *,
    doctors: OpenIdProvider,
    staff: OpenIdProvider,
    more_routes: Sequence[BaseRoute] = (),
    guide: Guide | None = None,
    database: bool = True,
) -> Starlette:
    """The application. `more_routes` stand outside the table of policies, so only the demo may bring any.

    `database=False`: whoever calls has opened the database (tests do, and the demo's driver).
    """
    if more_routes and not settings.demo:
        raise Refused("demo_routes", "only the demo adds routes of its own", where="app", status=503)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if not database:
            yield
            return
        async with RegisterTortoise(app, config=configuration(settings.database_url)):
            await renew_verdicts()
            yield

    app = Starlette(
        routes=[*routes(), Mount("/static", Static(), name="static"), *more_routes],
        middleware=[Middleware(Guard, settings=settings), Middleware(Faults)],
        exception_handlers={Refused: on_refused, HTTPException: on_http},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # the redirect would be made from the Host header
    app.state.portal = Portal(settings, means, doctors, staff, signing_secret(settings), guide)
    return app


# --- the two processes of a production installation ------------------------------------------------------------------


def serve_pages(settings: Settings, *, workers: int, host: str, port: int) -> None:
    """Serve until stopped. Refused with every unsafe setting: `portal check` says how to mend each one."""
    _refuse_unsafe(settings)
    Granian(
        "portal.app:served",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        factory=True,
        websockets=False,
        log_access=False,  # an address may hold a link's token
    ).serve()


def served() -> Starlette:
    """The application of one serving process, made from the environment."""
    settings = Settings()
    _refuse_unsafe(settings)
    clock = SystemClock()
    doctors, staff = make_providers(settings, clock)
    return build(settings, make_means(settings, clock), doctors=doctors, staff=staff)


@asynccontextmanager
async def worker_post(settings: Settings) -> AsyncIterator[Post]:
    """The way to the next mail server."""
    if not settings.smtp_host:
        raise Refused("embedded_mailbox", "name your mail server: PORTAL_SMTP_HOST", where="worker", status=503)
    server = Server(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_starttls,
        settings.smtp_username,
        settings.smtp_password.get_secret_value(),
    )
    async with SmtpPost(server) as post:
        yield post


async def work(means: Means, settings: Settings, *, once: bool) -> None:
    """Send what is due and read what came back, again and again; `once`: until nothing is due."""
    _refuse_unsafe(settings)
    folder = settings.returns_maildir
    async with worker_post(settings) as post:
        for number in itertools.count():
            while await send_due(means, post, render_letter):
                pass
            if folder is not None and number % ROUNDS_A_READING == 0:
                await read_returns(means, MaildirReturns(folder, settings.returns_address))
            if once:
                return
            await asyncio.sleep(BETWEEN_ROUNDS)


def _refuse_unsafe(settings: Settings) -> None:
    if found := unsafe(settings):
        raise Refused("unsafe_settings", f"{len(found)} settings are unsafe: `portal check`", where=found[0].where)
