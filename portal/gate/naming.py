"""The last look before a line is crossed: no value of any file may name somebody (G11). Over distinct values only."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from portal.gate.combinations import read
from portal.gate.engine import NO_LIMITS, Limits, engine, name, select
from portal.gate.terms import ColumnTerm
from portal.rules.identifiers import names_somebody
from portal.rules.precision import COLUMNS, Kind
from portal.rules.refusals import Refused


def refuse_identifiers(files: Sequence[Path], columns: Sequence[ColumnTerm], *, limits: Limits = NO_LIMITS) -> None:
    """Refused G11 with the column and how many different values; never with one of them."""
    units = frozenset(code for c in columns if COLUMNS[c.name].kind is Kind.UNIT for code in c.codes or ())
    with engine(limits) as con:
        for column in _texts(con, files):
            found = con.execute(select(f"DISTINCT {name(column)}", read(files), f"WHERE {name(column)} IS NOT NULL"))
            naming = sum(names_somebody(_base(column), value, listed=units) for (value,) in found.fetchall())
            if naming:
                raise Refused(
                    "G11", f"{naming} different values could name a person: nothing leaves", where=column, status=422
                )


def _texts(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> list[str]:
    """The columns of text that hold what a record said; numbers are bounded, and pseudonyms are checked elsewhere."""
    if not files:
        return []
    there = con.execute(f"DESCRIBE {select('*', read(files))}").fetchall()
    return [column for column, kind, *_ in there if kind == "VARCHAR" and _base(column) in COLUMNS]


def _base(column: str) -> str:
    return "recorded_on" if column.startswith("recorded_") else column
