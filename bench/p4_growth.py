"""Memory and time of the filter as the work grows, each in a process of its own under a 500 MB limit of the engine.

P4: peak resident memory of the whole process. P7: the exponent e of processor time = work^e, the largest between
neighbouring sizes; for persons at the same number of records too. A country's patients, 40 million, are filtered in
parts, a permit and a run for each thousand practices: the exponent from one part to all of them.
"""

import shutil
from itertools import pairwise
from math import log
from statistics import median

from bench.made_records import PATIENTS, made
from bench.measure import Alone, Figure, alone

IDS = ("P4", "P7")
RECORDS = {"small": (1_000_000, 10_000_000), "full": (1_000_000, 10_000_000, 100_000_000)}
PARTS = {"small": (1_000_000, 100, 3), "full": (10_000_000, 1_000, 14)}
"""Records and practices of one part, and how many parts."""
BUCKETS = 256


def run(scale: str) -> list[Figure]:
    sizes = RECORDS[scale]
    grown = [_alone(n, 1_000) for n in sizes]
    few = _alone(10_000_000, 100)
    many = grown[sizes.index(10_000_000)]
    peaks = [one.megabytes for one in grown]
    steps = pairwise(zip(sizes, grown, strict=True))
    exponents = [log(b.taken.cpu / a.taken.cpu) / log(m / n) for (n, a), (m, b) in steps]
    persons = log(many.taken.cpu / few.taken.cpu) / log(10)
    words = f"{' -> '.join(f'{n:,}' for n in sizes)} records of 3,000,000 patients, {BUCKETS} buckets"
    each, practices, parts = PARTS[scale]
    country = [_part(each, practices, place) for place in range(parts)]
    whole = log(sum(one.taken.cpu for one in country) / median(one.taken.cpu for one in country)) / log(parts)
    highest = max(one.megabytes for one in country)
    fits = max(peaks) <= 1.3 * peaks[0] and max(peaks) <= 1_000
    return [
        Figure("P4", "peak memory of the filter, most : fewest records", max(peaks), peaks[0], "MB",
               "<= 1.3 and <= 1,000 MB", fits, 1, words),
        Figure("P7", "exponent of time over records", max(exponents), 1.0, "", "<= 1.05", max(exponents) <= 1.05, 1,
               words),
        Figure("P7", "exponent of time over patients", persons, 1.0, "", "<= 1.05", persons <= 1.05, 1,
               "300,000 -> 3,000,000 patients, 10,000,000 records"),
        Figure("P7", "exponent of time over parts", whole, 1.0, "", "<= 1.05", whole <= 1.05, 1,
               f"{practices * PATIENTS:,} -> {parts * practices * PATIENTS:,} patients, {parts * each:,} records in "
               f"{parts} parts, peak {highest:.0f} MB"),
    ]  # fmt: skip


def _alone(records: int, practices: int, first: int = 0) -> Alone:
    made(records, practices, first)
    return alone("bench.run_filter", str(records), str(practices), str(first), str(BUCKETS), "500MB", "2")


def _part(records: int, practices: int, place: int) -> Alone:
    """One part; what was made for it is deleted again."""
    found = _alone(records, practices, first=place * practices)
    if place:
        data = made(records, practices, place * practices)
        shutil.rmtree(data.folder)
        shutil.rmtree(data.permit_folder)
    return found
