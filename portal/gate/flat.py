"""Records in the flat form: CSV, Parquet or NDJSON, a file, a folder or `practice_id=…` partitions."""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import duckdb

from portal.gate import cells
from portal.gate.engine import name, paths
from portal.gate.engine import select as query
from portal.gate.forms import Form, Found, opened, refuse, refuse_unreadable

REQUIRED = ("practice_id", "patient_id", "recorded_on", "provenance")

_NUMERIC = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
            "FLOAT", "DOUBLE"}  # fmt: skip

_FOLDER = r"url_decode(regexp_extract(filename, '[/\\]practice_id=([^/\\]+)[/\\]', 1))"


@dataclass(frozen=True, slots=True)
class Table:
    """How the files of one header are scanned: the columns they have, with their types."""

    form: Form
    types: tuple[tuple[str, str], ...]
    delimiter: str
    partitioned: bool


def tables(
    con: duckdb.DuckDBPyConnection, found: Found, names: Mapping[str, str], wanted: Collection[str]
) -> dict[Table, list[Path]]:
    """The files by their header. `names`: where a record's column has another name in these files."""
    grouped: dict[Table, list[Path]] = {}
    columns = _columns(con, found.files) if found.form is Form.PARQUET else {}
    for file in found.files:
        table = _table(found.form, file, columns.get(str(file), ()))
        check_columns(table, file, names, wanted)
        grouped.setdefault(table, []).append(file)
    return grouped


def select(
    table: Table,
    source: str,
    names: Mapping[str, str],
    wanted: Collection[str],
    line: str,
    folder: str = _FOLDER,
    checks: Sequence[tuple[str, str]] = (),
) -> str:
    """One SELECT of the flat record form over `source`; columns that nobody wants are never read.

    `folder`: the practice that the folder's name says. `checks` come before those of the cells (gate/cells.py).
    """
    has = {column.lower(): kind for column, kind in table.types}
    checks = list(checks)
    outputs = []
    for column in cells.RECORD_COLUMNS:
        theirs = names.get(column, column)
        kind = has.get(theirs) if column in (*REQUIRED, "doctor_id") or column in wanted else None
        value, fails = _cell(column, name(theirs), kind)
        checks += fails
        outputs.append(f"{value} AS {column}")
    if table.partitioned:
        outputs[0], contradiction = _partition(names.get("practice_id", "practice_id"), has, folder)
        checks = [*contradiction, *(c for c in checks if c[0] != "missing_value|practice_id")]
    outputs += [f"{line} AS line", f"{cells.problem(checks)} AS problem"]
    return query(", ".join(outputs), source)


def read_columns(table: Table, names: Mapping[str, str], wanted: Collection[str]) -> list[str]:
    """The columns of a file that a record is made from, as the file writes them."""
    theirs = {names.get(column, column) for column in (*REQUIRED, "doctor_id", *wanted)}
    return [column for column, _ in table.types if column.lower() in theirs]


def _cell(column: str, source: str, kind: str | None) -> tuple[str, list[tuple[str, str]]]:
    """(expression, checks) of one column; `kind` None where it is absent or not wanted."""
    if kind is None:
        return f"NULL::{cells.RECORD_COLUMNS[column]}", []
    if column == "recorded_on":
        return _day(source, kind)
    if column in cells.NUMBERS:
        if kind in _NUMERIC:
            return f"CAST({source} AS DOUBLE)", [(f"bad_number|{column}", f"NOT isfinite({source}::DOUBLE)")]
        value = cells.number(source)
        return value, [(f"bad_number|{column}", f"nullif({source}, '') IS NOT NULL AND {value} IS NULL")]
    value = f"nullif(CAST({source} AS VARCHAR), '')"
    if column == "provenance":
        return cells.provenance(value), []
    if column in {"practice_id", "patient_id"}:
        return value, [(f"missing_value|{column}", f"{value} IS NULL")]
    if column == "sex":
        return value, [("bad_word|sex", f"NOT {cells.is_sex(value)}")]
    if column == "socio_professional_category":
        return value, [(f"bad_word|{column}", f"NOT {cells.is_category(value)}")]
    return value, []


def _day(source: str, kind: str) -> tuple[str, list[tuple[str, str]]]:
    if kind == "VARCHAR":
        value, there = cells.day(source), f"nullif({source}, '') IS NOT NULL"
    else:
        value, there = source if kind == "DATE" else cells.paris_day(source), f"{source} IS NOT NULL"
    return value, [("bad_date|recorded_on", f"{there} AND coalesce({value} NOT BETWEEN {cells.CALENDAR}, true)")]


