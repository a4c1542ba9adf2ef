"""Keys are files of their owner, whole or absent; what is missing, damaged or open to others closes the gate."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from portal.outside.keys import KeyRing, read_public_key, read_public_keys, write_whole
from portal.outside.keystore import CommandStore
from portal.outside.tokens import (
    blind_index,
    link_token,
    match_token,
    open_sealed,
    pseudonym,
    seal,
    token_hash,
)
from portal.rules.refusals import Refused

SECRET = ["contacts", "blind", "links", "matching", "observatory:obs", "study:s1", "study:s2"]


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    ring = KeyRing(tmp_path / "keys")
    for family in [*SECRET, "signing", "practice:99-1"]:
        ring.create(family)
    return ring


def test_every_family_has_its_own_key_in_a_file_of_its_owner(ring: KeyRing):
    assert ring.list() == sorted([*SECRET, "signing", "practice:99-1"])
    assert ring.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in ring.folder.iterdir()} == {0o600}
    keys = {ring.bytes_of(family) for family in SECRET}
    assert len(keys) == len(SECRET)
    assert {len(key) for key in keys} == {32}


def test_a_key_is_never_overwritten(ring: KeyRing):
    before = ring.bytes_of("links")
    with pytest.raises(Refused, match="key_exists"):
        ring.create("links")
    assert KeyRing(ring.folder).bytes_of("links") == before


@pytest.mark.parametrize("name", ["", "other", "study:", "study:../x", "study:a/b", "study:.x", "links\n", "study:é"])
def test_a_family_that_is_none_is_refused(ring: KeyRing, name: str):
    with pytest.raises(Refused, match="key_family"):
        ring.create(name)


def test_the_signing_key_signs_and_its_public_half_is_pinned_from_a_file(ring: KeyRing, tmp_path: Path):
    ring.export_public(tmp_path / "portal.pub")
    pinned = load_pem_public_key((tmp_path / "portal.pub").read_bytes())
    pinned.verify(ring.signing_key().sign(b"manifest"), b"manifest")
    assert pinned != ring.public_key("practice:99-1")
    assert b"PRIVATE" not in (tmp_path / "portal.pub").read_bytes()


@pytest.mark.parametrize(("family", "other"), [("links", "study:s1"), ("signing", "links"), ("study:s1", "study:s2")])
def test_a_missing_damaged_or_swapped_key_is_refused_with_503(ring: KeyRing, family: str, other: str):
    def read() -> object:
        return ring.signing_key() if family == "signing" else ring.bytes_of(family)

    path, swapped = (ring.folder / f"{name.replace(':', '~')}.key" for name in (family, other))
    first = path.read_bytes()
    read()
    for damaged in (b"", first[:40], swapped.read_bytes(), b"\xff" * 200):
        path.write_bytes(damaged)
        with pytest.raises(Refused, match="key_damaged") as no:
            read()
        assert no.value.status == 503
    path.unlink()
    with pytest.raises(Refused, match="key_missing") as no:
        read()
    assert no.value.status == 503
    write_whole(path, first)
    assert read()


def test_a_key_that_others_can_read_is_refused(ring: KeyRing):
    (ring.folder / "links.key").chmod(0o640)
    with pytest.raises(Refused, match="key_exposed"):
        ring.bytes_of("links")


def test_a_signing_key_is_not_handed_out_and_a_secret_key_does_not_sign(ring: KeyRing):
    with pytest.raises(Refused, match="key_kind"):
        ring.bytes_of("signing")
    with pytest.raises(Refused, match="key_damaged"):
        ring.signing_key("links")


def test_a_write_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path):
    path = tmp_path / "kept"
    write_whole(path, b"old")
    with pytest.raises(FileExistsError):
        write_whole(path, b"new", replace=False)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_a_sealed_value_opens_beside_its_own_row_only(ring: KeyRing):
    sealed = seal(ring, b"someone@example.org", "contact:7:email")
    assert open_sealed(ring, sealed, "contact:7:email") == b"someone@example.org"
    assert b"someone" not in sealed
    assert seal(ring, b"someone@example.org", "contact:7:email") != sealed
    changed = [sealed[:n] + bytes([sealed[n] ^ 1]) + sealed[n + 1 :] for n in range(len(sealed))]
    for damaged in [*changed, b"", sealed[:-1], sealed + b"\0"]:
        with pytest.raises(Refused, match="sealed_damaged"):
            open_sealed(ring, damaged, "contact:7:email")
    with pytest.raises(Refused, match="sealed_damaged"):
        open_sealed(ring, sealed, "contact:8:email")


def test_a_link_token_is_long_stable_and_its_own(ring: KeyRing):
    token = link_token(ring, "n-1")
    assert (len(token), token) == (43, link_token(ring, "n-1"))
    assert token != link_token(ring, "n-2")
    assert token.isascii()
    assert len(token_hash(token)) == 32
    assert len(token_hash("\udcff")) == 32


def test_indexes_and_person_tokens_are_kept_apart_by_kind_and_family(ring: KeyRing):
    made = {
        make(ring, kind, value)
        for make in (blind_index, match_token)
        for kind, value in (("email", "a"), ("phone", "a"), ("email", "b"), ("emai", "la"))
    }
    assert len(made) == 8
    with pytest.raises(ValueError, match="NUL"):
        blind_index(ring, "a\0b", "c")


def test_two_studies_share_no_pseudonym(ring: KeyRing):
    persons = [number.to_bytes(16, "big") for number in range(500)]
    made = {pseudonym(ring, family, each) for family in ("observatory:obs", "study:s1", "study:s2") for each in persons}
    assert len(made) == 1500
    assert {len(each) for each in made} == {16}
    with pytest.raises(Refused, match="key_kind"):
        pseudonym(ring, "links", persons[0])


@pytest.mark.shows("R17")
def test_two_studies_share_no_pseudonym_over_a_hundred_thousand_persons(
    ring: KeyRing, how_many: Callable[[int, int], int], record_property: Callable[[str, object], None]
):
    """The same persons in two studies and the observatory: no pseudonym stands twice, in any of them."""
    number = how_many(100_000, 1_000_000)
    persons = [uuid4().bytes for _ in range(number)]
    one, other = ({pseudonym(ring, family, person) for person in persons} for family in ("study:s1", "study:s2"))
    assert len(one) == len(other) == number
    assert not one & other
    record_property("trials", number)


# --- rotated, and kept elsewhere -----------------------------------------------------------------------------------


def test_a_rotated_key_leaves_what_is_still_needed_and_no_more(ring: KeyRing):
    before = {family: ring.fingerprint(family) for family in ring.list()}
    for family in ("contacts", "links", "signing", "practice:99-1", "study:s1"):
        ring.rotate(family)
        assert ring.fingerprint(family) != before[family]
    kept = {path.name for path in ring.folder.iterdir()} - {f"{f.replace(':', '~')}.key" for f in before}
    assert kept == {"contacts~~001.key", "links~~001.key", "signing~~001.pub", "practice~99-1~~001.pub"}
    assert ring.list() == sorted(before), "a former key is no family"
    assert len(ring.all_bytes_of("contacts")) == len(ring.public_keys()) == 2
    assert {path.stat().st_mode & 0o777 for path in ring.folder.iterdir()} == {0o600}
    for family in ("blind", "matching"):
        with pytest.raises(Refused, match="key_kept"):
            ring.rotate(family)
        assert ring.fingerprint(family) == before[family]


def test_the_exported_file_holds_the_current_key_first(ring: KeyRing, tmp_path: Path):
    first = ring.public_key()
    ring.rotate("signing")
    ring.rotate("signing")
    ring.export_public(tmp_path / "portal.pub")
    keys = read_public_keys(tmp_path / "portal.pub")
    assert read_public_key(tmp_path / "portal.pub") == keys[0] == ring.public_key()
    assert (len(keys), keys[-1]) == (3, first)
    (tmp_path / "none.pub").write_bytes(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    with pytest.raises(Refused, match="public_key"):
        read_public_keys(tmp_path / "none.pub")


STORE = """#!/bin/sh
set -e
cd "$(dirname "$0")/vault"
case "$1" in
  list) ls ;;
  get) cat "$2" ;;
  put) cat > "$2" ;;
  delete) rm "$2" ;;
