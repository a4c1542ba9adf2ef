"""The filter against a plain copy of the rows that pass, with the columns that leave.

The reference reads files that hold exactly those rows and columns, in the input's order and partitions, and writes
them with the same engine and codec (zstd), a file a thread: the cheapest way there is. P1 is the write pass (every
record read, judged, and written if it passes: packed, in a folder a bucket, zstd level 1). P2 is everything: reading
the permit's list, that pass, counts, every bucket sorted and written at the codec's usual level, and hashes.
"""

import shutil
from functools import partial
from typing import Any

import duckdb

from bench.made_records import PRACTICE_KEY, Made, made
from bench.measure import CACHE, Figure, Taken, compared, interleaved, medians, timed
from portal.gate import filtering

IDS = ("P1", "P2")
SIZES = {"small": (10_000_000, 16, 3), "full": (100_000_000, 256, 3)}


def run(scale: str) -> list[Figure]:
    records, buckets, runs = SIZES[scale]
    data = made(records)
    passes: list[Taken] = []
    whole = partial(_whole, data, buckets, passes)
    whole()
    passes.clear()
    passing = _passing(data)
    times = interleaved(
        runs, copy=partial(_copy, passing, ""), whole=whole, level=partial(_copy, passing, ", COMPRESSION_LEVEL 1")
    )
    write, copy, sizes = medians(passes), times["copy"], f"{data.sizes}, {buckets} buckets"
    return [
        compared("P1", "write pass of the filter : plain copy", write, copy, 1.10, runs, sizes),
        compared("P1", "write pass : plain copy at zstd level 1", write, times["level"], None, runs, sizes),
        compared("P2", "whole filter : plain copy", times["whole"], copy, 3, runs, sizes),
    ]


def _whole(data: Made, buckets: int, passes: list[Taken]) -> None:
    """The whole filter; the time of its write pass is added to `passes`."""
    original = filtering.write_unsorted

    def write(*given: Any) -> Any:
        with timed(passes):
            return original(*given)

    out = CACHE / "out"
    shutil.rmtree(out, ignore_errors=True)
    filtering.write_unsorted = write
    try:
        filtering.filter_extraction(data.permit(), data.folder, out, practice_key=PRACTICE_KEY, buckets=buckets)
    finally:
        filtering.write_unsorted = original


def _passing(data: Made) -> str:
    """What the filter let through, put back into the input's partitions and a random order."""
    folder = CACHE / f"passing-{data.records}-{data.practices}"
    if not (folder / "_made").exists():
        folder.mkdir(parents=True, exist_ok=True)
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
