"""A release's proof that its seal stands in the log, offline: what holds, and every way in which it does not."""

import base64
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import made
import papers
import pytest

from portal.gate.checkpoint import Checkpoint, read_checkpoint, read_way, write_checkpoint, write_way
from portal.gate.log_proof import verify_proof
from portal.gate.signature import BadSignature
from portal.gate.verify import verify_release
from portal.rules.log_leaf import LeafEntry, commitment
from portal.rules.merkle import consistency, inclusion, leaf_hash, root
from portal.rules.refusals import Refused

ORIGIN = "observatory.example.org/log"
SALT = b"s" * 16
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PLACE, SIZE = 5, 9

Spoil = Callable[[dict[str, Any]], object]


def leaves_with(leaf: bytes, size: int) -> list[bytes]:
    leaves = [leaf_hash(bytes([n])) for n in range(size)]
    leaves[PLACE] = leaf
    return leaves


def note(leaves: list[bytes], *, key: Any = made.KEY, origin: str = ORIGIN) -> str:
    return write_checkpoint(Checkpoint(origin, len(leaves), root(leaves)), key)


def proof_for(release_id: str, manifest_sha256: str, **changes: Any) -> dict[str, Any]:
    """The proof of a log in which this is the sixth of nine entries; `changes` replace fields of the entry."""
    said = LeafEntry(
        41, "release_sealed", AT, "operator:1", f"{release_id}, manifest {manifest_sha256}", [("release", release_id)]
    )
    entry = said.as_json() | changes
    leaf = leaf_hash(commitment(SALT, entry))
    leaves = leaves_with(leaf, SIZE)
    return {
        "log_entry": entry["id"], "entry": entry, "salt": SALT.hex(), "place": PLACE, "leaf_hash": leaf.hex(),
        "size": SIZE, "root": root(leaves).hex(), "path": [step.hex() for step in inclusion(leaves, PLACE)],
        "checkpoint": note(leaves),
    }  # fmt: skip


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, _ = papers.release(tmp_path_factory.mktemp("sealed"))
    plain = verify_release(folder, made.KEY.public_key())
    assert plain.log_entry is None
    (folder / "proof.json").write_text(json.dumps(proof_for(plain.release_id, plain.manifest_sha256)))
    return folder


def proof_in(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "proof.json").read_text()))


def refusal(folder: Path, checkpoint: str | None = None) -> str:
    with pytest.raises(Refused) as refused:
        verify_release(folder, made.KEY.public_key(), checkpoint=checkpoint)
    return refused.value.code


def test_a_release_with_its_proof_names_its_log_entry(sealed: Path) -> None:
    assert verify_release(sealed, made.KEY.public_key()).log_entry == 41


def put(**values: Any) -> Spoil:
    return lambda proof: proof.update(values)


def entry(**values: Any) -> Spoil:
    """Another entry, well placed in a log that was well signed."""

    def spoil(proof: dict[str, Any]) -> None:
        release_id = proof["entry"]["touches"][0][1]
        sha256 = proof["entry"]["summary"].rpartition(" ")[2]
        proof.update(proof_for(release_id, sha256, **values))

    return spoil


def other_note(proof: dict[str, Any], **how: Any) -> str:
    return note(leaves_with(bytes.fromhex(proof["leaf_hash"]), SIZE), **how)


def altered_note(old: str, new: str) -> Spoil:
    return lambda proof: proof.update(checkpoint=proof["checkpoint"].replace(old, new, 1))


