"""P6: k, uniques and every four of five quasi-identifiers, over 3 M persons, beside pyCANON with the same measures.

Each side runs in a process of its own, in turn, and reads the same release files; seconds are medians, memory is the
peak of the process. pyCANON's equivalence classes are asked for once a set and give both k and uniques.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median

ID = "P6"
WHAT = "disclosure measures (k, uniques, subsets of 4 quasi-identifiers), 3 M persons, beside pyCANON"
UNIT = "s"
TARGET = "≥ 5 × faster, ≤ 1/4 memory"
PERSONS = 3_000_000
RUNS = 3
KNOWN = ("year_of_birth", "sex", "socio_professional_category", "height_cm", "weight_kg")

Measures = dict[str, tuple[int, int]]
"""Each set of quasi-identifiers → k-min, uniques."""


@dataclass(frozen=True, slots=True)
class Figure:
    """value, reference: seconds of ours and of pyCANON. ratio: how many times faster. memory: ours over pyCANON's."""

    value: float
    reference: float
    ratio: float
    memory: float
    met: bool
    runs: int


def measure(scale: float = 1.0) -> Figure:
    """Both sides in turn over 3 M × scale persons. ValueError if they do not find the same."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), int(PERSONS * scale))
        found: dict[str, list[tuple[float, int, Measures]]] = {"ours": [], "pycanon": []}
        for _ in range(RUNS):
            for side, runs in found.items():
                runs.append(_apart(side, Path(folder)))
    if found["ours"][0][2] != found["pycanon"][0][2]:
        raise ValueError("the two sides do not measure the same")
    ours, other = (median(seconds for seconds, _, _ in found[side]) for side in found)
    peak = median(kb for _, kb, _ in found["ours"]) / median(kb for _, kb, _ in found["pycanon"])
    return Figure(ours, other, other / ours, peak, other / ours >= 5 and peak <= 1 / 4, RUNS)


def write(folder: Path, persons: int) -> None:
    """Release files of one row a person, by the first digit of the pseudonym; the same each time."""
    import duckdb

    with duckdb.connect() as con:
        con.execute("SET enable_progress_bar = false")
        con.execute(
            "CREATE TABLE made AS SELECT md5(CAST(i AS VARCHAR)) AS pseudonym, CAST(1931 + hash(i) % 90 AS INTEGER) AS "
            "year_of_birth, CASE WHEN hash(i, 1) % 2 = 0 THEN 'female' ELSE 'male' END AS sex, CAST(1 + hash(i, 2) % 8 "
            "AS VARCHAR) AS socio_professional_category, CAST(140 + 5 * (hash(i, 3) % 12) AS INTEGER) AS height_cm, "
            f"CAST(45 + 5 * (hash(i, 4) % 14) AS INTEGER) AS weight_kg FROM range({int(persons)}) n(i)"
        )
        for digit in "0123456789abcdef":
            con.execute(
                f"COPY (FROM made WHERE pseudonym[1] = '{digit}' ORDER BY ALL) TO '{folder / digit}.parquet' "
                "(FORMAT parquet, COMPRESSION zstd)"
            )


def _sets() -> list[tuple[str, ...]]:
    return [KNOWN, *combinations(KNOWN, 4)]


def ours(folder: Path) -> Measures:
    from portal.gate import disclosure

    found = disclosure.measure(sorted(folder.glob("*.parquet")), KNOWN, least=5)
    fours = {",".join(one.quasi_identifiers): (one.k_min, one.uniques) for one in found.subsets}
    return {",".join(KNOWN): (found.k_min, found.uniques)} | fours


def pycanon(folder: Path) -> Measures:
    import pyarrow.parquet as pq
    from pycanon.anonymity.utils import aux_anonymity

    table = pq.read_table([str(p) for p in sorted(folder.glob("*.parquet"))], columns=list(KNOWN)).to_pandas()
    found = {}
    for known in _sets():
        sizes = [len(one) for one in aux_anonymity.get_equiv_class(table, list(known))]
        found[",".join(known)] = (min(sizes), sizes.count(1))
    return found


SIDES: dict[str, Callable[[Path], Measures]] = {"ours": ours, "pycanon": pycanon}


def _apart(side: str, folder: Path) -> tuple[float, int, Measures]:
    """(seconds, peak memory in kB, measures) of one side in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.p6_disclosure", side, str(folder)], check=True, capture_output=True, text=True
    )
    said = json.loads(done.stdout.splitlines()[-1])
    return said["seconds"], said["peak_kb"], {name: (k, n) for name, (k, n) in said["measures"].items()}


def main(side: str, folder: str) -> None:
    start = time.perf_counter()
    measures = SIDES[side](Path(folder))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "peak_kb": peak, "measures": measures}))


if __name__ == "__main__":
    main(*sys.argv[1:])
