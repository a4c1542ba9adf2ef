"""A sealed release as its recipient gets it: records encrypted for it, hashes of what was encrypted, proof of the seal.

The manifest speaks of plain files, so that the same decision gives the same bytes; encryption gives other bytes each
time, so what was handed over is signed apart, in `cipher.jws`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.gate.age import SUFFIX, encrypt
from portal.gate.folders import files_below, sha256_of, whole_folder, write_whole
from portal.gate.signature import BadSignature, Keys, canonical, sign, verified
from portal.gate.unfinished import remove
from portal.rules.refusals import Refused

KIND = "portal-cipher"
CIPHER = "cipher.jws"


@dataclass(frozen=True, slots=True)
class Cipher:
    """Which release was encrypted for whom, and the SHA-256 of each encrypted file by its name in the folder."""

    release_id: str
    version: int
    manifest_sha256: str
    recipient: str
    files: dict[str, str]


def write_delivery(
    plain: Path, target: Path, *, proof: Mapping[str, Any], recipient: str | None, key: Ed25519PrivateKey
) -> None:
    """Puts the plain release in this work folder in its place, encrypted for `recipient` if there is one.

    An older version of the same name gives way. The files of `plain` may be moved.
    """
    ready = target.with_name(f".{target.name}.next")
    remove([ready])
    with whole_folder(ready) as part:
        (part / "records").mkdir()
        for name, file in files_below(plain).items():
            if recipient and name.startswith("records/"):
                encrypt(file, part / f"{name}{SUFFIX}", recipient)
            else:
                file.rename(part / name)
        write_whole(part / "proof.json", canonical(proof))
        if recipient:
            write_whole(part / CIPHER, _statement(part, recipient, key))
    remove([target])
    ready.rename(target)


def _statement(part: Path, recipient: str, key: Ed25519PrivateKey) -> bytes:
    manifest = json.loads((part / "manifest.json").read_bytes())
    said = {
        "release_id": manifest["release_id"],
        "version": manifest["version"],
        "manifest_sha256": sha256_of(part / "manifest.json"),
        "recipient": recipient,
        "files": {name: sha256_of(file) for name, file in files_below(part).items() if name.endswith(SUFFIX)},
    }
    return sign(KIND, canonical(said), key)


def read_cipher(folder: Path, public_key: Keys) -> Cipher | None:
    """What `cipher.jws` says; None for a folder of plain records. Refused when this key did not sign it."""
    if not (folder / CIPHER).exists():
        return None
    try:
        return Cipher(**json.loads(verified(KIND, (folder / CIPHER).read_bytes(), public_key)))
    except BadSignature as error:
        raise Refused("cipher_signature", "Not signed by this key.", where=CIPHER, status=422) from error
    except (TypeError, ValueError) as error:
        raise Refused("cipher_malformed", "Not what this program knows.", where=CIPHER, status=422) from error


def is_delivery(folder: Path, manifest_sha256: str, recipient: str | None, public_key: Keys) -> bool:
    """Whether the folder holds this very version for this very recipient."""
    if not (folder / "manifest.json").is_file() or sha256_of(folder / "manifest.json") != manifest_sha256:
        return False
    cipher = read_cipher(folder, public_key)
    return (cipher.recipient if cipher else None) == recipient
