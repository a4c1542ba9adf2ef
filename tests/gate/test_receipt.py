"""A patient's receipt offline: what holds, and every way in which it does not."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import made
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.gate.checkpoint import Checkpoint, write_checkpoint
from portal.gate.receipt import verify_receipt, write_receipt
from portal.rules.log_leaf import LeafEntry, commitment
from portal.rules.merkle import inclusion, leaf_hash, root
from portal.rules.refusals import Refused

KEY = made.KEY
SALT = b"s" * 16
TERMS = {"dct:identifier": "one", "scope": {"kind": "everything", "ref": ""}, "log_entry": 7}


def proof(kind: str = "objected", entry: int = 7, key: Ed25519PrivateKey = KEY) -> dict[str, Any]:
    """The proof of a log in which the entry is the third of five."""
    said = LeafEntry(entry, kind, datetime(2026, 3, 2, 9, 0, tzinfo=UTC), "patient", "everything", [("person", "p")])
    leaf = leaf_hash(commitment(SALT, said.as_json()))
    leaves = [leaf if n == 2 else leaf_hash(bytes([n])) for n in range(5)]
    return {
        "log_entry": entry, "entry": said.as_json(), "salt": SALT.hex(), "place": 2, "leaf_hash": leaf.hex(),
        "size": 5, "root": root(leaves).hex(), "path": [step.hex() for step in inclusion(leaves, 2)],
        "checkpoint": write_checkpoint(Checkpoint("portal.example.org/log", 5, root(leaves)), key),
    }  # fmt: skip


def refused(file: bytes, *, kept: str | None = None) -> str:
    """The code of the refusal, which says something, and of what."""
    with pytest.raises(Refused) as no:
        verify_receipt(file, KEY.public_key(), kept=kept)
    assert made.SENTENCE.fullmatch(no.value.what)
    assert (no.value.where, no.value.status) == ("the receipt", 422)
    return no.value.code


def test_a_receipt_is_verified_with_nothing_but_the_key() -> None:
    found = verify_receipt(write_receipt(TERMS, proof(), KEY), KEY.public_key())
    assert (found.terms, found.proved) == (TERMS, True)
    assert write_receipt(TERMS, proof(), KEY) == write_receipt(TERMS, proof(), KEY)


def test_before_it_has_its_place_a_receipt_is_genuine_and_not_proved() -> None:
    file = write_receipt(TERMS, None, KEY)
    assert not verify_receipt(file, KEY.public_key()).proved
    assert refused(file, kept=proof()["checkpoint"]) == "proof_missing"


def test_it_is_held_against_a_checkpoint_kept_elsewhere() -> None:
    file, kept = write_receipt(TERMS, proof(), KEY), proof()["checkpoint"]
    assert verify_receipt(file, KEY.public_key(), kept=kept).proved
    other = write_checkpoint(Checkpoint("portal.example.org/log", 5, b"o" * 32), KEY)
    with pytest.raises(Refused) as no:
        verify_receipt(file, KEY.public_key(), kept=other)
    assert no.value.code == "checkpoint_other"


def _terms(file: dict[str, Any]) -> None:
    file["receipt"]["scope"] = {"kind": "study", "ref": "diabetes"}


def _signed_by_another(file: dict[str, Any]) -> None:
    file.update(json.loads(write_receipt(TERMS, proof(), Ed25519PrivateKey.generate())))


def _proof_of_another_entry(file: dict[str, Any]) -> None:
    file["proof"] = proof(entry=8)


def _proof_of_another_kind(file: dict[str, Any]) -> None:
    file["proof"] = proof(kind="objection_taken_back")


def _log_of_another(file: dict[str, Any]) -> None:
    file["proof"] = proof(key=Ed25519PrivateKey.generate())


def _said_otherwise(file: dict[str, Any]) -> None:
    file["proof"]["entry"]["summary"] = "study"


def _elsewhere(file: dict[str, Any]) -> None:
    file["proof"]["place"] = 3


def _no_path(file: dict[str, Any]) -> None:
    file["proof"]["path"] = "none"


def _no_statement(file: dict[str, Any]) -> None:
    file["signed"] = 7


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_terms, "receipt_differs"),
        (_signed_by_another, "receipt_signature"),
        (_proof_of_another_entry, "proof_entry"),
        (_proof_of_another_kind, "proof_entry"),
        (_log_of_another, "proof_signature"),
        (_said_otherwise, "proof_entry"),
        (_elsewhere, "proof_inclusion"),
        (_no_path, "proof_malformed"),
        (_no_statement, "receipt_malformed"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_whatever_was_changed_is_seen(spoil: Callable[[dict[str, Any]], None], code: str) -> None:
    file = json.loads(write_receipt(TERMS, proof(), KEY))
    spoil(file)
    assert refused(json.dumps(file).encode()) == code


@pytest.mark.parametrize("file", [b"", b"[]", b"{}", b"\xff", b'{"receipt": {}, "signed": "", "proof": null}'])
def test_what_is_no_receipt_is_refused(file: bytes) -> None:
    assert refused(file) == "receipt_malformed"
