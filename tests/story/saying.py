"""What the records of a plan say, as FHIR resources of a practice."""

from typing import Any

from story.made import DIABETES, POLLEN, Inputs, concept, quantity
from story.plans import Said


def add_encounters(inputs: Inputs, practice: str) -> None:
    """One for each doctor whom a record may name."""
    for doctor in ("first", "second", "stranger"):
        inputs.encounter(practice, f"{practice}-{doctor}", f"{practice}-{doctor}")


def add_record(inputs: Inputs, said: Said, number: str, practice: str) -> None:
    kind, when, what = _resource(said.says)
    resource = inputs.record(kind, number, practice, **{when: said.day}, **what)
    resource["meta"] = {"source": f"https://example.org/{said.provenance}"}
    resource["encounter"] = {"reference": f"Encounter/{practice}-{said.doctor}"}
    if kind == "AllergyIntolerance":
        resource["patient"] = resource.pop("subject")


def _resource(says: str) -> tuple[str, str, dict[str, Any]]:
    """The resource that says it, the element of its day, and its content."""
    match says:
        case "height":
            return "Observation", "effectiveDateTime", {"code": concept("loinc|8302-2"), **quantity(172.5, "cm")}
        case "test":
            return "Observation", "effectiveDateTime", {"code": concept("loinc|2345-7"), **quantity(113.8)}
        case "test in words":
            value = {"valueCodeableConcept": concept(DIABETES)}
            return "Observation", "effectiveDateTime", {"code": concept("loinc|2345-7"), **value}
        case "allergy":
            return "AllergyIntolerance", "recordedDate", {"code": concept(POLLEN)}
    if says.startswith("rxnorm"):
        return "MedicationRequest", "authoredOn", {"medicationCodeableConcept": concept(says)}
    return "Condition", "onsetDateTime", {"code": concept(says)}
