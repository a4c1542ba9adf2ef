"""What the settings say, made: the means of every step, the keys, the connections to the mail server."""

import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from portal.flow.means import Means
from portal.outside.clock import Clock
from portal.outside.keys import KeyRing
from portal.outside.keystore import CommandStore
from portal.outside.mail import Post, Server, SmtpPost
from portal.rules.refusals import Refused
from portal.settings import Settings


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
