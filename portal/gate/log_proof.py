"""Proofs checked offline: an entry stands in the log that the portal has signed; of a release (`proof.json`), its seal.

What is proved: the entry's leaf is in the tree of the proof's own checkpoint, which a pinned key has signed; and that
it says "sealed" of this very manifest. With a checkpoint kept elsewhere: that the two are one log.
Equal sizes need nothing more; a larger one needs its way (`portal log checkpoint --since SIZE`); a smaller one is
older than the seal and says nothing of it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portal.gate.checkpoint import Checkpoint, read_checkpoint, read_way
from portal.gate.signature import BadSignature, Keys
from portal.rules.log_leaf import commitment
from portal.rules.merkle import is_consistent, is_included, leaf_hash
from portal.rules.refusals import Refused

PROOF = "proof.json"
LARGEST = 2**62
ENTRY = frozenset({"id", "kind", "at", "actor", "summary", "touches"})


def verify_proof(
    folder: Path, key: Keys, *, release_id: str, manifest_sha256: str, kept: str | None = None
) -> int | None:
    """The log entry of the seal; None without a proof.json. Refused with the first thing that is off."""
    if not (folder / PROOF).exists():
        if kept is not None:
            raise _refused("proof_missing", "There is no proof to hold against a checkpoint.")
        return None
    proof = _read(folder / PROOF)
    entry = proved(proof, key, kept=kept)
    named = (entry["kind"], entry["summary"], entry["touches"])
    if named != ("release_sealed", f"{release_id}, manifest {manifest_sha256}", [["release", release_id]]):
        raise _refused("proof_entry", "The entry is not the seal of this release.")
    return int(entry["id"])


def proved(proof: Mapping[str, Any], key: Keys, *, kept: str | None = None, where: str = PROOF) -> Mapping[str, Any]:
    """The entry that this proof shows to stand in the log, as its leaf has it. Refused with the first thing that is
    off; `kept`: a checkpoint kept elsewhere, which must be of the same log."""
    try:
        signed = read_checkpoint(proof["checkpoint"], key)
        leaf, path = _bytes(proof["leaf_hash"]), [_bytes(step) for step in proof["path"]]
        if (signed.size, signed.root) != (proof["size"], _bytes(proof["root"])):
            raise _refused("proof_checkpoint", "The proof says another size or root than its checkpoint.", where)
        entry: Mapping[str, Any] = proof["entry"]
        if leaf_hash(commitment(_bytes(proof["salt"]), dict(entry))) != leaf:
            raise _refused("proof_entry", "The entry is not the one in the log.", where)
        if entry["id"] != _count(proof["log_entry"]) or set(entry) != ENTRY:
            raise _refused("proof_entry", "The proof says another entry than its leaf.", where)
        if not is_included(leaf, _count(proof["place"]), signed.size, path, signed.root):
            raise _refused("proof_inclusion", "The entry is not in the log that was signed.", where)
    except BadSignature as error:
        raise _refused("proof_signature", "The checkpoint is not signed by this key.", where) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refused("proof_malformed", "Not a proof of inclusion.", where) from error
    if kept is not None:
        _check_kept(signed, kept, key)
    return entry


def _refused(code: str, what: str, where: str = PROOF) -> Refused:
    return Refused(code, what, where=where, status=422)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        proof = json.loads(path.read_bytes())
    except ValueError as error:
        raise _refused("proof_malformed", "proof.json is not JSON.") from error
    if not isinstance(proof, dict):
        raise _refused("proof_malformed", "proof.json is not a proof of inclusion.")
    return proof


def _bytes(text: str) -> bytes:
    """ValueError for another spelling than the one that the portal writes: the same proof must have one form."""
    value = bytes.fromhex(text)
    if value.hex() != text:
        raise ValueError("hexadecimal digits in another spelling")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise TypeError
    return value


def _check_kept(signed: Checkpoint, kept: str, key: Keys) -> None:
    where = "the checkpoint kept elsewhere"
    try:
        way = read_way(kept, key)
    except BadSignature as error:
        raise _refused("checkpoint_signature", "Not a checkpoint signed by this key.", where) from error
    later = way.checkpoint
    if later.size < signed.size:
        raise _refused("checkpoint_older", "Older than the proof: keep a newer one.", where)
    if later.size > signed.size and way.old != signed.size:
        raise _refused("checkpoint_way", f"Larger: ask for its way since {signed.size}.", where)
    path = way.path if way.old == signed.size else ()
    if not is_consistent(signed.size, later.size, signed.root, later.root, path):
        raise _refused("checkpoint_other", "Another log than the proof's.", where)
