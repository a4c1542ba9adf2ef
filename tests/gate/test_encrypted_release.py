"""Files for one reader only, a release handed over encrypted, and everything that may be done to one on its way."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made
import papers
import pytest

from portal.gate import delivery
from portal.gate.age import decrypt, encrypt, identity_of, new_identity, read_identity, recipient_of
from portal.gate.delivery import is_delivery, read_cipher, write_delivery
from portal.gate.folders import sha256_of
from portal.gate.shrinking import take_out
from portal.gate.signature import canonical, sign, verified
from portal.gate.unfinished import if_alone_with, keep, left_over, open_kept, remove, work_folder
from portal.gate.verify import open_release, verify_release
from portal.rules.refusals import Refused

Spoil = Callable[[Path], object]
IDENTITY, STRANGER = identity_of(b"\1" * 32), identity_of(b"\2" * 32)
READER = recipient_of(IDENTITY)


def refusal(step: Callable[[], object]) -> str:
    with pytest.raises(Refused) as no:
        step()
    return no.value.code


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_file_is_opened_by_its_reader_only(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(os.urandom(300_000))
    encrypt(tmp_path / "plain", tmp_path / "closed", READER)
    assert (tmp_path / "plain").read_bytes()[:64] not in (tmp_path / "closed").read_bytes()
    decrypt(tmp_path / "closed", tmp_path / "opened", IDENTITY)
    assert (tmp_path / "opened").read_bytes() == (tmp_path / "plain").read_bytes()
    assert refusal(lambda: decrypt(tmp_path / "closed", tmp_path / "other", STRANGER)) == "age_unreadable"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["closed", "opened", "plain"]


@pytest.mark.parametrize("place", [0, 30, 250, 70_000, 140_000, 200_000, -1])
@pytest.mark.parametrize("how", ["flipped", "cut", "longer"])
def test_nothing_is_left_of_a_damaged_file(tmp_path: Path, place: int, how: str) -> None:
    """The library itself leaves what it had read before the damage."""
    (tmp_path / "plain").write_bytes(os.urandom(200_000))
    encrypt(tmp_path / "plain", tmp_path / "closed", READER)
    content = bytearray((tmp_path / "closed").read_bytes())
    if how == "flipped":
        content[place] ^= 1
    elif how == "cut":
        del content[place:]
    else:
        content[place:place] = b"x"
    (tmp_path / "closed").write_bytes(bytes(content))
    assert refusal(lambda: decrypt(tmp_path / "closed", tmp_path / "opened", IDENTITY)) == "age_unreadable"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["closed", "plain"]


def test_an_identity_file_is_read_as_age_keygen_writes_it(tmp_path: Path) -> None:
    identity, file = new_identity(), tmp_path / "key"
    file.write_text(f"# created: 2026-03-02T09:00:00Z\n# public key: {recipient_of(identity)}\n{identity}\n")
    assert read_identity(file) == identity
    for wrong in ("", "# nothing\n", f"{identity}\n{identity}\n", "AGE-SECRET-KEY-1X\n", READER, "é"):
        file.write_text(wrong)
        assert refusal(lambda: read_identity(file)) == "age_identity"
    assert refusal(lambda: read_identity(tmp_path / "gone")) == "age_identity"
    assert refusal(lambda: encrypt(file, tmp_path / "closed", "age1nobody")) == "age_recipient"
    assert not (tmp_path / "closed").exists()


# --- what is kept --------------------------------------------------------------------------------------------------


def test_a_kept_folder_is_given_back_as_it_was(tmp_path: Path) -> None:
    folder, _ = papers.release(tmp_path)
    keep(folder, tmp_path / "kept", IDENTITY)
    assert {p.suffix for p in (tmp_path / "kept").rglob("*") if p.is_file()} == {".age"}
    open_kept(tmp_path / "kept", tmp_path / "again", IDENTITY)
    assert made.bytes_of(tmp_path / "again") == made.bytes_of(folder)
    before = made.bytes_of(tmp_path / "kept")
    keep(folder, tmp_path / "kept", IDENTITY)
    assert made.bytes_of(tmp_path / "kept") == before


def test_a_work_folder_is_closed_to_others_and_gone_at_the_end(tmp_path: Path) -> None:
    with work_folder(tmp_path / "work", "study-1") as work:
        assert work.stat().st_mode & 0o077 == 0
        (work / "rows").write_text("plain")
        assert left_over(tmp_path / "work", "study-1") == [work]
        assert left_over(tmp_path / "work", "study") == []
    assert list((tmp_path / "work").iterdir()) == []


def test_a_lock_is_had_by_one(tmp_path: Path) -> None:
    one, two = tmp_path / "locks" / "one", tmp_path / "locks" / "two"
    with if_alone_with(one) as first, if_alone_with(one) as second, if_alone_with(two) as other:
        assert (first, second, other) == (True, False, True)
    with if_alone_with(tmp_path / "locks" / "one") as again:
        assert again


def test_a_folder_that_is_removed_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "one" / "deep").mkdir(parents=True)
    (tmp_path / ".one.gone").mkdir()
    remove([tmp_path / "one", tmp_path / "two"])
    assert list(tmp_path.iterdir()) == []


# --- fewer rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaving", [{0}, {7, 8}, set(range(0, papers.PEOPLE, 3)), set(range(1, papers.PEOPLE))])
def test_taking_somebody_out_gives_the_bytes_of_a_release_that_never_held_her(
    tmp_path: Path, leaving: set[int]
) -> None:
    file = papers.stored(tmp_path)
    folders = []
    for name, without in (("all", set()), ("fewer", leaving)):
        listed = {
            (p, key): value
            for (p, key), value in papers.study_persons().items()
            if key not in {made.pseudonym(f"o{n}") for n in without}
        }
        permit = made.permit(tmp_path / f"permit-{name}", made.release_terms(), listed)
        papers.filter_release(permit, [file.path], tmp_path / name, reference_year=2026)
        folders.append(tmp_path / name)
    gone = {made.pseudonym(f"s{n}") for n in leaving}
    rewritten = take_out(folders[0], gone)
    assert made.bytes_of(folders[0]) == made.bytes_of(folders[1])
    assert rewritten == sorted({f"{name[0]}.parquet" for name in gone})
    assert take_out(folders[0], gone) == []
    assert take_out(folders[0], set()) == []


# --- handed over ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def handed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encrypted release."""
    folder = tmp_path_factory.mktemp("handed")
    plain, _ = papers.release(folder / "made")
    write_delivery(plain, folder / "release-1", proof={}, recipient=READER, key=made.KEY)
    (folder / "release-1" / "proof.json").unlink()
    return folder / "release-1"


