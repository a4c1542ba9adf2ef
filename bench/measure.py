"""What a benchmark gives back, and how time and memory are taken."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
CACHE = ROOT / "var" / "bench"


@dataclass(frozen=True)
class Figure:
    """One line of the results. ratio = value / reference; met: as `target` says, compared by the case itself."""

    id: str
    what: str
    value: float
    reference: float
    unit: str
    target: str
    met: bool
    runs: int
    sizes: str

    @property
    def ratio(self) -> float:
        return self.value / self.reference if self.reference else float("nan")


def interleaved(runs: int, **cases: Callable[[], object]) -> dict[str, float]:
    """Median seconds of each case; one of each in turn, so that a busy moment of the machine meets all of them."""
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(runs):
        for name, case in cases.items():
            began = time.perf_counter()
            case()
            taken[name].append(time.perf_counter() - began)
    return {name: median(seconds) for name, seconds in taken.items()}


@dataclass(frozen=True)
class Alone:
    """A process of its own: seconds and peak resident megabytes, and what its last line of output said (JSON)."""

    seconds: float
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
    lines = out.decode().strip().splitlines()
    return Alone(seconds, usage.ru_maxrss / 1024, json.loads(lines[-1]) if lines else {})
