"""The oracle where practices know the same person, or persons of one name."""

from pathlib import Path

import pytest
from story.made import Made, at


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
    made.story["returns_read"].append({"channel": "email", "at": at("01-30"), "complete": True})
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


def test_a_key_twice_at_one_practice_is_for_a_person_to_settle(made: Made, tmp_path: Path) -> None:
    made.somebody_else_with_her_key()
    assert made.judged(tmp_path).withheld == {"G40": 1}


def test_a_key_that_becomes_known_where_another_bears_it_is_for_a_person_to_settle(made: Made, tmp_path: Path) -> None:
    in_two_practices(made, "", "ins:1")
    made.newer_register(person_key="ins:1")
    assert made.judged(tmp_path).withheld == {"G40": 2}


def test_a_key_that_was_found_with_somebody_else_tells_nobody_apart(made: Made, tmp_path: Path) -> None:
    in_two_practices(made, "ins:1", "ins:2")
    made.somebody_else_with_her_key(birth_date="1987-05-06")
    made.objection()
    assert made.judged(tmp_path).withheld == {"G40": 1, "G45": 1}


def test_whoever_closes_at_one_practice_leaves_a_prepared_release_with_all_her_rows(made: Made, tmp_path: Path) -> None:
    in_two_practices(made, "ins:1", "ins:1")
    made.objection(scope="practice", at=at("03-03", "12:00:00"))
    assert made.judged(tmp_path).withheld == {"G70": 2}


def test_what_is_taken_back_of_one_source_never_bound_another(made: Made, tmp_path: Path) -> None:
    in_two_practices(made, "ins:1", "ins:1")
    made.objection(scope="practice", withdrawn_at=at("02-03"))
    expected = made.judged(tmp_path)
    assert (expected.withheld, expected.passed) == ({"G32": 1}, 1)
