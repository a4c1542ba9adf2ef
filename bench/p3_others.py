"""The filter against what a data team would write: a pandas merge, and a loop over CSV rows with SQLite.

Each in a process of its own, on the same records: Parquet partitions for pandas and for the filter beside it, one CSV
file for the loop and for the filter beside it. Both references apply the permit's list, provenance, period, doctors
and code lists, and write the same columns; they keep no reasons and no counts by reason.
"""

from pathlib import Path

import duckdb

from bench.made_records import Made, made
from bench.measure import CACHE, Figure, alone, compared

IDS = ("P3",)
SIZES = {"small": (1_000_000, 100), "full": (10_000_000, 1_000)}


def run(scale: str) -> list[Figure]:
    data = made(*SIZES[scale])
    where = [str(data.records), str(data.practices)]
    file, once = str(_csv(data)), ["0", "1", "-", "0"]
    mine, pandas = alone("bench.run_filter", *where, *once), alone("bench.run_pandas", *where)
    from_csv, loop = alone("bench.run_filter", *where, *once, file), alone("bench.run_loop", *where, file)
    passed = {one.said["passed"] for one in (mine, pandas, from_csv, loop)}
    if len(passed) != 1:
        raise RuntimeError(f"they do not let the same records pass: {passed}")
    figures = [
        compared("P3", "filter : pandas merge", mine.taken, pandas.taken, 1 / 4, 1, data.sizes),
        compared("P3", "filter : loop over CSV with SQLite", from_csv.taken, loop.taken, 1 / 15, 1, data.sizes),
    ]  # fmt: skip
    light = mine.megabytes <= pandas.megabytes / 5
    memory = ("P3", "peak memory: filter : pandas merge", mine.megabytes, pandas.megabytes, "MB", "<= 0.2", light)
    return [*figures, Figure(*memory, 1, data.sizes)]


def _csv(data: Made) -> Path:
    file = CACHE / f"records-{data.records}-{data.practices}.csv"
    if not file.exists():
        with duckdb.connect() as con:
            con.execute(f"COPY (SELECT * FROM read_parquet('{data.files}', hive_partitioning = true)) TO '{file}'")
    return file
