"""A release checked offline, against a key that its reader already has and never one found in the folder."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from portal.gate.age import SUFFIX, decrypt
from portal.gate.delivery import CIPHER, Cipher, read_cipher
from portal.gate.extraction import PSEUDONYM
from portal.gate.folders import files_below, sha256_of, whole_folder
from portal.gate.log_proof import verify_proof
from portal.gate.manifest import FORMAT, KIND, NATURE, PAPERS, counts_csv, persons_in
from portal.gate.signature import BadSignature, Keys, verified_by
from portal.rules.refusals import Refused


@dataclass(frozen=True, slots=True)
class Verified:
    """A genuine release, as its manifest says it. log_entry: from proof.json, None when that is not there yet.

    opened: whether the records themselves were read; encrypted ones are not, without their reader's identity.
    signed_by: the place of the key among those that were given; 0 is the first.
    """

    release_id: str
    version: int
    study_id: str
    rows: int
    persons: int
    k_min: int
    uniques: int
    files: int
    manifest_sha256: str
    log_entry: int | None
    opened: bool
    manifest: dict[str, Any]
    signed_by: int = 0


def verify_release(
    folder: Path,
    public_key: Keys,
    *,
    checkpoint: str | None = None,
    identity: str | None = None,
    version: int | None = None,
) -> Verified:
    """Signature, then every file, row count, column and pseudonym, then the proof that the seal stands in the log.

    `public_key`: the pinned one, or several, newest first: before a rotation it was a former key that signed.
    `checkpoint`: one kept elsewhere, of which the proof's log must be the beginning. `identity`: the age identity that
    opens encrypted records; without it their encrypted form is checked. `version`: the one that is expected.
    Refused: the first that is off.
    """
    manifest, signed_by = _manifest(folder, public_key)
    try:
        manifest_sha256 = sha256_of(folder / "manifest.json")
        cipher = _cipher(folder, public_key, manifest, manifest_sha256)
        _check_files(folder, _expected(manifest, cipher))
        with _plain(folder, manifest, cipher, identity) as records:
            if records is not None:
                _check_records(records, manifest)
            _check_sums(folder, manifest, records)
        _check_version(manifest["version"], version)
        log_entry = verify_proof(
            folder,
            public_key,
            release_id=manifest["release_id"],
            manifest_sha256=manifest_sha256,
            kept=checkpoint,
        )
        return Verified(
            release_id=manifest["release_id"],
            version=manifest["version"],
            study_id=manifest["study_id"],
            rows=manifest["rows"],
            persons=manifest["persons"],
            k_min=manifest["k_min"],
            uniques=manifest["uniques"],
            files=len(manifest["files"]),
            manifest_sha256=manifest_sha256,
            log_entry=log_entry,
            opened=cipher is None or identity is not None,
            manifest=manifest,
            signed_by=signed_by,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _refused("manifest_malformed", "The manifest lacks what a release must say.") from error


def open_release(folder: Path, out: Path, public_key: Keys, *, identity: str) -> Verified:
    """The release with its records in plain, as the new folder `out`; verified before and after."""
    verify_release(folder, public_key)
    with whole_folder(out) as part:
        (part / "records").mkdir()
        for name, file in files_below(folder).items():
            if name.endswith(SUFFIX):
                decrypt(file, part / name.removesuffix(SUFFIX), identity)
            elif name != CIPHER:
                shutil.copyfile(file, part / name)
        return verify_release(part, public_key)


def _refused(code: str, what: str, where: str = "manifest.json") -> Refused:
    return Refused(code, what, where=where, status=422)


def _manifest(folder: Path, public_key: Keys) -> tuple[dict[str, Any], int]:
    content, statement = folder / "manifest.json", folder / "manifest.jws"
    for paper in (content, statement):
        if not paper.is_file():
            raise _refused("manifest_missing", "The release is not whole: ask for it again.", paper.name)
    try:
        signed, signed_by = verified_by(KIND, statement.read_bytes(), public_key)
    except BadSignature as error:
        raise _refused("manifest_signature", "Not signed by this key.", statement.name) from error
    if signed != content.read_bytes():
        raise _refused("manifest_altered", "The manifest is not the one that was signed.")
    try:
        manifest = json.loads(signed)
    except ValueError as error:
        raise _refused("manifest_malformed", "The manifest is not JSON.") from error
    if not isinstance(manifest, dict) or (manifest.get("format"), manifest.get("nature")) != (FORMAT, NATURE):
        raise _refused("manifest_malformed", "Another format than this program knows.")
    return manifest, signed_by


def _check_version(found: int, expected: int | None) -> None:
    """An older version is as genuine as it ever was; only who expects the newer one can tell."""
    if type(found) is not int or found < 1:
        raise TypeError
    if expected is not None and found != expected:
        raise _refused("version_other", f"This is version {found}, not {expected}: fetch the release again.")


def _cipher(folder: Path, public_key: Keys, manifest: dict[str, Any], manifest_sha256: str) -> Cipher | None:
    cipher = read_cipher(folder, public_key)
    if cipher is None:
        return None
    said = (cipher.release_id, cipher.version, cipher.manifest_sha256)
    encrypted = {f"{name}{SUFFIX}" for name in manifest["files"] if name not in PAPERS}
    if said != (manifest["release_id"], manifest["version"], manifest_sha256) or set(cipher.files) != encrypted:
        raise _refused("cipher_other", "It speaks of another release than the manifest.", CIPHER)
    return cipher


def _expected(manifest: dict[str, Any], cipher: Cipher | None) -> dict[str, str]:
    """The SHA-256 of every file that must be in the folder."""
    listed = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    if cipher is None:
        return listed
    return {name: sha256 for name, sha256 in listed.items() if name in PAPERS} | cipher.files


@contextmanager
def _plain(
    folder: Path, manifest: dict[str, Any], cipher: Cipher | None, identity: str | None
) -> Iterator[Path | None]:
    """Where the plain records lie: in the folder, or opened while they are looked at; None if they cannot be."""
    if cipher is None or identity is None:
        yield folder if cipher is None else None
        return
    with tempfile.TemporaryDirectory(prefix="portal-verify-") as opened:
        (Path(opened) / "records").mkdir()
        for name in cipher.files:
            plain = name.removesuffix(SUFFIX)
            decrypt(folder / name, Path(opened) / plain, identity)
            if sha256_of(Path(opened) / plain) != manifest["files"][plain]["sha256"]:
                raise _refused("file_altered", "What was encrypted is not what was released.", name)
        yield Path(opened)


def _check_files(folder: Path, listed: dict[str, str]) -> None:
    """The listed files and no others, to the byte."""
    there = files_below(folder)
    unsigned = {"manifest.json", "manifest.jws", "proof.json", CIPHER}
    for name, sha256 in sorted(listed.items()):
        if name not in there:
            raise _refused("file_missing", "A file of the release is missing.", name)
        if there[name].is_symlink() or sha256_of(there[name]) != sha256:
            raise _refused("file_altered", "The file is not the one that was released.", name)
    for name in sorted(set(there) - set(listed) - unsigned):
        raise _refused("file_unknown", "The file is no part of the release.", name)


def _check_records(folder: Path, manifest: dict[str, Any]) -> None:
    for name, entry in sorted(manifest["files"].items()):
        if name in PAPERS:
            continue
        try:
            table = pq.read_table(folder / name, partitioning=None)
        except (pa.ArrowException, OSError) as error:
            raise _refused("file_unreadable", "Not a Parquet file.", name) from error
        if table.num_rows != entry["rows"]:
            raise _refused("row_count", "The file holds another number of rows than the manifest says.", name)
        if table.column_names != list(_ordered(manifest["columns"], table.column_names)):
            raise _refused("column_unknown", "The file has other columns than the manifest says.", name)
        wide = pc.match_substring_regex(table["pseudonym"], f"^{PSEUDONYM}$")
        if not pc.all(wide, skip_nulls=False, min_count=0).as_py():
            raise _refused("pseudonym_width", "A pseudonym is not 32 hexadecimal digits.", name)


def _ordered(columns: dict[str, str], found: list[str]) -> list[str]:
    """The manifest's columns in the order of the file, if they are the same; otherwise in their own."""
    return found if sorted(found) == sorted(columns) and len(set(found)) == len(found) else sorted(columns)


def _check_sums(folder: Path, manifest: dict[str, Any], plain: Path | None) -> None:
    records = {name: entry for name, entry in manifest["files"].items() if name not in PAPERS}
    persons = manifest["persons"]
    if plain is not None:
        persons = persons_in([plain / name for name in records]) if records else 0
    if manifest["rows"] != sum(entry["rows"] for entry in records.values()) or manifest["persons"] != persons:
        raise _refused("counts_mismatch", "Rows or persons do not add up.")
    if (folder / "counts.csv").read_bytes() != counts_csv(manifest["counts"]):
        raise _refused("counts_mismatch", "The counts are not those of the manifest.", "counts.csv")
    measured = json.loads((folder / "disclosure.json").read_text())["measured"]
    if any(measured[name] != manifest[name] for name in ("k_min", "uniques", "persons")):
        raise _refused("counts_mismatch", "The measures are not those of the manifest.", "disclosure.json")
