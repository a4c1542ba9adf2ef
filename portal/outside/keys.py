"""The key families: files of mode 0600 in a folder of mode 0700, never in the database.

`contacts` seals contacts; `blind` makes their indexes; `links` link tokens; `matching` person tokens;
`releases` closes what the portal keeps of a release; `observatory:<id>` and `study:<id>` make pseudonyms; `signing`
and `practice:<id>` sign (Ed25519).
"""

import base64
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from portal.rules.refusals import Refused

Chance = Callable[[int], bytes]

_FAMILY = re.compile(
    r"contacts|blind|links|matching|signing|releases"
    r"|(?:observatory|study|practice):[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
)
_LINE = "portal key v1"


def signs(family: str) -> bool:
    return family == "signing" or family.startswith("practice:")


def public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The public key (PEM) that a verifier has pinned."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError):
        raise Refused("public_key", "not a readable public key (PEM)", where=path.name) from None
    if not isinstance(key, Ed25519PublicKey):
        raise Refused("public_key", "not an Ed25519 public key", where=path.name)
    return key


def write_whole(path: Path, content: bytes, *, mode: int = 0o600, replace: bool = True) -> None:
    """The file is there whole or not at all, also after a power cut.

    Without `replace`, a file that exists is kept and FileExistsError raised.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class KeyRing:
    """Reads and makes keys in one folder. A key missing, damaged or open to others is refused with 503."""

    def __init__(self, folder: Path, *, chance: Chance = secrets.token_bytes) -> None:
        self.folder, self._chance = folder, chance
        self._read: dict[str, tuple[tuple[int, int, int], bytes]] = {}
        self._paths: dict[str, str] = {}

    def create(self, family: str) -> None:
        """Make a new key. One that exists is never overwritten: Refused("key_exists")."""
        path, key = Path(self._path(family)), self._chance(32)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if signs(family):
            content = Ed25519PrivateKey.from_private_bytes(key).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        else:
            content = f"{_LINE} {family} {base64.b64encode(key).decode()}\n".encode()
        try:
            write_whole(path, content, replace=False)
        except FileExistsError:
            raise Refused("key_exists", "This key exists; it is not overwritten.", where=family) from None

    def list(self) -> list[str]:
        names = (path.stem.replace("~", ":") for path in self.folder.glob("*.key"))
        return sorted(name for name in names if _FAMILY.fullmatch(name))

    def exists(self, family: str) -> bool:
        return os.path.exists(self._path(family))

    def bytes_of(self, family: str) -> bytes:
        """The 32 bytes of a secret family. A changed or removed file is noticed at once."""
        if signs(family):
            raise Refused("key_kind", "A signing key's bytes are not handed out.", where=family, status=503)
        line = self._content(family).decode("ascii", "replace").rstrip("\n")
        start, _, encoded = line.rpartition(" ")
        key = _unbase64(encoded) if start == f"{_LINE} {family}" else b""
        if len(key) != 32:
            raise Refused("key_damaged", "The file holds no key of this family: restore it.", where=family, status=503)
        return key

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

    def export_public(self, path: Path, family: str = "signing") -> None:
        """Write the public key (PEM) that a verifier pins."""
        write_whole(path, public_pem(self.public_key(family)), mode=0o644)

    def _path(self, family: str) -> str:
        if (known := self._paths.get(family)) is not None:
            return known
        if not _FAMILY.fullmatch(family):
            raise Refused("key_family", "There is no key family of this name.", status=422)
        self._paths[family] = path = str(self.folder / f"{family.replace(':', '~')}.key")
        return path

    def _content(self, family: str) -> bytes:
        path = self._path(family)
        try:
            found = os.stat(path)
            if found.st_mode & 0o077:
                raise Refused("key_exposed", "Others can read this key: chmod 600.", where=family, status=503)
            mark = (found.st_ino, found.st_mtime_ns, found.st_size)
            if (read := self._read.get(family)) is None or read[0] != mark:
                with open(path, "rb") as file:
                    read = self._read[family] = (mark, file.read())
        except OSError:
            raise Refused(
                "key_missing", "This key is not there: `portal keys create`.", where=family, status=503
            ) from None
        return read[1]


def _unbase64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""
