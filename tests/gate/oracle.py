"""The filter's oracle: what may pass and how it comes out, in plain Python with json and csv, nothing of `portal`.

Dates are dates, everything else is text or a number; a record is a dict of the flat form.
"""

import gzip
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
_NAMES = (
    "practice_id patient_id doctor_id recorded_on provenance year_of_birth sex socio_professional_category allergy "
    "medical_history height_cm weight_kg diagnosis prescription sick_leave_days test_code test_value test_unit"
)
FLAT = _NAMES.split()
PERSONAL = {"year_of_birth", "sex", "socio_professional_category"}
CODED = {"allergy", "medical_history", "diagnosis", "prescription", "test_code"}
SHORT = {
    "http://snomed.info/sct": "sct",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "rxnorm",
    "http://loinc.org": "loinc",
    "http://hl7.org/fhir/sid/icd-10": "cim10",
}
BARE = {"diagnosis": "cim10", "prescription": "atc", "test_code": "loinc"}
NUMBER = re.compile(r"-?(0|[1-9]\d{0,7})(\.\d{1,20})?([eE][+-]?\d{1,2})?")
UNITS_OF_DATA = {"mg/dL", "mmol/L", "mm[Hg]", "kg/m2", "g/dL", "fL", "U/L", "%", "10*3/uL", "10*6/uL", "pg", "kg"}


def _lines(folder: Path, resource: str) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob(f"{resource}.ndjson*")):
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
            yield from (json.loads(line) for line in stream)


def _token(concept: dict[str, Any]) -> str | None:
    coding = (concept.get("coding") or [{}])[0]
    return f"{coding.get('system', '')}|{coding['code']}" if "code" in coding else None


def _persons(folder: Path) -> dict[str, dict[str, Any]]:
    persons = {}
    for p in _lines(folder, "Patient"):
        practice = p["managingOrganization"]["reference"].removeprefix("Organization/")
        persons[p["id"]] = {
            "practice_id": practice,
            "patient_id": next(i["value"] for i in p["identifier"] if i["system"].endswith(f"/{practice}/patient")),
            "year_of_birth": int(p["birthDate"][:4]) if "birthDate" in p else None,
            "sex": p.get("gender"),
            "socio_professional_category": next((e["valueCode"] for e in p.get("extension", [])), None),
        }
    return persons


def flat_from_fhir(folder: Path) -> list[dict[str, Any]]:
    """The flat records of a Bulk Data folder, by CONTRACT.md."""
    persons = _persons(folder)
    doctors = {
        e["id"]: e["participant"][0]["individual"]["reference"].removeprefix("Practitioner/")
        for e in _lines(folder, "Encounter")
    }
    forms = {
        "Condition": ("onsetDateTime", "code", "diagnosis"),
        "MedicationRequest": ("authoredOn", "medicationCodeableConcept", "prescription"),
        "AllergyIntolerance": ("recordedDate", "code", "allergy"),
        "Observation": ("effectiveDateTime", "code", None),
    }
    records = []
    for resource, (when, concept, column) in forms.items():
        for r in _lines(folder, resource):
            if resource == "Observation" and not any(name.startswith("value") for name in r):
                continue
            subject = (r.get("subject") or r["patient"])["reference"].removeprefix("Patient/")
            visit = r.get("encounter", {}).get("reference", "").removeprefix("Encounter/")
            record = dict.fromkeys(FLAT) | persons[subject]
            record["doctor_id"] = doctors.get(visit)
            record["recorded_on"] = datetime.fromisoformat(r[when]).astimezone(PARIS).date()
            record["provenance"] = r.get("meta", {}).get("source", "unknown").rsplit("/", 1)[-1]
            if column:
                record[column] = _token(r[concept])
            else:
                _observe(record, r)
            records.append(record)
    return records


def _observe(record: dict[str, Any], r: dict[str, Any]) -> None:
    code, quantity = _token(r["code"]), r.get("valueQuantity", {})
    measured = {"http://loinc.org|8302-2": "height_cm", "http://loinc.org|29463-7": "weight_kg"}
    if code in measured:
        record[measured[code]] = quantity.get("value")
        return
    record["test_code"] = code
    record["test_unit"] = quantity.get("unit")
    token = _token(r.get("valueCodeableConcept", {}))
    record["test_value"] = str(quantity["value"]) if "value" in quantity else token or "words"


