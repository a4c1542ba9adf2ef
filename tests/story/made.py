"""A world small enough to judge by hand: one practice, one patient, one record that passes. Tests change one thing."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

from story.oracle import Expected, work_out

DIABETES, RARE, ASTHMA_INHALER, POLLEN = "sct|44054006", "sct|195967001", "rxnorm|745752", "sct|256277009"
SYSTEMS = {"sct": "http://snomed.info/sct", "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm"}
SYSTEMS["loinc"] = "http://loinc.org"
EXTRACTED: dict[str, Any] = {
    "recorded_on": {"precision": "week"},
    "year_of_birth": {"precision": "year"},
    "sex": {"precision": "full"},
    "height_cm": {"precision": "five"},
    "weight_kg": {"precision": "five"},
    "allergy": {"precision": "full", "codes": [POLLEN]},
    "diagnosis": {"precision": "full", "codes": [DIABETES, RARE]},
    "prescription": {"precision": "full", "codes": [ASTHMA_INHALER]},
    "test_code": {"precision": "full", "codes": ["loinc|2345-7"]},
    "test_value": {"precision": "full", "codes": None},
    "test_unit": {"precision": "full", "codes": ["mg/dL"]},
}
STUDIED = {name: spec for name, spec in EXTRACTED.items() if name != "allergy"} | {
    "year_of_birth": {"precision": "decade"},
    "diagnosis": {"precision": "full", "codes": [DIABETES]},
}
COLUMNS_OF_REGISTERS = (
    "patient_id", "person_key", "birth_date", "sex", "family_name", "birth_name", "given_names", "email",
    "deceased_on", "representative_kind", "representative_name", "representative_email", "doctor_id",
)  # fmt: skip


def at(day: str, time: str = "09:00:00") -> str:
    """A moment of the winter of 2026, Paris time."""
    return f"2026-{day}T{time}+01:00"


class Inputs:
    """What an oracle reads and a practice's filter too: registers, FHIR resources by practice, and the story."""

    def __init__(self) -> None:
        self.registers: dict[str, list[dict[str, str]]] = {}
        self.resources: list[tuple[str, dict[str, Any]]] = []
        self.story: dict[str, Any] = {}

    def encounter(self, practice: str, name: str, doctor: str) -> None:
        participant = [{"individual": {"reference": f"Practitioner/{doctor}"}}]
        self.resources.append((practice, {"resourceType": "Encounter", "id": name, "participant": participant}))

    def known(self, number: str, practice: str, *, birth: str, sex: str) -> None:
        """Her Patient resource, which the practice's records refer to."""
        self.resources.append((practice, {
            "resourceType": "Patient", "id": f"{practice}-{number}", "gender": sex, "birthDate": birth or "1987",
            "identifier": [{"system": f"https://example.org/{practice}/patient", "value": number}],
            "managingOrganization": {"reference": f"Organization/{practice}"},
        }))  # fmt: skip

    def record(self, kind: str, number: str = "1", practice: str = "p1", **what: Any) -> dict[str, Any]:
        resource = {
            "resourceType": kind, "id": str(len(self.resources)), "encounter": {"reference": "Encounter/known"},
            "subject": {"reference": f"Patient/{practice}-{number}"}, "meta": {"source": "https://x/entered"},
        } | what  # fmt: skip
        self.resources.append((practice, resource))
        return resource

    def condition(self, number: str = "1", practice: str = "p1", **what: Any) -> dict[str, Any]:
        plain = {"onsetDateTime": "2025-06-10T12:00:00+00:00", "code": concept(DIABETES)}
        return self.record("Condition", number, practice, **plain | what)

    def write_register(self, folder: Path, file: str) -> Path:
        (folder / "registers").mkdir(exist_ok=True)
        rows = self.registers[file]
        with (folder / file).open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, COLUMNS_OF_REGISTERS)
            writer.writeheader()
            writer.writerows(rows)
        return folder / file

    def write_records(self, folder: Path) -> None:
        for practice, resource in self.resources:
            path = folder / "records" / practice / f"{resource['resourceType']}.ndjson.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            with gzip.open(path, "at", encoding="utf-8") as lines:
                lines.write(json.dumps(resource) + "\n")

    def write_story(self, folder: Path) -> None:
        (folder / "story.json").write_text(json.dumps(self.story, default=str), encoding="utf-8")


