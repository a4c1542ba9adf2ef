"""A release made safe before it leaves: generalised as far as its study allows, then whole persons suppressed to its k.

The choice (docs/decisions/0012-differencing.md says why): of all combinations of steps within what the study accepts,
the one that loses least among those that suppress no more than the share it accepts; then the one that suppresses
fewest persons; then the one that leaves the first quasi-identifiers finest. The loss does not depend on the data.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, product
from math import prod
from pathlib import Path

import duckdb
import pyarrow as pa

from portal.gate.buckets import write_file
from portal.gate.combinations import Coarser, coarsened, combine, read
from portal.gate.engine import NO_LIMITS, engine, name, select
from portal.rules.ladder import Value, coarser, loss, steps
from portal.rules.precision import COLUMNS, Kind, released_name
from portal.rules.refusals import Refused
from portal.rules.words import Precision

MOST_COMBINATIONS = 4096
"""Of steps that are tried; a study that allows more is refused rather than half searched."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must hold, and what the study gives for it.

    asked: the quasi-identifiers as the study asks for them, in its order. coarsest: how far each may be generalised
    (none named: not at all). at_most: the share of persons that may be suppressed.
    """

    least: int
    asked: Mapping[str, Precision]
    coarsest: Mapping[str, Precision] = field(default_factory=dict)
    at_most: float = 1.0


@dataclass(frozen=True, slots=True)
class Choice:
    """precision: of each quasi-identifier. loss: from 0 to 1. below: persons to suppress, of how many persons."""

    precision: dict[str, Precision]
    loss: float
    below: int
    persons: int

    def changed(self, asked: Mapping[str, Precision]) -> dict[str, Precision]:
        return {column: step for column, step in self.precision.items() if step is not asked[column]}


def choose(files: Sequence[Path], wanted: Wanted) -> Choice:
    """The generalisation by the criterion above; Refused G61 when none keeps to the share or leaves anybody."""
    columns = list(wanted.asked)
    ladders = [steps(c, wanted.asked[c], wanted.coarsest.get(c, wanted.asked[c])) for c in columns]
    if prod(map(len, ladders)) > MOST_COMBINATIONS:
        raise Refused("G61", "the study allows too many ways to generalise: name fewer quasi-identifiers")
    tried = [dict(zip(columns, precisions, strict=True)) for precisions in product(*ladders)]
    ordered = sorted(tried, key=lambda precision: loss(precision, wanted.asked))
    with engine(NO_LIMITS) as con:
        combine(con, files, [released_name(c, step) for c, step in wanted.asked.items()])
        for lost, equals in groupby(ordered, key=lambda precision: loss(precision, wanted.asked)):
            choices = [Choice(p, lost, *_below(con, p, wanted)) for p in equals]
            best = min(choices, key=lambda choice: choice.below)
            if best.below <= wanted.at_most * best.persons and best.below < best.persons:
                return best
    raise Refused("G61", f"a k of {wanted.least} cannot be reached within what the study allows")


def _below(con: duckdb.DuckDBPyConnection, precision: Mapping[str, Precision], wanted: Wanted) -> tuple[int, int]:
    changed: dict[int, Coarser] = {
        place: partial(_coarser, column, step)
        for place, (column, step) in enumerate(precision.items())
        if step is not wanted.asked[column]
    }
    sizes = coarsened(con, changed)
    what = "coalesce(sum(n) FILTER (n < ?), 0), coalesce(sum(n), 0)"
    row = con.execute(select(what, f"({sizes})"), [wanted.least]).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _coarser(column: str, step: Precision, value: str) -> str | None:
    made = coarser(column, value, step)
    return None if made is None else str(made)


def generalise(
    files: Sequence[Path], out: Path, asked: Mapping[str, Precision], to: Mapping[str, Precision]
) -> list[Path]:
    """The same rows with these columns at these steps, sorted again, in files of the same names; an ABSENT column
    is gone. `to`: only columns that change."""
    out.mkdir(parents=True)
    with engine(NO_LIMITS, spill=out.with_name("spill")) as con:
        for column, step in to.items():
            if step is not Precision.ABSENT:
                _load_map(con, files, released_name(column, asked[column]), column, step)
        there = [row[0] for row in con.execute(f"DESCRIBE {select('*', read(files[:1]))}").fetchall()] if files else []
        old = {released_name(column, asked[column]): column for column in to}
        for file in files:
            write_file(con, _rows(file, there, old, to), out / file.name)
    shutil.rmtree(out.with_name("spill"), ignore_errors=True)
    return sorted(out.glob("*.parquet"))


def _rows(file: Path, there: Sequence[str], old: Mapping[str, str], to: Mapping[str, Precision]) -> str:
    values, joins = [], []
    for column in there:
        changed = old.get(column)
        if changed is None:
            values.append(f"r.{name(column)}")
        elif to[changed] is not Precision.ABSENT:
            values.append(f"m_{changed}.is AS {name(released_name(changed, to[changed]))}")
            joins.append(f"LEFT JOIN map_{changed} m_{changed} ON m_{changed}.seen = r.{name(column)}")
    return select(", ".join(values), f"{read([file])} r", *joins)


def _load_map(con: duckdb.DuckDBPyConnection, files: Sequence[Path], there: str, column: str, step: Precision) -> None:
    """The table map_<column>: every value that is there, and what it becomes."""
    query = select(f"DISTINCT {name(there)} AS seen", read(files), f"WHERE {name(there)} IS NOT NULL")
    seen = con.sql(query).to_arrow_table()["seen"]
    made: list[Value | None] = [coarser(column, value, step) for value in seen.to_pylist()]
    con.register("known", pa.table({"seen": seen, "is": pa.array(made, _kind(column, step))}))
    con.execute(f"CREATE OR REPLACE TEMP TABLE map_{column} AS FROM known")
    con.unregister("known")


def _kind(column: str, step: Precision) -> pa.DataType:
    whole = COLUMNS[column].kind in {Kind.YEAR, Kind.NUMBER} or (column, step) == ("recorded_on", Precision.YEAR)
    return pa.int32() if whole else pa.string()
