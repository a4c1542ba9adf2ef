"""An extraction, signed by the practice's registered key, and as it arrives: every file as it was signed."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from portal.gate.folders import files_below, sha256_of
from portal.gate.permit import PSEUDONYM, Permit
from portal.gate.signature import BadSignature, canonical, sign, verified
from portal.rules.precision import COLUMNS, Kind
from portal.rules.refusals import Refused

KIND = "portal-extraction"

GATE_COLUMNS = {
    "practice_id": pa.string(),
    "pseudonym": pa.string(),
    "doctor_pseudonym": pa.string(),
    "recorded_on": pa.date32(),
    "provenance": pa.string(),
}
"""Kept in the store so that a release can decide again; never released."""


RECORDS_FILE = re.compile(r"records/[\w=.-]{1,80}\.parquet", re.ASCII)


@dataclass(frozen=True, slots=True)
class Announced:
    """What a practice signed. `files`: by name below the folder, hash and rows."""

    permit_sha256: str
    permit_id: str
    serial: int
    practices: tuple[str, ...]
    counts: dict[str, Any]
    files: dict[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Extraction:
    """A genuine extraction. Whether its permit is the newest and still in force is for the portal to say."""

    permit_sha256: str
    permit_id: str
    serial: int
    practices: tuple[str, ...]
    counts: dict[str, Any]
    rows: int
    columns: tuple[str, ...]
    sha256: str


def write_statement(
    folder: Path, permit: Permit, counts: Mapping[str, Any], rows: Mapping[str, int], practice_key: Ed25519PrivateKey
) -> None:
    """Writes extraction.jws: the counts, and each file below records/ (its rows by its name) with its hash, signed."""
    files = {f"records/{name}": {"rows": n, "sha256": sha256_of(folder / "records" / name)} for name, n in rows.items()}
    payload = {
        "permit_sha256": permit.sha256,
        "permit_id": permit.terms.permit_id,
        "serial": permit.terms.serial,
        "practices": list(permit.terms.practices),
        "counts": counts,
        "files": files,
    }
    (folder / "extraction.jws").write_bytes(sign(KIND, canonical(payload), practice_key))


def read_extraction(folder: Path, practice_public_key: Ed25519PublicKey) -> Extraction:
    """Verifies signature, hashes, counts, columns and pseudonyms; Refused with the first that is off."""
    announced = read_statement(folder / "extraction.jws", practice_public_key)
    extraction = Extraction(
        permit_sha256=announced.permit_sha256,
        permit_id=announced.permit_id,
        serial=announced.serial,
        practices=announced.practices,
        counts=announced.counts,
        rows=sum(rows for _, rows in announced.files.values()),
        columns=_check_files(folder, announced.files),
        sha256=sha256_of(folder / "extraction.jws"),
    )
    if extraction.rows != extraction.counts.get("passed"):
        raise _refused("counts", "The files hold another number of rows than the counts say.")
    return extraction


def read_statement(statement: Path, practice_public_key: Ed25519PublicKey) -> Announced:
    """What the statement announces, its signature verified and its file names plain ones below records/."""
    signed = _signed(statement, practice_public_key)
    try:
        announced = Announced(
            permit_sha256=str(signed["permit_sha256"]),
            permit_id=str(signed["permit_id"]),
            serial=int(signed["serial"]),
            practices=tuple(signed["practices"]),
            counts=dict(signed["counts"]),
            files={str(name): (str(f["sha256"]), int(f["rows"])) for name, f in signed["files"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refused("malformed", "The signed statement is not that of an extraction.") from error
    if not all(RECORDS_FILE.fullmatch(name) for name in announced.files):
        raise _refused("file_name", "A signed file has a name that no extraction gives.")
    return announced


def _refused(code: str, what: str, where: str = "extraction.jws") -> Refused:
    return Refused(f"extraction_{code}", what, where=where, status=422)


def _signed(statement: Path, key: Ed25519PublicKey) -> dict[str, Any]:
    if not statement.is_file():
        raise _refused("missing", "extraction.jws is missing.")
    try:
        return dict(json.loads(verified(KIND, statement.read_bytes(), key)))
    except BadSignature as error:
        raise _refused("signature", "Not signed by the practice's registered key.") from error


def _check_files(folder: Path, files: dict[str, tuple[str, int]]) -> tuple[str, ...]:
    """The files are those that were signed, to the byte; returns their columns."""
    there = files_below(folder)
    there.pop("extraction.jws", None)
    for name in files:
        if name not in there or there[name].is_symlink():
            raise _refused("missing_file", "A signed file is missing.", name)
    if set(there) - set(files):
        raise _refused("unknown_file", "There is a file that was not signed.", min(set(there) - set(files)))
    schemas = {_check_file(there[name], name, *expected) for name, expected in sorted(files.items())}
    if len(schemas) != 1:
        raise _refused("columns", "The files do not have the same columns.", "records")
    return schemas.pop()


def _check_file(path: Path, name: str, sha256: str, rows: int) -> tuple[str, ...]:
    if sha256_of(path) != sha256:
        raise _refused("hash", "The file is not the one that was signed.", name)
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise _refused("unreadable", "Not a Parquet file.", name) from error
    if table.num_rows != rows:
        raise _refused("rows", "The file holds another number of rows than was signed.", name)
    wrong = [f.name for f in table.schema if f.type != _types().get(f.name)]
    if wrong or not set(GATE_COLUMNS) <= set(table.column_names) or len(set(table.column_names)) != table.num_columns:
        raise _refused("columns", "The file has other columns than an extraction.", name)
    if not pc.all(
        pc.match_substring_regex(table["pseudonym"], f"^{PSEUDONYM}$"), skip_nulls=False, min_count=0
    ).as_py():
        raise _refused("pseudonym", "A pseudonym is not 32 hexadecimal digits.", name)
    return tuple(table.column_names)


def _types() -> dict[str, pa.DataType]:
    numbers = {Kind.YEAR, Kind.NUMBER}
    wanted = {name: pa.int32() if column.kind in numbers else pa.string() for name, column in COLUMNS.items()}
    return wanted | GATE_COLUMNS
