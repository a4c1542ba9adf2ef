"""The patient's page as a phone meets it: bytes over the wire, scripts, and what Lighthouse says of it.

Lighthouse (npm) plays its default phone: a slow processor and a slow network, in Chromium. Its package is installed
beside this file when it is missing.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from bench.made_observatory import make
from bench.measure import Figure
from bench.postgres import postgres
from bench.serving import prepare, served

IDS = ("P15",)
RUNS = {"small": 3, "full": 5}
TOOL = Path(__file__).parent / "lighthouse"
MOST_BYTES = 30_000
LEAST = {"accessibility": 100, "best-practices": 100, "performance": 95}


def run(scale: str) -> list[Figure]:
    if not (TOOL / "node_modules").exists():
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=TOOL, check=True)
    with postgres() as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        token = make(url, folder, 5)[0]
        prepare(url, folder)
        with served("portal", folder) as port:
            reports = [_report(f"http://127.0.0.1:{port}/o/{token}", folder) for _ in range(RUNS[scale])]
    return [_weight(reports), *(_score(reports, name, least) for name, least in LEAST.items())]


def _report(address: str, folder: Path) -> dict[str, Any]:
    """One visit with an empty cache."""
    out, chromium = folder / "report.json", shutil.which("chromium") or ""
    subprocess.run(
        [str(TOOL / "node_modules" / ".bin" / "lighthouse"), address, "--quiet", "--output=json",
         f"--output-path={out}", f"--only-categories={','.join(LEAST)}",
         "--chrome-flags=--headless=new --no-sandbox --disable-dev-shm-usage"],
        env={**os.environ, "CHROME_PATH": chromium, "LANGUAGE": "fr"}, check=True,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    if report.get("runtimeError"):
        raise RuntimeError(report["runtimeError"]["message"])
    return report


def _requests(report: dict[str, Any]) -> list[dict[str, Any]]:
    return list(report["audits"]["network-requests"]["details"]["items"])


def _weight(reports: list[dict[str, Any]]) -> Figure:
    """The heaviest visit: answers with their headers, whatever the page asks for. A script is too much."""
    heaviest = max(sum(item["transferSize"] for item in _requests(report)) for report in reports)
    many = max(len(_requests(report)) for report in reports)
    scripts = max(sum(item.get("resourceType") == "Script" for item in _requests(report)) for report in reports)
    return Figure(
        "P15", "patient's page, all of it over the wire", heaviest / 1000, MOST_BYTES / 1000, "kB", "<= 1, no script",
        heaviest <= MOST_BYTES and scripts == 0, len(reports), f"{many} requests, {scripts} scripts, nothing cached",
    )  # fmt: skip


def _score(reports: list[dict[str, Any]], name: str, least: int) -> Figure:
    score = 100 * median(report["categories"][name]["score"] or 0 for report in reports)
    for audit in {ref["id"] for ref in reports[-1]["categories"][name]["auditRefs"] if ref["weight"]}:
        said = reports[-1]["audits"][audit]
        if said["score"] is not None and said["score"] < 0.9:
            print(f"  {name}: {said['title']} ({said.get('displayValue') or said['score']})")
    return Figure("P15", f"patient's page, Lighthouse: {name}", score, 100, "", f">= {least / 100:.2f}",
                  score >= least, len(reports), "its default phone, median")  # fmt: skip
