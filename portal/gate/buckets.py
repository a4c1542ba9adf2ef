"""Passing rows as files by the first digits of the pseudonym, sorted within: the same rows, the same bytes.

Two steps: rows that pass are packed and streamed out by an engine that may not spill, then sorted by another that
may. So no value of a refused record can reach a file of any kind.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count, product
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from portal.gate.engine import Limits, ahead, paths, select, text
from portal.gate.packing import Packing

_DIGITS = {1: 0, 16: 1, 256: 2}

_ROWS_IN_MEMORY = 262_144
"""Rows that wait in one thread for their file, over all buckets."""

_PIECE = 4_096
"""Rows of a bucket that wait at least, where the engine's memory is not limited: pieces of a thousand take a third
more time."""

_ROW_GROUP = 122_880
"""Rows that are sorted out of the engine, encoded and compressed together."""

_ORDERED = 2
"""Columns whose least and greatest values stand in the file: rows lie in their order. Of the others they would tell a
reader nothing, and take an eighth of the writing."""


def bucket_names(buckets: int) -> tuple[str, ...]:
    """`0`…`f` for 16, `00`…`ff` for 256, `all` for 1; KeyError for another number."""
    digits = product("0123456789abcdef", repeat=_DIGITS[buckets])
    return tuple("".join(name) for name in digits) if buckets > 1 else ("all",)


def write_unsorted(
    con: duckdb.DuckDBPyConnection, records: str, packing: Packing, folder: Path, buckets: int, limits: Limits
) -> None:
    """Streams `records` (a SELECT with prefix and refused) into a folder a bucket; of a refused record only why."""
    bucket = f"CASE WHEN refused IS NULL THEN prefix // {256 // buckets} ELSE {buckets} END"
    con.execute("SET preserve_insertion_order = false")  # or the engine gathers the rows; they are sorted later
    waiting = max(_ROWS_IN_MEMORY // buckets, 0 if limits.memory else _PIECE)
    con.execute(f"SET partitioned_write_flush_threshold = {waiting}")
    packed = select(f"{packing.packed('refused IS NULL')}, refused, {bucket} AS bucket", f"({records})")
    how = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, PARTITION_BY (bucket)"
    con.execute(f"COPY ({packed}) TO {text(str(folder))} ({how})")


def counted(con: duckdb.DuckDBPyConnection, unsorted: Path) -> dict[str | None, int]:
    """How many records were written and (None) how many of them pass; the others by why not."""
    files = sorted(unsorted.glob("bucket=*/*.parquet"))
    if not files:
        return {}
    rows = select("refused, count(*)", f"read_parquet({paths(files)}, hive_partitioning = false)", "GROUP BY 1")
    return dict(con.execute(f"{rows} ORDER BY 1").fetchall())


def write_sorted(
    con: duckdb.DuckDBPyConnection, unsorted: Path, packing: Packing, folder: Path, buckets: int
) -> dict[str, int]:
    """One sorted file for each bucket, also for an empty one; returns {file name: rows}, copies written once.

    Two files at a time: the engine sorts with all processors, but encoding a file keeps one busy.
    """

    def write(place: int, file: Path) -> int:
        files = sorted((unsorted / f"bucket={place}").glob("*.parquet"))
        rows = select("*", f"read_parquet({paths(files)}, hive_partitioning = false)") if files else None
        with con.cursor() as own:
            return write_packed(own, rows, packing, file)

    targets = [folder / f"{name}.parquet" for name in bucket_names(buckets)]
    with ThreadPoolExecutor(2) as pool:
        written = list(pool.map(write, count(), targets))
    return {target.name: rows for target, rows in zip(targets, written, strict=True)}


def write_packed(con: duckdb.DuckDBPyConnection, rows: str | None, packing: Packing, file: Path) -> int:
    """One Parquet file of these packed rows, unpacked and sorted by all columns; returns how many.

    Where the packing has columns that stay behind, rows that are alike in those too are one row.
    """
    keys = ", ".join(packing.names)
    if rows and packing.behind:
        rows = select(f"DISTINCT {keys}", f"({rows})")
    places = select(packing.digits(), f"({rows} ORDER BY {keys})") if rows else None
    groups = con.sql(places).to_arrow_reader(_ROW_GROUP) if places else ()
    return _write(map(packing.values, groups), packing.schema, file)


def write_file(con: duckdb.DuckDBPyConnection, rows: str, file: Path) -> int:
    """One Parquet file of these rows, sorted by all columns; returns how many. The bytes that `write_packed` gives."""
    groups = con.sql(f"{rows} ORDER BY ALL").to_arrow_reader(_ROW_GROUP)
    return _write(map(pa.Table.from_batches, zip(groups, strict=True)), groups.schema, file)


def _write(groups: Iterable[pa.Table], schema: pa.Schema, file: Path) -> int:
    written = 0
    with (
        pq.ParquetWriter(
            file, schema, compression="zstd", store_schema=False, write_statistics=schema.names[:_ORDERED]
        ) as writer,
        closing(ahead(groups)) as fetched,
    ):
        for group in fetched:
            writer.write_table(group, row_group_size=_ROW_GROUP)
            written += group.num_rows
    return written
