"""Mail through real servers on loopback: every exchange ends in one answer, and the answer is never lost."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from portal.demo.mailbox import DemoMailbox
from portal.outside.mail import TRY_AGAIN, Answer, Outcome, Server, SmtpPost, send_and_record

MESSAGE = b"Subject: x\r\n\r\nHello\r\n.\r\nbye\r\n"
SENDER, PATIENT = "returns+n1@portal.example", "patient@mail.example"
ACCEPTED = Answer(Outcome.ACCEPTED, 250)


class Scripted:
    """A server's handler that answers what a test tells it to, and counts."""

    def __init__(self, **replies: str) -> None:
        self.replies = {"MAIL": "250 OK", "RCPT": "250 OK", "DATA": "250 OK"} | replies
        self.kept: list[tuple[str, list[str], bytes]] = []
        self.sessions = 0
        self.slow = asyncio.Event()
        self.slow.set()
        self.in_data = asyncio.Event()

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.replies["MAIL"].startswith("250"):
            envelope.mail_from = address
        return self.replies["MAIL"]

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.replies["RCPT"] == "hang up":
            server.transport.abort()
        if self.replies["RCPT"].startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.replies["RCPT"]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.in_data.set()
        await self.slow.wait()
        if self.replies["DATA"] == "hang up":
            server.transport.abort()
        if self.replies["DATA"].startswith("250"):
            self.kept.append((envelope.mail_from, envelope.rcpt_tos, envelope.original_content))
        return self.replies["DATA"]


@asynccontextmanager
async def serving(handler: Scripted, **given: Any) -> AsyncIterator[Server]:
    sessions: list[SMTP] = []

    def session() -> SMTP:
        handler.sessions += 1
        sessions.append(SMTP(handler, hostname="localhost", **given))
        return sessions[-1]

    listening = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    try:
        yield Server("127.0.0.1", listening.sockets[0].getsockname()[1], starttls=False)
    finally:
        listening.close()
        for each in sessions:
            if each.transport is not None:
                each.transport.close()
        await asyncio.sleep(0)


async def answer_of(handler: Scripted, recipient: str = PATIENT, **given: Any) -> Answer:
    async with serving(handler, **given) as server, SmtpPost(server, timeout=2) as post:
        return await post.send(MESSAGE, SENDER, recipient)


async def test_an_accepted_message_arrives_byte_for_byte_with_its_envelope():
    handler = Scripted()
    assert await answer_of(handler) == ACCEPTED
    assert handler.kept == [(SENDER, [PATIENT], MESSAGE)]


@pytest.mark.parametrize(
    ("step", "reply", "outcome"),
    [
        ("RCPT", "550 5.1.1 no such user", Outcome.REFUSED_FOR_GOOD),
        ("RCPT", "553 5.1.3 bad address", Outcome.REFUSED_FOR_GOOD),
        ("RCPT", "450 4.2.0 greylisted", Outcome.TRY_AGAIN),
        ("RCPT", "452 4.2.2 full", Outcome.TRY_AGAIN),
        ("RCPT", "530 5.7.0 sign in first", Outcome.TRY_AGAIN),
        ("DATA", "554 5.7.1 not wanted", Outcome.REFUSED_FOR_GOOD),
        ("DATA", "451 4.3.0 later", Outcome.TRY_AGAIN),
        ("MAIL", "550 5.7.1 sender not allowed", Outcome.TRY_AGAIN),
        ("MAIL", "451 4.3.0 later", Outcome.TRY_AGAIN),
    ],
)
async def test_each_reply_is_judged_and_the_connection_serves_the_next(step: str, reply: str, outcome: Outcome):
    handler = Scripted(**{step: reply})
    async with serving(handler) as server, SmtpPost(server, connections=1, timeout=2) as post:
        assert await post.send(MESSAGE, SENDER, PATIENT) == Answer(outcome, int(reply[:3]))
        handler.replies[step] = "250 OK"
        assert await post.send(MESSAGE, SENDER, PATIENT) == ACCEPTED
    assert handler.sessions == 1


