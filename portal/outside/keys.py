"""The key families, kept in a folder or a secret store, never in the database.

`contacts` seals contacts; `blind` makes their indexes; `links` link tokens; `matching` person tokens;
`releases` closes what the portal keeps of a release; `observatory:<id>` and `study:<id>` make pseudonyms; `signing`
and `practice:<id>` sign (Ed25519).
What may be rotated, and what becomes of the former keys: docs/decisions/0011-key-families.md.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from portal.outside.keystore import FolderStore, KeyStore, write_whole
from portal.rules.refusals import Refused

__all__ = ["Chance", "KeyRing", "public_pem", "read_public_key", "read_public_keys", "signs", "write_whole"]

Chance = Callable[[int], bytes]

_FAMILY = re.compile(
    r"contacts|blind|links|matching|signing|releases"
    r"|(?:observatory|study|practice):[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
)
_LINE = "portal key v1"
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----\n?", re.DOTALL)

KEPT = frozenset({"blind", "matching"})
"""Families that are never rotated: what they made is compared with what they make, and cannot be made again."""

OPEN_WITH_FORMER = frozenset({"contacts", "links", "releases"})
"""Families whose former keys stay beside the new one: what they made is still opened, or rendered again."""


def signs(family: str) -> bool:
    return family == "signing" or family.startswith("practice:")


def public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def read_public_keys(path: Path) -> tuple[Ed25519PublicKey, ...]:
    """The public keys (PEM) that a verifier has pinned: the current one, then those that it replaced, newest first."""
    try:
        keys = [serialization.load_pem_public_key(block) for block in _PEM.findall(path.read_bytes())]
    except (OSError, ValueError):
        keys = []
    if not keys:
        raise Refused("public_key", "not a readable public key (PEM)", where=path.name)
    wrong = [key for key in keys if not isinstance(key, Ed25519PublicKey)]
    if wrong:
        raise Refused("public_key", "not an Ed25519 public key", where=path.name)
    return tuple(key for key in keys if isinstance(key, Ed25519PublicKey))


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The current one of these: what is signed today, such as a permit, is held against no other."""
    return read_public_keys(path)[0]


