"""The filter against a plain copy of the rows that pass, with the columns that leave.

The reference reads files that hold exactly those rows and columns, in the input's order and partitions, and writes
them with the same engine and codec (zstd), a file a thread: the cheapest way there is. P1 is the write pass (every
record read, judged, and written if it passes: packed, in a folder a bucket, zstd level 1). P2 is everything: reading
the permit's list, that pass, counts, every bucket sorted and written at the codec's usual level, and hashes.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from bench.made_records import PRACTICE_KEY, Made, made
from bench.measure import CACHE, Figure, interleaved
from portal.gate import filtering

IDS = ("P1", "P2")
SIZES = {"small": (10_000_000, 16, 3), "full": (100_000_000, 256, 3)}


def run(scale: str) -> list[Figure]:
    records, buckets, runs = SIZES[scale]
    data = made(records)
    passes: list[float] = []

    def whole() -> None:
        with timed(passes):
            filtered(data, buckets)

    whole()
    passes.clear()
    passing = _passing(data, buckets)
    times = interleaved(runs, copy=lambda: _copy(passing, ""), whole=whole, level=lambda: _copy(passing, _LEVEL))
    write = sorted(passes)[len(passes) // 2]
    sizes = f"{data.sizes}, {buckets} buckets"
    what = "write pass of the filter : plain copy"
    return [
        Figure("P1", what, write, times["copy"], "s", "<= 1.10", write <= 1.10 * times["copy"], runs, sizes),
        Figure("P1", f"{what}, copy at zstd level 1", write, times["level"], "s", "none", True, runs, sizes),
        Figure(
            "P2", "whole filter : plain copy", times["whole"], times["copy"], "s", "<= 3",
            times["whole"] <= 3 * times["copy"], runs, sizes,
        ),
    ]  # fmt: skip


_LEVEL = ", COMPRESSION_LEVEL 1"


def filtered(data: Made, buckets: int) -> Path:
    out = CACHE / "out"
    shutil.rmtree(out, ignore_errors=True)
    filtering.filter_extraction(data.permit(), data.folder, out, practice_key=PRACTICE_KEY, buckets=buckets)
    return out


@contextmanager
def timed(passes: list[float]) -> Iterator[None]:
    """Takes the time of the write pass inside a run of the whole filter."""
    original = filtering.write_unsorted

    def write(*given: Any) -> None:
        began = time.perf_counter()
        original(*given)
        passes.append(time.perf_counter() - began)

    filtering.write_unsorted = write
    try:
        yield
    finally:
        filtering.write_unsorted = original


def _passing(data: Made, buckets: int) -> str:
    """What the filter let through, put back into the input's partitions and a random order."""
    folder = CACHE / f"passing-{data.records}-{data.practices}"
    if not (folder / "_made").exists():
        files = sorted((CACHE / "out" / "records").glob("*.parquet"))
        with duckdb.connect() as con:
            con.execute("SET preserve_insertion_order = false; SET partitioned_write_max_open_files = 2000")
            con.execute(
                f"COPY (SELECT *, practice_id AS site FROM read_parquet({[str(f) for f in files]})) "
                f"TO '{folder}/by-site' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (site))"
            )
            for site in sorted((folder / "by-site").iterdir()):
                order = "ORDER BY hash(pseudonym, recorded_on, weight_kg, diagnosis, prescription, test_value)"
                query = f"SELECT * FROM read_parquet('{site}/*.parquet', hive_partitioning = false) {order}"
                con.execute(f"COPY ({query}) TO '{folder}/{site.name}.parquet' (FORMAT parquet, COMPRESSION zstd)")
        shutil.rmtree(folder / "by-site")
        (folder / "_made").touch()
    return str(folder / "*.parquet")


def _copy(files: str, more: str) -> None:
    out = CACHE / "copy"
    shutil.rmtree(out, ignore_errors=True)
    with duckdb.connect() as con:
        con.execute("SET preserve_insertion_order = false")
        con.execute(
            f"COPY (SELECT * FROM read_parquet('{files}', hive_partitioning = false)) TO '{out}' "
            f"(FORMAT parquet, COMPRESSION zstd, PER_THREAD_OUTPUT true{more})"
        )
