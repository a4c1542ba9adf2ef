"""From filtered rows to rows that may leave: generalised, small cells and small differences out, measured again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from portal.gate.aggregates import Aggregates, Question, aggregate
from portal.gate.disclosure import Disclosure, measure
from portal.gate.generalise import Wanted, choose, generalise, suppressed, without
from portal.gate.manifest import MASK_BELOW, mask
from portal.gate.terms import Terms
from portal.rules.conditions import StudyConditions
from portal.rules.ladder import loss
from portal.rules.precision import COLUMNS, released_name
from portal.rules.refusals import Refused
from portal.rules.words import Precision

Differing = Callable[[set[str]], set[str]]
"""From the pseudonyms that would leave to those that may not, so that no other release differs by a few (G62)."""


@dataclass(frozen=True, slots=True)
class Protected:
    """files and terms: the rows as they leave and the columns they have. present: the
    pseudonyms before anybody was suppressed; small: those out by G61; close: by G62.

    cost: what it took, for disclosure.json. Small numbers in it are masked.
    """

    files: list[Path]
    terms: Terms
    disclosure: Disclosure
    precision: dict[str, Precision]
    present: set[str]
    small: set[str]
    close: set[str]
    cost: dict[str, Any]


def protect(
    files: Sequence[Path],
    work: Path,
    terms: Terms,
    wanted: Wanted,
    *,
    differing: Differing,
    frozen: Mapping[str, Precision] | None = None,
) -> Protected:
    """Writes below `work`. frozen: the steps that were approved; then nothing is generalised further, only suppressed.

    Refused G61 when the study's k cannot be reached within what it allows, or nobody is left; G62 when nobody is left
    who differs from no other release by a few.
    """
    chosen = choose(files, wanted) if frozen is None else None
    precision = chosen.precision if chosen else {**wanted.asked, **(frozen or {})}
    changed = {column: step for column, step in precision.items() if step is not wanted.asked[column]}
    made = generalise(files, work / "coarser", wanted.asked, changed) if changed else list(files)
    present = _pseudonyms(made)
    small, close = _unsafe(made, work, precision, wanted.least, present, differing)
    kept = without(made, work / "safe", small | close) if small | close else made
    left = _terms(terms, changed)
    there = [released_name(c, step) for c, step in precision.items() if step is not Precision.ABSENT]
    measured = measure(kept, there, least=wanted.least, sensitive=_sensitive(left, wanted))
    if not measured.persons or measured.k_min < wanted.least:
        code = "G62" if close and not small else "G61"
        raise Refused(code, f"a k of {wanted.least} cannot be reached with those who pass")
    cost = {
        "generalised": {c: [wanted.asked[c].value, step.value] for c, step in changed.items()},
        "information_loss": round(loss(precision, wanted.asked), 4),
        "suppressed_persons": mask(len(small | close)),
        "suppressed_rows": mask(_rows(made) - _rows(kept)),
    }
    return Protected(kept, left, measured, precision, present, small, close, cost)


def wanted_of(terms: Terms, conditions: StudyConditions, least: int) -> Wanted:
    """What a study asks of its releases, at the precision its terms resolve to. Refused G12 for a quasi-identifier
    that it does not release."""
    asked = {name: terms.precision_of(name) for name in conditions.quasi_identifiers}
    if missing := [name for name, step in asked.items() if step is None]:
        raise Refused("G12", "a quasi-identifier is no column of the study", where=", ".join(missing))
    there = {name: step for name, step in asked.items() if step is not None}
    return Wanted(least, there, conditions.generalise, conditions.suppressed_at_most)


def table_of(
    safe: Protected, conditions: StudyConditions, earlier: Sequence[Mapping[Question, int]]
) -> Aggregates | None:
    """The table that the study declares, by those of its columns that are still there; None without any."""
    asked = {name: safe.terms.precision_of(name) for name in conditions.aggregates}
    there = {name: step for name, step in asked.items() if step is not None}
    return aggregate(safe.files, there, least=MASK_BELOW, earlier=earlier) if there else None


def _unsafe(
    files: Sequence[Path],
    work: Path,
    precision: Mapping[str, Precision],
    least: int,
    present: set[str],
    differing: Differing,
) -> tuple[set[str], set[str]]:
    """Who is in too small a cell, and who makes a small difference, until neither is true of those who stay."""
    small, close, staying, turn = set[str](), set[str](), list(files), 0
    while True:
        small |= suppressed(staying, precision, least=least)
        more = differing(present - small - close)
        if not more:
            return small, close
        close |= more
        turn += 1
        staying = without(files, work / f"turn-{turn}", small | close)


def _pseudonyms(files: Sequence[Path]) -> set[str]:
    found: set[str] = set()
    for file in files:
        found |= set(pc.unique(pq.read_table(file, columns=["pseudonym"], partitioning=None)["pseudonym"]).to_pylist())
    return found


def _rows(files: Sequence[Path]) -> int:
    return sum(pq.read_metadata(file).num_rows for file in files)


def _terms(terms: Terms, changed: Mapping[str, Precision]) -> Terms:
    """The terms with the columns as they leave; one that is left out is gone."""
    columns = [replace(c, precision=changed.get(c.name, c.precision)) for c in terms.columns]
    return replace(terms, columns=tuple(c for c in columns if c.precision is not Precision.ABSENT))


def _sensitive(terms: Terms, wanted: Wanted) -> list[str]:
    """The columns of codes: what a neighbour would learn."""
    return [c.name for c in terms.columns if COLUMNS[c.name].listed and c.name not in wanted.asked]