def test_an_encrypted_release_says_what_was_not_read_and_is_opened_by_its_reader(tmp_path: Path, handed: Path) -> None:
    plain, counts = papers.release(tmp_path)
    closed = verify_release(handed, made.KEY.public_key())
    opened = verify_release(handed, made.KEY.public_key(), identity=IDENTITY)
    assert (closed.opened, opened.opened) == (False, True)
    assert (closed.rows, closed.manifest_sha256) == (opened.rows, opened.manifest_sha256)
    assert opened.rows == counts.passed
    assert {p.suffix for p in (handed / "records").iterdir()} == {".age"}
    found = open_release(handed, tmp_path / "out", made.KEY.public_key(), identity=IDENTITY)
    assert found.opened
    assert made.bytes_of(tmp_path / "out") == made.bytes_of(plain), "the same manifest, the same bytes"
    with pytest.raises(Refused, match="age_unreadable"):
        open_release(handed, tmp_path / "other", made.KEY.public_key(), identity=STRANGER)
    assert not (tmp_path / "other").exists()


def test_a_folder_is_known_by_its_version_and_its_reader(handed: Path) -> None:
    manifest, key = sha256_of(handed / "manifest.json"), made.KEY.public_key()
    assert is_delivery(handed, manifest, READER, key)
    assert not is_delivery(handed, manifest, None, key)
    assert not is_delivery(handed, manifest, recipient_of(STRANGER), key)
    assert not is_delivery(handed, "0" * 64, READER, key)
    assert not is_delivery(handed.with_name("gone"), manifest, READER, key)


def test_a_newer_version_takes_the_place_of_the_older_one(tmp_path: Path, handed: Path) -> None:
    place = Path(shutil.copytree(handed, tmp_path / "release-1"))
    (tmp_path / ".release-1.next").mkdir()
    plain, _ = papers.release(tmp_path / "made")
    write_delivery(plain, place, proof={"a": 1}, recipient=recipient_of(STRANGER), key=made.KEY)
    cipher = read_cipher(place, made.KEY.public_key())
    assert cipher is not None
    assert cipher.recipient == recipient_of(STRANGER)
    assert (place / "proof.json").read_bytes() == canonical({"a": 1})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made", "release-1"]


def test_without_a_reader_the_records_are_handed_over_as_they_are(tmp_path: Path) -> None:
    plain, _ = papers.release(tmp_path / "made")
    before, key = made.bytes_of(plain), made.KEY.public_key()
    write_delivery(plain, tmp_path / "release-1", proof={}, recipient=None, key=made.KEY)
    assert made.bytes_of(tmp_path / "release-1") == before | {"proof.json": canonical({})}
    manifest = sha256_of(tmp_path / "release-1" / "manifest.json")
    assert is_delivery(tmp_path / "release-1", manifest, None, key)
    assert not is_delivery(tmp_path / "release-1", manifest, READER, key)


