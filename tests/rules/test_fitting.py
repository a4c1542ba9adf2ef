"""Does a reviewed file fit what stands beside it: every misfit with its place, and which authorisation decides."""

from datetime import date
from typing import Any

import pytest
from world import COLUMNS, reviewed

from portal.rules.fitting import Standing, asks_of, conditions_of, misfits, precedence, with_file
from portal.rules.reviewed import ReviewedFile
from portal.rules.toml_lines import Places

TODAY = date(2026, 6, 1)
GIVEN = reviewed().authorisation[0].conditions.model_dump(mode="json")


def standing(file: ReviewedFile) -> dict[tuple[str, str], dict[str, Any]]:
    return {(kind, each.id): each.model_dump(mode="json") for kind, _, each in file.governed()}


def alone(**changes: Any) -> ReviewedFile:
    """A file with the study only."""
    return ReviewedFile(study=reviewed(**{f"study__{name}": value for name, value in changes.items()}).study)


def found(file: ReviewedFile, beside: Standing) -> list[tuple[str, str]]:
    problems = misfits(file, beside, TODAY)
    assert all(len(p.what) > 20 for p in problems)
    return [(p.code, p.where) for p in problems]


def test_a_whole_file_fits_itself_whether_it_stands_already_or_not() -> None:
    assert found(reviewed(), {}) == []
    assert found(reviewed(), standing(reviewed())) == []
    assert found(alone(), standing(reviewed())) == []


def test_what_is_referred_to_stands_already_or_in_the_same_file() -> None:
    assert found(alone(), {}) == [
        ("unknown_observatory", "study.0.observatory"),
        ("unknown_recipient", "study.0.recipient"),
        ("G02", "study.0.observatory"),
    ]
    lonely = ReviewedFile(authorisation=reviewed().authorisation)
    assert found(lonely, {}) == [("unknown_observatory", "authorisation.0.observatory")]


def test_an_id_is_known_among_its_own_kind_only() -> None:
    """A study called like a recipient is no recipient."""
    only = {key: body for key, body in standing(reviewed()).items() if key[0] != "recipient"}
    assert found(alone(recipient="diabetes"), only)[0] == ("unknown_recipient", "study.0.recipient")


@pytest.mark.parametrize("kind", ["study", "authorisation"])
def test_nothing_moves_to_another_observatory(kind: str) -> None:
    two = standing(reviewed())
    two["observatory", "other"] = {**two["observatory", "demo"], "id": "other"}
    two["authorisation", "cnil-2"] = {**two["authorisation", "cnil-1"], "id": "cnil-2", "observatory": "other"}
    moved = reviewed(**{f"{kind}__observatory": "other"})
    file = ReviewedFile(**{kind: getattr(moved, kind)})
    assert found(file, two) == [("other_observatory", f"{kind}.0.observatory")]
    assert kind in misfits(file, two, TODAY)[0].what


def test_each_misfit_is_told_at_the_place_of_its_own_object() -> None:
    first, (second,) = alone(), alone(id="asthma", recipient="nobody").study
    file = ReviewedFile(study=(*first.study, second)).read_from(Places("a.toml", {("study", 1): 30}))
    assert ("unknown_recipient", "a.toml, line 30, study.1.recipient") in found(file, standing(reviewed()))
    assert {where for _, where in found(file, standing(reviewed()))} == {"a.toml, line 30, study.1.recipient"}


def test_what_a_study_asks_for_beyond_its_authorisation_is_told_at_the_key_that_asks() -> None:
    less = standing(reviewed(authorisation__conditions={**GIVEN, "k": 5, "purposes": ["drug_safety"]}))
    assert found(alone(), less) == [("G06", "study.0.purpose"), ("G12", "study.0.k")]


def test_the_recipient_that_would_stand_is_the_one_that_is_looked_at() -> None:
    """The file's own, before the one that stands under its id."""
    file = ReviewedFile(recipient=reviewed(recipient__country="US").recipient, study=reviewed().study)
    assert found(file, standing(reviewed())) == [("G07", "study.0.recipient")]
    abroad = standing(reviewed(recipient__country="US"))
    assert found(alone(), abroad) == [("G07", "study.0.recipient")]
    assert found(ReviewedFile(recipient=reviewed().recipient, study=reviewed().study), abroad) == []


