"""The facts of every record, computed as a set and joined to the verdicts of `decide` (rules/clearance.py).

Codes, doctors, persons and verdicts come in as small tables, so that no value stands in a statement. What leaves
a coded column is what its list says, never what stood in the record.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from portal.gate import cells
from portal.gate.engine import select, text
from portal.gate.terms import ColumnTerm, DoctorSpan, Terms
from portal.rules.clearance import RULES, Rule
from portal.rules.codes import UNITS, coarsen, normalise, spellings
from portal.rules.facts import Code, Dated, Origin, RecordDoctor, RecordFacts, words_of
from portal.rules.precision import COLUMNS, Kind, resolve
from portal.rules.verdicts import verdict_table
from portal.rules.words import Precision, Provenance

_FIRST, _LAST = date(1, 1, 1), date(9999, 12, 31)


def load_terms(
    con: duckdb.DuckDBPyConnection, terms: Terms, *, full_codes: bool, rules: tuple[Rule, ...] = RULES
) -> None:
    """The tables code_list, doctor, verdict and (empty) person. full_codes: codes leave as listed, not coarsened."""
    con.execute(f"CREATE TEMP MACRO in_a_span(day, spans) AS {_IN_A_SPAN}")
    codes = [row for term in terms.columns for row in _code_rows(term, full_codes=full_codes)]
    _table(con, "code_list", codes, {"of": pa.string(), "spelling": pa.string(), "released": pa.string()})
    doctors = [
        (d.practice_id, d.doctor_id, d.pseudonym, d.recorded_from, d.recorded_until) for d in terms.doctors
    ] + _unnamed(terms)
    spans = {"practice_id": pa.string(), "doctor_id": pa.string(), "pseudonym": pa.string()} | _SPAN
    _table(con, "doctor_span", doctors, spans)
    con.execute(f"CREATE TEMP TABLE doctor AS {_spans('practice_id, doctor_id', 'doctor_span')}")
    verdicts = [(key, reason) for key, _, reason in verdict_table(RecordFacts, rules)]
    _table(con, "verdict", verdicts, {"key": pa.int32(), "reason": pa.string()})
    _table(
        con, "no_person", [], {"practice_id": pa.string(), "patient_key": pa.string(), "pseudonym": pa.string()} | _SPAN
    )
    con.execute(f"CREATE TEMP TABLE person AS {_spans('practice_id, patient_key', 'no_person')}")


def load_allowed(con: duckdb.DuckDBPyConnection, allowed: Path, as_of: datetime) -> None:
    """The table person: who passes, without those whose time has run out by `as_of`."""
    now = as_of.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    source = select(
        "*", f"read_parquet({text(str(allowed))})", f"WHERE coalesce(holds_until > TIMESTAMP '{now}', true)"
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE person AS {_spans('practice_id, patient_key', f'({source})')}")


_SPAN = {"recorded_from": pa.date32(), "recorded_until": pa.date32()}


def _table(
    con: duckdb.DuckDBPyConnection, name: str, rows: Sequence[tuple[object, ...]], schema: dict[str, pa.DataType]
) -> None:
    columns = {
        field: pa.array([row[place] for row in rows], kind) for place, (field, kind) in enumerate(schema.items())
    }
    con.register("incoming", pa.table(columns))
    con.execute(f"CREATE TEMP TABLE {name} AS SELECT DISTINCT * FROM incoming")
    con.unregister("incoming")


def _spans(key: str, source: str) -> str:
    """One row a key: its pseudonym, first and last day, and all spans where there are several."""
    first = "coalesce(recorded_from, DATE '0001-01-01')"
    last = "coalesce(recorded_until, DATE '9999-12-31')"
    several = f"CASE WHEN count(*) > 1 THEN list({{'first': {first}, 'last': {last}}}) END"
    return select(
        f"{key}, any_value(pseudonym) AS pseudonym, min({first}) AS first_day, max({last}) AS last_day, "
        f"{several} AS spans",
        source,
        f"GROUP BY {key}",
    )


def _inside(row: str) -> str:
    return (
        f"(r.recorded_on BETWEEN {row}.first_day AND {row}.last_day AND "
        f"({row}.spans IS NULL OR in_a_span(r.recorded_on, {row}.spans)))"
    )


_IN_A_SPAN = "len(list_filter(spans, lambda s: day BETWEEN s.first AND s.last)) > 0"


def _code_rows(term: ColumnTerm, *, full_codes: bool) -> list[tuple[object, ...]]:
    """(column, spelling in a record, what leaves) for every listed code; units have a list of their own."""
    if COLUMNS[term.name].kind is Kind.UNIT:
        return [(term.name, unit, unit) for unit in (UNITS if term.codes is None else term.codes)]
    precision = Precision.FULL if full_codes else resolve(term.name, term.precision)
    rows: dict[str, str] = {}
    for code in sorted(term.codes or ()):
        token = normalise(code, term.name)
        out = token and coarsen(token, precision)
        if token and out:
            rows |= dict.fromkeys(spellings(token, term.name), out)
    return [(term.name, spelling, out) for spelling, out in rows.items()]


def _unnamed(terms: Terms) -> list[tuple[object, ...]]:
    """A doctor '' for each site where every doctor is active: the days that lie inside the spans of all of them."""
    return [
        (practice, "", None, first, last)
        for practice in terms.unnamed_doctor_ok
        for first, last in _common(d for d in terms.doctors if d.practice_id == practice)
    ]


def _common(spans: Iterable[DoctorSpan]) -> list[tuple[date, date]]:
    by_doctor: dict[str, list[tuple[date, date]]] = {}
    for span in spans:
        days = (span.recorded_from or _FIRST, span.recorded_until or _LAST)
        by_doctor.setdefault(span.doctor_id, []).append(days)
    common = [(_FIRST, _LAST)] if by_doctor else []
    for theirs in by_doctor.values():
        crossed = [(max(a, c), min(b, d)) for a, b in common for c, d in theirs]
        common = [(first, last) for first, last in crossed if first <= last]
    return common


def facts(terms: Terms) -> str:
    """Every record with its four facts, and what its listed columns may say: SELECT r.*, person, doctor, code_*."""
    listed = [term.name for term in terms.columns if COLUMNS[term.name].listed]
    joins = " ".join(
        f"LEFT JOIN (SELECT spelling, released FROM code_list WHERE of = '{name}') c_{name} "
        f"ON c_{name}.spelling = r.{name}"
        for name in listed
    )
    outputs = ", ".join([f"c_{name}.released AS code_{name}" for name in listed])
    return select(
        "r.*, p.pseudonym AS person, d.pseudonym AS doctor_pseudonym, "
        f"{_origin(terms)} AS origin, {_dated(terms)} AS dated, {_DOCTOR} AS doctor, {_code(terms)} AS code"
        + (f", {outputs}" if outputs else ""),
        "record r LEFT JOIN person p ON p.practice_id = r.practice_id AND p.patient_key = r.patient_id",
        "LEFT JOIN doctor d ON d.practice_id = r.practice_id AND d.doctor_id = coalesce(r.doctor_id, '')",
        joins,
    )


def judged(terms: Terms) -> str:
    """Every record with `person` (NULL: not in the permit) and `reason` (NULL: the record itself may pass)."""
    key = "0"
    for field, words in words_of(RecordFacts).items():
        key = f"({key} * {len(list(words))} + {field})"
    reason = "CASE WHEN v.key IS NULL THEN 'G00' ELSE v.reason END AS reason"
    return select(f"f.*, {reason}", f"({facts(terms)}) f LEFT JOIN verdict v ON v.key = {key}")


def _origin(terms: Terms) -> str:
    """Automatic and unknown imports never pass, whatever the terms say (DOMAIN §1)."""
    may = {Provenance.ENTERED, Provenance.IMPORTED} & set(terms.provenance)
    allowed = ", ".join(f"'{word.value}'" for word in sorted(may)) or "NULL"
    return (
        f"CASE WHEN r.provenance IN ({allowed}) THEN {Origin.ALLOWED.value} WHEN r.provenance = "
        f"'{Provenance.TELESERVICE_AUTO.value}' THEN {Origin.TELESERVICE_AUTO.value} ELSE {Origin.UNKNOWN.value} END"
    )


def _dated(terms: Terms) -> str:
    period = f"r.recorded_on BETWEEN DATE '{terms.period_from}' AND DATE '{terms.period_until}'"
    return (
        f"CASE WHEN r.recorded_on IS NULL THEN {Dated.UNKNOWN.value} "
        f"WHEN d.practice_id IS NOT NULL AND NOT {_inside('d')} THEN {Dated.OUTSIDE_ENROLMENT.value} "
        f"WHEN NOT ({period}) THEN {Dated.OUTSIDE_PERIOD.value} "
        f"WHEN p.practice_id IS NOT NULL AND NOT {_inside('p')} THEN {Dated.OBJECTED_SPAN.value} "
        f"ELSE {Dated.WITHIN.value} END"
    )


_DOCTOR = (
    f"CASE WHEN d.practice_id IS NOT NULL AND r.doctor_id IS NOT NULL THEN {RecordDoctor.ENROLLED.value} "
    f"WHEN d.practice_id IS NOT NULL THEN {RecordDoctor.UNNAMED_ALL_ENROLLED.value} "
    f"WHEN r.doctor_id IS NULL THEN {RecordDoctor.UNNAMED.value} ELSE {RecordDoctor.COLLEAGUE.value} END"
)


def _code(terms: Terms) -> str:
    """LISTED when something asked for is there and all of it may leave."""
    names = [term.name for term in terms.columns if term.name != "recorded_on"]
    content = [name for name in names if not COLUMNS[name].of_person] or names
    filled = " OR ".join(f"r.{name} IS NOT NULL" for name in content) or "false"
    fit = " AND ".join(f"(r.{name} IS NULL OR {_fits(name, names)})" for name in names) or "false"
    return f"CASE WHEN ({filled}) AND ({fit}) THEN {Code.LISTED.value} ELSE {Code.NOT_LISTED.value} END"


def _fits(name: str, names: list[str]) -> str:
    column = COLUMNS[name]
    if column.bounds:
        return f"r.{name} BETWEEN {column.bounds[0]} AND {column.bounds[1]}"
    if not column.listed:
        return "true"
    listed = f"c_{name}.released IS NOT NULL"
    if column.kind is Kind.CODE:
        return listed
    test = "c_test_code.released IS NOT NULL" if "test_code" in names else "false"
    return (
        f"({test} AND ({listed} OR {cells.is_number('r.test_value')}))"
        if column.kind is Kind.RESULT
        else (f"({test} AND {listed})")
    )