@pytest.mark.parametrize("step", ["RCPT", "DATA"])
async def test_a_server_that_hangs_up_is_tried_again_later_and_the_next_message_passes(step: str):
    handler = Scripted(**{step: "hang up"})
    async with serving(handler) as server, SmtpPost(server, connections=1, timeout=2) as post:
        assert await post.send(MESSAGE, SENDER, PATIENT) == TRY_AGAIN
        handler.replies[step] = "250 OK"
        assert await post.send(MESSAGE, SENDER, PATIENT) == ACCEPTED


async def test_a_kept_connection_that_the_server_has_ended_costs_nothing():
    handler = Scripted()
    async with serving(handler, timeout=0.05) as server, SmtpPost(server, timeout=2) as post:
        assert await post.send(MESSAGE, SENDER, PATIENT) == ACCEPTED
        await asyncio.sleep(0.2)
        assert await post.send(MESSAGE, SENDER, PATIENT) == ACCEPTED
    assert (len(handler.kept), handler.sessions) == (2, 2)


async def test_a_server_that_says_goodbye_before_the_message_is_asked_on_a_new_connection():
    handler = Scripted()
    async with serving(handler) as server, SmtpPost(server, timeout=2) as post:
        assert await post.send(MESSAGE, SENDER, PATIENT) == ACCEPTED
        handler.replies["MAIL"] = "421 4.3.2 too many messages"
        assert await post.send(MESSAGE, SENDER, PATIENT) == TRY_AGAIN
        handler.replies["MAIL"] = "250 OK"
        assert await post.send(MESSAGE, SENDER, PATIENT) == ACCEPTED


async def test_a_server_that_is_not_there_or_does_not_answer_is_tried_again():
    silent = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with SmtpPost(Server("127.0.0.1", port, starttls=False), timeout=0.1) as post:
        assert await post.send(MESSAGE, SENDER, PATIENT) == TRY_AGAIN
        silent.close()
        assert await post.send(MESSAGE, SENDER, PATIENT) == TRY_AGAIN


@pytest.mark.parametrize(
    "recipient",
    ["", "nobody", "@mail.example", "a@", "a@mail.example>\r\nRCPT TO:<b@mail.example", "a b@mail.example",
     "élodie@mail.example", f"a@{'x' * 70}.example"],
)  # fmt: skip
async def test_an_address_that_no_server_can_be_told_is_refused_for_good(recipient: str):
    handler = Scripted()
    assert await answer_of(handler, recipient) == Answer(Outcome.REFUSED_FOR_GOOD)
    assert handler.kept == []


async def test_letters_beyond_ascii_go_through_where_the_server_can():
    handler = Scripted()
    assert await answer_of(handler, "élodie@été.example", enable_SMTPUTF8=True) == ACCEPTED
    assert handler.kept[0][1] == ["élodie@xn--t-9ja9b.example"] or handler.kept[0][1][0].startswith("élodie@xn--")


async def test_many_messages_share_few_connections_and_each_gets_its_own_answer():
    handler = Scripted()
    async with serving(handler) as server, SmtpPost(server, connections=3, timeout=5) as post:
        answers = await asyncio.gather(
            *(post.send(MESSAGE, SENDER, f"p{n}@mail.example" if n % 5 else "") for n in range(60))
        )
    assert [each.outcome for each in answers] == [
        Outcome.ACCEPTED if n % 5 else Outcome.REFUSED_FOR_GOOD for n in range(60)
    ]
    assert sorted(to for _, to, _ in handler.kept) == sorted([f"p{n}@mail.example"] for n in range(60) if n % 5)
    assert handler.sessions == 3


def recording(into: list[Answer]) -> Callable[[Answer], Awaitable[None]]:
    async def record(answer: Answer) -> None:
        await asyncio.sleep(0.01)
        into.append(answer)

    return record


