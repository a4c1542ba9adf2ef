"""The observatory's store: one folder a practice, whole Parquet files under observatory pseudonyms.

Only `accept` and `erase` write into it. A file's name holds a part of its hash, so two that write at once never
write over each other. Which files count is said by the portal's committed entries, not by the folder.
"""

import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from duckdb import DuckDBPyConnection, IOException

from portal.gate.buckets import write_file
from portal.gate.engine import Limits, engine, paths, select
from portal.gate.extraction import Extraction, read_extraction
from portal.gate.folders import sha256_of, synced
from portal.rules.refusals import Refused

__all__ = [
    "Extraction",
    "StoreBusy",
    "StoredFile",
    "accept",
    "delete",
    "erase",
    "persons",
    "prune",
    "read_extraction",
    "rows_of",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class StoreBusy(Refused):
    """The folder was swept while a file was written or read: another file of this practice counts by now."""

    def __init__(self) -> None:
        super().__init__("store_busy", "another file of this practice came in: send it again", status=503)


@dataclass(frozen=True, slots=True)
class StoredFile:
    path: Path
    sha256: str
    rows: int


def accept(
    extraction: Path, store: Path, practice_id: str, *, drop: Collection[str], name: str, limits: Limits | None = None
) -> StoredFile:
    """Writes `store/<practice_id>/<name>.<hash>.parquet` without the pseudonyms to drop, whole or not at all.

    Verifies nothing but that all rows are this practice's: `read_extraction` comes first. The same call again
    writes the same bytes.
    """
    target = _folder(store, practice_id) / _named(name)
    source = f"read_parquet({paths(sorted((extraction / 'records').glob('*.parquet')))}, hive_partitioning = false)"
    with engine(limits or Limits()) as con:
        foreign = con.execute(f"{select('count(*)', source)} WHERE practice_id IS DISTINCT FROM ?", [practice_id])
        if foreign.fetchall() != [(0,)]:
            raise Refused("extraction_foreign_practice", "Rows of another practice.", where="records", status=422)
        con.register("dropped", pa.table({"pseudonym": pa.array(sorted(drop), pa.string())}))
        return _written(con, select("r.*", f"{source} r ANTI JOIN dropped d ON d.pseudonym = r.pseudonym"), target)


def erase(
    file: Path, *, persons: Collection[str], doctors: Collection[str], limits: Limits | None = None
) -> StoredFile | None:
    """Writes beside `file` what may stay of it, under a name with its hash; None when nothing may. `file` is kept.

    Without the rows of these persons and of these doctors (by pseudonym); where a doctor goes, without the rows
    that name nobody, too: they may be hers.
    """
    source = f"read_parquet({paths([file])}, hive_partitioning = false)"
    with engine(limits or Limits()) as con:
        con.register("gone_persons", pa.table({"pseudonym": pa.array(sorted(persons), pa.string())}))
        con.register("gone_doctors", pa.table({"pseudonym": pa.array(sorted(doctors), pa.string())}))
        stays = select("r.*", f"{source} r ANTI JOIN gone_persons p ON p.pseudonym = r.pseudonym")
        if doctors:
            stays += " WHERE r.doctor_pseudonym NOT IN (FROM gone_doctors)"  # NULL, nobody named, is not kept
        try:
            written = _written(con, stays, file.with_name(file.name.partition(".")[0]))
        except IOException:
            if file.exists():
                raise
            raise StoreBusy from None
    if not written.rows:
        written.path.unlink()
        return None
    return written


def _written(con: DuckDBPyConnection, rows: str, target: Path) -> StoredFile:
    """These rows as `<target>.<hash>.parquet`, synced, by one rename. StoreBusy when the folder was swept meanwhile."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        n = write_file(con, rows, part)
        synced(part)
        sha256 = sha256_of(part)
        done = part.rename(target.with_name(f"{target.name}.{sha256[:12]}.parquet"))
    except FileNotFoundError:
        raise StoreBusy from None
    finally:
        part.unlink(missing_ok=True)
    synced(target.parent)
    return StoredFile(done, sha256, n)


def prune(store: Path, practice_id: str, *, keep: str) -> int:
    """Deletes the practice's files but the one of this name; returns how many."""
    folder = _folder(store, practice_id)
    old = [file for file in [*folder.glob("*.parquet"), *folder.glob(".*.part")] if file.name != keep]
    for file in old:
        file.unlink(missing_ok=True)
    if old:
        synced(folder)
    return len(old)


def delete(store: Path, practice_id: str, file_name: str) -> bool:
    """Deletes one file, if it is there still; False when it could not be deleted. Returns when that is on the disk."""
    path = _folder(store, practice_id) / _named(file_name)
    try:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            synced(path.parent)
    except OSError:
        return False
    return True


def persons(store_files: Sequence[Path]) -> pa.Table:
    """(practice_id, pseudonym, year_of_birth, sex, n) of everybody in these files, sorted."""
    kinds = {"practice_id": pa.string(), "pseudonym": pa.string(), "year_of_birth": pa.int32(), "sex": pa.string()}
    if not store_files:
        return pa.schema([*kinds.items(), ("n", pa.int64())]).empty_table()
    with engine(Limits()) as con:
        con.register("nobody", pa.schema(list(kinds.items())).empty_table())
        source = f"read_parquet({paths(store_files)}, hive_partitioning = false, union_by_name = true)"
        return con.sql(
            f"SELECT practice_id, pseudonym, max(year_of_birth) AS year_of_birth, max(sex) AS sex, count(*) AS n "
            f"FROM (SELECT * FROM nobody UNION ALL BY NAME SELECT * FROM {source}) GROUP BY ALL ORDER BY ALL"
        ).to_arrow_table()


def rows_of(file: Path, pseudonym: str) -> list[dict[str, Any]]:
    """Every record that a file holds of one person, without the pseudonyms under which it stands there."""
    source = f"read_parquet({paths([file])}, hive_partitioning = false)"
    what = "* EXCLUDE (practice_id, pseudonym, doctor_pseudonym)"
    with engine(Limits()) as con:
        try:
            found = con.execute(select(what, source, "WHERE pseudonym = ? ORDER BY ALL"), [pseudonym])
        except IOException:
            raise StoreBusy from None
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _folder(store: Path, practice_id: str) -> Path:
    return store / _named(practice_id)


def _named(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise Refused("store_name", "Letters, digits, points, lines and underscores only.", where="store", status=422)
    return value