SPOILS: list[tuple[str, Spoil]] = [
    ("proof_signature", lambda p: p.update(checkpoint=other_note(p, key=made.FOREIGN_KEY))),
    ("proof_signature", altered_note("\n9\n", "\n10\n")),
    ("proof_signature", altered_note(ORIGIN, "elsewhere.example.org/log")),
    ("proof_signature", altered_note(f"— {ORIGIN}", "— elsewhere.example.org/log")),
    ("proof_signature", altered_note("— ", "- ")),
    ("proof_signature", lambda p: p.update(checkpoint=p["checkpoint"] + "\n")),
    ("proof_signature", lambda p: p.update(checkpoint=p["checkpoint"][:-6] + "AAA=\n")),
    ("proof_signature", put(checkpoint="")),
    ("proof_checkpoint", put(size=10)),
    ("proof_checkpoint", put(root="00" * 32)),
    ("proof_inclusion", put(place=4)),
    ("proof_inclusion", put(place=9)),
    ("proof_inclusion", put(path=[])),
    ("proof_inclusion", lambda p: p["path"].reverse()),
    ("proof_inclusion", lambda p: p["path"].append("00" * 32)),
    ("proof_inclusion", lambda p: p["path"].extend(["00" * 32] * 1000)),
    ("proof_entry", put(salt="00" * 16)),
    ("proof_entry", put(leaf_hash="00" * 32)),
    ("proof_entry", lambda p: p["entry"].update(actor="operator:2")),
    ("proof_entry", put(log_entry=42)),
    ("proof_entry", entry(kind="release_prepared")),
    ("proof_entry", entry(summary="another, manifest 00")),
    ("proof_entry", entry(touches=[["release", "another"]])),
    ("proof_entry", entry(touches=[])),
    ("proof_malformed", put(salt=None)),
    ("proof_malformed", put(salt="no hex")),
    ("proof_malformed", lambda p: p.update(leaf_hash=p["leaf_hash"].upper())),
    ("proof_malformed", lambda p: p["path"].__setitem__(0, p["path"][0].upper())),
    ("proof_malformed", lambda p: p.update(root=f"{p['root']} ")),
    ("proof_malformed", put(place=-1)),
    ("proof_malformed", put(place="5")),
    ("proof_malformed", put(place=True)),
    ("proof_malformed", put(path=7)),
    ("proof_entry", put(entry=[])),
    ("proof_malformed", put(checkpoint=None)),
    ("proof_malformed", lambda p: p.pop("checkpoint")),
    ("proof_malformed", lambda p: p.pop("path")),
    ("proof_malformed", lambda p: p.pop("entry")),
]


@pytest.mark.shows("R9")
@pytest.mark.parametrize(("code", "spoil"), SPOILS, ids=[f"{n}-{code}" for n, (code, _) in enumerate(SPOILS)])
def test_a_spoiled_proof_is_refused(tmp_path: Path, sealed: Path, code: str, spoil: Spoil) -> None:
    folder = Path(shutil.copytree(sealed, tmp_path / "release"))
    proof = proof_in(folder)
    spoil(proof)
    (folder / "proof.json").write_text(json.dumps(proof))
    assert refusal(folder) == code


@pytest.mark.shows("R9")
@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b'"x"', b"\xff\xfe", b'{"log_entry": 41}'])
def test_what_is_no_proof_is_refused(tmp_path: Path, sealed: Path, content: bytes) -> None:
    folder = Path(shutil.copytree(sealed, tmp_path / "release"))
    (folder / "proof.json").write_bytes(content)
    assert refusal(folder) == "proof_malformed"


# --- with a checkpoint that was kept elsewhere ------------------------------------------------------------------------


def grown(folder: Path, size: int) -> list[bytes]:
    return leaves_with(bytes.fromhex(proof_in(folder)["leaf_hash"]), size)


def test_the_proofs_own_checkpoint_kept_elsewhere_agrees(sealed: Path) -> None:
    assert verify_release(sealed, made.KEY.public_key(), checkpoint=proof_in(sealed)["checkpoint"]).log_entry == 41


@pytest.mark.parametrize("size", [10, 16, 33])
def test_a_later_checkpoint_agrees_by_its_way(sealed: Path, size: int) -> None:
    leaves = grown(sealed, size)
    way = write_way(note(leaves), SIZE, consistency(leaves, SIZE))
    assert verify_release(sealed, made.KEY.public_key(), checkpoint=way).log_entry == 41


@pytest.mark.shows("R9")
def test_another_checkpoint_is_refused(sealed: Path, tmp_path: Path) -> None:
    later, other = grown(sealed, 12), [leaf_hash(b"x"), *grown(sealed, 12)[1:]]
    path = consistency(later, SIZE)
    assert refusal(sealed, note(later)) == "checkpoint_way"
    assert refusal(sealed, write_way(note(later), 8, consistency(later, 8))) == "checkpoint_way"
    assert refusal(sealed, write_way(note(later), SIZE, path[1:])) == "checkpoint_other"
    assert refusal(sealed, write_way(note(other), SIZE, consistency(other, SIZE))) == "checkpoint_other"
    assert refusal(sealed, note(other[:SIZE])) == "checkpoint_other"
    assert refusal(sealed, note(grown(sealed, 8))) == "checkpoint_older"
    assert refusal(sealed, note(later, key=made.FOREIGN_KEY)) == "checkpoint_signature"
    assert refusal(sealed, write_way(note(later, key=made.FOREIGN_KEY), SIZE, path)) == "checkpoint_signature"
    assert refusal(sealed, "") == "checkpoint_signature"
    folder = Path(shutil.copytree(sealed, tmp_path / "release"))
    (folder / "proof.json").unlink()
    assert refusal(folder, note(later)) == "proof_missing"


