"""What the trials showed: `make test-long` writes one file a promise, var/evidence/R*.json.

A test says which promise it is about with `@pytest.mark.shows("R2")`. Each run of it counts as one trial, or as many as
it says with `record_property("trials", n)`; a failed run is a failure. `how_many(few, many)` is `few` in `make test`.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "var" / "evidence"

PROMISES = {
    "R1": "no acknowledged objection is lost when the program is killed",
    "R2": "objections racing releases: no leak, no missing retraction",
    "R3": "random sequences of steps decide as an independent plain model does",
    "R4": "every rule over all combinations of its facts; facts by SQL equal facts by plain Python",
    "R5": "faults in the database exclude the person",
    "R6": "requests cancelled at random leave every later request answered",
    "R7": "reading a page or following a link changes nothing",
    "R8": "malformed files are refused with where and why, and nothing is written",
    "R9": "tampered releases, permits, extractions and logs are detected offline",
    "R10": "a killed worker loses and changes no notice",
    "R11": "no canary identifier leaves in any encoding",
    "R12": "every route, role and owner has an answer",
    "R13": "hostile sign-in answers are refused",
    "R14": "forged origins are refused",
    "R15": "link tokens and typed codes hold",
    "R16": "one person alone never releases",
    "R17": "two studies share no pseudonym",
    "R18": "a restored backup loses no objection unnoticed",
    "R19": "unsafe settings are refused at start",
    "R20": "simulated faults and delays lose nothing",
    "R22": "no accessibility fault on any page",
    "R23": "time that closes without an entry lets no row pass",
    "R24": "no record of an objector is released under another identity",
}


@dataclass
class Evidence:
    """One promise: how often it was put to the test, how often it failed, from which seed."""

    id: str
    what: str
    trials: int = 0
    failures: int = 0
    seed: int | None = None
    date: str = ""


found: dict[str, Evidence] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long trials in full and write var/evidence/")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture
def how_many(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """`how_many(few, many)`: few in `make test`, many in `make test-long`."""
    return lambda few, many: many if request.config.getoption("--long") else few


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.user_properties += [("shows", marker.args[0]) for marker in item.iter_markers("shows")]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Called where the session is held, also when the tests run in several processes."""
    if report.when != "call" and not report.failed:
        return
    said = dict(report.user_properties)
    for promise in (value for name, value in report.user_properties if name == "shows"):
        evidence = found.setdefault(str(promise), Evidence(str(promise), PROMISES[str(promise)]))
        evidence.trials += int(said.get("trials", 1))
        evidence.failures += report.failed
        evidence.seed = said.get("seed", evidence.seed)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not session.config.getoption("--long") or not found:
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    for promise, evidence in found.items():
        evidence.date = datetime.now(UTC).date().isoformat()
        (FOLDER / f"{promise}.json").write_text(json.dumps(asdict(evidence), indent=1) + "\n", encoding="utf-8")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for promise in sorted(found, key=lambda name: int(name[1:])):
        e = found[promise]
        terminalreporter.write_line(f"{promise:4} {e.trials:>7} trials, {e.failures} failures: {e.what}")
