"""The steps of a generalisation, what a value becomes at each, and what is lost by them."""

import pytest

from portal.rules.ladder import coarser, loss, steps
from portal.rules.precision import PERSON_COLUMNS, allowed, released_name, rounded, year_of_birth
from portal.rules.words import Precision as P


@pytest.mark.parametrize(
    ("column", "asked", "coarsest", "there"),
    [
        ("year_of_birth", P.FULL, P.FULL, (P.YEAR,)),
        ("year_of_birth", P.YEAR, P.DECADE, (P.YEAR, P.FIVE, P.DECADE)),
        ("year_of_birth", P.FIVE, P.ABSENT, (P.FIVE, P.DECADE, P.ABSENT)),
        ("year_of_birth", P.DECADE, P.YEAR, (P.DECADE,)),  # never finer than what was asked for
        ("recorded_on", P.MONTH, P.YEAR, (P.MONTH, P.QUARTER, P.YEAR)),
        ("sex", P.FULL, P.ABSENT, (P.FULL, P.ABSENT)),
    ],
)
def test_the_steps_go_from_what_is_asked_for_to_the_coarsest_that_is_accepted(
    column: str, asked: P, coarsest: P, there: tuple[P, ...]
) -> None:
    assert steps(column, asked, coarsest) == there


def test_a_step_that_a_column_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="sex has no precision decade"):
        steps("sex", P.FULL, P.DECADE)
    with pytest.raises(ValueError, match="recorded_on cannot be left out"):
        steps("recorded_on", P.WEEK, P.ABSENT)


@pytest.mark.parametrize(
    ("column", "value", "step", "out"),
    [
        ("recorded_on", "2025-W07", P.WEEK, "2025-W07"),
        ("recorded_on", "2025-W07", P.MONTH, "2025-02"),
        ("recorded_on", "2025-W01", P.YEAR, 2025),
        ("recorded_on", "2025-05", P.MONTH, "2025-05"),
        ("recorded_on", "2025-05", P.QUARTER, "2025-Q2"),
        ("recorded_on", "2025-12", P.QUARTER, "2025-Q4"),
        ("recorded_on", "2025-05", P.YEAR, 2025),
        ("recorded_on", "2025-Q4", P.QUARTER, "2025-Q4"),
        ("recorded_on", "2025-Q4", P.YEAR, 2025),
        ("recorded_on", 2025, P.YEAR, 2025),
        ("year_of_birth", 1987, P.YEAR, 1987),
        ("year_of_birth", 1987, P.FIVE, 1985),
        ("year_of_birth", "1987", P.DECADE, 1980),
        ("height_cm", 172, P.FIVE, 170),
        ("height_cm", 173, P.FIVE, 175),
        ("height_cm", 173, P.FIFTEEN, 180),
        ("diagnosis", "cim10|J45.0", P.CATEGORY, "cim10|J45"),
        ("diagnosis", "sct|1", P.CATEGORY, None),
        ("socio_professional_category", "37", P.CATEGORY, "3"),
        ("socio_professional_category", "37", P.FULL, "37"),
        ("sex", "female", P.FULL, "female"),
        ("sex", "female", P.ABSENT, None),
        ("recorded_on", "2025-W07", P.ABSENT, None),
    ],
)
def test_what_a_value_becomes(column: str, value: str | int, step: P, out: str | int | None) -> None:
    assert coarser(column, value, step) == out


@pytest.mark.parametrize(
    ("taken", "lost"),
    [
        ({"year_of_birth": P.YEAR, "sex": P.FULL}, 0.0),
        ({"year_of_birth": P.FIVE, "sex": P.FULL}, 1 / 6),
        ({"year_of_birth": P.DECADE, "sex": P.FULL}, 1 / 3),
        ({"year_of_birth": P.YEAR, "sex": P.ABSENT}, 1 / 2),
        ({"year_of_birth": P.FIVE, "sex": P.ABSENT}, 2 / 3),
        ({"year_of_birth": P.ABSENT, "sex": P.ABSENT}, 1.0),
    ],
)
def test_the_loss_is_the_share_of_the_steps_that_were_taken(taken: dict[str, P], lost: float) -> None:
    assert loss(taken, {"year_of_birth": P.FULL, "sex": P.FULL}) == pytest.approx(lost)


def test_the_loss_counts_from_what_was_asked_for() -> None:
    assert loss({"year_of_birth": P.DECADE}, {"year_of_birth": P.DECADE}) == 0
    assert loss({"year_of_birth": P.ABSENT}, {"year_of_birth": P.FIVE}) == 1
    assert loss({"year_of_birth": P.DECADE}, {"year_of_birth": P.FIVE}) == pytest.approx(1 / 2)
    assert loss({"recorded_on": P.YEAR}, {"recorded_on": P.YEAR}) == 0, "a day that cannot become coarser loses nothing"
    both = {"recorded_on": P.YEAR, "sex": P.FULL}
    assert loss(both | {"sex": P.ABSENT}, both) == pytest.approx(1 / 2)
    assert loss({}, {}) == 0


# --- as it is released -----------------------------------------------------------------------------------------------


def test_a_day_is_released_under_the_name_of_its_period_and_another_column_under_its_own() -> None:
    assert [released_name("recorded_on", step) for step in (P.FULL, P.MONTH, P.QUARTER, P.YEAR)] == [
        "recorded_week", "recorded_month", "recorded_quarter", "recorded_year",
    ]  # fmt: skip
    assert released_name("sex", P.FULL) == "sex"


def test_from_ninety_five_years_on_everybody_shares_one_year() -> None:
    assert [year_of_birth(year, P.YEAR, 2026) for year in (1900, 1930, 1931, 1932)] == [1931, 1931, 1931, 1932]
    assert [year_of_birth(year, P.FIVE, 2026) for year in (1900, 1989, 1990)] == [1930, 1985, 1990]
    assert [year_of_birth(year, P.DECADE, 2026) for year in (1900, 1989, 1990)] == [1930, 1980, 1990]


def test_halves_are_rounded_up() -> None:
    assert [rounded(value, 5) for value in (172.4, 172.5, 177.4, 177.5, 0)] == [170, 175, 175, 180, 0]
    assert [rounded(value, 1) for value in (0.4, 0.5, 1.5, 2.5)] == [0, 1, 2, 3]


def test_the_default_comes_first_in_what_may_be_asked_for() -> None:
    assert allowed("recorded_on") == (P.WEEK, P.MONTH, P.QUARTER, P.YEAR)
    assert PERSON_COLUMNS == ("year_of_birth", "sex", "socio_professional_category")