esac
"""


@pytest.fixture
def secret_store(tmp_path: Path) -> list[str]:
    """A secret store of the tests: a command that keeps what it is given in a folder of its own."""
    (tmp_path / "vault").mkdir()
    script = tmp_path / "store"
    script.write_text(STORE)
    script.chmod(0o700)
    return [str(script)]


def test_keys_may_be_kept_in_a_secret_store(secret_store: list[str], tmp_path: Path):
    ring = KeyRing(CommandStore(secret_store))
    for family in ("contacts", "signing", "study:s1"):
        ring.create(family)
    with pytest.raises(Refused, match="key_exists"):
        ring.create("contacts")
    sealed = seal(ring, b"somebody", "here")
    ring.rotate("contacts")
    ring.rotate("signing")
    again = KeyRing(CommandStore(secret_store))
    assert open_sealed(again, sealed, "here") == b"somebody"
    assert again.list() == ["contacts", "signing", "study:s1"]
    assert again.public_keys() == ring.public_keys()
    assert again.forget("contacts") == 1
    again.delete("study:s1")
    again.delete("study:s1")
    assert not again.exists("study:s1")
    with pytest.raises(Refused, match="key_missing"):
        again.bytes_of("study:s1")


def test_a_secret_store_that_does_not_answer_closes(tmp_path: Path):
    with pytest.raises(Refused, match="key_store") as no:
        KeyRing(CommandStore([str(tmp_path / "nothing")])).exists("signing")
    assert no.value.status == 503
