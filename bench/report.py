"""The results as a file and as a table."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.measure import ROOT, Figure

LATEST = ROOT / "bench" / "results" / "latest.json"
PARTS = ("duckdb", "pyarrow", "pandas", "asyncpg", "tortoise-orm", "aiosmtplib", "typst")


def write(figures: Sequence[Figure], path: Path = LATEST) -> None:
    """Puts these figures in the place of older ones of the same cases; the others stay, each with its own date."""
    ids = {figure.id for figure in figures}
    kept = [line for line in _old(path) if line["id"] not in ids]
    lines = kept + [_line(figure) for figure in figures]
    lines.sort(key=lambda line: (int(line["id"][1:]), line["what"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _old(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def _line(figure: Figure) -> dict[str, Any]:
    return {
        "id": figure.id,
        "what": figure.what,
        "value": round(figure.value, 4),
        "reference": round(figure.reference, 4),
        "unit": figure.unit,
        "ratio": round(figure.ratio, 3),
        "cpu_ratio": None if figure.cpu_ratio is None else round(figure.cpu_ratio, 3),
        "target": figure.target,
        "met": figure.met,
        "runs": figure.runs,
        "date": datetime.now(UTC).date().isoformat(),
        "sizes": figure.sizes,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}",
        "versions": {"python": platform.python_version()} | {part: version(part) for part in PARTS},
    }


def table(figures: Sequence[Figure]) -> str:
    """The figures as lines of text."""
    head = f"{'':4} {'what':62} {'value':>10} {'reference':>10} {'':4} {'ratio':>7}  {'target':22} met"
    return "\n".join(
        [head]
        + [
            f"{f.id:4} {f.what[:62]:62} {f.value:10.2f} {f.reference:10.2f} {f.unit:4} {f.ratio:7.3f}  "
            f"{f.target[:22]:22} {'–' if f.met is None else 'yes' if f.met else 'NO'}"
            for f in figures
        ]
    )
