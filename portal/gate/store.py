"""The observatory's store: one folder a practice, whole Parquet files under observatory pseudonyms.

Only `accept` writes into it. Which of its files count is said by the portal's committed entries, not by the folder.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from portal.gate.buckets import write_file
from portal.gate.engine import Limits, engine, paths, select
from portal.gate.extraction import Extraction, read_extraction
from portal.gate.folders import sha256_of, synced
from portal.rules.refusals import Refused

__all__ = ["Extraction", "StoredFile", "accept", "persons", "prune", "read_extraction"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    path: Path
    sha256: str
    rows: int


def accept(
    extraction: Path, store: Path, practice_id: str, *, drop: Collection[str], name: str, limits: Limits | None = None
) -> StoredFile:
    """Writes `store/<practice_id>/<name>.parquet` without the pseudonyms to drop, whole or not at all.

    Verifies nothing but that all rows are this practice's: `read_extraction` comes first. The same call again
    writes the same bytes.
    """
    target = _folder(store, practice_id) / f"{_named(name)}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    source = f"read_parquet({paths(sorted((extraction / 'records').glob('*.parquet')))}, hive_partitioning = false)"
    with engine(limits or Limits()) as con:
        foreign = con.execute(f"{select('count(*)', source)} WHERE practice_id IS DISTINCT FROM ?", [practice_id])
        if foreign.fetchall() != [(0,)]:
            raise Refused("extraction_foreign_practice", "Rows of another practice.", where="records", status=422)
        con.register("dropped", pa.table({"pseudonym": pa.array(sorted(drop), pa.string())}))
        rows = write_file(con, select("r.*", f"{source} r ANTI JOIN dropped d ON d.pseudonym = r.pseudonym"), part)
    synced(part)
    part.rename(target)
    synced(target.parent)
    return StoredFile(target, sha256_of(target), rows)


def prune(store: Path, practice_id: str, *, keep: str) -> int:
    """Deletes the practice's files but the one named; returns how many."""
    folder = _folder(store, practice_id)
    old = [file for file in folder.glob("*.parquet*") if file.name != f"{_named(keep)}.parquet"]
    old += list(folder.glob(".*.part"))
    for file in old:
        file.unlink(missing_ok=True)
    if old:
        synced(folder)
    return len(old)


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


def _folder(store: Path, practice_id: str) -> Path:
    return store / _named(practice_id)


def _named(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise Refused("store_name", "Letters, digits, points, lines and underscores only.", where="store", status=422)
    return value
