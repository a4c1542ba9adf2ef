"""The demo's input: a FHIR Bulk Data folder, read as practices and parted into one folder a practice."""

import gzip
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from portal.rules.refusals import Refused

RESOURCES = (
    "Patient", "Encounter", "Condition", "MedicationRequest", "AllergyIntolerance", "Observation",
    "DocumentReference",
)  # fmt: skip
FINESS = "urn:oid:1.2.250.1.71.4.2.2"
RPPS = "urn:oid:1.2.250.1.71.4.2.1"
SHIPPED = Path(__file__).parent / "records"


@dataclass(frozen=True, slots=True)
class Doctor:
    """`id` is how the practice's software names her: the participant of its encounters."""

    id: str
    rpps: str
    given: str
    family: str


@dataclass(frozen=True, slots=True)
class Practice:
    id: str
    finess: str
    name: str
    city: str
    doctors: tuple[Doctor, ...]
    patients: int


def lines(folder: Path, resource: str) -> Iterator[str]:
    """The lines of one resource type, over all its files, packed or not."""
    files = sorted([*folder.glob(f"{resource}*.ndjson"), *folder.glob(f"{resource}*.ndjson.gz")])
    for file in files:
        if file.name.split(".")[0] != resource:
            continue
        packed = file.suffix == ".gz"
        with gzip.open(file, "rt", encoding="utf-8") if packed else file.open(encoding="utf-8") as text:
            yield from (line for line in text if line.strip())


def resources(folder: Path, resource: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(folder, resource)]


def read_practices(folder: Path) -> list[Practice]:
    """Every practice with its doctors and the number of its patients, by id. Refused when there is none."""
    doctors = {d["id"]: _doctor(d) for d in resources(folder, "Practitioner")}
    at: dict[str, list[Doctor]] = {}
    for role in resources(folder, "PractitionerRole"):
        doctor = doctors[_reference(role["practitioner"])]
        at.setdefault(_reference(role["organization"]), []).append(doctor)
    counts: dict[str, int] = {}
    for patient in resources(folder, "Patient"):
        practice = _reference(patient["managingOrganization"])
        counts[practice] = counts.get(practice, 0) + 1
    practices = [
        Practice(
            o["id"],
            _identifier(o, FINESS),
            o["name"],
            o.get("address", [{}])[0].get("city", ""),
            tuple(sorted(at.get(o["id"], []), key=lambda d: d.id)),
            counts.get(o["id"], 0),
        )
        for o in resources(folder, "Organization")
    ]
    if not practices:
        raise Refused(
            "no_practices", "the folder holds no Organization: give a FHIR Bulk Data folder", where="--records"
        )
    return sorted(practices, key=lambda p: p.id)


def part(folder: Path, out: Path) -> None:
    """Write one Bulk Data folder a practice: what its own software would hand over. Same input, same bytes."""
    practice_of = {p["id"]: _reference(p["managingOrganization"]) for p in resources(folder, "Patient")}
    for resource in RESOURCES:
        with ExitStack() as files:
            opened: dict[str, TextIO] = {}
            for line in lines(folder, resource):
                practice = practice_of.get(_patient_of(json.loads(line)))
                if practice is None:
                    continue
                if practice not in opened:
                    path = out / practice / f"{resource}.ndjson.gz"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    raw = files.enter_context(path.open("wb"))
                    packed = files.enter_context(gzip.GzipFile("", "wb", 1, raw, mtime=0))
                    opened[practice] = files.enter_context(_text(packed))
                opened[practice].write(line)


def _text(packed: gzip.GzipFile) -> TextIO:
    return io.TextIOWrapper(packed, encoding="utf-8", newline="\n")


def _patient_of(resource: dict[str, Any]) -> str:
    if resource["resourceType"] == "Patient":
        return str(resource["id"])
    return _reference(resource.get("subject") or resource.get("patient") or {"reference": ""})


def _doctor(resource: dict[str, Any]) -> Doctor:
    name = resource["name"][0]
    return Doctor(resource["id"], _identifier(resource, RPPS), " ".join(name.get("given", [])), name["family"])


def _identifier(resource: dict[str, Any], system: str) -> str:
    return next((str(i["value"]) for i in resource.get("identifier", []) if i.get("system") == system), "")


def _reference(reference: dict[str, Any]) -> str:
    return str(reference.get("reference", "")).rpartition("/")[2]
