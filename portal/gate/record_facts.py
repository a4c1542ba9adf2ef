"""The facts of every record, computed as a set and joined to the verdicts of `decide` (rules/clearance.py).

Codes, doctors, persons and verdicts come in as small tables, so that no value stands in a statement. What leaves
a coded column is what its list says, never what stood in the record.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date

import duckdb
import pyarrow as pa

from portal.gate import cells
from portal.gate.engine import JOIN_AS_WRITTEN, select, text
from portal.gate.permit import Permit
from portal.gate.terms import ColumnTerm, DoctorSpan, Terms
from portal.rules.clearance import RULES, Rule
from portal.rules.codes import UNITS, coarsen, normalise, spellings
from portal.rules.facts import Code, Dated, Origin, RecordDoctor, RecordFacts, words_of
from portal.rules.precision import COLUMNS, Kind, resolve
from portal.rules.verdicts import verdict_table
from portal.rules.words import Crossing, Precision, Provenance

_FIRST, _LAST = date(1, 1, 1), date(9999, 12, 31)


def load_terms(con: duckdb.DuckDBPyConnection, terms: Terms, rules: tuple[Rule, ...] = RULES) -> None:
    """The tables code_list, doctor, practice, verdict and (empty) person. A place counts from 0 in sorted order."""
    con.execute(f"CREATE TEMP MACRO in_a_span(day, spans) AS {_IN_A_SPAN}")
    listed = [(term.name, *row) for term in terms.columns for row in _code_rows(terms, term)]
    _table(con, "code_list", listed, _texts("of", "spelling", "released") | _PLACE)
    places = {pseudonym: place for place, pseudonym in enumerate(doctor_pseudonyms(terms))}
    doctors = [
        (d.practice_id, d.doctor_id, places[d.pseudonym], d.recorded_from, d.recorded_until) for d in terms.doctors
    ]
    _table(con, "doctor_span", doctors + _unnamed(terms), _texts("practice_id", "doctor_id") | _PLACE | _SPAN)
    con.execute(f"CREATE TEMP TABLE doctor AS {_spans('practice_id, doctor_id, place', 'doctor_span')}")
    _table(con, "practice", [*enumerate(sorted(terms.practices))], _PLACE | _texts("practice_id"))
    verdicts = [(key, reason) for key, _, reason in verdict_table(RecordFacts, rules)]
    _table(con, "verdict", verdicts, {"key": pa.int32(), "reason": pa.string()})
    con.execute(
        "CREATE TEMP TABLE person (practice_place INTEGER, patient_id VARCHAR, place INTEGER, prefix SMALLINT, "
        "first_day DATE, last_day DATE); CREATE TEMP TABLE person_spans (practice_place INTEGER, patient_id VARCHAR, "
        'spans STRUCT("first" DATE, "last" DATE)[])'
    )


def load_allowed(con: duckdb.DuckDBPyConnection, permit: Permit) -> pa.ChunkedArray:
    """Fills the table person with those who pass, without those whose time had run out when it was read.

    Returns their pseudonyms, sorted: a person's place is that of hers, her prefix its first two digits as a number.
    """
    now = permit.read_at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    holds = f"WHERE coalesce(holds_until > TIMESTAMP '{now}', true)"
    source = f"read_parquet({text(str(permit.allowed_path))}) l JOIN practice s ON s.practice_id = l.practice_id"
    con.execute(JOIN_AS_WRITTEN)
    row = "s.place AS practice_place, patient_id, ('0x' || pseudonym)::UHUGEINT AS value, recorded_from, recorded_until"
    con.execute(f"CREATE TEMP TABLE listed AS {select(row, source, holds)}")
    numbered = "CAST(row_number() OVER () - 1 AS INTEGER) AS place, value"
    con.execute(f"CREATE TEMP TABLE named AS {select(numbered, '(SELECT DISTINCT value FROM listed ORDER BY value)')}")
    key = "practice_place, patient_id"
    persons = select(f"{key}, value, {_FIRST_DAY} AS first_day, {_LAST_DAY} AS last_day", "listed")
    if permit.repeats:
        con.execute(f"CREATE TEMP TABLE several AS {select(key, 'listed', f'GROUP BY {key} HAVING count(*) > 1')}")
        many = _spans(f"{key}, value", f"listed SEMI JOIN several USING ({key})")
        persons = f"{persons} ANTI JOIN several USING ({key}) UNION ALL {select('* EXCLUDE spans', f'({many})')}"
        con.execute(f"INSERT INTO person_spans {select(f'{key}, spans', f'({many})')}")
    columns = f"{key}, place, (value >> 120)::SMALLINT, first_day, last_day"
    con.execute(f"INSERT INTO person {select(columns, f'({persons}) JOIN named USING (value)')}")
    con.execute("DROP TABLE listed; DROP TABLE IF EXISTS several")
    names = con.sql(select("replace(value::UUID::VARCHAR, '-', '')", "named", "ORDER BY place")).to_arrow_reader()
    pseudonyms = pa.chunked_array([piece.column(0) for piece in names], pa.string())
    con.execute("DROP TABLE named")
    return pseudonyms


def doctor_pseudonyms(terms: Terms) -> list[str]:
    """All that may stand for a doctor, in order."""
    return sorted({d.pseudonym for d in terms.doctors})


def released_codes(terms: Terms, column: str) -> list[str]:
    """All that may leave a listed column, in order."""
    term = next(term for term in terms.columns if term.name == column)
    return sorted({released for _, released in _spelled(terms, term)})


_SPAN = {"recorded_from": pa.date32(), "recorded_until": pa.date32()}
_PLACE = {"place": pa.int32()}
_FIRST_DAY = "coalesce(recorded_from, DATE '0001-01-01')"
_LAST_DAY = "coalesce(recorded_until, DATE '9999-12-31')"


def _texts(*names: str) -> dict[str, pa.DataType]:
    return dict.fromkeys(names, pa.string())


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
    """One row a key: its first and last day, and all spans where there are several."""
    several = f"CASE WHEN count(*) > 1 THEN list({{'first': {_FIRST_DAY}, 'last': {_LAST_DAY}}}) END"
    days = f"min({_FIRST_DAY}) AS first_day, max({_LAST_DAY}) AS last_day"
    return select(f"{key}, {days}, {several} AS spans", source, f"GROUP BY {key}")


def _inside(days: str, spans: str) -> str:
    return (
        f"(r.recorded_on BETWEEN {days}.first_day AND {days}.last_day "
        f"AND CASE WHEN {spans}.spans IS NULL THEN true ELSE in_a_span(r.recorded_on, {spans}.spans) END)"
    )


_IN_A_SPAN = "len(list_filter(spans, lambda s: day BETWEEN s.first AND s.last)) > 0"


def _code_rows(terms: Terms, term: ColumnTerm) -> list[tuple[object, ...]]:
    """(spelling in a record, what leaves, its place) for every listed code."""
    if not COLUMNS[term.name].listed:
        return []
    places = {released: place for place, released in enumerate(released_codes(terms, term.name))}
    return [(spelling, released, places[released]) for spelling, released in _spelled(terms, term)]


def _spelled(terms: Terms, term: ColumnTerm) -> list[tuple[str, str]]:
    """(spelling in a record, what leaves); units have a list of their own. Codes leave an extraction as listed."""
    if COLUMNS[term.name].kind is Kind.UNIT:
        return [(unit, unit) for unit in (UNITS if term.codes is None else term.codes)]
    extraction = terms.crossing is Crossing.EXTRACTION
    precision = Precision.FULL if extraction else resolve(term.name, term.precision)
    rows: dict[str, str] = {}
    for code in sorted(term.codes or ()):
        token = normalise(code, term.name)
        out = token and coarsen(token, precision)
        if token and out:
            rows |= dict.fromkeys(spellings(token, term.name), out)
    return list(rows.items())


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
    """Every record with its four facts, the places of what is known of it (NULL: nothing), and its listed codes.

    SELECT r.*, person, prefix, practice_place, doctor_place, origin, dated, doctor, code, code_*, place_*.
    """
    listed = [term.name for term in terms.columns if COLUMNS[term.name].listed]
    joins = " ".join(
        f"LEFT JOIN (SELECT spelling, released, place FROM code_list WHERE of = '{name}') c_{name} "
        f"ON c_{name}.spelling = r.{name}"
        for name in listed
    )
    outputs = [f"c_{name}.released AS code_{name}, c_{name}.place AS place_{name}" for name in listed]
    found = [
        "r.*, p.place AS person, p.prefix, s.place AS practice_place, d.place AS doctor_place",
        f"{_origin(terms)} AS origin, {_dated(terms)} AS dated, {_DOCTOR} AS doctor, {_code(terms)} AS code",
    ]
    return select(
        ", ".join(found + outputs),
        "record r LEFT JOIN practice s ON s.practice_id = r.practice_id",
        "LEFT JOIN person p ON p.practice_place = s.place AND p.patient_id = r.patient_id",
        "LEFT JOIN person_spans m ON m.practice_place = s.place AND m.patient_id = r.patient_id",
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
        f"WHEN d.first_day IS NOT NULL AND NOT {_inside('d', 'd')} THEN {Dated.OUTSIDE_ENROLMENT.value} "
        f"WHEN NOT ({period}) THEN {Dated.OUTSIDE_PERIOD.value} "
        f"WHEN p.place IS NOT NULL AND NOT {_inside('p', 'm')} THEN {Dated.OBJECTED_SPAN.value} "
        f"ELSE {Dated.WITHIN.value} END"
    )


_DOCTOR = (
    f"CASE WHEN d.first_day IS NOT NULL AND r.doctor_id IS NOT NULL THEN {RecordDoctor.ENROLLED.value} "
    f"WHEN d.first_day IS NOT NULL THEN {RecordDoctor.UNNAMED_ALL_ENROLLED.value} "
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
    listed = f"c_{name}.place IS NOT NULL"
    if column.kind is Kind.CODE:
        return listed
    test = "c_test_code.place IS NOT NULL" if "test_code" in names else "false"
    return (
        f"({test} AND ({listed} OR {cells.is_number('r.test_value')}))"
        if column.kind is Kind.RESULT
        else (f"({test} AND {listed})")
    )