# --- the proof alone, as whoever reads nothing else checks it ---------------------------------------------------------

RELEASE, MANIFEST = "release-1", "ab" * 32


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    (tmp_path / "proof.json").write_text(json.dumps(proof_for(RELEASE, MANIFEST)))
    return tmp_path


def checked(folder: Path, kept: str | None = None, **other: str) -> int | None:
    said = {"release_id": RELEASE, "manifest_sha256": MANIFEST} | other
    return verify_proof(folder, made.KEY.public_key(), kept=kept, **said)


def told(folder: Path, kept: str | None = None, **other: str) -> tuple[str, str]:
    with pytest.raises(Refused) as no:
        checked(folder, kept, **other)
    assert no.value.status == 422
    assert made.SENTENCE.fullmatch(no.value.what)
    return no.value.code, no.value.where


def test_the_proof_alone_names_the_entry(alone: Path) -> None:
    assert checked(alone) == 41
    assert checked(alone, note(grown(alone, SIZE))) == 41
    later = grown(alone, 12)
    assert checked(alone, write_way(note(later), SIZE, consistency(later, SIZE))) == 41


@pytest.mark.parametrize(("code", "spoil"), SPOILS, ids=[f"{n}-{code}" for n, (code, _) in enumerate(SPOILS)])
def test_a_spoiled_proof_alone_is_refused(alone: Path, code: str, spoil: Spoil) -> None:
    proof = proof_in(alone)
    spoil(proof)
    (alone / "proof.json").write_text(json.dumps(proof))
    assert told(alone) == (code, "proof.json")


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b"\xff\xfe"])
def test_what_is_no_proof_alone_is_refused(alone: Path, content: bytes) -> None:
    (alone / "proof.json").write_bytes(content)
    assert told(alone) == ("proof_malformed", "proof.json")


def test_the_proof_of_another_release_or_of_other_papers_is_refused(alone: Path) -> None:
    assert told(alone, release_id="release-2") == ("proof_entry", "proof.json")
    assert told(alone, manifest_sha256="cd" * 32) == ("proof_entry", "proof.json")


def test_without_a_proof_nothing_is_named_and_nothing_can_be_held_against_a_checkpoint(alone: Path) -> None:
    kept = note(grown(alone, SIZE))
    (alone / "proof.json").unlink()
    assert checked(alone) is None
    assert told(alone, kept) == ("proof_missing", "proof.json")


@pytest.mark.parametrize(("number", "good"), [(0, True), (2**62, True), (2**62 + 1, False), (-1, False), (True, False)])
def test_an_entry_has_a_number_that_a_log_can_have(alone: Path, number: int, good: bool) -> None:
    (alone / "proof.json").write_text(json.dumps(proof_for(RELEASE, MANIFEST, id=number)))
    if good:
        assert checked(alone) == number
    else:
        assert told(alone) == ("proof_malformed", "proof.json")


def test_another_checkpoint_kept_elsewhere_is_refused_by_its_name(alone: Path) -> None:
    later, where = grown(alone, 12), "the checkpoint kept elsewhere"
    other = [leaf_hash(b"x"), *later[1:]]
    for code, kept in (
        ("checkpoint_way", note(later)),
        ("checkpoint_way", write_way(note(later), 8, consistency(later, 8))),
        ("checkpoint_other", write_way(note(later), SIZE, consistency(later, SIZE)[1:])),
        ("checkpoint_other", write_way(note(other), SIZE, consistency(other, SIZE))),
        ("checkpoint_other", note(other[:SIZE])),
        ("checkpoint_other", write_way(note(grown(alone, SIZE)), SIZE, [b"x" * 32])),
        ("checkpoint_older", note(grown(alone, 8))),
        ("checkpoint_signature", note(later, key=made.FOREIGN_KEY)),
        ("checkpoint_signature", ""),
    ):
        assert told(alone, kept) == (code, where)