def _partition(theirs: str, has: Mapping[str, str], folder: str) -> tuple[str, list[tuple[str, str]]]:
    """practice_id from the folder's name; the practice's own column, if there is one, must say the same."""
    contradicts = f"nullif({name(theirs)}, '') <> {folder}"
    checks = [("partition_contradicts|practice_id", contradicts)] if theirs in has else []
    return f"{folder} AS practice_id", checks


def scan(table: Table, files: Sequence[Path]) -> str:
    """The files as a source for `select`."""
    if table.form is Form.PARQUET:
        return f"read_parquet({paths(files)}, hive_partitioning = false, filename = true)"
    columns = ", ".join(f"{name(column)}: 'VARCHAR'" for column, _ in table.types)
    if table.form is Form.NDJSON:
        return (
            f"read_json({paths(files)}, format = 'newline_delimited', columns = {{{columns}}}, "
            "hive_partitioning = false, filename = true)"
        )
    return (
        f"read_csv({paths(files)}, auto_detect = false, header = true, delim = '{table.delimiter}', quote = '\"', "
        f"escape = '\"', columns = {{{columns}}}, hive_partitioning = false, filename = true)"
    )


def _table(form: Form, file: Path, columns: Sequence[tuple[str, str]]) -> Table:
    delimiter = ","
    if form is Form.NDJSON:
        columns = [(column, "VARCHAR") for column in cells.RECORD_COLUMNS]
    elif form is Form.CSV:
        header, delimiter = _header(file)
        columns = [(column, "VARCHAR") for column in header]
    partitioned = any(part.startswith("practice_id=") for part in file.parent.parts)
    return Table(form, tuple(columns), delimiter, partitioned)


def _columns(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> dict[str, list[tuple[str, str]]]:
    """The columns of each Parquet file with their types. All footers are read together: one by one takes ten times
    as long."""
    scan = f"parquet_schema({paths(files)})"
    try:
        rows = con.execute(
            query("file_name, column_id, name, duckdb_type, num_children", scan, "ORDER BY file_name, column_id")
        ).fetchall()
    except duckdb.Error as error:
        for file in files if len(files) > 1 else ():
            _columns(con, [file])
        refuse_unreadable(files[0], error)
    columns: dict[str, list[tuple[str, str]]] = {}
    inside = 0
    for file, place, column, kind, children in rows:
        if place == 0:  # the row of the file itself
            columns[file] = []
            continue
        if not inside:
            columns[file].append((column, "DOUBLE" if (kind or "").startswith("DECIMAL") else kind or "NESTED"))
        inside = max(inside - 1, 0) + (children or 0)
    return columns


def _header(file: Path) -> tuple[list[str], str]:
    with opened(file) as stream:
        first = stream.readline()
    try:
        line = first.decode("utf-8-sig")
    except UnicodeDecodeError:
        refuse("bad_encoding", f"{file.name}, line 1", "The file is not UTF-8.")
    if not line.strip():
        refuse("empty_file", file.name, "The file has no header.")
    delimiter = ";" if ";" in line and "," not in line else ","
    return next(csv.reader(io.StringIO(line), delimiter=delimiter)), delimiter


def check_columns(table: Table, file: PurePath, names: Mapping[str, str], wanted: Collection[str]) -> None:
    """RefusedFile for a file that lacks a required column, has one twice, or one of another type than a record's."""
    has = [column.lower() for column, _ in table.types]
    if len(set(has)) != len(has):
        refuse("duplicate_column", file.name, "A column stands twice in the header.")
    for column in REQUIRED:
        if names.get(column, column) not in has and not (column == "practice_id" and table.partitioned):
            refuse("missing_column", f"{file.name}, column {column}", "The column is required.")
    kinds = {column.lower(): kind for column, kind in table.types}
    for column in (*REQUIRED, "doctor_id", *wanted):
        kind = kinds.get(names.get(column, column), "VARCHAR")
        if kind not in _readable(column):
            refuse("wrong_type", f"{file.name}, column {column}", "The column has another type than a record's.")


def _readable(column: str) -> set[str]:
    if column == "recorded_on":
        return {"VARCHAR", "DATE", "TIMESTAMP WITH TIME ZONE"}
    if column in cells.NUMBERS or column == "test_value":
        return {"VARCHAR", *_NUMERIC}
    return {"VARCHAR"}
