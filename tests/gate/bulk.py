"""A small FHIR Bulk Data folder, of which any file can be replaced."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENT = {
    "resourceType": "Patient",
    "id": "p1-001",
    "identifier": [{"system": "https://example.org/p1/patient", "value": "001"}],
    "gender": "female",
    "birthDate": "1987",
    "managingOrganization": {"reference": "Organization/p1"},
}
ENCOUNTER = {"resourceType": "Encounter", "id": "e1", "participant": [{"individual": {"reference": "Practitioner/d1"}}]}
CONDITION = {
    "resourceType": "Condition",
    "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "J45.0"}]},
    "subject": {"reference": "Patient/p1-001"},
    "onsetDateTime": "2025-06-30T10:00:00+02:00",
    "encounter": {"reference": "Encounter/e1"},
    "meta": {"source": "https://example.org/provenance/entered"},
}
OBSERVATION = CONDITION | {
    "resourceType": "Observation",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]},
    "effectiveDateTime": "2025-06-30",
    "valueQuantity": {"value": 172, "unit": "cm"},
}


def fhir(**files: list[Any]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        below = folder / "bulk"
        below.mkdir()
        for name, lines in ({"Patient": [PATIENT], "Encounter": [ENCOUNTER], "Condition": [CONDITION]} | files).items():
            if lines:
                (below / f"{name}.ndjson").write_text("".join(f"{_line(line)}\n" for line in lines))
        return below

    return write


def _line(line: Any) -> str:
    return line if isinstance(line, str) else json.dumps(line)
