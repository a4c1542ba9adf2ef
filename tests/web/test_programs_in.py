"""Who is let in at the interface: a program that proves itself, for a practice whose doctor let it, and nobody else."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from programs import API, SomeProgram, doctor_of, jwks, program
from whole_site import Web

from portal.flow import enrol, programs
from portal.outside.assertion import ALGORITHMS, public_key_set, says_it_is
from portal.outside.keys import public_pem
from portal.records.clients import Client, ClientToken
from portal.records.enrolments import Enrolment
from portal.records.ledger import LogEntry
from portal.records.people import Practice
from portal.rules.refusals import Refused
from portal.rules.scopes import Access, ClientKind

Bad = Callable[[SomeProgram], str]


def claims(made: SomeProgram, **changes: Any) -> dict[str, Any]:
    now = made.web.world.clock.now()
    right = {
        "iss": made.id, "sub": made.id, "aud": programs.token_address(made.web.world.means), "jti": "12345678",
        "exp": int((now + timedelta(minutes=3)).timestamp()),
    }  # fmt: skip
    return {name: value for name, value in (right | changes).items() if value is not None}


def signed(made: SomeProgram, *, key: Any = None, alg: str = "Ed25519", **changes: Any) -> str:
    own = key or OKPKey.import_key(made.key)
    registry = JWSRegistry(algorithms=[alg, *ALGORITHMS], strict_check_header=False)
    return jwt.encode({"alg": alg}, claims(made, **changes), own, registry=registry)


def unsigned(made: SomeProgram) -> str:
    return f"{packed({'alg': 'none'})}.{packed(claims(made))}."


def packed(part: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def swapped(made: SomeProgram) -> str:
    """The public key taken for a shared secret."""
    text = f"{packed({'alg': 'HS256'})}.{packed(claims(made))}"
    mac = hmac.digest(public_pem(made.key.public_key()), text.encode(), "sha256")
    return f"{text}.{urlsafe_b64encode(mac).decode().rstrip('=')}"


def in_seconds(made: SomeProgram, seconds: int) -> int:
    return int(made.web.world.clock.now().timestamp()) + seconds


BAD: dict[str, Bad] = {
    "no token at all": lambda made: "x",
    "three empty parts": lambda made: "..",
    "not signed": unsigned,
    "public key as secret": swapped,
    "another's key": lambda made: signed(made, key=OKPKey.generate_key("Ed25519")),
    "another client": lambda made: signed(made, iss="0123456789abcdef"),
    "another subject": lambda made: signed(made, sub="0123456789abcdef"),
    "no issuer": lambda made: signed(made, iss=None),
    "issuer is a list": lambda made: signed(made, iss=[made.id]),
    "another audience": lambda made: signed(made, aud="https://other.example.org/token"),
    "two audiences": lambda made: signed(made, aud=[programs.token_address(made.web.world.means), "other"]),
    "no audience": lambda made: signed(made, aud=None),
    "no expiry": lambda made: signed(made, exp=None),
    "expired": lambda made: signed(made, exp=in_seconds(made, -60)),
    "expires in an hour": lambda made: signed(made, exp=in_seconds(made, 3600)),
    "expires never": lambda made: signed(made, exp=2**62),
    "expired for ever": lambda made: signed(made, exp=-(2**62)),
    "expiry is true": lambda made: signed(made, exp=True),
    "expiry is a text": lambda made: signed(made, exp="soon"),
    "no id": lambda made: signed(made, jti=None),
    "short id": lambda made: signed(made, jti="1"),
    "id is a number": lambda made: signed(made, jti=12345678),
    "cut off": lambda made: signed(made)[:-10],
    "altered": lambda made: signed(made).replace(".", ".e", 1),
}


@pytest.mark.parametrize("how", BAD)
async def test_an_assertion_that_is_off_is_given_no_token(web: Web, how: str) -> None:
    made = await program(web)
    answer = await made.asks_token(client_assertion=BAD[how](made))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert await ClientToken.all().count() == 0


async def test_the_right_assertion_is_given_one_and_only_once(web: Web) -> None:
    made = await program(web)
    right = signed(made)
    first = await made.asks_token(client_assertion=right)
    assert (first.status_code, first.json()["token_type"], first.json()["expires_in"]) == (200, "bearer", 300)
    again = await made.asks_token(client_assertion=right)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    kept = await ClientToken.get()
    assert first.json()["access_token"] not in (kept.token_hash, kept.assertion)


@pytest.mark.parametrize(("kind", "alg"), [("rsa", "RS384"), ("ec", "ES384")])
async def test_the_algorithms_that_smart_names_are_accepted(web: Web, kind: str, alg: str) -> None:
    key = RSAKey.generate_key(2048) if kind == "rsa" else ECKey.generate_key("P-384")
    made = SomeProgram(web)
    made.id = await programs.put_on_file(
        web.world.means, kind=ClientKind.SOFTWARE, name="Autre", keys=key.as_dict(private=False), by=web.world.operator
    )
    answer = await made.asks_token(client_assertion=signed(made, key=key, alg=alg))
    assert answer.status_code == 200


SHORT_RSA = {"kty": "RSA", "e": "AQAB", "n": urlsafe_b64encode(b"\xc1" + b"\x55" * 127).decode().rstrip("=")}
WEAK: dict[str, Callable[[], dict[str, Any]]] = {
    "a private key": lambda: {"keys": [OKPKey.generate_key("Ed25519").as_dict(private=True)]},
    "a shared secret": lambda: {"keys": [OctKey.generate_key(256).as_dict()]},
    "a short RSA key": lambda: SHORT_RSA,
    "a small curve": lambda: ECKey.generate_key("P-256").as_dict(private=False),
    "no key": lambda: {"keys": []},
    "not a list": lambda: {"keys": "x"},
    "one name for two": lambda: {
        "keys": [{**OKPKey.generate_key("Ed25519").as_dict(private=False), "kid": "a"} for _ in range(2)]
    },
    "no JWK": lambda: {"kty": "OKP"},
}


@pytest.mark.parametrize("what", WEAK)
def test_a_weak_or_private_key_is_never_put_on_file(what: str) -> None:
    with pytest.raises(Refused, match="keys"):
        public_key_set(WEAK[what]())


async def test_a_token_form_that_is_off_is_answered_as_oauth_says(web: Web) -> None:
    made = await program(web)
    assert (await made.asks_token(grant_type="password")).json()["error"] == "unsupported_grant_type"
    assert (await made.asks_token(client_assertion_type="x")).json()["error"] == "invalid_request"
    assert (await made.asks_token("system/Patient.rs")).json()["error"] == "invalid_scope"
    narrow = await made.asks_token("system/check.s unknown")
    assert narrow.json()["scope"] == "system/check.s"
    own = web.program(Authorization=f"Bearer {narrow.json()['access_token']}")
    assert (await own.post(f"{API}/check", json={"patients": ["1"]})).status_code == 200
    refused = await own.post(f"{API}/permits")
    assert (refused.status_code, refused.json()["code"]) == (403, "other_access")


async def test_a_token_ends_with_its_time_its_program_and_its_doctors_word(web: Web) -> None:
    made = await program(web)
    means, doctor = web.world.means, await doctor_of(web)
    own = await made.signed_in()
    assert (await own.get(f"{API}/patients")).status_code == 200
    await programs.end(means, made.id, "practice-a", by=doctor)
    assert (await own.get(f"{API}/patients")).status_code == 404, "at once"
    await programs.let_act(means, made.id, "practice-a", by=doctor)
    assert (await own.get(f"{API}/patients")).status_code == 200
    web.world.wait(6 / 24 / 60)
    assert (await own.get(f"{API}/patients")).status_code == 401
    own = await made.signed_in()
    await programs.close(means, made.id, by=web.world.dpo)
    assert (await own.get(f"{API}/patients")).status_code == 401
    assert (await made.asks_token()).json()["error"] == "invalid_client"


async def test_when_the_last_doctor_has_left_only_a_no_is_still_heard(web: Web) -> None:
    made = await program(web)
    own = await made.signed_in()
    enrolment = await Enrolment.get()
    await enrol.leave(web.world.means, await doctor_of(web), enrolment.id)
    for address in ("patients", "changes"):
        assert (await own.get(f"{API}/{address}")).status_code == 404
    assert (await own.post(f"{API}/permits")).status_code == 404
    told = await own.post(f"{API}/objections", json={"items": [{"patient_id": "1"}]})
    assert [n["patient_id"] for n in told.json()["noted"]] == ["1"]


async def test_only_a_verified_doctor_of_the_practice_lets_a_program_in(web: Web) -> None:
    made, other = await program(web), await doctor_of(web, 2)
    for step in (programs.let_act, programs.end):
        with pytest.raises(Refused, match="other_practice"):
            await step(web.world.means, made.id, "practice-a", by=other)
    with pytest.raises(Refused, match="unknown_program"):
        await programs.let_act(web.world.means, "0123456789abcdef", "practice-a", by=await doctor_of(web))


async def test_a_practice_registers_its_own_key_and_the_one_before_is_shut_out(web: Web) -> None:
    browser = await web.as_account(await doctor_of(web))
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    for key in (old, new):
        pem = public_pem(key.public_key()).decode()
        assert (await browser.post("/doctor/software/key", data={"key": pem})).status_code == 303
    first, second = await Client.filter(kind=ClientKind.PRACTICE).order_by("created_at", "entry_id")
    assert first.closed_at is not None
    assert bytes((await Practice.get(id="practice-a")).public_key or b"") == public_pem(new.public_key())
    assert (await SomeProgram(web, first.id, old).asks_token()).status_code == 401
    own = await SomeProgram(web, second.id, new).signed_in()
    assert (await own.get(f"{API}/patients")).status_code == 200
    page = (await browser.get("/doctor/software")).text
    assert second.id in page
    assert first.id not in page
    wrong = await browser.post("/doctor/software/key", data={"key": "-----BEGIN PRIVATE KEY-----"})
    assert wrong.status_code == 422
    assert "pas une clé publique" in wrong.text


async def test_a_doctor_lets_a_program_act_and_stops_it_with_one_click(web: Web) -> None:
    made = SomeProgram(web)
    operator, doctor = await web.as_account(web.world.operator), await web.as_account(await doctor_of(web))
    form = {"name": "Logiciel médical", "kind": "software", "keys": json.dumps(jwks(made.key))}
    assert (await operator.post("/desk/programs", data=form)).status_code == 303
    made.id = (await Client.get()).id
    own = await made.signed_in()
    assert (await own.get(f"{API}/patients")).status_code == 404
    assert "Logiciel médical" in (await doctor.get("/doctor/software")).text
    await doctor.post(f"/doctor/software/{made.id}/let-act")
    assert (await own.get(f"{API}/patients")).status_code == 200
    await doctor.post(f"/doctor/software/{made.id}/end")
    assert (await own.get(f"{API}/patients")).status_code == 404
    await operator.post(f"/desk/programs/{made.id}/close")
    assert "Fermé" in (await operator.get("/desk/programs")).text
    for off, sentence in (({"name": ""}, "Donnez un nom"), ({"kind": "x"}, "Choisissez"), ({"keys": "{"}, "JWK set")):
        answer = await operator.post("/desk/programs", data=form | off)
        assert answer.status_code == 422
        assert sentence in answer.text


async def test_who_asks_too_often_waits_as_long_as_it_is_told(web: Web) -> None:
    own = await (await program(web)).signed_in()
    answers = [await own.get(f"{API}/patients") for _ in range(102)]
    assert {a.status_code for a in answers[:100]} == {200}
    late = answers[-1]
    assert (late.status_code, late.json()["code"], late.headers["retry-after"]) == (429, "too_often", "1")
    web.world.wait(1 / 24 / 60 / 60)
    assert (await own.get(f"{API}/patients")).status_code == 200


async def test_what_a_program_does_stands_in_the_log_under_its_name(web: Web) -> None:
    made = await program(web)
    own = await made.signed_in()
    await own.post(f"{API}/objections", json={"items": [{"patient_id": "1"}]})
    entry = await LogEntry.filter(kind="objected").order_by("-id").first()
    assert entry is not None
    assert entry.actor == f"software:{made.id}"
    assert {a.value for a in Access}


def test_an_assertion_that_is_built_to_break_its_reader_names_nobody() -> None:
    for claims in ("[" * 40_000, '{"iss": "a\\u0000b"}', '{"iss": "\\ud800"}', '{"iss": ["x"', "null"):
        part = urlsafe_b64encode(claims.encode()).decode().rstrip("=")
        assert says_it_is(f"e30.{part}.x") == "", claims[:20]