def test_a_way_beside_a_checkpoint_of_the_same_size_is_not_needed(alone: Path) -> None:
    same = grown(alone, SIZE)
    assert checked(alone, write_way(note(same), 4, consistency(same, 4))) == 41


# --- notes -----------------------------------------------------------------------------------------------------------


def test_a_checkpoint_reads_as_it_was_written() -> None:
    one = Checkpoint(ORIGIN, 3, root(grown_plain(3)))
    text = write_checkpoint(one, made.KEY)
    lines = text.split("\n")
    assert lines[:2] == [ORIGIN, "3"]
    assert (lines[3], lines[5]) == ("", "")
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert read_checkpoint(text, made.KEY.public_key()) == one
    assert write_checkpoint(one, made.KEY) == text


def grown_plain(size: int) -> list[bytes]:
    return [leaf_hash(bytes([n])) for n in range(size)]


def test_a_checkpoint_says_which_of_several_keys_signed_it() -> None:
    """As the c2sp.org/signed-note has it: a key is named by the hash of its name, its algorithm and itself."""
    text = write_checkpoint(Checkpoint(ORIGIN, 3, root(grown_plain(3))), made.KEY)
    keys = [made.FOREIGN_KEY.public_key(), made.KEY.public_key()]
    assert read_checkpoint(text, keys).signer == 1
    assert read_checkpoint(text, keys[::-1]).signer == 0
    with pytest.raises(BadSignature):
        read_checkpoint(text, keys[:1])
    stamp = base64.b64decode(text.rpartition(" ")[2])
    named = sha256(ORIGIN.encode() + b"\n\x01" + made.KEY.public_key().public_bytes_raw()).digest()
    assert (stamp[:4], len(stamp)) == (named[:4], 68)


def test_a_checkpoint_with_its_way_is_read_as_it_was_written_and_one_without_has_none() -> None:
    text = write_checkpoint(Checkpoint(ORIGIN, 9, root(grown_plain(9))), made.KEY)
    path = consistency(grown_plain(9), 4)
    written = write_way(text, 4, path)
    assert written.startswith("old 4\n")
    way = read_way(written, made.KEY.public_key())
    assert (way.checkpoint.size, way.old, way.path) == (9, 4, tuple(path))
    plain = read_way(text, made.KEY.public_key())
    assert (plain.checkpoint, plain.old, plain.path) == (way.checkpoint, None, ())
    nothing = read_way(write_way(text, 0, []), made.KEY.public_key())
    assert (nothing.old, nothing.path) == (0, ())


@pytest.mark.parametrize("size", [0, 1, 7])
def test_any_changed_sign_of_a_checkpoint_is_refused(size: int) -> None:
    text = write_checkpoint(Checkpoint(ORIGIN, size, root(grown_plain(size))), made.KEY)
    for at in range(len(text)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        with pytest.raises(BadSignature):
            read_checkpoint(changed, made.KEY.public_key())
        with pytest.raises(BadSignature):
            read_way(text[:at], made.KEY.public_key())


@pytest.mark.parametrize("name", ["kind", "summary", "touches", "actor", "at"])
def test_an_entry_that_leaves_something_out_proves_nothing(sealed: Path, tmp_path: Path, name: str) -> None:
    """Its leaf and its tree are sound: only the portal that signs such a log could make one."""
    folder = shutil.copytree(sealed, tmp_path / "release")
    found = verify_release(sealed, made.KEY.public_key())
    proof = proof_for(found.release_id, found.manifest_sha256)
    entry = {key: value for key, value in proof["entry"].items() if key != name}
    leaf = leaf_hash(commitment(SALT, entry))
    leaves = leaves_with(leaf, SIZE)
    proof |= {
        "entry": entry, "leaf_hash": leaf.hex(), "root": root(leaves).hex(), "checkpoint": note(leaves),
        "path": [step.hex() for step in inclusion(leaves, PLACE)],
    }  # fmt: skip
    (folder / "proof.json").write_text(json.dumps(proof))
    with pytest.raises(Refused) as no:
        verify_release(folder, made.KEY.public_key())
    assert no.value.code == "proof_entry"