async def test_a_sender_cancelled_while_the_server_answers_still_records_the_answer():
    handler, recorded = Scripted(), []
    async with serving(handler) as server, SmtpPost(server, timeout=2) as post:
        handler.slow.clear()
        sending = asyncio.create_task(send_and_record(post, MESSAGE, SENDER, PATIENT, recording(recorded)))
        await handler.in_data.wait()
        for _ in range(3):
            sending.cancel()
            await asyncio.sleep(0.01)
        handler.slow.set()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert recorded == [ACCEPTED]
    assert len(handler.kept) == 1


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 8, 13, 21, 34])
async def test_cancelled_at_any_step_what_was_accepted_is_recorded(after: int):
    handler, recorded = Scripted(), []
    async with serving(handler) as server, SmtpPost(server, connections=2, timeout=2) as post:
        tasks = [
            asyncio.create_task(send_and_record(post, MESSAGE, SENDER, PATIENT, recording(recorded))) for _ in range(8)
        ]
        for _ in range(after):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert recorded.count(ACCEPTED) == len(handler.kept)
        assert await post.send(MESSAGE, SENDER, PATIENT) == ACCEPTED


async def test_a_bare_send_that_is_cancelled_never_leaves_a_half_used_connection():
    handler = Scripted()
    async with serving(handler) as server, SmtpPost(server, connections=1, timeout=2) as post:
        handler.slow.clear()
        sending = asyncio.create_task(post.send(MESSAGE, SENDER, PATIENT))
        await handler.in_data.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        handler.slow.set()
        assert await post.send(MESSAGE, SENDER, "next@mail.example") == ACCEPTED
    assert handler.kept[-1][1] == ["next@mail.example"]
    assert handler.sessions == 2


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    start = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def trusting(server: Server, certificate: Path | None, **given: Any) -> Server:
    tls = ssl.create_default_context(cafile=certificate) if certificate else None
    return Server(server.host, server.port, starttls=True, tls=tls, **given)


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_tls_is_used_and_the_password_given(certificate: Path):
    def knows(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"portal", b"pass"))

    handler, given = Scripted(), {"tls_context": server_side(certificate), "require_starttls": True}
    async with serving(handler, authenticator=knows, auth_required=True, **given) as plain:
        server = trusting(plain, certificate, username="portal", password="pass")
        async with SmtpPost(server, timeout=3) as post:
            assert await post.send(MESSAGE, SENDER, PATIENT) == ACCEPTED
        wrong = trusting(plain, certificate, username="portal", password="wrong")
        async with SmtpPost(wrong, timeout=3) as post:
            assert (await post.send(MESSAGE, SENDER, PATIENT)).outcome is Outcome.TRY_AGAIN


async def test_a_server_without_tls_or_with_an_unknown_certificate_is_told_nothing(certificate: Path):
    handler = Scripted()
    async with serving(handler) as plain, SmtpPost(trusting(plain, certificate), timeout=3) as post:
        assert (await post.send(MESSAGE, SENDER, PATIENT)).outcome is Outcome.TRY_AGAIN
    async with (
        serving(handler, tls_context=server_side(certificate)) as unknown,
        SmtpPost(trusting(unknown, None), timeout=3) as post,
    ):
        assert (await post.send(MESSAGE, SENDER, PATIENT)).outcome is Outcome.TRY_AGAIN
    assert handler.kept == []


async def test_the_demo_mailbox_answers_as_the_real_servers_do(tmp_path: Path):
    gone = "gone@mail.example"
    async with DemoMailbox(tmp_path, refuse=lambda to: "no such user" if to == gone else None) as box:
        server = Server("127.0.0.1", box.port, starttls=False)
        async with SmtpPost(server, timeout=2) as post:
            assert await post.send(MESSAGE, SENDER, PATIENT) == ACCEPTED
            assert await post.send(MESSAGE, SENDER, gone) == Answer(Outcome.REFUSED_FOR_GOOD, 550)
