"""The oracle itself, on worlds small enough to judge by hand: one record that passes, and one thing changed."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from story.oracle import CAUSES, COLUMNS, ORDER, Expected, generalised, work_out
from story.oracle_reading import majority

DIABETES, RARE, ASTHMA_INHALER, POLLEN = "sct|44054006", "sct|1", "rxnorm|745752", "sct|256277009"
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


def at(day: str, time: str = "09:00:00") -> str:
    """A moment of the winter of 2026, Paris time."""
    return f"2026-{day}T{time}+01:00"


class Made:
    """A world of one practice, one doctor and one patient whose one record passes. Moments are Paris time."""

    def __init__(self) -> None:
        self.registers: dict[str, list[dict[str, str]]] = {}
        self.resources: list[tuple[str, dict[str, Any]]] = []
        self.story: dict[str, Any] = {
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
            "returns_read": [{"at": at("03-01"), "complete": True}],
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
        for encounter, doctor in (("known", f"d-{name}"), ("stranger", "d-stranger")):
            participant = [{"individual": {"reference": f"Practitioner/{doctor}"}}]
            self.resources.append((name, {"resourceType": "Encounter", "id": encounter, "participant": participant}))

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
        self.resources.append((practice, {
            "resourceType": "Patient", "id": f"{practice}-{number}", "gender": row["sex"],
            "birthDate": row["birth_date"] or "1987",
            "identifier": [{"system": f"https://example.org/{practice}/patient", "value": number}],
        }))  # fmt: skip
        self.story["notices"].append({
            "practice_id": practice, "patient_id": number, "addressee": "self", "channel": "email", "text": "t",
            "sent_at": at("01-15", "10:00:00"), "outcome": "accepted", "email": f"{number}@example.org",
        })  # fmt: skip
        return row

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
        for practice, resource in self.resources:
            path = folder / "records" / practice / f"{resource['resourceType']}.ndjson.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            with gzip.open(path, "at", encoding="utf-8") as lines:
                lines.write(json.dumps(resource) + "\n")
        (folder / "registers").mkdir()
        for file, rows in self.registers.items():
            with (folder / file).open("w", encoding="utf-8", newline="") as out:
                writer = csv.DictWriter(out, self.her)
                writer.writeheader()
                writer.writerows(rows)
        (folder / "story.json").write_text(json.dumps(self.story), encoding="utf-8")
        return work_out(folder)


def concept(token: str) -> dict[str, Any]:
    system, _, code = token.partition("|")
    return {"coding": [{"system": SYSTEMS[system], "code": code, "display": "what it is called"}]}


def quantity(value: float, unit: str = "mg/dL") -> dict[str, Any]:
    return {"valueQuantity": {"value": value, "unit": unit, "code": unit}}


@pytest.fixture
def made() -> Made:
    return Made()


def test_the_record_of_somebody_told_who_did_not_object_passes(made: Made, tmp_path: Path) -> None:
    expected = made.judged(tmp_path)
    assert (expected.records_in, expected.passed, expected.withheld.total()) == (1, 1, 0)
    row = ("2025-W24", 1980, "female", None, None, DIABETES, None, None, None, None)
    assert [dict(rows) for rows in expected.rows.values()] == [{row: 1}]
    assert expected.reasons("p1", "1") == {"permit": [], "receive": [], "prepare": [], "seal": []}


# --- one change, one code ---------------------------------------------------------------------------------------

Change = Callable[[Made], object]
SITUATIONS: list[tuple[str, str, Change]] = [
    # the batch
    ("G03", "the authorisation ended", lambda m: m.authorised(valid_until="2026-03-01")),
    ("G04", "the impact assessment is past its review", lambda m: m.authorised(dpia_review_on="2026-03-01")),
    ("G08", "the study was listed 29 whole days ago", lambda m: m.story["study"].update(listed_at=at("02-01"))),
    # the practice
    ("G20", "no doctor began to enrol", lambda m: m.story["doctors"].clear()),
    ("G20", "the doctor began only later", lambda m: m.doctor.update(identified_at=at("03-02", "09:00:01"))),
    ("G22", "identified, not signed", lambda m: m.doctor.update(signed_at=None, verified_at=None)),
    ("G21", "signed, not verified", lambda m: m.doctor.update(verified_at=None)),
    ("G23", "the doctor left", lambda m: m.doctor.update(left_at=at("03-02"))),
    (
        "G23",
        "the doctor left while the extraction was under way",
        lambda m: m.doctor_left(at("03-02", "09:30:00"), received_at=None),
    ),
    (
        "G23",
        "nothing was ever taken: the doctor left in February",
        lambda m: m.doctor_left(at("02-02"), permit_at=None, received_at=None),
    ),
    ("G26", "the register is older than its limit", lambda m: m.story["observatory"].update(register_max_days=48)),
    # the record
    ("G25", "dated before the enrolment, history not included", lambda m: m.doctor.update(includes_history=False)),
    ("G30", "copied from the teleservice", lambda m: m.its["meta"].update(source="https://x/teleservice_auto")),
    ("G31", "no provenance", lambda m: m.its.pop("meta")),
    ("G31", "a provenance nobody knows", lambda m: m.its["meta"].update(source="https://x/copied")),
    ("G32", "before the authorised period", lambda m: m.dated("2021-12-31T22:59:59+00:00")),
    ("G33", "a code not on the authorisation's list", lambda m: m.its.update(code=concept("sct|446654005"))),
    ("G33", "a code on the authorisation's list, not on the study's", lambda m: m.its.update(code=concept(RARE))),
    ("G34", "the doctor of the encounter has not enrolled", lambda m: m.seen_by("stranger")),
    ("G34", "no doctor named, and the register names a stranger", lambda m: m.seen_by("", register_says="d-stranger")),
    # the person
    ("G40", "in no register", lambda m: m.its.update(subject={"reference": "Patient/p1-9"})),
    ("G40", "two birth dates under one key", lambda m: m.somebody_else_with_her_key(birth_date="1987-05-06")),
    ("G40", "her birth date changed", lambda m: m.newer_register(birth_date="1987-05-06")),
    ("G41", "she said no to everything", lambda m: m.objection()),
    ("G41", "she took it back only after the seal", lambda m: m.objection(withdrawn_at=at("03-05"))),
    ("G42", "she said no to the observatory", lambda m: m.objection(scope="observatory")),
    ("G43", "she said no to the study", lambda m: m.objection(scope="study")),
    ("G44", "she said no to this practice as a source", lambda m: m.objection(scope="practice")),
    ("G52", "a material version came", lambda m: m.newer_text(at("02-20"), material=True)),
    ("G32", "she took it back: this record is older", lambda m: m.objection(withdrawn_at=at("02-03"))),
    ("G45", "somebody of her name said no on the telephone", lambda m: m.telephone()),
    (
        "G46",
        "an erasure is asked for",
        lambda m: m.story.update(
            requests=[{"practice_id": "p1", "patient_id": "1", "kind": "erasure", "at": at("02-01")}]
        ),
    ),
    ("G47", "no birth date", lambda m: m.her.update(birth_date="")),
    (
        "G47",
        "a minor with no holder of authority",
        lambda m: m.her.update(birth_date="2010-05-05", representative_kind="mandate"),
    ),
    ("G48", "she has died", lambda m: m.her.update(deceased_on="2026-01-01")),
    ("G49", "not in the newer register", lambda m: m.register("p1", at("02-12"))),
    # the notice
    ("G50", "no notice", lambda m: m.story["notices"].clear()),
    ("G50", "a notice after the crossing", lambda m: m.notice.update(sent_at=at("03-02", "09:00:01"))),
    ("G51", "the text was withdrawn", lambda m: m.story["texts"][0].update(withdrawn_at=at("02-01"))),
    ("G53", "the text leaves out a column", lambda m: m.story["texts"][0]["covers"]["columns"].remove("allergy")),
    ("G53", "the text leaves out a purpose", lambda m: m.story["texts"][0]["covers"]["purposes"].clear()),
    ("G54", "sent to a parent of an adult", lambda m: m.notice.update(addressee="parent")),
    ("G54", "she has a guardian, and was told herself", lambda m: m.her.update(representative_kind="guardian")),
    ("G54", "her address changed", lambda m: m.newer_register(email="new@example.org")),
    ("G55", "the mail was refused", lambda m: m.notice.update(outcome="refused")),
    ("G55", "the mail came back", lambda m: m.notice.update(outcome="bounced")),
    ("G55", "the returns were not read completely", lambda m: m.story["returns_read"][0].update(complete=False)),
    (
        "G55",
        "the returns were read a second too soon",
        lambda m: m.story["returns_read"][0].update(at=at("01-22", "09:59:59")),
    ),
    ("G56", "29 whole days", lambda m: m.notice.update(sent_at=at("01-31", "00:00:00"))),
    # the output
    ("G61", "fewer persons than k", lambda m: m.story["study"].update(k=2)),
    ("G70", "she said no before the seal", lambda m: m.objection(at=at("03-04"))),
    ("G70", "the doctor left before the seal", lambda m: m.doctor.update(left_at=at("03-04", "08:00:00"))),
    ("G70", "the authorisation ended before the seal", lambda m: m.authorised(valid_until="2026-03-03")),
]


@pytest.mark.parametrize(
    ("code", "change"), [(c, f) for c, _, f in SITUATIONS], ids=[f"{c} {s}" for c, s, _ in SITUATIONS]
)
def test_one_change_withholds_the_record(made: Made, tmp_path: Path, code: str, change: Change) -> None:
    change(made)
    expected = made.judged(tmp_path)
    assert expected.withheld == {code: 1}
    assert not expected.rows


def test_every_code_of_the_oracle_has_its_situation_here() -> None:
    in_tests_of_their_own = {"G58", "G60"}
    assert {code for code, _, _ in SITUATIONS} | in_tests_of_their_own == set(ORDER)


HARMLESS: list[tuple[str, Change]] = [
    ("30 whole days", lambda m: m.notice.update(sent_at=at("01-30", "23:59:59"))),
    (
        "the returns were read after seven times 24 hours",
        lambda m: m.story["returns_read"][0].update(at=at("01-22", "10:00:00")),
    ),
    ("the last valid day", lambda m: m.authorised(valid_until="2026-03-04")),
    ("a register at its limit", lambda m: m.story["observatory"].update(register_max_days=51)),
    ("no doctor named where all have enrolled", lambda m: m.seen_by("")),
    ("imported from a colleague", lambda m: m.its["meta"].update(source="https://x/imported")),
    (
        "a record of the take-back's morrow",
        lambda m: m.dated("2026-02-03T23:00:00+00:00").objection(withdrawn_at=at("02-03")),
    ),
    (
        "a record of the enrolment's day",
        lambda m: m.dated("2026-01-08T23:00:00+00:00").doctor.update(includes_history=False),
    ),
    ("an e-mail in capitals", lambda m: m.her.update(email="1@EXAMPLE.ORG")),
    ("a refused mail, then a good one", lambda m: m.story["notices"].insert(0, m.notice | {"outcome": "refused"})),
    ("a withdrawn text that nobody received", lambda m: m.another_text(at("01-11"))),
    ("a key that becomes known", lambda m: m.newer_register(person_key="ins:1")),
    ("an objection after the seal", lambda m: m.objection(at=at("03-04", "09:00:01"))),
    ("a guardian who was told", lambda m: m.represented("guardian")),
    ("a minor's parent who was told", lambda m: m.represented("parent", birth_date="2010-05-05")),
    (
        "a note, an encounter and a panel are no records",
        lambda m: (m.record("DocumentReference"), m.test(component=[{}])),
    ),
]


@pytest.mark.parametrize("change", [change for _, change in HARMLESS], ids=[sentence for sentence, _ in HARMLESS])
def test_what_is_no_reason_lets_the_record_pass(made: Made, tmp_path: Path, change: Change) -> None:
    change(made)
    expected = made.judged(tmp_path)
    assert (expected.records_in, expected.passed) == (1, 1)


# --- which code comes first -------------------------------------------------------------------------------------


def test_a_record_counts_once_under_its_first_code(made: Made, tmp_path: Path) -> None:
    made.objection()
    made.story["notices"].clear()
    made.its["meta"]["source"] = "https://x/teleservice_auto"
    expected = made.judged(tmp_path)
    assert expected.withheld == {"G30": 1}
    assert expected.reasons("p1", "1")["permit"] == ["G41", "G50"]


def test_what_fails_at_the_extraction_comes_before_what_fails_at_the_release(made: Made, tmp_path: Path) -> None:
    made.its["code"] = concept(RARE)  # G33, at the release only
    made.story["notices"].clear()
    assert made.judged(tmp_path).withheld == {"G50": 1}


def test_of_two_notices_the_one_with_the_better_text_is_judged(made: Made, tmp_path: Path) -> None:
    made.another_text(at("02-01"))
    made.story["notices"].append(made.notice | {"text": "other"})
    made.notice["outcome"] = "bounced"
    assert made.judged(tmp_path).withheld == {"G55": 1}


def test_a_practice_that_passes_without_an_extraction_is_a_broken_story(made: Made, tmp_path: Path) -> None:
    made.story["extractions"].clear()
    with pytest.raises(ValueError, match="no accepted extraction"):
        made.judged(tmp_path)


@pytest.mark.parametrize(
    ("cause", "change"),
    [
        ("doctor_left", lambda m: m.doctor_left(at("02-02"), received_at=None)),
        ("objection", lambda m: m.objection()),
        ("bounced", lambda m: m.notice.update(outcome="bounced")),
        ("no_notice", lambda m: m.story["notices"].clear()),
        ("too_young", lambda m: m.notice.update(sent_at=at("02-20"))),
    ],
)
def test_without_its_cause_and_only_then_the_record_passes(
    made: Made, tmp_path: Path, cause: str, change: Change
) -> None:
    change(made)
    expected = made.judged(tmp_path)
    assert expected.passed == 0
    assert [other for other in CAUSES if expected.without(other).passed] == [cause]


# --- persons at two practices -----------------------------------------------------------------------------------


def in_two_practices(made: Made, first_key: str, second_key: str, **second: str) -> None:
    made.her["person_key"] = first_key
    made.practice("p2")
    made.patient("2", "p2", person_key=second_key, family_name=made.her["family_name"], **second)
    made.condition("2", "p2")


def test_an_objection_follows_the_person_to_every_practice(made: Made, tmp_path: Path) -> None:
    in_two_practices(made, "ins:1", "ins:1")
    made.objection()
    assert made.judged(tmp_path).withheld == {"G41": 2}


def test_somebody_at_two_practices_is_one_person_with_the_rows_of_both(made: Made, tmp_path: Path) -> None:
    in_two_practices(made, "ins:1", "ins:1")
    made.story["study"]["k"] = 2
    assert made.judged(tmp_path).withheld == {"G61": 2}


def test_a_record_that_stands_there_twice_is_released_once_and_one_of_the_next_day_is_not_the_same(
    made: Made, tmp_path: Path
) -> None:
    made.condition()
    made.condition(onsetDateTime="2025-06-11T12:00:00+00:00")
    expected = made.judged(tmp_path)
    assert (expected.withheld, expected.passed) == ({"G60": 1}, 2)


def test_two_persons_reach_a_k_of_two(made: Made, tmp_path: Path) -> None:
    in_two_practices(made, "ins:1", "ins:2")
    made.story["study"]["k"] = 2
    expected = made.judged(tmp_path)
    assert (expected.passed, len(expected.rows)) == (2, 2)


def test_whom_the_other_leaves_below_k_at_the_seal_is_left_out_too(made: Made, tmp_path: Path) -> None:
    in_two_practices(made, "ins:1", "ins:2")
    made.story["study"]["k"] = 2
    made.objection(at=at("03-03", "12:00:00"))
    assert made.judged(tmp_path).withheld == {"G70": 1, "G61": 1}


@pytest.mark.parametrize(("key", "other"), [("", ""), ("ins:1", ""), ("", "ins:2")])
def test_a_homonym_of_an_objector_may_be_her_while_one_of_them_has_no_key(
    made: Made, tmp_path: Path, key: str, other: str
) -> None:
    in_two_practices(made, key, other)
    made.objection()
    assert made.judged(tmp_path).withheld == {"G41": 1, "G45": 1}


@pytest.mark.parametrize(
    "second",
    [
        {"family_name": "MÂRTIN1", "given_names": "Änne"},
        {"family_name": "Durand", "birth_name": "Martin1"},
        {"birth_date": "1987"},
    ],
)
def test_a_possible_match_looks_past_accents_married_names_and_missing_days(
    made: Made, tmp_path: Path, second: dict[str, str]
) -> None:
    in_two_practices(made, "", "")
    made.registers["registers/p2-2026-01-12.csv"][0].update(second)
    made.objection()
    assert made.judged(tmp_path).withheld == {"G41": 1, "G45": 1}


@pytest.mark.parametrize(
    "second", [{"given_names": "Marie"}, {"birth_date": "1987-05-06"}, {"birth_date": "1988"}, {"person_key": "ins:2"}]
)
def test_another_name_birth_or_key_is_no_match(made: Made, tmp_path: Path, second: dict[str, str]) -> None:
    in_two_practices(made, "ins:1", "")
    made.registers["registers/p2-2026-01-12.csv"][0].update(second)
    made.objection()
    assert made.judged(tmp_path).withheld == {"G41": 1}


def test_rows_taken_before_the_notice_that_counts_do_not_pass(made: Made, tmp_path: Path) -> None:
    """Told, her rows taken, her text withdrawn, told again in time: her rows in the store are older than that."""
    made.story["authorisation"]["conditions"]["reflection_days"] = 1
    made.story["returns_read"].append({"at": at("01-30"), "complete": True})
    made.story["extractions"][0] |= {"permit_at": at("02-01"), "received_at": at("02-01", "10:00:00")}
    made.newer_text(at("02-05"))
    made.story["texts"][0]["withdrawn_at"] = at("02-12")
    again = made.story["notices"][0] | {"text": "newer", "sent_at": at("02-10")}
    made.story["notices"].append(again)
    assert made.judged(tmp_path).withheld == {"G58": 1}


def test_an_objection_taken_back_leaves_no_doubt_about_homonyms(made: Made, tmp_path: Path) -> None:
    in_two_practices(made, "", "")
    made.objection(withdrawn_at=at("02-03"))
    assert made.judged(tmp_path).withheld == {"G32": 1}


def test_an_objection_by_the_person_she_was_binds_her_old_row_elsewhere(made: Made, tmp_path: Path) -> None:
    in_two_practices(made, "ins:1", "ins:1")
    made.newer_register(person_key="ins:3")
    made.objection(at=at("02-20"))
    assert made.judged(tmp_path).withheld == {"G40": 1, "G41": 1}


# --- records and rows -------------------------------------------------------------------------------------------


def only_row(expected: Expected, id_of: dict[str, Any]) -> dict[str, Any]:
    """The released row of the second record, without what is empty."""
    assert expected.fates["p1", id_of["resourceType"], id_of["id"]] == "passed"
    (rows,) = expected.rows.values()
    row = next(row for row in rows if row[COLUMNS.index("diagnosis")] is None)
    return {name: value for name, value in zip(COLUMNS, row, strict=True) if value is not None}


def test_a_test_result_comes_out_with_its_number_and_unit(made: Made, tmp_path: Path) -> None:
    result = made.test(**quantity(113.8))
    row = only_row(made.judged(tmp_path), result)
    about_her = {"recorded_week": "2025-W24", "year_of_birth": 1980, "sex": "female"}
    assert row == about_her | {"test_code": "loinc|2345-7", "test_value": 113.8, "test_unit": "mg/dL"}


def test_a_prescription_comes_out_with_its_code(made: Made, tmp_path: Path) -> None:
    inhaler = made.record(
        "MedicationRequest", authoredOn="2025-06-10", medicationCodeableConcept=concept(ASTHMA_INHALER)
    )
    assert only_row(made.judged(tmp_path), inhaler)["prescription"] == ASTHMA_INHALER


@pytest.mark.parametrize(
    ("code", "value", "column", "out"),
    [("8302-2", 172.4, "height_cm", 170), ("8302-2", 172.5, "height_cm", 175), ("29463-7", 67.5, "weight_kg", 70)],
)
def test_heights_and_weights_come_out_to_five_halves_up(
    made: Made, tmp_path: Path, code: str, value: float, column: str, out: int
) -> None:
    measure = made.test(f"loinc|{code}", **quantity(value, "cm"))
    assert only_row(made.judged(tmp_path), measure)[column] == out


@pytest.mark.parametrize(
    "observation",
    [
        {"code": "loinc|32624-9", "valueCodeableConcept": concept("sct|1")},
        {"valueCodeableConcept": concept("sct|1")},
        {"valueString": "greater than 2.2"},
        {"code": "loinc|32624-9", **quantity(1)},
        quantity(1, "furlong"),
        {"code": "loinc|8302-2", **quantity(12, "cm")},
    ],
)
def test_what_is_not_listed_does_not_leave(made: Made, tmp_path: Path, observation: dict[str, Any]) -> None:
    made.test(**observation)
    assert made.judged(tmp_path).withheld == {"G33": 1}


def test_an_allergy_is_stored_and_not_released(made: Made, tmp_path: Path) -> None:
    allergy = made.record("AllergyIntolerance", recordedDate="2025-06-10", code=concept(POLLEN))
    allergy["patient"] = allergy.pop("subject")
    assert made.judged(tmp_path).withheld == {"G33": 1}


def test_a_day_is_a_day_in_paris(made: Made, tmp_path: Path) -> None:
    made.its["onsetDateTime"] = "2024-12-29T23:30:00+00:00"  # Monday 30 December in Paris
    (rows,) = made.judged(tmp_path).rows.values()
    assert [row[0] for row in rows] == ["2025-W01"]


@pytest.mark.parametrize(("born", "decade"), [(1987, 1980), (1932, 1930), (1931, 1930), (1899, 1930)])
def test_from_ninety_five_on_one_decade(born: int, decade: int) -> None:
    assert generalised("year_of_birth", born, "decade", 2026) == decade


@pytest.mark.parametrize(
    ("birth", "grown"), [("2008-03-02", "2026-03-02"), ("2008-02-29", "2026-03-01"), ("2007", "2026-01-01")]
)
def test_the_eighteenth_birthday_is_the_first_day_that_is_certain(birth: str, grown: str) -> None:
    assert str(majority(birth)) == grown