class Made(Inputs):
    """A world of one practice, one doctor and one patient whose one record passes. Moments are Paris time."""

    def __init__(self) -> None:
        super().__init__()
        self.story = {
            "doctors": [], "registers": [], "notices": [], "objections": [], "extractions": [], "practices": [],
            "observatory": {"id": "o", "register_max_days": 60},
            "authorisation": {
                "id": "a", "valid_from": "2026-01-01", "valid_until": "2026-12-31", "dpia_review_on": "2026-12-31",
                "conditions": {
                    "purposes": ["research"], "period_from": "2022-01-01", "period_until": "2026-12-31",
                    "reflection_days": 30, "listing_days": 30, "columns": EXTRACTED,
                },
            },
            "recipient": {},
            "study": {
                "id": "s", "k": 1, "purpose": "research", "listed_at": at("01-05"),
                "conditions": {"columns": STUDIED, "quasi_identifiers": ["year_of_birth", "sex"]},
            },
            "texts": [{
                "id": "t", "version": "1", "approved_at": at("01-10"), "withdrawn_at": None,
                "covers": {"purposes": ["research"], "columns": list(EXTRACTED), "general_clause": False},
            }],
            "returns_read": [{"channel": "email", "at": at("03-01"), "complete": True}],
            "release": {
                "prepared_at": at("03-03"), "approved_at": at("03-03", "10:00:00"),
                "sealed_at": at("03-04"), "reference_year": 2026,
            },
        }  # fmt: skip
        self.practice("p1")
        self.patient()
        self.condition()

    # --- making -----------------------------------------------------------------------------------------------

    def practice(self, name: str) -> None:
        self.story["doctors"].append({
            "practice_id": name, "doctor_id": f"d-{name}", "identified_at": at("01-08"),
            "signed_at": at("01-08"), "includes_history": True,
            "verified_at": at("01-09"), "left_at": None,
        })  # fmt: skip
        self.register(name, at("01-12"))
        self.story["extractions"].append({
            "practice_id": name, "permit_at": at("03-02"), "received_at": at("03-02", "10:00:00"),
        })  # fmt: skip
        self.encounter(name, "known", f"d-{name}")
        self.encounter(name, "stranger", "d-stranger")

    def register(self, practice: str, taken_at: str, *rows: dict[str, str]) -> list[dict[str, str]]:
        file = f"registers/{practice}-{taken_at[:10]}.csv"
        self.story["registers"].append({"practice_id": practice, "file": file, "taken_at": taken_at})
        self.registers[file] = list(rows)
        return self.registers[file]

    def patient(self, number: str = "1", practice: str = "p1", **row: str) -> dict[str, str]:
        """A patient in the practice's first register, told on 15 January; and her Patient resource."""
        row = {
            "patient_id": number, "person_key": "", "birth_date": "1987-05-05", "sex": "female",
            "family_name": f"Martin{number}", "birth_name": "", "given_names": "Anne Marie",
            "email": f"{number}@example.org", "deceased_on": "", "representative_kind": "",
            "representative_email": "", "doctor_id": f"d-{practice}",
        } | row  # fmt: skip
        self.registers[f"registers/{practice}-2026-01-12.csv"].append(row)
        self.known(number, practice, birth=row["birth_date"], sex=row["sex"])
        self.story["notices"].append({
            "practice_id": practice, "patient_id": number, "addressee": "self", "channel": "email", "text": "t",
            "sent_at": at("01-15", "10:00:00"), "outcome": "accepted", "email": f"{number}@example.org",
        })  # fmt: skip
        return row

    def test(self, code: str = "loinc|2345-7", **value: Any) -> dict[str, Any]:
        return self.record("Observation", effectiveDateTime="2025-06-10", code=concept(code), **value)

    def objection(self, number: str = "1", practice: str = "p1", **what: Any) -> None:
        plain = {"scope": "everything", "at": at("02-01"), "withdrawn_at": None}
        self.story["objections"].append({"practice_id": practice, "patient_id": number} | plain | what)

    def telephone(self, **what: Any) -> None:
        her = {name: self.her[name] for name in ("family_name", "birth_name", "given_names")}
        plain = {**her, "birth": self.her["birth_date"][:4], "scope": "everything", "at": at("02-01")}
        self.story["objections_without_link"] = [plain | what]

    def newer_text(self, approved_at: str, **what: Any) -> None:
        self.story["texts"].append(
            self.story["texts"][0] | {"id": "newer", "version": "2", "approved_at": approved_at} | what
        )

    # --- what tests change ------------------------------------------------------------------------------------

    @property
    def first_register(self) -> list[dict[str, str]]:
        return self.registers["registers/p1-2026-01-12.csv"]

    @property
    def her(self) -> dict[str, str]:
        return self.first_register[0]

    @property
    def its(self) -> dict[str, Any]:
        """The one record."""
        return self.resources[-1][1]

    @property
    def doctor(self) -> dict[str, Any]:
        doctor: dict[str, Any] = self.story["doctors"][0]
        return doctor

    @property
    def notice(self) -> dict[str, Any]:
        notice: dict[str, Any] = self.story["notices"][0]
        return notice

    def newer_register(self, **change: str) -> None:
        self.register("p1", at("02-12"), self.her | change)

    def somebody_else_with_her_key(self, **traits: str) -> None:
        self.her["person_key"] = "ins:1"
        self.first_register.append(self.her | {"patient_id": "2"} | traits)

    def represented(self, kind: str, **change: str) -> None:
        """Somebody speaks for her, and was told."""
        self.her.update(change | {"representative_kind": kind, "representative_email": "r@example.org"})
        self.notice.update(addressee=kind, email="r@example.org")

    def another_text(self, withdrawn_at: str) -> None:
        self.story["texts"].append(self.story["texts"][0] | {"id": "other", "withdrawn_at": withdrawn_at})

    def authorised(self, **change: str) -> None:
        self.story["authorisation"].update(change)

    def doctor_left(self, left_at: str, **extraction: str | None) -> None:
        self.doctor["left_at"] = left_at
        self.story["extractions"][0].update(extraction)

    def seen_by(self, encounter: str, *, register_says: str = "d-p1") -> None:
        self.its["encounter"] = {"reference": f"Encounter/{encounter}"}
        self.her["doctor_id"] = register_says

    def dated(self, moment: str) -> "Made":
        self.its["onsetDateTime"] = moment
        return self

    def judged(self, folder: Path) -> Expected:
        self.write_records(folder)
        for file in self.registers:
            self.write_register(folder, file)
        self.write_story(folder)
        return work_out(folder)


def concept(token: str) -> dict[str, Any]:
    system, _, code = token.partition("|")
    return {"coding": [{"system": SYSTEMS[system], "code": code, "display": "what it is called"}]}


def quantity(value: float, unit: str = "mg/dL") -> dict[str, Any]:
    return {"valueQuantity": {"value": value, "unit": unit, "code": unit}}
