"""A program's proof of who it is: a signed assertion (RFC 7523), as SMART backend services ask for it."""

import json
import secrets
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from portal.rules.refusals import Refused

ALGORITHMS = ("RS384", "ES384", "Ed25519")
"""SMART names the first two; the third is what a practice signs its extractions with."""

LONGEST_LIFE = timedelta(minutes=5)
LEEWAY = timedelta(seconds=30)
SMALLEST_RSA = 2048
MOST_KEYS = 10

_REGISTRY = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)


def says_it_is(assertion: str) -> str:
    """The client that an assertion names, not yet believed; "" when it names none."""
    try:
        part = assertion.split(".")[1]
        claims = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        named = str(claims["iss"])
    except (IndexError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return named if named.isascii() and named.isprintable() else ""


def prove(assertion: str, keys: Mapping[str, Any], *, client: str, audience: str, now: datetime) -> str:
    """The id of the assertion, which is to be used once; when signature, issuer, subject, audience and life are right.
    Refused("invalid_client") otherwise."""
    try:
        known = KeySet.import_key_set(cast(Any, dict(keys)))  # as `public_key_set` made them
        token = jwt.decode(assertion, known, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, KeyError):
        raise no_client("it is not signed by a key of this client") from None
    claims = token.claims
    if claims.get("iss") != client or claims.get("sub") != client:
        raise no_client("iss and sub are both the client's id")
    if claims.get("aud") not in (audience, [audience]):
        raise no_client("aud is the address of the token endpoint")
    expires, named, moment = claims.get("exp"), claims.get("jti"), now.timestamp()
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        raise no_client("exp is missing")
    leeway = LEEWAY.total_seconds()
    if not moment - leeway < expires <= moment + LONGEST_LIFE.total_seconds() + leeway:
        raise no_client("exp lies within the next five minutes")
    if not isinstance(named, str) or not 8 <= len(named) <= 200:
        raise no_client("jti is missing, or shorter than 8 signs or longer than 200")
    return named


def no_client(why: str) -> Refused:
    return Refused("invalid_client", f"the assertion is not accepted: {why}", where="client_assertion", status=401)


def sign_assertion(key: Ed25519PrivateKey, *, client: str, audience: str, now: datetime) -> str:
    """What a program that holds `key` sends to be given a token."""
    claims = {
        "iss": client, "sub": client, "aud": audience, "exp": int((now + timedelta(minutes=4)).timestamp()),
        "jti": secrets.token_urlsafe(16),
    }  # fmt: skip
    own = OKPKey.import_key(key)
    header = {"alg": "Ed25519", "typ": "JWT", "kid": own.thumbprint()}
    return jwt.encode(header, claims, own, registry=_REGISTRY)


def public_key_set(given: Mapping[str, Any]) -> dict[str, Any]:
    """A JWK set as a program publishes it: public keys only, each strong enough and named by its `kid`.

    Refused("keys") for anything else; a private key is refused too, and is never kept.
    """
    listed = given.get("keys") if "keys" in given else [given]
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_KEYS:
        raise _no_keys(f"give one to {MOST_KEYS} public keys as a JWK set")
    kept = [_public(each) for each in listed]
    if len({key["kid"] for key in kept}) != len(kept):
        raise _no_keys("two keys have the same kid")
    return {"keys": kept}


def _public(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or {"d", "k", "p", "q"} & given.keys():
        raise _no_keys("send public keys only: what you sent is private, or no key")
    try:
        key = KeySet.import_key_set({"keys": [given]}).keys[0]
    except (JoseError, ValueError, TypeError, KeyError, IndexError):
        raise _no_keys("this is not a JWK") from None
    strong = (
        (isinstance(key, RSAKey) and key.raw_value.key_size >= SMALLEST_RSA)
        or (isinstance(key, ECKey) and key.curve_name == "P-384")
        or (isinstance(key, OKPKey) and key.curve_name == "Ed25519")
    )
    if not strong:
        raise _no_keys(f"a key is RSA of at least {SMALLEST_RSA} bits, EC on P-384, or Ed25519")
    named = given.get("kid")
    kid = named if isinstance(named, str) and 0 < len(named) <= 200 else key.thumbprint()
    return {**key.as_dict(private=False), "kid": kid}


def _no_keys(what: str) -> Refused:
    return Refused("keys", what, where="keys", status=422)
