"""A practice's line to the portal: what answers may be anything; who is down or busy is asked again, not for ever."""

import asyncio
import datetime as dt
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from portal.outside.clock import SystemClock
from portal.outside.portal_answers import Unreachable
from portal.outside.portal_api import PortalApi
from portal.rules.refusals import Refused, RefusedFile

JSON, PROBLEM = "application/json", "application/problem+json"
TOKEN = (200, {"Content-Type": JSON}, b'{"access_token": "t", "expires_in": 300}')
TAKEN = b'{"rows": 1, "persons": 1, "dropped": 0}'


def answer(status: int, body: bytes = b"", kind: str = JSON, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": kind} | {name.replace("_", "-"): value for name, value in headers.items()}, body


def no(status: int, code: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    said = {"code": code, "detail": "a sentence\x1b[2J of the portal", "status": status, "problems": []}
    return answer(status, json.dumps(said).encode(), PROBLEM, **headers)


@dataclass
class Peer:
    """A real HTTP server that says what it is told to, one answer after the other; None: it hangs up."""

    answers: list[tuple[int, dict[str, str], bytes] | None]
    port: int = 0
    asked: list[str] = field(default_factory=list)
    tokens: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.lower().splitlines()
        length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length")), 0)
        await reader.readexactly(length)
        if " /api/v1/token " in head:
            self.tokens += 1
            given: Any = TOKEN
        else:
            self.asked.append(head.split()[0])
            given = self.answers.pop(0)
        if given is not None:
            status, headers, body = given
            shown = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            length_line = f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(f"HTTP/1.1 {status} x\r\n{shown}{length_line}".encode() + body)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def peer(*answers: Any, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    made = Peer(list(answers))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


async def asks(made: Peer, act: Callable[[PortalApi], Any], *, scheme: str = "http", patience: float = 60) -> Any:
    """The outcome and for how many seconds it paused, without the test waiting for them."""
    pauses: list[float] = []

    def speak() -> Any:
        key = Ed25519PrivateKey.generate()
        base = f"{scheme}://127.0.0.1:{made.port}"
        with PortalApi(base, "a", "c", key, SystemClock(), patience, pause=pauses.append) as api:
            return act(api)

    try:
        return await asyncio.to_thread(speak), pauses
    except Refused as refused:
        return refused, pauses


def receives(api: PortalApi) -> Any:
    return api.receive("0" * 64)


WRONG = {
    "HTML": (answer(200, b"<h1>Welcome</h1>", "text/html"), "portal_answer"),
    "HTML of an error": (answer(404, b"<h1>Nothing here</h1>", "text/html"), "portal_answer"),
    "HTML of a fault": (answer(500, b"<h1>Oops</h1>", "text/html"), "portal_answer"),
    "other JSON": (answer(200, b'{"hello": 1}'), "portal_answer"),
    "no object": (answer(403, b"[1]"), "portal_answer"),
    "a code that is none": (answer(409, b'{"code": "\\u001b[2J", "detail": "x"}'), "portal_answer"),
    "a redirect": (answer(302, b"", Location="http://127.0.0.1:9/"), "portal_elsewhere"),
    "a fault": (no(500, "fault"), "fault"),
    "a refusal": (no(409, "permit_superseded"), "permit_superseded"),
    "nothing": (answer(200), "portal_answer"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_whatever_answers_is_one_refusal_in_plain_text_and_is_not_asked_again(what: str) -> None:
    said, code = WRONG[what]
    async with peer(said) as made:
        refused, pauses = await asks(made, receives)
    assert (refused.code, pauses, made.asked) == (code, [], ["POST"])
    assert str(refused).isprintable()


async def test_a_portal_that_is_busy_or_away_is_asked_again_and_waited_for_as_it_says() -> None:
    busy = (no(429, "too_often", Retry_After="7"), no(503, "busy"), no(409, "busy"), None, answer(200, TAKEN))
    async with peer(*busy) as made:
        taken, pauses = await asks(made, receives)
    assert (taken.rows, pauses) == (1, [7.0, 1.0, 2.0, 4.0])
    async with peer(no(429, "too_often", Retry_After="61")) as made:
        refused, pauses = await asks(made, receives)
    assert (refused.code, refused.status, pauses) == ("too_often", 429, []), "longer than its patience"


async def test_a_token_that_opens_nothing_any_more_is_renewed_once() -> None:
    async with peer(no(401, "no_token"), answer(200, TAKEN)) as made:
        taken, _ = await asks(made, receives)
    assert (taken.rows, made.tokens) == (1, 2)
    async with peer(no(401, "no_token"), no(401, "no_token")) as made:
        refused, _ = await asks(made, receives)
    assert (refused.code, made.tokens) == ("no_token", 2)


async def test_a_part_is_never_sent_again_by_itself() -> None:
    async with peer(None) as made:
        refused, pauses = await asks(made, lambda api: api.put_part("0" * 64, "all.parquet", 0, b"x" * 1000))
    assert isinstance(refused, Unreachable)
    assert (pauses, made.asked) == ([], ["PUT"])


async def test_every_bad_place_of_a_register_is_named() -> None:
    places = [{"where": f"line {n}, column birth_date", "code": "bad_date", "what": "not a date"} for n in (2, 3)]
    body = json.dumps({"code": "bad_date", "detail": "x", "problems": places}).encode()
    async with peer(answer(422, body, PROBLEM)) as made:
        refused, _ = await asks(made, lambda api: api.put_register(b"x", "text/csv", SystemClock().now()))
    assert isinstance(refused, RefusedFile)
    assert [place.where for place in refused.problems] == [place["where"] for place in places]


async def test_a_certificate_that_nobody_vouches_for_ends_it_at_once(tmp_path: Path) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now).not_valid_after(now + dt.timedelta(days=9000)).sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "both.pem").write_bytes(private + signed.public_bytes(pem))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "both.pem")
    async with peer(tls=tls) as made:
        refused, pauses = await asks(made, receives, scheme="https")
    assert (refused.code, pauses, made.tokens) == ("portal_certificate", [], 0)
