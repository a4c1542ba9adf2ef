"""Keys are files of their owner, whole or absent; what is missing, damaged or open to others closes the gate."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from portal.outside.keys import KeyRing, write_whole
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
