"""Letters with their squares in print files, beside Typst alone on the same template with words and images ready.

Each side in a process of its own, in turn. Ours composes the words and draws both squares of each letter, and sets each
file of a whole print run as tagged PDF/A in a further process, whose start is counted; Typst alone makes a plain PDF.
The database and the codes, which are made before, are in neither.
"""

from bench.measure import Alone, Figure, Taken, alone, compared, medians
from portal.flow.paper import RUN

IDS = ("P13",)
FILES = {"small": 1, "full": 4}
RUNS = 3


def run(scale: str) -> list[Figure]:
    sides: dict[str, list[Alone]] = {"portal": [], "bare": []}
    for _ in range(RUNS):
        for side, runs in sides.items():
            runs.append(alone("bench.run_letters", side, str(FILES[scale])))
    ours, bare = (medians([Taken(one.said["clock"], one.said["cpu"]) for one in runs]) for runs in sides.values())
    if len({one.said["pages"] for runs in sides.values() for one in runs}) != 1:
        raise RuntimeError("they do not make the same pages")
    sizes = f"{FILES[scale] * RUN:,} letters in files of {RUN}"
    return [compared("P13", "letters composed and set : Typst with all ready", ours, bare, 1 / 0.6, RUNS, sizes)]
