"""Checkpoints of the log (C2SP tlog-checkpoint): size and root of its tree in a signed note (Ed25519).

    example.org/log          the origin, also the name of the key
    1042                     the size
    h5q…=                    the root, base64
                             an empty line
    — example.org/log Wx…=   key id and signature, base64

A checkpoint "with its way" begins as the request of a C2SP witness does: `old SIZE`, the hashes that prove the tree
of that size to be its beginning, one a line, and an empty line.
"""

import base64
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from portal.gate.signature import BadSignature, Keys, keys_of

_NOTE = re.compile(r"([^\s+]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n\n— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})\n")
_WAY = re.compile(r"old (0|[1-9][0-9]{0,18})\n((?:[A-Za-z0-9+/]{43}=\n){0,63})\n")
_ED25519 = b"\x01"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`signer`: the place of the key that signed it among those that were given; 0 is the current one."""

    origin: str
    size: int
    root: bytes
    signer: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Way:
    """A verified checkpoint, and what shows that the tree of `old` leaves is its beginning (None: nothing shown)."""

    checkpoint: Checkpoint
    old: int | None
    path: tuple[bytes, ...]


def write_checkpoint(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The signed note; the same checkpoint gives the same text."""
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{_base64(checkpoint.root)}\n"
    stamp = _key_id(checkpoint.origin, key.public_key()) + key.sign(text.encode())
    return f"{text}\n— {checkpoint.origin} {_base64(stamp)}\n"


def read_checkpoint(note: str, keys: Keys) -> Checkpoint:
    """What the note says, if one of these keys has signed it as its origin; BadSignature otherwise."""
    found = _NOTE.fullmatch(note)
    if found is None or found[1] != found[4]:
        raise BadSignature
    origin, size, root, _, stamp = found.groups()
    try:
        signed = base64.b64decode(stamp, validate=True)
    except ValueError:
        raise BadSignature from None
    for place, key in enumerate(keys_of(keys)):
        if signed[:4] != _key_id(origin, key):
            continue
        with suppress(InvalidSignature):
            key.verify(signed[4:], f"{origin}\n{size}\n{root}\n".encode())
            return Checkpoint(origin, int(size), base64.b64decode(root), place)
    raise BadSignature


def write_way(note: str, old: int, path: Sequence[bytes]) -> str:
    return f"old {old}\n{''.join(_base64(step) + chr(10) for step in path)}\n{note}"


def read_way(text: str, keys: Keys) -> Way:
    """A checkpoint with or without its way; BadSignature when it is neither or not signed by one of these keys."""
    begun = _WAY.match(text)
    if begun is None:
        return Way(read_checkpoint(text, keys), None, ())
    path = tuple(base64.b64decode(line) for line in begun[2].split())
    return Way(read_checkpoint(text[begun.end() :], keys), int(begun[1]), path)


def _key_id(origin: str, key: Ed25519PublicKey) -> bytes:
    return sha256(origin.encode() + b"\n" + _ED25519 + key.public_bytes_raw()).digest()[:4]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
