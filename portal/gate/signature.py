"""Signed statements: JWS with Ed25519 and nothing else, each with the kind of paper it is.

The verifying key always comes from the caller, never from what is being verified; the kind stands in the signed
header, so a manifest cannot be shown as a permit. Signing the same payload twice gives the same bytes.
"""

import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

ALGORITHM = "Ed25519"

LONGEST = 64 << 20
"""Bytes that a statement may have: the terms of a large observatory name thousands of doctors and of codes."""


class BadSignature(Exception):
    """Not signed by this key, not of this kind, or not a signed statement at all."""


def canonical(payload: Mapping[str, object]) -> bytes:
    """The one way of writing this payload as JSON, ending in a newline."""
    text = json.dumps(payload, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False)
    return text.encode() + b"\n"


def sign(kind: str, payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """A compact JWS over these bytes."""
    header = {"alg": ALGORITHM, "typ": kind}
    return jws.serialize_compact(header, payload, OKPKey(key, key), algorithms=[ALGORITHM]).encode()


def verified(kind: str, statement: bytes, key: Ed25519PublicKey) -> bytes:
    """The signed bytes; BadSignature if anything is off."""
    try:
        signed = jws.deserialize_compact(statement, OKPKey(key, key), registry=_registry())
    except (JoseError, ValueError) as error:
        raise BadSignature from error
    if signed.headers().get("typ") != kind:
        raise BadSignature
    return signed.payload


def _registry() -> jws.JWSRegistry:
    registry = jws.JWSRegistry(algorithms=[ALGORITHM])
    registry.max_payload_length = LONGEST
    return registry
