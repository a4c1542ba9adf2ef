"""Records as one table of the flat form, whatever form they came in, and the precisions said in SQL."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb

from portal.gate import fhir, flat
from portal.gate.engine import NO_LIMITS, engine, select
from portal.gate.forms import RESOURCES, Form, recognise, refuse_unreadable
from portal.rules.precision import BANDS, OLDEST, STEPS, Kind, resolve
from portal.rules.precision import COLUMNS as RELEASED
from portal.rules.refusals import Problem, Refused, RefusedFile
from portal.rules.words import Precision

MOST_PROBLEMS = 20

_SENTENCES = {
    "bad_encoding": "The text is not UTF-8.",
    "missing_value": "A value is required.",
    "bad_date": "Not a date: YYYY-MM-DD, or a moment with its zone.",
    "bad_number": "Not a number.",
    "bad_word": "Not one of the words that this column may hold.",
    "partition_contradicts": "The row names another practice than its folder.",
    "wrong_resource": "Another resource than the file's name says.",
    "unknown_patient": "The record's patient is not in the Patient file.",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Files that are read by one SELECT; `rows(files, line)` makes it, for all of them or for one."""

    files: Sequence[Path]
    rows: Callable[[Sequence[Path], str], str]
    header: int


@dataclass(frozen=True, slots=True)
class Records:
    """The view `record` of one connection: the flat record form, `line` (0 here) and `problem` (NULL when readable).

    Whoever reads it counts the problems and calls `refuse_problems` when there is one, before anything is written.
    """

    con: duckdb.DuckDBPyConnection
    parts: tuple[Part, ...]

    def refuse_problems(self) -> None:
        """RefusedFile with the place of every problem, up to twenty."""
        problems: list[Problem] = []
        for part in self.parts:
            for file in part.files:
                problems += self._problems(part, file, MOST_PROBLEMS - len(problems))
                if len(problems) >= MOST_PROBLEMS:
                    raise RefusedFile(problems)
        if problems:
            raise RefusedFile(problems)

    def refuse_unreadable(self, error: duckdb.Error) -> None:
        """RefusedFile at the file that the engine stumbled over; returns when every file can be read."""
        for part in self.parts:
            for file in part.files:
                self._problems(part, file, 1)

    def _problems(self, part: Part, file: Path, at_most: int) -> list[Problem]:
        rows = part.rows([file], f"row_number() OVER () + {part.header}")
        query = select("line, problem", f"({rows})", f"WHERE problem IS NOT NULL ORDER BY line LIMIT {at_most}")
        self.con.execute("SET preserve_insertion_order = true")  # or a line's number would mean nothing
        try:
            found = self.con.execute(query).fetchall()
        except duckdb.Error as error:
            refuse_unreadable(file, error)
        return [problem(file.name, line, said) for line, said in found]


def problem(file: str, line: int, said: str) -> Problem:
    """What a record's column `problem` says, with its place."""
    code, _, column = said.partition("|")
    return Problem(code, f"{file}, line {line}, column {column}", _SENTENCES[code])


def read_records(
    con: duckdb.DuckDBPyConnection,
    sources: Sequence[Path],
    wanted: Collection[str],
    *,
    names: Mapping[str, str] | None = None,
) -> Records:
    """Makes the view `record` over files and folders. Columns that are not `wanted` are NULL and never read."""
    found = recognise(sources)
    if found.form is Form.FHIR:
        fhir.load_persons(con, found)
        parts = tuple(
            Part(files, partial(fhir.records, resource), header=0)
            for resource in RESOURCES[2:]
            if (files := found.of(resource))
        )
    else:
        parts = _flat_parts(con, flat.tables(con, found, names or {}, wanted), names or {}, wanted)
    rows = " UNION ALL ".join(part.rows(part.files, "0") for part in parts)
    try:
        con.execute(f"CREATE OR REPLACE TEMP VIEW record AS {rows}")
    except duckdb.Error as error:
        Records(con, parts).refuse_unreadable(error)
        raise
    return Records(con, parts)


def _flat_parts(
    con: duckdb.DuckDBPyConnection,
    tables: Mapping[flat.Table, Sequence[Path]],
    names: Mapping[str, str],
    wanted: Collection[str],
) -> tuple[Part, ...]:
    def rows(table: flat.Table, files: Sequence[Path], line: str) -> str:
        return flat.select(table, flat.scan(table, files), names, wanted, line)

    return tuple(
        Part(files, partial(rows, table), header=int(table.form is Form.CSV)) for table, files in tables.items()
    )


def records_by_patient(records: Path, practice_id: str) -> dict[str, int]:
    """How many records each patient of the practice has, every column read; RefusedFile for what cannot be read."""
    with engine(NO_LIMITS) as con:
        read = read_records(con, (records,), list(RELEASED))
        query = select("patient_id, bool_or(problem IS NOT NULL), count(*)", "record", "WHERE practice_id = ? OR")
        try:
            found = con.execute(f"{query} problem IS NOT NULL GROUP BY 1", [practice_id]).fetchall()
        except duckdb.Error as error:
            read.refuse_unreadable(error)
            raise
        if any(wrong for _, wrong, _ in found):
            read.refuse_problems()
        return {number: n for number, _, n in found}


def released(column: str, precision: Precision, source: str, reference_year: int | None) -> str:
    """`source` at this precision, as rules/precision.py defines it. Coded columns are not made here but looked up."""
    kind, wanted = RELEASED[column].kind, resolve(column, precision)
    match kind:
        case Kind.DAY:
            return _PERIODS[wanted].format(source)
        case Kind.YEAR:
            oldest = source if reference_year is None else f"greatest({source}, {reference_year - OLDEST})"
            capped = f"CASE WHEN {source} IS NOT NULL THEN {oldest} END"
            step = BANDS[wanted]
            return f"CAST(floor(({capped}) / {step}) * {step} AS INTEGER)"
        case Kind.NUMBER:
            step = STEPS[wanted]
            return f"CAST(floor({source} / {step} + 0.5) * {step} AS INTEGER)"
        case Kind.WORD:
            return f"substr({source}, 1, 1)" if wanted is Precision.CATEGORY else source
    raise Refused("column_by_list", "A coded value comes from its list, never from the record.", status=500)


_PERIODS = {
    Precision.WEEK: "strftime({}, '%G-W%V')",
    Precision.MONTH: "strftime({}, '%Y-%m')",
    Precision.QUARTER: "strftime({0}, '%Y-Q') || quarter({0})",
    Precision.YEAR: "CAST(year({}) AS INTEGER)",
}
