"""k, uniques and every four of five quasi-identifiers, beside pyCANON with the same measures.

Each side in a process of its own, in turn, on the same release files of one row a person. pyCANON's equivalence classes
are asked for once a set and give both k and uniques; reading is in the time of both, imports are in neither.
"""

from pathlib import Path

import duckdb

from bench.measure import CACHE, Alone, Figure, Taken, alone, compared, medians

IDS = ("P6",)
SIZES = {"small": 300_000, "full": 3_000_000}
RUNS = 3
TIME = {"clock", "cpu"}


def run(scale: str) -> list[Figure]:
    folder, sizes = _made(SIZES[scale]), f"{SIZES[scale]:,} persons, one row each"
    sides: dict[str, list[Alone]] = {"portal": [], "pycanon": []}
    for _ in range(RUNS):
        for side, runs in sides.items():
            runs.append(alone("bench.run_disclosure", side, str(folder)))
    said = {tuple(sorted(i for i in one.said.items() if i[0] not in TIME)) for runs in sides.values() for one in runs}
    if len(said) != 1:
        raise RuntimeError("they do not measure the same")
    ours, other = (medians([Taken(one.said["clock"], one.said["cpu"]) for one in runs]) for runs in sides.values())
    mine, theirs = (min(one.megabytes for one in runs) for runs in sides.values())
    memory = ("P6", "peak memory: disclosure measures : pyCANON", mine, theirs, "MB", "<= 0.25", mine <= theirs / 4)
    return [
        compared("P6", "disclosure measures : pyCANON", ours, other, 1 / 5, RUNS, sizes),
        Figure(*memory, RUNS, sizes),
    ]


def _made(persons: int) -> Path:
    """Release files by the first digit of the pseudonym; the same each time."""
    folder = CACHE / f"persons-{persons}"
    if folder.exists():
        return folder
    folder.mkdir(parents=True)
    with duckdb.connect() as con:
        con.execute("SET enable_progress_bar = false")
        con.execute(
            "CREATE TABLE made AS SELECT md5(CAST(i AS VARCHAR)) AS pseudonym, CAST(1931 + hash(i) % 90 AS INTEGER) AS "
            "year_of_birth, CASE WHEN hash(i, 1) % 2 = 0 THEN 'female' ELSE 'male' END AS sex, CAST(1 + hash(i, 2) % 8 "
            "AS VARCHAR) AS socio_professional_category, CAST(140 + 5 * (hash(i, 3) % 12) AS INTEGER) AS height_cm, "
            f"CAST(45 + 5 * (hash(i, 4) % 14) AS INTEGER) AS weight_kg FROM range({persons}) n(i)"
        )
        for digit in "0123456789abcdef":
            con.execute(
                f"COPY (FROM made WHERE pseudonym[1] = '{digit}' ORDER BY ALL) TO '{folder / digit}.parquet' "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
    return folder
