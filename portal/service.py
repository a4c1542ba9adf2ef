"""What runs for a long time: the served pages and the worker. Both refuse to start on unsafe settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from granian.constants import Interfaces
from granian.server import Server
from starlette.applications import Starlette

from portal.app import build, make_means, make_providers
from portal.flow.means import Means
from portal.flow.notify import read_returns, send_due
from portal.outside.clock import SystemClock
from portal.outside.mail import Server as MailServer
from portal.outside.mail import SmtpPost
from portal.outside.returns import MaildirReturns
from portal.rules.refusals import Refused, RefusedFile
from portal.settings import Settings, unsafe
from portal.web.letters import render_letter

PAUSE = 20
"""Seconds between two rounds of the worker when nothing was due."""

LONG_STREAMS_END_AFTER = 5
"""Seconds that open downloads are given when the server stops."""


def refuse_unsafe(settings: Settings) -> None:
    """RefusedFile with every unsafe setting. The demo is played by `portal demo`, and by nothing else."""
    if settings.demo:
        raise Refused("demo_settings", "demo mode is for `portal demo` only: unset PORTAL_DEMO", where="PORTAL_DEMO")
    problems = unsafe(settings)
    if problems:
        raise RefusedFile(problems)


def create() -> Starlette:
    """The application of one server process, from the settings of its environment."""
    settings, clock = Settings(), SystemClock()
    doctors, staff = make_providers(settings, clock)
    return build(settings, make_means(settings, clock), doctors=doctors, staff=staff)


def serve_pages(settings: Settings, *, workers: int, host: str, port: int) -> None:
    """Serve until stopped."""
    refuse_unsafe(settings)
    Server(
        "portal.service:create",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=workers,
        factory=True,
        workers_kill_timeout=LONG_STREAMS_END_AFTER,
    ).serve()


@asynccontextmanager
async def worker_post(settings: Settings) -> AsyncIterator[SmtpPost]:
    """The connections to the mail server that the settings name."""
    server = MailServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_starttls,
        settings.smtp_username,
        settings.smtp_password.get_secret_value(),
    )
    async with SmtpPost(server) as post:
        yield post


async def work(means: Means, settings: Settings, *, once: bool) -> None:
    """Send what is due, read what came back; again and again, or `once`. Safe to run several."""
    refuse_unsafe(settings)
    if settings.returns_maildir is None:
        raise Refused("no_returns", "name the Maildir of the returns address", where="PORTAL_RETURNS_MAILDIR")
    returns = MaildirReturns(settings.returns_maildir, settings.returns_address)
    async with worker_post(settings) as post:
        while True:
            while await send_due(means, post, render_letter):
                pass
            await read_returns(means, returns)
            if once:
                return
            await asyncio.sleep(PAUSE)