@pytest.mark.parametrize("conditions", [{}, {**GIVEN, "k": "two"}, {**GIVEN, "countries": []}])
def test_conditions_that_cannot_be_read_give_nothing(conditions: dict[str, Any]) -> None:
    unreadable = standing(reviewed())
    unreadable["authorisation", "cnil-1"] = {**unreadable["authorisation", "cnil-1"], "conditions": conditions}
    assert conditions_of(unreadable["authorisation", "cnil-1"]) is None
    assert found(alone(), unreadable) == [("G02", "study.0.observatory")]


def test_no_authorisation_gives_nothing_and_a_readable_one_what_it_says() -> None:
    assert conditions_of(None) is None
    assert conditions_of(standing(reviewed())["authorisation", "cnil-1"]) == reviewed().authorisation[0].conditions


def test_a_study_asks_with_the_category_and_the_country_of_its_recipient() -> None:
    (study,) = reviewed().study
    asks = asks_of(study, {"category": "public_research", "country": "FR"})
    assert (asks.purpose, asks.k, asks.category, asks.country) == (study.purpose, study.k, "public_research", "FR")
    assert asks.conditions == study.conditions
    unknown = asks_of(study, None)
    assert (unknown.category, unknown.country) == (None, None)


# --- which authorisation decides --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("valid_from", "valid_until", "valid"),
    [
        (date(2026, 6, 1), date(2026, 6, 1), True),
        (date(2026, 6, 2), date(2026, 7, 1), False),
        (date(2026, 5, 1), date(2026, 5, 31), False),
    ],
)
def test_an_authorisation_is_valid_on_its_first_and_on_its_last_day(
    valid_from: date, valid_until: date, valid: bool
) -> None:
    assert precedence(valid_from, valid_until, TODAY) == (valid, valid_until)


def test_one_that_is_valid_today_decides_before_one_that_lasts_longer() -> None:
    """Both kept from before; the longer one is not in force yet, and gives less."""
    body = standing(reviewed())["authorisation", "cnil-1"]
    now = {**body, "valid_from": "2026-01-01", "valid_until": "2026-12-31"}
    later = {**body, "valid_from": "2026-07-01", "valid_until": "2030-12-31"}
    less = {**GIVEN, "k": 9}
    kept = {key: each for key, each in standing(reviewed()).items() if key[0] != "authorisation"}
    for one, other in ((now, later), (later, now)):
        two = {("authorisation", "a"): {**one, "id": "a"}, ("authorisation", "b"): {**other, "id": "b"}}
        assert found(alone(), {**kept, **two}) == []
        narrow = {
            key: {**each, "conditions": less} if each["valid_until"] == now["valid_until"] else each
            for key, each in two.items()
        }
        assert found(alone(), {**kept, **narrow}) == [("G12", "study.0.k")]


def test_another_observatorys_authorisation_gives_nothing() -> None:
    foreign = standing(reviewed())
    foreign["authorisation", "cnil-1"] = {**foreign["authorisation", "cnil-1"], "observatory": "other"}
    assert found(alone(), foreign) == [("G02", "study.0.observatory")]


def test_a_files_authorisation_stands_in_the_place_of_its_observatorys_others_only() -> None:
    body = standing(reviewed())["authorisation", "cnil-1"]
    before = {
        **standing(reviewed()),
        ("authorisation", "cnil-0"): {**body, "id": "cnil-0"},
        ("authorisation", "foreign"): {**body, "id": "foreign", "observatory": "other"},
        ("study", "older"): {**standing(reviewed())["study", "diabetes"], "id": "older"},
    }
    new = ReviewedFile(authorisation=reviewed(authorisation__id="cnil-2").authorisation)
    after = with_file(before, new)
    assert {key for key in after if key[0] == "authorisation"} == {
        ("authorisation", "cnil-2"),
        ("authorisation", "foreign"),
    }
    assert {key for key in after if key[0] != "authorisation"} == {key for key in before if key[0] != "authorisation"}
    assert after["authorisation", "cnil-2"]["valid_from"] == "2026-01-01", "as it will be kept"
    assert after["study", "diabetes"]["conditions"]["columns"].keys() == COLUMNS.keys()