def token(value: str, column: str) -> str:
    system, bar, code = value.rpartition("|")
    short = SHORT.get(system, system) if bar else BARE.get(column, "")
    if short == "cim10" and len(code) > 3:
        code = f"{code[:3]}.{code[3:].lstrip('.')}"
    return f"{short}|{code}"


def reason(r: dict[str, Any], terms: dict[str, Any], spans: list[tuple[date | None, date | None]] | None) -> str | None:
    """The first code that stands against one record; the rules of DOMAIN §6 written out by hand."""
    day, doctor = r["recorded_on"], r["doctor_id"]
    of_site = {d: s for (practice, d), s in terms["doctors"].items() if practice == r["practice_id"]}
    unnamed_ok = r["practice_id"] in terms["unnamed_doctor_ok"] and bool(of_site)
    bounds = [of_site[doctor]] if doctor in of_site else list(of_site.values()) if doctor is None and unnamed_ok else []
    if day and not all(_within(day, span) for span in bounds):
        return "G25"
    if r["provenance"] == "teleservice_auto":
        return "G30"
    if r["provenance"] not in terms["provenance"]:
        return "G31"
    if not day or not _within(day, terms["period"]) or (spans and not any(_within(day, s) for s in spans)):
        return "G32"
    if not _listed(r, terms["columns"]):
        return "G33"
    if not (doctor in of_site or (doctor is None and unnamed_ok)):
        return "G34"
    return None


def _within(day: date, span: tuple[date | None, date | None]) -> bool:
    return (span[0] or date.min) <= day <= (span[1] or date.max)


def _listed(r: dict[str, Any], columns: dict[str, Any]) -> bool:
    there = [name for name in columns if r.get(name) is not None]
    if not [name for name in there if name not in PERSONAL or set(columns) <= PERSONAL]:
        return False
    codes = {name: {token(c, name) for c in columns[name] or ()} for name in columns}
    tested = token(r["test_code"] or "", "test_code") in codes.get("test_code", ())
    for name in there:
        if name in CODED and token(r[name], name) not in codes[name]:
            return False
        if name in {"test_value", "test_unit"} and not tested:
            return False
        if name == "test_value" and not NUMBER.fullmatch(r[name]) and token(r[name], name) not in codes[name]:
            return False
        if name == "test_unit" and r[name] not in UNITS_OF_DATA:
            return False
    return True


def five(value: Any) -> int | None:
    return None if value is None else math.floor(float(value) / 5 + 0.5) * 5


def extraction_row(r: dict[str, Any], pseudonym: str, terms: dict[str, Any]) -> tuple[Any, ...]:
    """The row as it stands in an extraction."""
    doctor = terms["doctor_pseudonyms"].get(r["doctor_id"])
    row = [r["practice_id"], pseudonym, doctor, r["recorded_on"], r["provenance"]]
    for name in (name for name in FLAT if name in terms["columns"]):
        value = r[name]
        if value is not None and name in {"height_cm", "weight_kg"}:
            value = five(value)
        elif value is not None and (name in CODED or (name == "test_value" and not NUMBER.fullmatch(value))):
            value = token(value, name)
        row.append(value)
    return tuple(row)


def release_row(row: tuple[Any, ...], pseudonym: str, columns: list[str], reference_year: int) -> tuple[Any, ...]:
    """An extraction's row as a release with ISO weeks and decades has it."""
    week = f"{row[3].isocalendar()[0]}-W{row[3].isocalendar()[1]:02d}"
    values = [
        max(v, reference_year - 95) // 10 * 10 if name == "year_of_birth" and v is not None else v
        for name, v in zip(columns, row[5:], strict=True)
    ]
    return (pseudonym, week, *values)


def judge(
    records: list[dict[str, Any]], terms: dict[str, Any], allowed: dict[tuple[str, str], tuple[str, list[Any]]]
) -> tuple[Counter[tuple[Any, ...]], Counter[str]]:
    """(rows that pass as a multiset, counts by `passed`, `not_in_permit` and reason code)."""
    rows: Counter[tuple[Any, ...]] = Counter()
    counts: Counter[str] = Counter()
    for r in records:
        pseudonym, spans = allowed.get((r["practice_id"], r["patient_id"]), (None, []))
        why = reason(r, terms, spans)
        counts["not_in_permit" if pseudonym is None else why or "passed"] += 1
        if pseudonym and not why:
            rows[extraction_row(r, pseudonym, terms)] += 1
    return rows, counts
