"""What is made with the keys: sealed contacts, blind indexes, link tokens, matching tokens, pseudonyms."""

import base64
import hashlib
import hmac
import itertools
import secrets
from contextlib import suppress

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal.outside.keys import Chance, KeyRing, secret_fingerprint
from portal.rules.refusals import Refused
from portal.rules.typed_code import CHANCE_BITS, code_of

_VERSION = b"\x02"
_UNNAMED = b"\x01"
"""Values sealed before keys had ids: nonce and ciphertext only, opened with whichever key fits."""

_ID = 8


def seal(ring: KeyRing, plaintext: bytes, bound_to: str, *, chance: Chance = secrets.token_bytes) -> bytes:
    """AES-256-GCM: version byte, key id, nonce, ciphertext, tag. It opens only beside the same `bound_to` (its row)."""
    key, nonce = ring.bytes_of("contacts"), chance(12)
    head = sealed_by(key)
    return head + nonce + AESGCM(key).encrypt(nonce, plaintext, head + bound_to.encode())


def open_sealed(ring: KeyRing, sealed: bytes, bound_to: str) -> bytes:
    """What was sealed, with the current key or a former one."""
    named = sealed[:1] == _VERSION
    at = 1 + _ID if named else 1
    head, nonce, ciphertext = sealed[:at], sealed[at : at + 12], sealed[at + 12 :]
    if sealed[:1] in (_VERSION, _UNNAMED) and len(ciphertext) >= 16:
        for key in _openers(ring, head) if named else ring.all_bytes_of("contacts"):
            with suppress(InvalidTag):
                return AESGCM(key).decrypt(nonce, ciphertext, head + bound_to.encode())
    raise Refused("sealed_damaged", "A sealed value is damaged or moved, or the key is another.", status=503)


def _openers(ring: KeyRing, head: bytes) -> list[bytes]:
    current = ring.bytes_of("contacts")
    known = [current] if sealed_by(current) == head else ring.all_bytes_of("contacts")
    return [key for key in known if sealed_by(key) == head]


def sealed_by(key: bytes) -> bytes:
    """How every value begins that this key has sealed."""
    return _VERSION + bytes.fromhex(secret_fingerprint(key))[:_ID]


def blind_index(ring: KeyRing, kind: str, value: str) -> bytes:
    """32 bytes, equal for equal values of one kind (`email`, `phone`); the caller normalises the value."""
    return _keyed(ring, "blind", kind, value)


def match_token(ring: KeyRing, kind: str, value: str) -> bytes:
    """32 bytes, equal for equal traits of one kind; the caller normalises the value."""
    return _keyed(ring, "matching", kind, value)


def link_token(ring: KeyRing, notice_id: str) -> str:
    """The 43 characters of a new notice's personal link; 256 bit. Its hash is kept, and says later which key it was."""
    return _link(ring.bytes_of("links"), notice_id)


def _link(key: bytes, notice_id: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, notice_id.encode(), "sha256")).rstrip(b"=").decode()


def sent_link_token(ring: KeyRing, notice_id: str, hashed: str) -> str:
    """The token of a notice whose hash is at rest: the same each time, also after its key was replaced."""
    return _link(_key_of(ring, notice_id, hashed), notice_id)


def sent_letter_code(ring: KeyRing, notice_id: str, hashed: str) -> str:
    """The code on that notice's letter: 14 symbols of rules/typed_code.py, 65 bit."""
    return _code(_key_of(ring, notice_id, hashed), notice_id)


def letter_code_hash(ring: KeyRing, notice_id: str, hashed: str) -> bytes:
    """The only form of that code at rest. Takes 50 ms of a processor and 46 MiB."""
    key = _key_of(ring, notice_id, hashed)
    return _slow_hash(key, _code(key, notice_id))


def typed_code_hashes(ring: KeyRing, code: str) -> list[bytes]:
    """What may be at rest of a code that somebody typed: one for each link key, the current one first."""
    return [_slow_hash(key, code) for key in ring.all_bytes_of("links")]


def _key_of(ring: KeyRing, notice_id: str, hashed: str) -> bytes:
    for key in ring.all_bytes_of("links"):
        if hmac.compare_digest(token_hash(_link(key, notice_id)).hex(), hashed):
            return key
    raise Refused("link_key_missing", "The key of this link is not there: restore the key.", status=503)


def _code(key: bytes, notice_id: str) -> str:
    numbers = (hmac.digest(key, f"code/{tried}/{notice_id}".encode(), "sha256") for tried in itertools.count())
    codes = (code_of(int.from_bytes(number) >> (256 - CHANCE_BITS)) for number in numbers)
    return next(code for code in codes if code is not None)


def _slow_hash(key: bytes, code: str) -> bytes:
    """argon2id at OWASP's smallest setting. The salt is the key's, so that a code can be looked up; whoever does not
    have the key can try none."""
    salt = hmac.digest(key, b"salt of codes", "sha256")[:16]
    return hash_secret_raw(
        code.encode(), salt, time_cost=1, memory_cost=47_104, parallelism=1, hash_len=32, type=Type.ID
    )


def token_hash(token: str | bytes) -> bytes:
    """SHA-256, the only form of a token at rest. Any text may come in, as from a URL."""
    content = token if isinstance(token, bytes) else token.encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).digest()


def seal_under(token: str, text: str, *, chance: Chance = secrets.token_bytes) -> bytes:
    """Sealed with a random token, of which only the hash is at rest: it opens for who brings the token again."""
    nonce = chance(12)
    return nonce + AESGCM(_own_key(token)).encrypt(nonce, text.encode(), None)


def open_under(token: str, sealed: bytes) -> str:
    """What was sealed under the token; empty when it was not, or is damaged."""
    with suppress(InvalidTag, ValueError):
        return AESGCM(_own_key(token)).decrypt(sealed[:12], sealed[12:], None).decode()
    return ""


def _own_key(token: str) -> bytes:
    return hmac.digest(token.encode("utf-8", "surrogatepass"), b"sealed under a token", "sha256")


def pseudonym(ring: KeyRing, family: str, person_id: bytes) -> bytes:
    """The 16 bytes that stand for a person in one observatory or study, and nowhere else."""
    if not family.startswith(("observatory:", "study:")):
        raise Refused("key_kind", "Only an observatory's or a study's key makes pseudonyms.", status=503)
    return hmac.digest(ring.bytes_of(family), person_id, "sha256")[:16]


def _keyed(ring: KeyRing, family: str, kind: str, value: str) -> bytes:
    if "\0" in kind:
        raise ValueError("a kind holds no NUL: it separates kind and value")
    return hmac.digest(ring.bytes_of(family), f"{kind}\0{value}".encode(), "sha256")
