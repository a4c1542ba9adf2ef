"""Passing rows as files by the first digits of the pseudonym, sorted within: the same rows, the same bytes.

Two steps: rows that pass are streamed out by an engine that may not spill, then sorted by another that may. So no
refused record can reach a file of any kind.
"""

from itertools import product
from pathlib import Path

import duckdb

from portal.gate.engine import paths, select, text

_DIGITS = {1: 0, 16: 1, 256: 2}

_ROWS_IN_MEMORY = 262_144
"""Rows that wait in one thread for their file, over all buckets."""


def bucket_names(buckets: int) -> tuple[str, ...]:
    """`0`…`f` for 16, `00`…`ff` for 256, `all` for 1; KeyError for another number."""
    digits = product("0123456789abcdef", repeat=_DIGITS[buckets])
    return tuple("".join(name) for name in digits) if buckets > 1 else ("all",)


SOURCE_DAY = "source_day"
"""The record's own day, beside rows that wait to be sorted: rows of one day that are alike are one record (G60)."""


def write_unsorted(con: duckdb.DuckDBPyConnection, rows: str, folder: Path, buckets: int) -> int:
    """Streams `rows` (a SELECT with a column pseudonym) into a folder a bucket, and its columns into none.parquet;
    returns how many."""
    bucket = f"substr(pseudonym, 1, {_DIGITS[buckets]})" if buckets > 1 else "'all'"
    con.execute("SET preserve_insertion_order = false")  # or the engine gathers the rows; they are sorted later
    con.execute(f"SET partitioned_write_flush_threshold = {_ROWS_IN_MEMORY // buckets}")
    done = con.execute(
        f"COPY ({select(f'*, {bucket} AS bucket', f'({rows})')}) TO {text(str(folder))} "
        "(FORMAT parquet, COMPRESSION zstd, PARTITION_BY (bucket))"
    ).fetchone()
    folder.mkdir(exist_ok=True)
    con.execute(f"COPY ({rows} LIMIT 0) TO {text(str(folder / 'none.parquet'))} (FORMAT parquet)")
    return int(done[0]) if done else 0


def write_sorted(
    con: duckdb.DuckDBPyConnection, unsorted: Path, folder: Path, buckets: int, *, once: bool = False
) -> dict[str, int]:
    """One sorted file for each bucket, also for an empty one; returns {file name: rows}.

    once: the rows carry their source day, and what stands twice on one day is written once, without the day.
    """
    written = {}
    for name in bucket_names(buckets):
        files = [*sorted((unsorted / f"bucket={name}").glob("*.parquet")), unsorted / "none.parquet"]
        rows = select("DISTINCT *" if once else "*", f"read_parquet({paths(files)}, hive_partitioning = false)")
        if once:
            rows = select(f"* EXCLUDE ({SOURCE_DAY})", f"({rows})")
        written[f"{name}.parquet"] = write_file(con, rows, folder / f"{name}.parquet")
    return written


def write_file(con: duckdb.DuckDBPyConnection, rows: str, file: Path) -> int:
    """One Parquet file of these rows, sorted by all columns; returns how many."""
    done = con.execute(
        f"COPY ({rows} ORDER BY ALL) TO {text(str(file))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
    ).fetchone()
    return int(done[0]) if done else 0
