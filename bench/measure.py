"""What a benchmark gives back, and how time and memory are taken."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "var" / "bench"


@dataclass(frozen=True)
class Figure:
    """One line of the results. ratio = value / reference; met: as `target` says, compared by the case itself;
    None without a target."""

    id: str
    what: str
    value: float
    reference: float
    unit: str
    target: str
    met: bool | None
    runs: int
    sizes: str
    cpu_ratio: float | None = None
    """The same ratio in processor time, which a busy machine disturbs less."""

    @property
    def ratio(self) -> float:
        return self.value / self.reference if self.reference else float("nan")


class Taken(NamedTuple):
    """Seconds by the clock and of the processors."""

    clock: float
    cpu: float


@contextmanager
def timed(runs: list[Taken]) -> Iterator[None]:
    """Adds the time that the block took."""
    clock, cpu = time.perf_counter(), time.process_time()
    yield
    runs.append(Taken(time.perf_counter() - clock, time.process_time() - cpu))


def medians(runs: Sequence[Taken]) -> Taken:
    return Taken(median(run.clock for run in runs), median(run.cpu for run in runs))


def interleaved(runs: int, **cases: Callable[[], object]) -> dict[str, Taken]:
    """Medians of each case; one of each in turn, so that a busy moment of the machine meets all of them."""
    taken: dict[str, list[Taken]] = {name: [] for name in cases}
    for _ in range(runs):
        for name, case in cases.items():
            with timed(taken[name]):
                case()
    return {name: medians(times) for name, times in taken.items()}


def compared(id_: str, what: str, value: Taken, reference: Taken, most: float | None, runs: int, sizes: str) -> Figure:
    """A figure in seconds that is met up to `most` times the reference; None: no target, told beside the others."""
    met = None if most is None else value.clock <= most * reference.clock
    target = "none" if most is None else f"<= {most:.3g}"
    ratio = value.cpu / reference.cpu if reference.cpu else None
    return Figure(id_, what, value.clock, reference.clock, "s", target, met, runs, sizes, ratio)


@dataclass(frozen=True)
class Alone:
    """A process of its own: its time and peak resident megabytes, and what its last line of output said (JSON, with
    its `peak_mb`)."""

    taken: Taken
    megabytes: float
    said: Mapping[str, float]


def alone(module: str, *arguments: str) -> Alone:
    """Runs `python -m module arguments` and waits; RuntimeError with its last words when it fails."""
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=ROOT, stdout=subprocess.PIPE) as process:
        out = process.stdout.read() if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} ended with {process.returncode}")
    said = json.loads(out.decode().strip().splitlines()[-1])
    return Alone(Taken(seconds, usage.ru_utime + usage.ru_stime), said.pop("peak_mb"), said)
