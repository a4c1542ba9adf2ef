"""Handing mail to the next server, and its answer: taken, refused for good, or not now."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import StrEnum
from ssl import SSLContext
from types import TracebackType
from typing import Protocol, Self

import aiosmtplib

from portal.outside.envelope import wire_address


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    REFUSED_FOR_GOOD = "refused_for_good"
    TRY_AGAIN = "try_again"


@dataclass(frozen=True, slots=True)
class Answer:
    """`code` is the server's reply code; None when it never replied."""

    outcome: Outcome
    code: int | None = None


TRY_AGAIN = Answer(Outcome.TRY_AGAIN)
OWN_FAULT = frozenset({500, 501, 502, 503, 504, 521, 530, 534, 535, 538, 555})
"""Replies about how we speak or sign in, not about the recipient: no patient is called unreachable for them."""


class Post(Protocol):
    async def send(self, message: bytes, sender: str, recipient: str) -> Answer:
        """Hand one ready message over. Whatever goes wrong is an Answer; only cancelling raises."""


async def send_and_record(
    post: Post,
    message: bytes,
    sender: str,
    recipient: str,
    record: Callable[[Answer], Awaitable[None]],
) -> Answer:
    """Send, then record the answer. A caller cancelled meanwhile waits until both are done: no answer is lost."""

    async def both() -> Answer:
        answer = await post.send(message, sender, recipient)
        await record(answer)
        return answer

    task = asyncio.create_task(both())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        raise


@dataclass(frozen=True, slots=True)
class Server:
    """The next mail server. `starttls` is said, never guessed: guessing goes in clear when it fails."""

    host: str
    port: int
    starttls: bool
    username: str = ""
    password: str = ""
    tls: SSLContext | None = None  # None: the machine's trusted certificates


class SmtpPost:
    """Real SMTP with up to `connections` connections, kept for as long as the context is open.

    Use as `async with SmtpPost(server) as post`; `send` may be called concurrently.
    """

    def __init__(self, server: Server, *, connections: int = 4, timeout: float = 30.0) -> None:
        self._server, self._timeout = server, timeout
        self._turns = asyncio.Semaphore(connections)
        self._idle: list[aiosmtplib.SMTP] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._idle:
            client = self._idle.pop()
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
            client.close()

    async def send(self, message: bytes, sender: str, recipient: str) -> Answer:
        async with self._turns:
            answer = await self._send_on_idle(message, sender, recipient)
            if answer is not None:
                return answer
            try:
                client = await self._connected()
            except (aiosmtplib.SMTPException, OSError) as error:
                return Answer(Outcome.TRY_AGAIN, getattr(error, "code", None))
            return await self._exchange(client, message, sender, recipient) or TRY_AGAIN

    async def _send_on_idle(self, message: bytes, sender: str, recipient: str) -> Answer | None:
        """On kept connections. None: there is none, or each had ended before it heard of this message."""
        while self._idle:
            answer = await self._exchange(self._idle.pop(), message, sender, recipient)
            if answer is not None:
                return answer
        return None

    async def _connected(self) -> aiosmtplib.SMTP:
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            start_tls=server.starttls,
            username=server.username or None,
            password=server.password or None,
            tls_context=server.tls,
            local_hostname="localhost" if server.host in ("127.0.0.1", "localhost") else None,
            timeout=self._timeout,
        )
        with ExitStack() as undone:
            undone.callback(client.close)
            await client.connect()
            await client.ehlo()
            undone.pop_all()
        return client

    async def _exchange(self, client: aiosmtplib.SMTP, message: bytes, sender: str, recipient: str) -> Answer | None:
        """One message on one connection, which is kept only if it ended in a known state."""
        clean = False
        try:
            answer = await _transaction(client, message, sender, recipient)
            clean = answer is not None and client.is_connected
            return answer
        finally:
            if clean:
                self._idle.append(client)
            else:
                client.close()


async def _transaction(client: aiosmtplib.SMTP, message: bytes, sender: str, recipient: str) -> Answer | None:
    """MAIL, RCPT, DATA. None: the connection had ended before the recipient was named, so nothing was sent."""
    try:
        address = wire_address(recipient)
    except ValueError:
        return Answer(Outcome.REFUSED_FOR_GOOD)  # no server can be told this address
    if not address.isascii() and not client.supports_extension("smtputf8"):
        return Answer(Outcome.REFUSED_FOR_GOOD)  # ours cannot
    try:
        await client.mail(sender, options=[] if address.isascii() else ["SMTPUTF8"])
    except ValueError:
        return TRY_AGAIN  # our own address cannot be said
    except aiosmtplib.SMTPResponseException as error:
        return None if error.code == 421 else await _reset(client, Answer(Outcome.TRY_AGAIN, error.code))
    except (aiosmtplib.SMTPException, OSError):
        return None
    try:
        await client.rcpt(address, encoding="utf-8")
        await client.data(message)
    except aiosmtplib.SMTPResponseException as error:
        return await _reset(client, _judged(error.code))
    except (aiosmtplib.SMTPException, OSError):
        client.close()
        return TRY_AGAIN
    return Answer(Outcome.ACCEPTED, 250)


def _judged(code: int) -> Answer:
    for_good = 500 <= code < 600 and code not in OWN_FAULT
    return Answer(Outcome.REFUSED_FOR_GOOD if for_good else Outcome.TRY_AGAIN, code)


async def _reset(client: aiosmtplib.SMTP, answer: Answer) -> Answer:
    """Ready for the next message; a connection that cannot be is closed. The answer stands either way."""
    try:
        await client.rset()
    except (aiosmtplib.SMTPException, OSError):
        client.close()
    return answer
