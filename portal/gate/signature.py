"""Signed statements: JWS with Ed25519 and nothing else, each with the kind of paper it is.

The verifying key always comes from the caller, never from what is being verified; the kind stands in the signed
header, so a manifest cannot be shown as a permit. Signing the same payload twice gives the same bytes.
"""

import json
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

ALGORITHM = "Ed25519"

LONGEST = 64 << 20
"""Bytes that a statement may have: the terms of a large observatory name thousands of doctors and of codes."""

Keys = Ed25519PublicKey | Sequence[Ed25519PublicKey]
"""The pinned key; or the current one followed by those that it replaced, the newest first."""


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


def keys_of(keys: Keys) -> Sequence[Ed25519PublicKey]:
    return [keys] if isinstance(keys, Ed25519PublicKey) else keys


def verified(kind: str, statement: bytes, keys: Keys) -> bytes:
    """The signed bytes; BadSignature if anything is off."""
    return verified_by(kind, statement, keys)[0]


def verified_by(kind: str, statement: bytes, keys: Keys) -> tuple[bytes, int]:
    """The signed bytes and the place of the key that signed them: 0 is the current one."""
    for place, key in enumerate(keys_of(keys)):
        try:
            signed = jws.deserialize_compact(statement, OKPKey(key, key), registry=_registry())
        except (JoseError, ValueError):
            continue
        if signed.headers().get("typ") == kind:
            return signed.payload, place
    raise BadSignature


def _registry() -> jws.JWSRegistry:
    registry = jws.JWSRegistry(algorithms=[ALGORITHM])
    registry.max_payload_length = LONGEST
    return registry