class KeyRing:
    """Reads and makes keys. A key missing, damaged or open to others is refused with 503.

    `store`: a folder, or whatever else keeps named contents.
    """

    def __init__(self, store: Path | KeyStore, *, chance: Chance = secrets.token_bytes) -> None:
        self._store: KeyStore = FolderStore(store) if isinstance(store, Path) else store
        self.folder = store if isinstance(store, Path) else Path()
        self._chance = chance
        self._names: dict[str, str] = {}

    def create(self, family: str) -> None:
        """Make a new key. One that exists is never overwritten: Refused("key_exists")."""
        try:
            self._store.write(self._name(family), self._new(family), replace=False)
        except FileExistsError:
            raise Refused("key_exists", "This key exists; it is not overwritten.", where=family) from None

    def rotate(self, family: str) -> None:
        """Put a new key in the place of the one there is. The former one stays where something still needs it: whole
        for contacts and links, its public half for a key that signs. Killed at any point, nothing is lost."""
        if family in KEPT:
            raise Refused("key_kept", "What this key made cannot be made again: it is not rotated.", where=family)
        number = len(self.former(family)) + 1
        if signs(family):
            self._store.write(
                f"{self._stem(family)}~~{number:03d}.pub", public_pem(self.public_key(family)), replace=True
            )
        else:
            self.bytes_of(family)
            if family in OPEN_WITH_FORMER:
                self._store.write(f"{self._stem(family)}~~{number:03d}.key", self._content(family), replace=True)
        self._store.write(self._name(family), self._new(family), replace=True)

    def former(self, family: str) -> Sequence[str]:
        """The names of the former keys that are kept, the oldest first."""
        ending = "pub" if signs(family) else "key"
        former = re.compile(rf"{re.escape(self._stem(family))}~~[0-9]+\.{ending}")
        return sorted(name for name in self._store.names() if former.fullmatch(name))

    def forget(self, family: str) -> int:
        """Delete the former keys of a family whose former keys open something; returns how many."""
        former = self.former(family) if family in OPEN_WITH_FORMER else []
        for name in former:
            self._store.remove(name)
        return len(former)

    def delete(self, family: str) -> None:
        """Delete a key for good; twice is once."""
        self._store.remove(self._name(family))

    def list(self) -> list[str]:
        names = (name.removesuffix(".key").replace("~", ":") for name in self._store.names() if name.endswith(".key"))
        return sorted(name for name in names if _FAMILY.fullmatch(name))

    def exists(self, family: str) -> bool:
        try:
            self._store.read(self._name(family))
        except KeyError:
            return False
        return True

    def bytes_of(self, family: str) -> bytes:
        """The 32 bytes of a secret family. A changed or removed key is noticed: in a folder, at once."""
        return self._secret(family, self._content(family))

    def all_bytes_of(self, family: str) -> Sequence[bytes]:
        """The key of a secret family, then its former ones, the newest first."""
        former = [self._secret(family, self._store.read(name)) for name in reversed(self.former(family))]
        return [self.bytes_of(family), *former]

    def signing_key(self, family: str = "signing") -> Ed25519PrivateKey:
        try:
            key = serialization.load_pem_private_key(self._content(family), password=None)
        except ValueError:
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise Refused("key_damaged", "The file holds no Ed25519 key: restore it.", where=family, status=503)
        return key

    def public_key(self, family: str = "signing") -> Ed25519PublicKey:
        return self.signing_key(family).public_key()

    def public_keys(self, family: str = "signing") -> tuple[Ed25519PublicKey, ...]:
        """The public key, then those that it replaced, the newest first: what they signed still verifies."""
        found = {public_pem(self.public_key(family)): self.public_key(family)}
        for name in reversed(self.former(family)):
            pem = self._store.read(name)
            key = serialization.load_pem_public_key(pem)
            if isinstance(key, Ed25519PublicKey):
                found.setdefault(public_pem(key), key)
        return tuple(found.values())

    def fingerprint(self, family: str) -> str:
        """32 hexadecimal digits by which a key is known; they say nothing about it."""
        if signs(family):
            return fingerprint_of(self.public_key(family))
        return secret_fingerprint(self.bytes_of(family))

    def export_public(self, path: Path, family: str = "signing") -> None:
        """Write the public key (PEM) that a verifier pins, followed by those that it replaced."""
        write_whole(path, b"".join(map(public_pem, self.public_keys(family))), mode=0o644)

    def _new(self, family: str) -> bytes:
        key = self._chance(32)
        if not signs(family):
            return f"{_LINE} {family} {base64.b64encode(key).decode()}\n".encode()
        return Ed25519PrivateKey.from_private_bytes(key).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _secret(self, family: str, content: bytes) -> bytes:
        if signs(family):
            raise Refused("key_kind", "A signing key's bytes are not handed out.", where=family, status=503)
        start, _, encoded = content.decode("ascii", "replace").rstrip("\n").rpartition(" ")
        key = _unbase64(encoded) if start == f"{_LINE} {family}" else b""
        if len(key) != 32:
            raise Refused("key_damaged", "The file holds no key of this family: restore it.", where=family, status=503)
        return key

    def _stem(self, family: str) -> str:
        return self._name(family).removesuffix(".key")

    def _name(self, family: str) -> str:
        if (known := self._names.get(family)) is not None:
            return known
        if not _FAMILY.fullmatch(family):
            raise Refused("key_family", "There is no key family of this name.", status=422)
        self._names[family] = name = f"{family.replace(':', '~')}.key"
        return name

    def _content(self, family: str) -> bytes:
        try:
            return self._store.read(self._name(family))
        except KeyError:
            what = "This key is not there: `portal keys create`."
            raise Refused("key_missing", what, where=family, status=503) from None


def fingerprint_of(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:32]


def secret_fingerprint(key: bytes) -> str:
    return hmac.digest(key, b"observatory portal: fingerprint of a key", "sha256").hex()[:32]


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
