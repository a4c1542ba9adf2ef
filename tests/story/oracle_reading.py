"""What the oracle reads: a demo folder's registers, records and story, as plain data. Nothing of `portal`.

Moments are aware datetimes, days are Paris days, a birth is the register's own text, a coded value is `system|code`.
"""

import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
SYSTEMS = {"http://snomed.info/sct": "sct", "http://www.nlm.nih.gov/research/umls/rxnorm": "rxnorm"}
SYSTEMS["http://loinc.org"] = "loinc"
MEASURES = {"loinc|8302-2": "height_cm", "loinc|29463-7": "weight_kg"}

Patient = tuple[str, str]  # practice, the practice's own number
Cells = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One patient of one register, as it stands there; text is stripped, absent is empty."""

    key: str
    birth: str
    sex: str
    family: str
    birth_name: str
    given: str
    email: str
    deceased_on: str
    representative_kind: str
    representative_email: str
    doctor: str


@dataclass(frozen=True)
class Register:
    practice: str
    taken_at: datetime
    rows: dict[str, Row]


@dataclass(frozen=True)
class Record:
    """`cells` holds what the resource says, by column of the flat form; `doctor` is empty when nobody is named."""

    practice: str
    patient: str
    kind: str
    id: str
    day: date | None
    provenance: str
    doctor: str
    year: int | None
    sex: str | None
    cells: Cells

    @property
    def who(self) -> Patient:
        return self.practice, self.patient


def paris_day(at: datetime) -> date:
    return at.astimezone(PARIS).date()


def read_story(folder: Path) -> dict[str, Any]:
    """story.json with its moments (`at`, `as_of`, `…_at`) as datetimes; days stay text."""
    story: dict[str, Any] = _with_moments(json.loads((folder / "story.json").read_text("utf-8")), "")
    return story


def _with_moments(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _with_moments(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_moments(inner, name) for inner in value]
    if isinstance(value, str) and (name in {"at", "as_of"} or name.endswith("_at")):
        at = datetime.fromisoformat(value)
        return at if at.tzinfo else at.replace(tzinfo=PARIS)
    return value


def read_registers(folder: Path, story: dict[str, Any]) -> list[Register]:
    """Every register that the story names, oldest first."""
    found = [
        Register(entry["practice_id"], entry["taken_at"], dict(_register_rows(folder / entry["file"])))
        for entry in story["registers"]
    ]
    return sorted(found, key=lambda register: register.taken_at)


def _register_rows(path: Path) -> Iterator[tuple[str, Row]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for line in csv.DictReader(file):
            cell = {name: (text or "").strip() for name, text in line.items() if name}
            yield (
                cell["patient_id"],
                Row(
                    "".join(cell.get("person_key", "").split()).upper(),
                    *(cell.get(name, "") for name in ("birth_date", "sex", "family_name", "birth_name", "given_names")),
                    *(cell.get(name, "") for name in ("email", "deceased_on", "representative_kind")),
                    *(cell.get(name, "") for name in ("representative_email", "doctor_id")),
                ),
            )


def read_records(folder: Path) -> Iterator[Record]:
    """Every record of `records/<practice>/`, by the contract's table of FHIR resources."""
    for practice in sorted(path for path in (folder / "records").iterdir() if path.is_dir()):
        yield from _records_of_practice(practice)


def _records_of_practice(folder: Path) -> Iterator[Record]:
    patients = {patient["id"]: patient for patient in _lines(folder, "Patient")}
    doctors = {encounter["id"]: _doctor(encounter) for encounter in _lines(folder, "Encounter")}
    for kind, when in _DATED.items():
        for resource in _lines(folder, kind):
            cells = _cells(resource)
            if cells is None:
                continue
            reference = _last(resource.get("subject") or resource.get("patient"))
            patient = patients.get(reference, {})
            yield Record(
                practice=folder.name,
                patient=_own_number(patient, folder.name) or reference,
                kind=kind,
                id=resource["id"],
                day=_day(resource.get(when)),
                provenance=resource.get("meta", {}).get("source", "").rpartition("/")[2],
                doctor=doctors.get(_last(resource.get("encounter")), ""),
                year=int(patient["birthDate"][:4]) if patient.get("birthDate") else None,
                sex=patient.get("gender"),
                cells=cells,
            )


_DATED = {
    "Condition": "onsetDateTime",
    "MedicationRequest": "authoredOn",
    "AllergyIntolerance": "recordedDate",
    "Observation": "effectiveDateTime",
}


def _lines(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    path = folder / f"{kind}.ndjson.gz"
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.strip())


def _cells(resource: dict[str, Any]) -> Cells | None:
    """The columns that the resource fills, or None when it is no record."""
    match resource["resourceType"]:
        case "Condition":
            return {"diagnosis": _token(resource.get("code"))}
        case "MedicationRequest":
            return {"prescription": _token(resource.get("medicationCodeableConcept"))}
        case "AllergyIntolerance":
            return {"allergy": _token(resource.get("code"))}
    value = next((inner for name, inner in resource.items() if name.startswith("value")), None)
    if value is None:
        return None
    code, quantity = _token(resource.get("code")), resource.get("valueQuantity", {})
    number = quantity.get("value", value)  # what is no quantity stays what it is, and is no number
    if code in MEASURES:
        return {MEASURES[code]: number}
    unit = quantity.get("code") or quantity.get("unit")
    return {"test_code": code, "test_value": number} | ({"test_unit": unit} if unit else {})


def _token(concept: dict[str, Any] | None) -> str:
    coding = ((concept or {}).get("coding") or [{}])[0]
    system = coding.get("system", "")
    return f"{SYSTEMS.get(system, system)}|{coding.get('code', '')}"


def _doctor(encounter: dict[str, Any]) -> str:
    return next((_last(one.get("individual")) for one in encounter.get("participant", [])), "")


def _last(reference: dict[str, Any] | None) -> str:
    return str((reference or {}).get("reference", "")).rpartition("/")[2]


def _own_number(patient: dict[str, Any], practice: str) -> str:
    system = f"https://example.org/{practice}/patient"
    return next((one["value"] for one in patient.get("identifier", []) if one.get("system") == system), "")


def _day(text: str | None) -> date | None:
    """The Paris day; a date without a time is that day."""
    if not text:
        return None
    return date.fromisoformat(text) if len(text) == 10 else paris_day(datetime.fromisoformat(text))
