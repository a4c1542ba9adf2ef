"""Files encrypted for one reader with age (X25519), by the names of the age format: recipient and identity.

A damaged file makes the library leave what it had read so far: everything is written under another name first, and a
file gets its own only when all of it was read.
"""

from pathlib import Path

import pyrage
from pyrage import x25519

from portal.gate.folders import synced
from portal.rules.bech32 import encode
from portal.rules.refusals import Refused

SUFFIX = ".age"


def identity_of(key: bytes) -> str:
    """The age identity that these 32 secret bytes are."""
    return encode("age-secret-key-", key).upper()


def recipient_of(identity: str) -> str:
    """The public half, `age1…`, for which others encrypt."""
    return str(_identity(identity).to_public())


def new_identity() -> str:
    return str(x25519.Identity.generate())


def read_identity(path: Path) -> str:
    """The identity in a file as `age-keygen` writes it: one `AGE-SECRET-KEY-1…` line beside comments."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="ascii").splitlines()]
    except (OSError, ValueError):
        raise Refused("age_identity", "Not a readable age identity file.", where=path.name, status=422) from None
    found = [line for line in lines if line and not line.startswith("#")]
    if len(found) != 1:
        raise Refused("age_identity", "Not one age identity, but none or several.", where=path.name, status=422)
    return str(_identity(found[0]))


def encrypt(source: Path, target: Path, recipient: str) -> None:
    """`target` is what only the recipient's identity opens; whole or not at all. Other bytes each time."""
    part = target.with_name(f".{target.name}.part")
    try:
        pyrage.encrypt_file(str(source), str(part), [x25519.Recipient.from_str(recipient)])
        synced(part)
        part.rename(target)
    except pyrage.RecipientError:
        raise Refused("age_recipient", "Not an age recipient (age1…).", where="recipient", status=422) from None
    finally:
        part.unlink(missing_ok=True)


def decrypt(source: Path, target: Path, *identities: str) -> None:
    """`target` is the plain file, opened with whichever identity fits; whole or not there. Refused for another
    reader's file and for a damaged one."""
    part = target.with_name(f".{target.name}.part")
    part.touch(mode=0o600)
    try:
        pyrage.decrypt_file(str(source), str(part), [_identity(one) for one in identities])
        part.rename(target)
    except (pyrage.DecryptError, OSError):
        what = "Damaged, or encrypted for somebody else."
        raise Refused("age_unreadable", what, where=source.name, status=422) from None
    finally:
        part.unlink(missing_ok=True)


def _identity(text: str) -> x25519.Identity:
    try:
        return x25519.Identity.from_str(text)
    except pyrage.IdentityError:
        raise Refused("age_identity", "Not an age identity (AGE-SECRET-KEY-1…).", status=422) from None
