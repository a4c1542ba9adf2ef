"""The oracle, one code at a time: one thing changed in a world whose record passes, and that code withholds it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from story.made import DIABETES, RARE, Made, at, concept
from story.oracle import ORDER


def test_the_record_of_somebody_told_who_did_not_object_passes(made: Made, tmp_path: Path) -> None:
    expected = made.judged(tmp_path)
    assert (expected.records_in, expected.passed, expected.withheld.total()) == (1, 1, 0)
    row = ("2025-W24", 1980, "female", None, None, DIABETES, None, None, None, None)
    assert [dict(rows) for rows in expected.rows.values()] == [{row: 1}]
    assert expected.reasons("p1", "1") == {"permit": [], "receive": [], "prepare": [], "seal": []}


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
