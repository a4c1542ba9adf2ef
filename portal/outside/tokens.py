"""What is made with the keys: sealed contacts, blind indexes, link tokens, matching tokens, pseudonyms."""

import base64
import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal.outside.keys import Chance, KeyRing
from portal.rules.refusals import Refused

_VERSION = b"\x01"


def seal(ring: KeyRing, plaintext: bytes, bound_to: str, *, chance: Chance = secrets.token_bytes) -> bytes:
    """AES-256-GCM: version byte, nonce, ciphertext, tag. It opens only beside the same `bound_to` (its row)."""
    nonce = chance(12)
    return _VERSION + nonce + AESGCM(ring.bytes_of("contacts")).encrypt(nonce, plaintext, _bound(bound_to))


def open_sealed(ring: KeyRing, sealed: bytes, bound_to: str) -> bytes:
    try:
        if sealed[:1] == _VERSION and len(sealed) >= 1 + 12 + 16:
            return AESGCM(ring.bytes_of("contacts")).decrypt(sealed[1:13], sealed[13:], _bound(bound_to))
    except InvalidTag:
        pass
    raise Refused("sealed_damaged", "A sealed value is damaged or moved, or the key is another.", status=503)


def blind_index(ring: KeyRing, kind: str, value: str) -> bytes:
    """32 bytes, equal for equal values of one kind (`email`, `phone`); the caller normalises the value."""
    return _keyed(ring, "blind", kind, value)


def match_token(ring: KeyRing, kind: str, value: str) -> bytes:
    """32 bytes, equal for equal traits of one kind; the caller normalises the value."""
    return _keyed(ring, "matching", kind, value)


def link_token(ring: KeyRing, notice_id: str) -> str:
    """The 43 characters of a personal link, the same each time it is rendered; 256 bit."""
    token = hmac.digest(ring.bytes_of("links"), notice_id.encode(), "sha256")
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def token_hash(token: str | bytes) -> bytes:
    """SHA-256, the only form of a token at rest. Any text may come in, as from a URL."""
    content = token if isinstance(token, bytes) else token.encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).digest()


def pseudonym(ring: KeyRing, family: str, person_id: bytes) -> bytes:
    """The 16 bytes that stand for a person in one observatory or study, and nowhere else."""
    if not family.startswith(("observatory:", "study:")):
        raise Refused("key_kind", "Only an observatory's or a study's key makes pseudonyms.", status=503)
    return hmac.digest(ring.bytes_of(family), person_id, "sha256")[:16]


def _bound(bound_to: str) -> bytes:
    return _VERSION + bound_to.encode()


def _keyed(ring: KeyRing, family: str, kind: str, value: str) -> bytes:
    if "\0" in kind:
        raise ValueError("a kind holds no NUL: it separates kind and value")
    return hmac.digest(ring.bytes_of(family), f"{kind}\0{value}".encode(), "sha256")
