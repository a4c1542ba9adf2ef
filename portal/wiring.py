"""What the settings say, made: the means of every step, the keys, the connections to the mail server; and a command's
step run with them."""

import asyncio
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

from portal.flow.means import Means
from portal.outside.clock import Clock, SystemClock
from portal.outside.keys import KeyRing
from portal.outside.keystore import CommandStore
from portal.outside.mail import Post, Server, SmtpPost
from portal.records.database import opened
from portal.rules.refusals import Refused
from portal.settings import Settings

T = TypeVar("T")


def make_means(settings: Settings, clock: Clock) -> Means:
    """What the steps need from outside, as the settings say."""
    return Means(
        clock=clock,
        ring=key_ring(settings),
        data_dir=settings.data_dir,
        base_url=settings.base_url,
        mail_from=settings.mail_from,
        returns_address=settings.returns_address,
        releases_in_plain=settings.demo,
        session_lasts=timedelta(hours=settings.session_hours),
    )


def key_ring(settings: Settings) -> KeyRing:
    """The keys, from the folder or the secret store that the settings name."""
    command = shlex.split(settings.keys_command)
    return KeyRing(CommandStore(command) if command else settings.keys_dir)


@asynccontextmanager
async def worker_post(settings: Settings) -> AsyncIterator[Post]:
    """The connections to the mail server that the settings name."""
    if not settings.smtp_host:
        raise Refused("embedded_mailbox", "name your mail server", where="PORTAL_SMTP_HOST", status=503)
    server = Server(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_starttls,
        settings.smtp_username,
        settings.smtp_password.get_secret_value(),
    )
    async with SmtpPost(server) as post:
        yield post


def run_step(step: Callable[[Means, Settings], Awaitable[T]]) -> T:
    """A step of a command, with the settings' means and an open database."""
    settings = Settings()
    means = make_means(settings, SystemClock())

    async def inside() -> T:
        async with opened(settings.database_url):
            return await step(means, settings)

    return asyncio.run(inside())


def run_with_means(step: Callable[[Means], Awaitable[T]]) -> T:
    """The same for a step that needs nothing else of the settings."""
    return run_step(lambda means, _: step(means))
