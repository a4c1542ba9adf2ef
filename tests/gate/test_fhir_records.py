"""What a FHIR resource is as a record, and what it is not."""

from pathlib import Path
from typing import Any

import made
import pytest
from bulk import CONDITION, ENCOUNTER, OBSERVATION, PATIENT, fhir

from portal.gate.columns import read_records
from portal.gate.engine import Limits, engine

LAB = OBSERVATION | {"code": {"coding": [{"system": "http://loinc.org", "code": "2571-8"}]}}
VALUES = ("height_cm", "weight_kg", "test_code", "test_value", "test_unit")
CODE = "http://loinc.org|2571-8"


def quantity(**parts: Any) -> dict[str, Any]:
    return {"valueQuantity": {"value": 1.5, "unit": "mg/dL"} | parts}


def without_value(observation: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in observation.items() if name != "valueQuantity"}


def records(tmp_path: Path, columns: str, **files: list[Any]) -> list[tuple[Any, ...]]:
    with engine(Limits()) as con:
        read_records(con, [fhir(**files)(tmp_path)], made.RECORD)
        return con.execute(f"SELECT {columns} FROM record ORDER BY ALL").fetchall()


@pytest.mark.parametrize(
    ("observation", "values"),
    [
        (OBSERVATION, (172.0, None, None, None, None)),
        (OBSERVATION | {"valueQuantity": {"value": 68, "unit": "in"}}, (None,) * 5),
        (OBSERVATION | {"valueQuantity": {"value": 172, "unit": "cm", "comparator": ">"}}, (None,) * 5),
        (LAB | quantity(), (None, None, CODE, "1.5", "mg/dL")),
        (LAB | quantity(code="g/L"), (None, None, CODE, "1.5", "g/L")),
        (LAB | quantity(comparator="<"), (None, None, CODE, "?", "mg/dL")),
        (without_value(LAB) | {"valueInteger": 3}, (None, None, CODE, "3", None)),
        (without_value(LAB) | {"valueString": "Mme Collet"}, (None, None, CODE, "?", None)),
        (without_value(LAB) | {"valueCodeableConcept": {"text": "Mme Collet"}}, (None, None, CODE, "?", None)),
        (
            without_value(LAB) | {"valueCodeableConcept": {"coding": [{"system": "s", "code": "c", "display": "d"}]}},
            (None, None, CODE, "s|c", None),
        ),
        (without_value(LAB), None),
        (without_value(LAB) | {"component": [{"valueQuantity": {"value": 80}}]}, None),
    ],
)
def test_an_observation(tmp_path: Path, observation: dict[str, Any], values: tuple[Any, ...] | None) -> None:
    found = records(tmp_path, ", ".join(VALUES), Condition=[], Observation=[observation])
    assert found == ([] if values is None else [values])


def participant(doctor: str) -> dict[str, Any]:
    return {"individual": {"reference": doctor}}


@pytest.mark.parametrize(
    ("participants", "doctor"),
    [
        ([participant("Practitioner/d1")], "d1"),
        ([participant("https://example.org/fhir/Practitioner/d1")], "d1"),
        ([participant("Practitioner/d1"), participant("Practitioner/d1")], "d1"),
        ([participant("RelatedPerson/r1"), participant("Practitioner/d1")], "d1"),
        ([participant("Practitioner/d1"), participant("Practitioner/d2")], None),
        ([participant("Patient/p1-001")], None),
        ([], None),
    ],
)
def test_the_doctor_is_the_one_of_the_encounter(tmp_path: Path, participants: list[Any], doctor: str | None) -> None:
    assert records(tmp_path, "doctor_id", Encounter=[ENCOUNTER | {"participant": participants}]) == [(doctor,)]


@pytest.mark.parametrize(
    ("changes", "column", "value"),
    [
        ({"encounter": {"reference": "Encounter/elsewhere"}}, "doctor_id", None),
        ({"encounter": None}, "doctor_id", None),
        ({"meta": None}, "provenance", "unknown"),
        ({"meta": {"source": "https://example.org/provenance/other"}}, "provenance", "unknown"),
        ({"meta": {"source": "https://example.org/provenance/imported"}}, "provenance", "imported"),
        ({"onsetDateTime": "2025-06-30T22:30:00Z"}, "recorded_on::VARCHAR", "2025-07-01"),
        ({"onsetDateTime": "2025-12-31T23:30:00+01:00"}, "recorded_on::VARCHAR", "2025-12-31"),
        ({"onsetDateTime": "2025-06-30"}, "recorded_on::VARCHAR", "2025-06-30"),
        ({"onsetDateTime": "2025-06"}, "recorded_on", None),
        ({"onsetDateTime": None}, "recorded_on", None),
        ({"code": {"text": "Mme Collet"}}, "diagnosis", None),
        ({"code": {"coding": [{"code": "J45.0"}]}}, "diagnosis", "|J45.0"),
        ({}, "practice_id || patient_id || year_of_birth::INT || sex", "p10011987female"),
    ],
)
def test_a_condition(tmp_path: Path, changes: dict[str, Any], column: str, value: str | None) -> None:
    assert records(tmp_path, column, Condition=[CONDITION | changes]) == [(value,)]


def test_a_prescription_and_an_allergy(tmp_path: Path) -> None:
    shared = {name: CONDITION[name] for name in ("encounter", "meta")}
    prescription = shared | {
        "resourceType": "MedicationRequest",
        "medicationCodeableConcept": {"coding": [{"system": "http://www.whocc.no/atc", "code": "R03AC02"}]},
        "subject": CONDITION["subject"],
        "authoredOn": "2025-06-30",
    }
    allergy = shared | {
        "resourceType": "AllergyIntolerance",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "735029006"}]},
        "patient": CONDITION["subject"],
        "recordedDate": "2025-06-29",
    }
    columns = "recorded_on::VARCHAR, prescription, allergy, patient_id, doctor_id, provenance"
    found = records(tmp_path, columns, Condition=[], MedicationRequest=[prescription], AllergyIntolerance=[allergy])
    assert found == [
        ("2025-06-29", None, "http://snomed.info/sct|735029006", "001", "d1", "entered"),
        ("2025-06-30", "http://www.whocc.no/atc|R03AC02", None, "001", "d1", "entered"),
    ]


def test_several_files_of_one_resource_are_one(tmp_path: Path) -> None:
    other = PATIENT | {"id": "p1-002", "identifier": [{"system": "https://example.org/p1/patient", "value": "002"}]}
    more = {"Condition.2": [CONDITION | {"subject": {"reference": "Patient/p1-002"}}], "Patient-2": [other]}
    assert records(tmp_path, "patient_id", **more) == [("001",), ("002",)]
