"""The demo's mailbox: a real SMTP server on loopback that keeps what it is sent, refuses and bounces as told."""

import asyncio
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from mailbox import Maildir
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

from aiosmtpd.smtp import SMTP as Server
from aiosmtpd.smtp import Envelope, Session

HOST = "127.0.0.1"


class MailFolder:
    """The messages as numbered .eml files, oldest first; the envelope is kept in two header lines on top."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._kept = int(max(self.names(), default="0"))

    def keep(self, sender: str, recipient: str, content: bytes) -> Path:
        self._kept += 1
        path = self.folder / f"{self._kept:06}.eml"
        draft = path.with_suffix(".draft")
        draft.write_bytes(f"Return-Path: <{sender}>\r\nDelivered-To: {recipient}\r\n".encode() + content)
        return draft.replace(path)

    def names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.eml"))

    def read(self, name: str) -> EmailMessage:
        return message_from_bytes((self.folder / f"{name}.eml").read_bytes(), policy=default)

    def all(self) -> list[EmailMessage]:
        return [self.read(name) for name in self.names()]

    def messages_for(self, address: str) -> list[EmailMessage]:
        return [each for each in self.all() if each["Delivered-To"] == address]


class DemoMailbox:
    """`async with DemoMailbox(...) as box`: mail for `box.port` is kept in `box.kept`.

    `refuse(recipient)` answers None, or why not, which is then said with 550. A recipient given to
    `bounce_later` is accepted first; a delivery report then goes to the returns, addressed to the envelope's sender.
    """

    def __init__(
        self,
        folder: Path,
        *,
        returns: Path | None = None,
        refuse: Callable[[str], str | None] = lambda recipient: None,
        port: int = 0,
    ) -> None:
        self.kept, self.refuse, self.port = MailFolder(folder), refuse, port
        self._returns = Maildir(returns) if returns else None
        self._bouncing: set[str] = set()
        self._sessions: WeakSet[Server] = WeakSet()
        self._listening: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._session, HOST, self.port)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *raised: object) -> None:
        if self._listening:
            self._listening.close()
        for session in self._sessions:
            if session.transport is not None:
                session.transport.close()

    def bounce_later(self, recipient: str) -> None:
        self._bouncing.add(recipient)

    def _session(self) -> Server:
        session = Server(self, hostname="localhost", ident="demo mailbox", enable_SMTPUTF8=True)
        self._sessions.add(session)
        return session

    async def handle_RCPT(
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if why := self.refuse(address):
            return f"550 5.1.1 {why}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        sender, content = envelope.mail_from or "", envelope.original_content or b""
        for recipient in envelope.rcpt_tos:
            self.kept.keep(sender, recipient, content)
            if recipient in self._bouncing and self._returns is not None:
                self._returns.add(delivery_report(sender, recipient))
        return "250 2.0.0 kept"


def delivery_report(sender: str, recipient: str, *, status: str = "5.1.1", action: str = "failed") -> bytes:
    """An RFC 3464 report to the envelope's sender, as a mail server would write it."""
    report = EmailMessage(policy=SMTP)
    report["Return-Path"], report["Delivered-To"] = "<>", sender
    report["From"], report["To"] = "Mail Delivery System <mailer-daemon@localhost>", sender
    report["Subject"], report["Auto-Submitted"] = "Undelivered Mail Returned to Sender", "auto-replied"
    report.set_content("Your message could not be delivered.\n")
    report.make_mixed()
    report.replace_header("Content-Type", 'multipart/report; report-type="delivery-status"')
    part = EmailMessage(policy=SMTP)
    part["Content-Type"] = "message/delivery-status"
    ours, theirs = EmailMessage(policy=SMTP), EmailMessage(policy=SMTP)
    ours["Reporting-MTA"] = "dns; localhost"
    theirs["Final-Recipient"], theirs["Action"], theirs["Status"] = f"rfc822; {recipient}", action, status
    part.set_payload([ours, theirs])
    report.attach(part)
    return report.as_bytes()
