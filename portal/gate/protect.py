"""From filtered rows to rows that may leave: generalised, small cells and small differences out, measured again."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from portal.gate.aggregates import Aggregates, Question, aggregate
from portal.gate.disclosure import Disclosure, measure, small_cells
from portal.gate.generalise import Wanted, choose, generalise
from portal.gate.manifest import MASK_BELOW, mask
from portal.gate.shrinking import take_out
from portal.gate.terms import Terms
from portal.rules.conditions import StudyConditions
from portal.rules.ladder import loss
from portal.rules.precision import COLUMNS, released_name
from portal.rules.refusals import Refused
from portal.rules.words import Precision

Differing = Callable[[set[str]], set[str]]
"""From the pseudonyms that would leave to those that may not, so that no other release differs by a few (G62)."""


@dataclass(frozen=True, slots=True)
class Suppressed:
    """terms: the columns as they leave. staying: the pseudonyms that are left; small: those out by G61; close: by G62.

    cost: what it took, for disclosure.json. Small numbers in it are masked.
    """

    terms: Terms
    disclosure: Disclosure
    staying: set[str]
    small: set[str]
    close: set[str]
    cost: dict[str, Any]


def coarsen(records: Path, wanted: Wanted, *, frozen: Mapping[str, Precision] | None = None) -> dict[str, Precision]:
    """Generalises the files of this folder; returns the step of each quasi-identifier. frozen: the steps that were
    approved. Refused G61 when nothing is there, or the study's k cannot be reached within what it allows."""
    files = sorted(records.glob("*.parquet"))
    if not rows_in(files):
        raise Refused("G61", "no record of anybody who passes is in the store: there is nothing to release")
    precision = choose(files, wanted).precision if frozen is None else {**wanted.asked, **frozen}
    if changed := _changed(precision, wanted):
        generalise(files, records.with_name("coarser"), wanted.asked, changed)
        shutil.rmtree(records)
        records.with_name("coarser").rename(records)
    return precision


def suppress(
    records: Path, terms: Terms, wanted: Wanted, precision: Mapping[str, Precision], *, differing: Differing
) -> Suppressed:
    """Takes out of the files of this folder, whole, whoever is in too small a cell or makes a small difference, until
    neither is true of anybody who stays; and measures the rest. Refused G61 or G62 when nobody is left."""
    files, before = sorted(records.glob("*.parquet")), rows_in(sorted(records.glob("*.parquet")))
    there = [released_name(c, step) for c, step in precision.items() if step is not Precision.ABSENT]
    staying, small, close = _pseudonyms(files), set[str](), set[str]()
    while True:
        if more := small_cells(files, there, least=wanted.least):
            small |= more
        elif more := differing(staying):
            close |= more
        else:
            break
        staying = staying - more
        take_out(records, more)
    changed = _changed(precision, wanted)
    left = _terms(terms, changed)
    measured = measure(files, there, least=wanted.least, sensitive=_sensitive(left, wanted))
    if not measured.persons or measured.k_min < wanted.least:
        code = "G62" if close and not small else "G61"
        raise Refused(code, f"a k of {wanted.least} cannot be reached with those who pass")
    cost = {
        "generalised": {c: [wanted.asked[c].value, step.value] for c, step in changed.items()},
        "information_loss": round(loss(precision, wanted.asked), 4),
        "suppressed_persons": mask(len(small | close)),
        "suppressed_rows": mask(before - rows_in(files)),
    }
    return Suppressed(left, measured, staying, small, close, cost)


def wanted_of(terms: Terms, conditions: StudyConditions, least: int) -> Wanted:
    """What a study asks of its releases, at the precision its terms resolve to. Refused G12 for a quasi-identifier
    that it does not release."""
    asked = {name: terms.precision_of(name) for name in conditions.quasi_identifiers}
    if missing := [name for name, step in asked.items() if step is None]:
        raise Refused("G12", "a quasi-identifier is no column of the study", where=", ".join(missing))
    there = {name: step for name, step in asked.items() if step is not None}
    return Wanted(least, there, conditions.generalise, conditions.suppressed_at_most)


def table_of(
    records: Path, terms: Terms, conditions: StudyConditions, earlier: Sequence[Mapping[Question, int]]
) -> Aggregates | None:
    """The table that the study declares, by those of its columns that are still there; None without any."""
    asked = {name: terms.precision_of(name) for name in conditions.aggregates}
    there = {name: step for name, step in asked.items() if step is not None}
    return aggregate(sorted(records.glob("*.parquet")), there, least=MASK_BELOW, earlier=earlier) if there else None


def _changed(precision: Mapping[str, Precision], wanted: Wanted) -> dict[str, Precision]:
    return {column: step for column, step in precision.items() if step is not wanted.asked[column]}


def _pseudonyms(files: Sequence[Path]) -> set[str]:
    found: set[str] = set()
    for file in files:
        found |= set(pc.unique(pq.read_table(file, columns=["pseudonym"], partitioning=None)["pseudonym"]).to_pylist())
    return found


def rows_in(files: Sequence[Path]) -> int:
    return sum(pq.read_metadata(file).num_rows for file in files)


def _terms(terms: Terms, changed: Mapping[str, Precision]) -> Terms:
    """The terms with the columns as they leave; one that is left out is gone."""
    columns = [replace(c, precision=changed.get(c.name, c.precision)) for c in terms.columns]
    return replace(terms, columns=tuple(c for c in columns if c.precision is not Precision.ABSENT))


def _sensitive(terms: Terms, wanted: Wanted) -> list[str]:
    """The columns of codes: what a neighbour would learn."""
    return [c.name for c in terms.columns if COLUMNS[c.name].listed and c.name not in wanted.asked]
