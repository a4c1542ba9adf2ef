"""Records in FHIR R4 Bulk Data form: one resource a line, read by a list of elements.

What is not named here is never read: no name, display, note or free text. Of a value in words only its presence
is looked at. A record has one code, the first coding of its resource.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from portal.gate import cells
from portal.gate.engine import paths, select
from portal.gate.forms import Found, refuse, refuse_unreadable

_CODINGS = 'STRUCT(coding STRUCT("system" VARCHAR, code VARCHAR)[])'
_REFERENCE = "STRUCT(reference VARCHAR)"

_COMMON = {"resourceType": "VARCHAR", "meta": 'STRUCT("source" VARCHAR)', "encounter": _REFERENCE}

_OTHER_VALUES = ("valueString", "valueBoolean", "valueDateTime", "valueTime", "valuePeriod", "valueRange",
                 "valueRatio", "valueSampledData")  # fmt: skip

ELEMENTS: dict[str, dict[str, str]] = {
    "Patient": {
        "resourceType": "VARCHAR",
        "id": "VARCHAR",
        "identifier": 'STRUCT("system" VARCHAR, "value" VARCHAR)[]',
        "gender": "VARCHAR",
        "birthDate": "VARCHAR",
        "extension": "STRUCT(url VARCHAR, valueCode VARCHAR)[]",
        "managingOrganization": _REFERENCE,
    },
    "Encounter": {
        "resourceType": "VARCHAR",
        "id": "VARCHAR",
        "participant": f"STRUCT(individual {_REFERENCE})[]",
    },
    "Condition": _COMMON | {"code": _CODINGS, "subject": _REFERENCE, "onsetDateTime": "VARCHAR"},
    "MedicationRequest": _COMMON
    | {"medicationCodeableConcept": _CODINGS, "subject": _REFERENCE, "authoredOn": "VARCHAR"},
    "AllergyIntolerance": _COMMON | {"code": _CODINGS, "patient": _REFERENCE, "recordedDate": "VARCHAR"},
    "Observation": _COMMON
    | {"code": _CODINGS, "subject": _REFERENCE, "effectiveDateTime": "VARCHAR", "valueInteger": "VARCHAR"}
    | {"valueQuantity": 'STRUCT("value" VARCHAR, "unit" VARCHAR, code VARCHAR, comparator VARCHAR)'}
    | {"valueCodeableConcept": _CODINGS}
    | dict.fromkeys(_OTHER_VALUES, "VARCHAR"),
}
"""Every element that is read, with its type."""

_HAS_VALUE = " OR ".join(
    f"{value} IS NOT NULL" for value in ("valueQuantity", "valueInteger", "valueCodeableConcept", *_OTHER_VALUES)
)


def _token(concept: str) -> str:
    """`system|code` of the first coding; NULL when there is none. Without a system it is on no list."""
    coding = f"{concept}.coding[1]"
    return f"coalesce({coding}.system, '') || '|' || {coding}.code"


_NUMERIC = "coalesce(valueQuantity.value, valueInteger)"
_EXACT = f"CASE WHEN valueQuantity.comparator IS NULL THEN {_NUMERIC} END"
_HEIGHT = f"{_token('code')} = 'http://loinc.org|8302-2'"
_WEIGHT = f"{_token('code')} = 'http://loinc.org|29463-7'"
_TEST = f"NOT coalesce({_HEIGHT} OR {_WEIGHT}, false)"
_UNIT = "coalesce(valueQuantity.code, valueQuantity.unit)"

_CELLS: dict[str, dict[str, str]] = {
    "Condition": {"diagnosis": _token("code")},
    "MedicationRequest": {"prescription": _token("medicationCodeableConcept")},
    "AllergyIntolerance": {"allergy": _token("code")},
    "Observation": {
        "height_cm": f"CASE WHEN {_HEIGHT} AND {_UNIT} = 'cm' THEN {cells.number(_EXACT)} END",
        "weight_kg": f"CASE WHEN {_WEIGHT} AND {_UNIT} = 'kg' THEN {cells.number(_EXACT)} END",
        "test_code": f"CASE WHEN {_TEST} THEN {_token('code')} END",
        "test_value": f"CASE WHEN {_TEST} THEN coalesce({_EXACT}, {_token('valueCodeableConcept')}, "
        f"{cells.UNREADABLE}) END",
        "test_unit": f"CASE WHEN {_TEST} THEN {_UNIT} END",
    },
}
_DATES = {"Condition": "onsetDateTime", "MedicationRequest": "authoredOn", "AllergyIntolerance": "recordedDate",
          "Observation": "effectiveDateTime"}  # fmt: skip


def _reference(element: str, resource: str) -> str:
    """The id behind a reference to this resource; '' for any other."""
    return f"regexp_extract({element}.reference, '(?:^|/){resource}/([^/]+)$', 1)"


def load_persons(con: duckdb.DuckDBPyConnection, found: Found) -> None:
    """The tables `patient` and `encounter`: whose a record is, and who the doctor was."""
    _load(con, "patient", "Patient", found, _PATIENT, _PATIENT_CHECKS)
    _load(con, "encounter", "Encounter", found, _ENCOUNTER, _ENCOUNTER_CHECKS)


_PRACTICE = _reference("managingOrganization", "Organization")
_OWN = "list_distinct(list_filter(identifier, lambda i: ends_with(i.system, '/' || practice_id || '/patient')))"
_PATIENT = f"""id, {_PRACTICE} AS practice_id, {_OWN} AS own, own[1].value AS patient_id,
    try_cast(substr(birthDate, 1, 4) AS DOUBLE) AS year_of_birth, gender AS sex,
    list_filter(extension, lambda e: ends_with(e.url, '/socio-professional-category'))[1].valueCode
        AS socio_professional_category"""
_PATIENT_CHECKS = (
    ("wrong_resource|resourceType", "resourceType IS DISTINCT FROM 'Patient'"),
    ("missing_value|id", "id IS NULL"),
    ("missing_value|managingOrganization", "coalesce(practice_id, '') = ''"),
    ("patient_without_number|identifier", "patient_id IS NULL OR len(own) <> 1"),
    (
        "bad_date|birthDate",
        "NOT regexp_full_match(birthDate, '[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?')"
        " OR (length(birthDate) = 10 AND try_cast(birthDate AS DATE) IS NULL)",
    ),
    ("bad_word|gender", f"NOT {cells.is_sex('gender')}"),
    ("bad_word|extension", f"NOT {cells.is_category('socio_professional_category')}"),
)
_DOCTORS = (
    "list_filter(list_distinct(list_transform(participant, lambda p: "
    + _reference("p.individual", "Practitioner")
    + ")), lambda d: d <> '')"
)
_ENCOUNTER = f"id, {_DOCTORS} AS doctors, CASE WHEN len(doctors) = 1 THEN doctors[1] END AS doctor_id"
_ENCOUNTER_CHECKS = (
    ("wrong_resource|resourceType", "resourceType IS DISTINCT FROM 'Encounter'"),
    ("missing_value|id", "id IS NULL"),
)


def _load(
    con: duckdb.DuckDBPyConnection,
    table: str,
    resource: str,
    found: Found,
    what: str,
    checks: Sequence[tuple[str, str]],
) -> None:
    """Reads the lines about persons into a table; Refused at a line that cannot be read or an id that comes twice."""
    con.execute(f"CREATE TEMP TABLE {table} ({', '.join(_COLUMNS[table])}, file VARCHAR, line BIGINT)")
    for file in found.of(resource):
        source = select(f"{what}, resourceType, row_number() OVER () AS line, {cells.problem(checks)} AS problem",
                        scan(resource, [file]))  # fmt: skip
        kept = ", ".join(column.split()[0] for column in _COLUMNS[table])
        try:
            con.execute(f"CREATE OR REPLACE TEMP TABLE lines AS {source}")
        except duckdb.Error as error:
            refuse_unreadable(file, error)
        bad = con.execute(
            select("line, problem", "lines", "WHERE problem IS NOT NULL ORDER BY line LIMIT 1")
        ).fetchone()
        if bad:
            code, _, element = bad[1].partition("|")
            refuse(code, f"{file.name}, line {bad[0]}, {element}", "The element is missing or not as it must be.")
        con.execute(f"INSERT INTO {table} " + select(f"{kept}, ?, line", "lines"), [file.name])
    con.execute("DROP TABLE IF EXISTS lines")
    _refuse_twice(con, table, "id")
    if table == "patient":
        _refuse_twice(con, table, "practice_id, patient_id")


_COLUMNS = {
    "patient": ("id VARCHAR", "practice_id VARCHAR", "patient_id VARCHAR", "year_of_birth DOUBLE", "sex VARCHAR",
                "socio_professional_category VARCHAR"),
    "encounter": ("id VARCHAR", "doctor_id VARCHAR"),
}  # fmt: skip


def _refuse_twice(con: duckdb.DuckDBPyConnection, table: str, key: str) -> None:
    again = con.execute(
        select("max_by(file, line), max(line)", table, f"GROUP BY {key} HAVING count(*) > 1 ORDER BY 2 LIMIT 1")
    ).fetchone()
    if again:
        refuse(f"duplicate_{table}", f"{again[0]}, line {again[1]}", f"This {table} stands twice.")


def scan(resource: str, files: Sequence[Path]) -> str:
    """The lines of these files with the listed elements and no others."""
    columns = ", ".join(f"\"{element}\": '{kind}'" for element, kind in ELEMENTS[resource].items())
    return f"read_json({paths(files)}, format = 'newline_delimited', columns = {{{columns}}})"


def records(resource: str, files: Sequence[Path], line: str) -> str:
    """One SELECT of the flat record form over the files of a record resource; `load_persons` comes first."""
    date, filled = _DATES[resource], _CELLS[resource]
    subject = _reference("patient" if resource == "AllergyIntolerance" else "subject", "Patient")
    where = f"WHERE resourceType IS DISTINCT FROM 'Observation' OR {_HAS_VALUE}" if resource == "Observation" else ""
    flat = ", ".join(
        f"{filled.get(column, f'NULL::{kind}')} AS {column}"
        for column, kind in cells.RECORD_COLUMNS.items()
        if column not in _OF_OTHERS
    )
    checks = [
        ("wrong_resource|resourceType", f"resourceType IS DISTINCT FROM '{resource}'"),
        (f"bad_date|{date}", f"{date} IS NOT NULL AND recorded_on IS NULL AND NOT {cells.partial_day(date)}"),
    ]
    if resource == "Observation":
        checks.append(("bad_number|value", f"{_NUMERIC} IS NOT NULL AND NOT ({_IS_NUMBER})"))
    lines = select(
        f"{subject} AS subject_id, {_reference('encounter', 'Encounter')} AS encounter_id, "
        f"{cells.day(date)} AS recorded_on, {_PROVENANCE} AS provenance, {flat}, "
        f"{line} AS line, {cells.problem(checks)} AS unreadable",
        scan(resource, files),
    )
    outputs = ", ".join(_OF_OTHERS.get(column, f"r.{column}") for column in cells.RECORD_COLUMNS)
    unknown = "coalesce(r.unreadable, CASE WHEN p.id IS NULL THEN 'unknown_patient|subject' END)"
    return select(
        f"{outputs}, r.line, {unknown} AS problem",
        f"({lines} {where}) r LEFT JOIN patient p ON p.id = r.subject_id",
        "LEFT JOIN encounter e ON e.id = r.encounter_id",
    )


_IS_NUMBER = f"({cells.number(_NUMERIC)}) IS NOT NULL"
_PROVENANCE = cells.provenance("regexp_extract(meta.source, '([^/]+)$', 1)")
_OF_OTHERS = {
    "practice_id": "p.practice_id",
    "patient_id": "p.patient_id",
    "doctor_id": "e.doctor_id",
    "recorded_on": "r.recorded_on",
    "provenance": "r.provenance",
    "year_of_birth": "p.year_of_birth",
    "sex": "p.sex",
    "socio_professional_category": "p.socio_professional_category",
}