def flip(name: str, place: int = -20) -> Spoil:
    def spoil(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[place] ^= 1
        (folder / name).write_bytes(content)

    return spoil


def told(change: Callable[[dict[str, Any]], object], key: Any = made.KEY, kind: str = delivery.KIND) -> Spoil:
    """Another cipher.jws, signed."""

    def spoil(folder: Path) -> None:
        said = json.loads(verified(delivery.KIND, (folder / "cipher.jws").read_bytes(), made.KEY.public_key()))
        change(said)
        (folder / "cipher.jws").write_bytes(sign(kind, canonical(said), key))

    return spoil


def encrypted_anew(content: bytes) -> Spoil:
    """Other rows encrypted for the same reader (his key is public), under a statement of the portal's own."""

    def spoil(folder: Path) -> None:
        (folder / "x").write_bytes(content)
        encrypt(folder / "x", folder / ONE, READER)
        (folder / "x").unlink()
        told(lambda said: said["files"].update({ONE: sha256_of(folder / ONE)}))(folder)

    return spoil


def swap(folder: Path) -> None:
    one, other = folder / ONE, folder / OTHER
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def swap_in_both(folder: Path) -> None:
    swap(folder)
    told(lambda said: said["files"].update({ONE: said["files"][OTHER], OTHER: said["files"][ONE]}))(folder)


ONE = f"records/{made.pseudonym('s0')[0]}.parquet.age"
OTHER = f"records/{made.pseudonym('s2')[0]}.parquet.age"

SPOILED: list[tuple[str, Spoil]] = [
    ("file_altered", flip(ONE)),
    ("file_altered", flip(ONE, 0)),
    ("file_altered", swap),
    ("file_altered", lambda f: (f / ONE).write_bytes((f / ONE).read_bytes()[:-1])),
    ("file_altered", lambda f: (f / ONE).write_bytes(b"")),
    ("file_altered", flip("README.md")),
    ("file_missing", lambda f: (f / ONE).unlink()),
    ("file_missing", lambda f: (f / "cipher.jws").unlink()),
    ("file_unknown", lambda f: (f / ONE.removesuffix(".age")).write_bytes(b"PAR1")),
    ("file_unknown", lambda f: (f / "records" / "g.parquet.age").write_bytes(b"age")),
    ("cipher_signature", flip("cipher.jws", 60)),
    ("cipher_signature", flip("cipher.jws", -10)),
    ("cipher_signature", lambda f: (f / "cipher.jws").write_bytes(b"")),
    ("cipher_signature", told(lambda said: None, made.FOREIGN_KEY)),
    ("cipher_signature", told(lambda said: None, kind="portal-manifest")),
    ("cipher_signature", lambda f: shutil.copy(f / "manifest.jws", f / "cipher.jws")),
    ("cipher_malformed", told(lambda said: said.pop("files"))),
    ("cipher_malformed", told(lambda said: said.update(more=1))),
    ("cipher_other", told(lambda said: said.update(release_id="release-2"))),
    ("cipher_other", told(lambda said: said.update(version=2))),
    ("cipher_other", told(lambda said: said.update(manifest_sha256="0" * 64))),
    ("cipher_other", told(lambda said: said["files"].pop(ONE))),
    ("cipher_other", told(lambda said: said["files"].update({"records/g.parquet.age": "0" * 64}))),
    ("cipher_other", told(lambda said: said["files"].update({"../x.parquet.age": "0" * 64}))),
    ("manifest_altered", flip("manifest.json")),
    ("manifest_missing", lambda f: (f / "manifest.jws").unlink()),
]  # fmt: skip


@pytest.mark.shows("R9")
@pytest.mark.parametrize(("code", "spoil"), SPOILED, ids=[f"{n}-{code}" for n, (code, _) in enumerate(SPOILED)])
def test_a_spoiled_encrypted_release_is_refused_without_opening_it(
    tmp_path: Path, handed: Path, code: str, spoil: Spoil
) -> None:
    folder = Path(shutil.copytree(handed, tmp_path / "release"))
    spoil(folder)
    with pytest.raises(Refused) as no:
        verify_release(folder, made.KEY.public_key())
    assert (no.value.code, no.value.status) == (code, 422)
    names = made.bytes_of(handed).keys() | made.bytes_of(folder).keys()
    assert no.value.where in names | {name.removesuffix(".age") for name in names}
    assert made.SENTENCE.fullmatch(no.value.what)


@pytest.mark.shows("R9")
@pytest.mark.parametrize(
    ("code", "spoil"), [("file_altered", encrypted_anew(b"PAR1")), ("file_altered", swap_in_both)], ids=["anew", "swap"]
)
def test_what_only_the_reader_can_see_is_refused_once_it_is_opened(
    tmp_path: Path, handed: Path, code: str, spoil: Spoil
) -> None:
    folder = Path(shutil.copytree(handed, tmp_path / "release"))
    spoil(folder)
    assert not verify_release(folder, made.KEY.public_key()).opened
    assert refusal(lambda: verify_release(folder, made.KEY.public_key(), identity=IDENTITY)) == code


@pytest.mark.shows("R9")
@pytest.mark.parametrize("version", [2, 3, 0])
def test_another_version_than_the_expected_one_is_refused(handed: Path, version: int) -> None:
    assert verify_release(handed, made.KEY.public_key(), version=1).version == 1
    assert refusal(lambda: verify_release(handed, made.KEY.public_key(), version=version)) == "version_other"
