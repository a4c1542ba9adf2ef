"""A patient's receipt: what she said and since when it holds, signed. Checked offline, by her or her association.

receipt    in words that machines share (W3C DPV), in the structure of ISO/IEC TS 27560 for what is no consent
signed     the same, as a statement signed by the portal (JWS, Ed25519)
proof      that its log entry stands in the portal's log; null in the seconds before it has its place
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.gate.log_proof import proved
from portal.gate.signature import BadSignature, Keys, canonical, sign, verified
from portal.rules.refusals import Refused

KIND = "objection-receipt"
WHERE = "the receipt"
SAYING_NO = frozenset({"objected", "objected_with_code", "objected_without_token"})
"""The kinds of log entries by which somebody says no."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a genuine receipt says. `proved`: its entry was shown to stand in the log."""

    terms: Mapping[str, Any]
    proved: bool


def write_receipt(terms: Mapping[str, Any], proof: Mapping[str, Any] | None, key: Ed25519PrivateKey) -> bytes:
    """The receipt as a JSON file; the same terms and proof give the same bytes."""
    signed = sign(KIND, canonical(terms), key).decode()
    return canonical({"receipt": dict(terms), "signed": signed, "proof": None if proof is None else dict(proof)})


def verify_receipt(file: bytes, keys: Keys, *, kept: str | None = None) -> Receipt:
    """Refused with the first thing that is off. `kept`: a checkpoint of the log kept elsewhere."""
    try:
        found = json.loads(file)
        terms, signed, proof = found["receipt"], found["signed"].encode(), found["proof"]
        entry = terms["log_entry"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused("receipt_malformed", "Not a receipt of a portal.") from error
    try:
        if verified(KIND, signed, keys) != canonical(terms):
            raise _refused("receipt_differs", "It says something else than what was signed.")
    except BadSignature as error:
        raise _refused("receipt_signature", "Not signed by this key.") from error
    if proof is None:
        if kept is not None:
            raise _refused("proof_missing", "It has no proof yet: ask for it again.")
        return Receipt(terms, proved=False)
    shown = proved(proof, keys, kept=kept, where=WHERE)
    if shown["id"] != entry or shown["kind"] not in SAYING_NO:
        raise _refused("proof_entry", "The proof is of another entry.")
    return Receipt(terms, proved=True)


def _refused(code: str, what: str) -> Refused:
    return Refused(code, what, where=WHERE, status=422)
