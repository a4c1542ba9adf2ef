"""The picture and the table in docs/enrolment.md are those of the code."""

import re
from pathlib import Path

from portal.rules.enrolment import ALLOWED, STEPS
from portal.rules.words import EnrolmentState as State

TEXT = (Path(__file__).parents[2] / "docs" / "enrolment.md").read_text(encoding="utf-8")


def test_the_diagram_draws_every_step_and_no_other() -> None:
    diagram = re.search(r"```mermaid\nstateDiagram-v2\n(.*?)```", TEXT, re.DOTALL)
    assert diagram
    drawn = re.findall(r"^    (\w+) --> (\w+): (\w+)$", diagram[1], re.MULTILINE)
    assert [(before, kind, after) for before, after, kind in drawn] == [(a, k, b) for a, k, b in STEPS]
    assert len(diagram[1].splitlines()) == len(drawn) + 1, "and nothing else"


def test_the_table_lists_every_step_and_no_other() -> None:
    listed = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \|$", TEXT, re.MULTILINE)
    assert [tuple(row) for row in listed if row[0] in set(State)] == [(str(a), k, str(b)) for a, k, b in STEPS]
    assert {(a, b) for a, _, b in STEPS} == {(a, b) for a, reached in ALLOWED.items() for b in reached}


def test_every_step_says_who_takes_it() -> None:
    named = {
        kind for cell in re.findall(r"^\| ([\w, ]+) \| (?:the|an) ", TEXT, re.MULTILINE) for kind in cell.split(", ")
    }
    assert named == {kind for _, kind, _ in STEPS}
