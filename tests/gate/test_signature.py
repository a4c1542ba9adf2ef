"""Signed statements: one way of writing them, the right key, the right kind; and folders whole or not at all."""

import hashlib
import json
from pathlib import Path

import made
import pytest

from portal.gate.folders import files_below, sha256_of, synced, whole_folder, write_whole
from portal.gate.signature import BadSignature, canonical, keys_of, sign, verified, verified_by
from portal.rules.refusals import Refused

KEY, OLD, FOREIGN = made.KEY, made.PRACTICE_KEY, made.FOREIGN_KEY
SIGNED = sign("portal-test", b"{}\n", KEY)


def test_a_payload_is_written_in_one_way() -> None:
    assert canonical({"b": "é", "a": [1]}) == '{\n "a": [\n  1\n ],\n "b": "é"\n}\n'.encode()
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
    assert json.loads(canonical({"a": {"c": None}})) == {"a": {"c": None}}
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical({"a": float("nan")})


def test_the_same_statement_is_the_same_bytes_and_says_its_kind_and_algorithm() -> None:
    assert sign("portal-test", b"{}\n", KEY) == SIGNED
    assert SIGNED.startswith(b"eyJhbGciOiJFZDI1NTE5IiwidHlwIjoicG9ydGFsLXRlc3QifQ."), "Ed25519, portal-test"
    assert verified("portal-test", SIGNED, KEY.public_key()) == b"{}\n"


def test_the_place_of_the_key_that_signed_is_told() -> None:
    keys = [KEY.public_key(), OLD.public_key()]
    assert verified_by("portal-test", SIGNED, keys) == (b"{}\n", 0)
    assert verified_by("portal-test", sign("portal-test", b"x", OLD), keys) == (b"x", 1)
    assert keys_of(KEY.public_key()) == [KEY.public_key()]
    assert keys_of(keys) is keys


@pytest.mark.parametrize("statement", [b"", b".", b"..", b"a.b.c", b"\xff.\xff.\xff", SIGNED[:-1], SIGNED[1:], b"{}"])
def test_what_is_no_signed_statement_is_refused(statement: bytes) -> None:
    with pytest.raises(BadSignature):
        verified("portal-test", statement, KEY.public_key())


def test_another_kind_another_key_and_no_key_are_refused() -> None:
    for kind, keys in (
        ("portal-other", [KEY.public_key()]),
        ("portal-test", [FOREIGN.public_key()]),
        ("portal-test", []),
    ):
        with pytest.raises(BadSignature):
            verified(kind, SIGNED, keys)


def test_a_statement_as_long_as_the_terms_of_a_large_observatory_is_read() -> None:
    long = b"x" * (1 << 20)
    assert verified("portal-test", sign("portal-test", long, KEY), KEY.public_key()) == long


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_appears_whole_below_folders_that_were_not_there(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    with whole_folder(target) as part:
        assert part.parent == target.parent
        (part / "c").mkdir()
        (part / "c" / "d").write_text("x")
        assert not target.exists()
    assert files_below(target) == {"c/d": target / "c" / "d"}
    assert [p.name for p in target.parent.iterdir()] == ["b"]


def test_after_an_error_nothing_is_left_of_a_folder(tmp_path: Path) -> None:
    def broken() -> None:
        with whole_folder(tmp_path / "a") as part:
            (part / "d").write_text("x")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk"):
        broken()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_not_mixed_with_what_comes(tmp_path: Path) -> None:
    (tmp_path / ".a.part").mkdir()
    (tmp_path / ".a.part" / "old").write_text("x")
    with whole_folder(tmp_path / "a") as part:
        (part / "new").write_text("x")
    assert files_below(tmp_path) == {"a/new": tmp_path / "a" / "new"}


def test_a_folder_of_that_name_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(Refused) as no, whole_folder(tmp_path / "a"):
        pass
    assert (no.value.code, no.value.where, no.value.status) == ("output_exists", "a", 409)
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_file_takes_the_place_of_the_older_one_whole(tmp_path: Path) -> None:
    for content in (b"first, and longer", b"second"):
        write_whole(tmp_path / "f", content)
        assert (tmp_path / "f").read_bytes() == content
    assert list(tmp_path.iterdir()) == [tmp_path / "f"]
    synced(tmp_path / "f")
    synced(tmp_path)


def test_a_file_is_known_by_its_sha256_in_hexadecimal(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert sha256_of(tmp_path / "f") == hashlib.sha256(b"abc").hexdigest()
