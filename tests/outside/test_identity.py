"""R13: whatever an identity provider or the browser answers, only a whole and own answer signs in."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey
from sign_in import CALLBACK, DOCTOR, HOME, ISSUER, NOW, OPERATOR, Rig

from portal.demo.provider import DemoPerson
from portal.outside.identity import OpenIdProvider
from portal.rules.refusals import Refused

BY_LEVEL = {"second_factor_acr": frozenset({"gold"})}
SECONDS = int(NOW.timestamp())


async def refused(signing_in: Any) -> str:
    with pytest.raises(Refused) as no:
        await signing_in
    assert "s3cret" not in str(no.value)
    assert "899700000013" not in str(no.value)
    return no.value.code


async def test_a_doctor_signs_in_and_brings_her_sites():
    identity = await Rig().sign_in()
    assert (identity.issuer, identity.subject) == (ISSUER, DOCTOR["sub"])
    assert (identity.rpps, identity.email, identity.acr) == ("99700000013", None, "eidas1")
    assert [(site.finess, site.siret, site.name, site.role) for site in identity.sites] == [
        ("2A0000018", "", "CABINET DU PORT", "L"),
        ("", "00000000000018", "CENTRE DE SANTÉ", "S"),
    ]
    assert identity.id_token not in repr(identity)


async def test_staff_sign_in_with_a_second_factor_and_no_site():
    identity = await Rig(staff=True, person=DemoPerson("operator", OPERATOR)).sign_in()
    assert (identity.email, identity.rpps, identity.sites) == ("operator@portal.test", None, ())
    assert identity.amr == {"pwd", "otp"}


async def test_the_request_asks_for_pkce_state_nonce_and_level():
    begun = await Rig().ours.begin(CALLBACK)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()}
    assert asked["code_challenge_method"] == "S256"
    assert asked["code_challenge"] != begun.flow["verifier"]
    assert (asked["state"], asked["nonce"]) == (begun.flow["state"], begun.flow["nonce"])
    assert (asked["acr_values"], asked["scope"]) == ("eidas1", "openid scope_all")
    assert len(begun.flow["state"]) >= 43


async def test_an_answer_signed_with_an_elliptic_curve_is_accepted_too():
    key = ECKey.generate_key("P-256", {"kid": "ec"}, auto_kid=False)
    rig = Rig(sign=lambda claims, _: jwt.encode({"alg": "ES256", "kid": "ec"}, claims, key))
    rig.provider.twist = lambda name, answer: (
        {"keys": [*answer["keys"], key.as_dict(private=False)]} if name == "jwks" else answer
    )
    assert (await rig.sign_in()).subject == DOCTOR["sub"]


async def test_a_new_key_of_the_provider_is_fetched_when_it_is_met():
    rig = Rig()
    await rig.sign_in()
    rig.provider.key = RSAKey.generate_key(2048, {"kid": "rotated"}, auto_kid=False)
    assert (await rig.sign_in()).subject == DOCTOR["sub"]


def unsigned(claims: dict[str, Any], key: RSAKey) -> str:
    whole = jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)
    head = urlsafe_b64encode(b'{"alg":"none","kid":"%s"}' % str(key.kid).encode()).rstrip(b"=").decode()
    return f"{head}.{whole.split('.')[1]}."


def public_key_as_secret(claims: dict[str, Any], key: RSAKey) -> str:
    head = urlsafe_b64encode(b'{"alg":"HS256","kid":"%s"}' % str(key.kid).encode()).rstrip(b"=")
    body = jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key).split(".")[1].encode()
    mark = hmac.digest(key.as_pem(private=False), head + b"." + body, "sha256")
    return b".".join((head, body, urlsafe_b64encode(mark).rstrip(b"="))).decode()


def another_key(claims: dict[str, Any], key: RSAKey) -> str:
    other = RSAKey.generate_key(2048, {"kid": key.kid}, auto_kid=False)
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, other)


def key_in_the_header(claims: dict[str, Any], key: RSAKey) -> str:
    other = RSAKey.generate_key(2048, {"kid": "mine"}, auto_kid=False)
    return jwt.encode({"alg": "RS256", "kid": "mine", "jwk": other.as_dict(private=False)}, claims, other)


def payload_changed(claims: dict[str, Any], key: RSAKey) -> str:
    head, _, mark = jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key).split(".")
    other = jwt.encode({"alg": "RS256", "kid": key.kid}, claims | {"acr": "eidas3"}, key)
    return f"{head}.{other.split('.')[1]}.{mark}"


@pytest.mark.shows("R13")
@pytest.mark.parametrize("sign", [unsigned, public_key_as_secret, another_key, key_in_the_header, payload_changed])
async def test_an_answer_that_the_provider_did_not_sign_is_refused(sign: Callable[..., str]):
    assert await refused(Rig(sign=sign).sign_in()) == "token_signature"


@pytest.mark.shows("R13")
async def test_a_secret_key_in_the_published_keys_is_never_used():
    secret = OctKey.import_key("k" * 32, {"kid": "oct"})
    rig = Rig(sign=lambda claims, _: jwt.encode({"alg": "HS256", "kid": "oct"}, claims, secret))
    rig.provider.twist = lambda name, answer: KeySet([secret]).as_dict(private=True) if name == "jwks" else answer
    assert await refused(rig.sign_in()) == "token_signature"


TWISTS: list[tuple[str, dict[str, Any], str]] = [
    ("claims", {"iss": "http://other.test"}, "issuer"),
    ("claims", {"iss": None}, "issuer"),
    ("claims", {"aud": "another"}, "audience"),
    ("claims", {"aud": []}, "audience"),
    ("claims", {"aud": ["another", "doctors"], "azp": "another"}, "authorized_party"),
    ("claims", {"azp": "another"}, "authorized_party"),
    ("claims", {"nonce": "another"}, "nonce"),
    ("claims", {"nonce": None}, "nonce"),
    ("claims", {"exp": SECONDS - 31}, "expired"),
    ("claims", {"exp": None}, "claims"),
    ("claims", {"exp": "tomorrow"}, "claims"),
    ("claims", {"nbf": SECONDS + 300}, "claims"),
    ("claims", {"iat": SECONDS + 300}, "claims"),
    ("claims", {"iat": None}, "claims"),
    ("claims", {"acr": "eidas0"}, "acr_too_low"),
    ("claims", {"acr": None}, "acr_too_low"),
    ("claims", {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "access_token"),
    ("claims", {"sub": None}, "claims"),
    ("claims", {"sub": ""}, "claims"),
    ("claims", {"sub": 7}, "claims"),
    ("claims", {"amr": "otp"}, "claims"),
    ("userinfo", {"sub": "f:demo:899700000021"}, "subject"),
    ("userinfo", {"sub": None}, "subject"),
    ("userinfo", {"SubjectRefPro": ["no", "object"]}, "provider_answer"),
    ("userinfo", {"SubjectRefPro": {"exercices": [{"codeProfession": "60"}]}}, "not_a_doctor"),
    ("userinfo", {"SubjectRefPro": ""}, "not_a_doctor"),
    ("userinfo", {"SubjectNameID": ""}, "not_a_doctor"),
    ("userinfo", {"SubjectNameID": "099700000013"}, "not_a_doctor"),
    ("token", {"id_token": None}, "no_id_token"),
    ("token", {"access_token": ""}, "no_id_token"),
    ("callback", {"state": "another"}, "state_mismatch"),
    ("callback", {"state": None}, "state_mismatch"),
    ("callback", {"state": "é"}, "state_mismatch"),
    ("callback", {"iss": "http://other.test/id"}, "mixed_up"),
    ("callback", {"iss": None}, "mixed_up"),
    ("callback", {"code": "guessed"}, "code_refused"),
    ("callback", {"code": None}, "no_code"),
    ("callback", {"error": "access_denied"}, "sign_in_refused"),
    ("discovery", {"issuer": "http://other.test/id"}, "issuer"),
    ("discovery", {"token_endpoint": None}, "provider_unsafe"),
    ("jwks", {"keys": "none"}, "token_signature"),
    ("jwks", {"keys": [{"kty": "RSA"}]}, "token_signature"),
]


@pytest.mark.shows("R13")
@pytest.mark.parametrize(("answer", "changed", "code"), TWISTS, ids=lambda each: str(each)[:40])
async def test_a_hostile_answer_is_refused_under_its_own_code(answer: str, changed: dict[str, Any], code: str):
    hostile = True

    def twist(name: str, told: dict[str, Any]) -> dict[str, Any]:
        if name != answer or not hostile:
            return told
        return {field: value for field, value in (told | changed).items() if value is not None}

    rig = Rig(twist=twist)
    assert await refused(rig.sign_in()) == code
    hostile = False
    assert (await Rig(twist=twist).sign_in()).subject == DOCTOR["sub"]


async def test_thirty_seconds_between_the_clocks_are_forgiven():
    rig = Rig(twist=lambda name, told: told | {"exp": SECONDS - 29} if name == "claims" else told)
    assert (await rig.sign_in()).subject == DOCTOR["sub"]


@pytest.mark.shows("R13")
async def test_a_code_signs_in_once():
    rig = Rig()
    begun = await rig.ours.begin(CALLBACK)
    callback = await rig.callback(begun)
    await rig.ours.finish(begun.flow, callback)
    assert await refused(rig.ours.finish(begun.flow, callback)) == "code_refused"


@pytest.mark.shows("R13")
async def test_a_stolen_code_is_worth_nothing_without_the_verifier():
    rig = Rig()
    victim, thief = await rig.ours.begin(CALLBACK), await rig.ours.begin(CALLBACK)
    stolen = await rig.callback(victim) | {"state": thief.flow["state"]}
    assert await refused(rig.ours.finish(thief.flow, stolen)) == "code_refused"


@pytest.mark.shows("R13")
async def test_an_answer_of_another_sign_in_of_the_same_person_is_refused():
    tokens: list[str] = []

    def replay(name: str, told: dict[str, Any]) -> dict[str, Any]:
        if name == "token":
            tokens.append(told["id_token"])
            return told | {"id_token": tokens[0]}
        return told

    rig = Rig(twist=replay)
    await rig.sign_in()
    assert await refused(rig.sign_in()) == "nonce"


@pytest.mark.shows("R13")
async def test_a_flow_begun_with_another_provider_or_lost_is_refused():
    rig = Rig()
    begun = await rig.ours.begin(CALLBACK)
    callback = await rig.callback(begun)
    assert await refused(rig.ours.finish(begun.flow | {"issuer": "http://other.test"}, callback)) == "mixed_up"
    assert await refused(rig.ours.finish({}, callback | {"state": ""})) == "state_mismatch"


async def test_a_wrong_client_secret_is_refused():
    assert await refused(Rig(peer={"client_secret": "another"}).sign_in()) == "code_refused"


@pytest.mark.shows("R13")
@pytest.mark.parametrize("amr", [(), ("pwd",), ("otp",), ("pwd", "sms"), ("pwd", "pin")])
async def test_staff_without_a_second_factor_are_refused(amr: tuple[str, ...]):
    rig = Rig(staff=True, person=DemoPerson("operator", OPERATOR, amr=amr))
    assert await refused(rig.sign_in()) == "no_second_factor"


@pytest.mark.parametrize("amr", [("mfa",), ("pwd", "hwk"), ("pwd", "otp")])
async def test_staff_with_a_second_factor_are_let_in(amr: tuple[str, ...]):
    assert await Rig(staff=True, person=DemoPerson("operator", OPERATOR, amr=amr)).sign_in()


@pytest.mark.shows("R13")
@pytest.mark.parametrize("acr", ["silver", "", "gold "])
async def test_a_level_that_is_not_set_is_no_second_factor(acr: str):
    rig = Rig(staff=True, person=DemoPerson("operator", OPERATOR, acr=acr, amr=("pwd",)), peer=BY_LEVEL)
    assert await refused(rig.sign_in()) == "no_second_factor"


async def test_a_level_that_is_set_proves_a_second_factor_and_amr_still_does():
    for person in (
        DemoPerson("operator", OPERATOR, acr="gold", amr=()),
        DemoPerson("operator", OPERATOR, acr="silver", amr=("pwd", "otp")),
    ):
        assert await Rig(staff=True, person=person, peer=BY_LEVEL).sign_in()


async def test_an_unverified_address_is_no_address():
    person = DemoPerson("operator", OPERATOR | {"email_verified": False})
    assert (await Rig(staff=True, person=person).sign_in()).email is None


class Unsteady(httpx2.AsyncBaseTransport):
    """The real way to the provider, with trouble in front of it while there is any."""

    def __init__(self, way: httpx2.AsyncBaseTransport) -> None:
        self.way, self.trouble = way, httpx2.Response(200)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.trouble.is_error or self.trouble.content:
            return self.trouble
        if self.trouble.status_code == 204:
            raise httpx2.ConnectError("nobody there")
        return await self.way.handle_async_request(request)


@pytest.mark.parametrize(
    "trouble", [httpx2.Response(404), httpx2.Response(500), httpx2.Response(204), httpx2.Response(200, text="<p>")]
)
async def test_a_provider_in_trouble_is_unreachable_and_asked_again_later(trouble: httpx2.Response):
    rig = Rig()
    rig.transport = unsteady = Unsteady(rig.transport)
    rig.ours = OpenIdProvider(rig.ours_as, rig.clock, transport=unsteady)
    unsteady.trouble = trouble
    assert await refused(rig.ours.begin(CALLBACK)) == "provider_unreachable"
    unsteady.trouble = httpx2.Response(200)
    begun = await rig.ours.begin(CALLBACK)
    callback = await rig.callback(begun)
    unsteady.trouble = trouble
    assert await refused(rig.ours.finish(begun.flow, callback)) == "provider_unreachable"


async def test_addresses_in_clear_are_refused_of_a_provider_that_has_https():
    clear = {"issuer": "https://idp.test", "discovery_url": f"{ISSUER}/.well-known/openid-configuration"}
    rig = Rig(peer=clear, twist=lambda name, told: told | {"issuer": "https://idp.test"})
    assert await refused(rig.ours.begin(CALLBACK)) == "provider_unsafe"


async def test_own_addresses_win_over_discovered_ones():
    rig = Rig(peer={"authorization_url": "http://wallet.test/auth"})
    assert (await rig.ours.begin(CALLBACK)).url.startswith("http://wallet.test/auth?")


async def test_signing_out_goes_through_the_provider_and_back():
    rig = Rig()
    identity = await rig.sign_in()
    url = await rig.ours.logout_url(identity.id_token, HOME)
    async with httpx2.AsyncClient(transport=rig.transport) as browser:
        answer = await browser.get(str(url))
    assert (answer.status_code, answer.headers["location"]) == (303, HOME)
