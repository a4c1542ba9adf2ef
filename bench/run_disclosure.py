"""One side of P6 in a process of its own: SIDE FOLDER. Says k-min and uniques of each set of quasi-identifiers."""

import json
import sys
import time
from itertools import combinations
from pathlib import Path

from bench.peak import peak_megabytes

KNOWN = ("year_of_birth", "sex", "socio_professional_category", "height_cm", "weight_kg")


def portal(files: list[Path]) -> dict[str, int]:
    from portal.gate.disclosure import measure

    _started()
    found = measure(files, KNOWN, least=5)
    said = {KNOWN: (found.k_min, found.uniques)} | {s.quasi_identifiers: (s.k_min, s.uniques) for s in found.subsets}
    return _plain(said)


def pycanon(files: list[Path]) -> dict[str, int]:
    import pyarrow.parquet as pq
    from pycanon.anonymity.utils import aux_anonymity

    _started()
    table = pq.read_table([str(file) for file in files], columns=list(KNOWN)).to_pandas()
    said = {}
    for known in (KNOWN, *combinations(KNOWN, 4)):
        sizes = [len(group) for group in aux_anonymity.get_equiv_class(table, list(known))]
        said[known] = (min(sizes), sizes.count(1))
    return _plain(said)


BEGAN = [0.0, 0.0]


def _started() -> None:
    """What was imported until now is not counted."""
    BEGAN[:] = time.perf_counter(), time.process_time()


def _plain(said: dict[tuple[str, ...], tuple[int, int]]) -> dict[str, int]:
    parts = {"k_min": 0, "uniques": 1}
    return {f"{part} {','.join(known)}": pair[place] for known, pair in said.items() for part, place in parts.items()}


if __name__ == "__main__":
    side = {"portal": portal, "pycanon": pycanon}[sys.argv[1]]
    measured = side(sorted(Path(sys.argv[2]).glob("*.parquet")))
    taken = {"clock": time.perf_counter() - BEGAN[0], "cpu": time.process_time() - BEGAN[1]}
    print(json.dumps(measured | taken | {"peak_mb": peak_megabytes()}))
