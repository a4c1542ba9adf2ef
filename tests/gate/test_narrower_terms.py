"""What an older permit let pass and a newer one does not."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from portal.gate.terms import ColumnTerm, DoctorSpan, Terms, exceeds
from portal.rules.words import Crossing, Precision, Provenance

SPAN = DoctorSpan("p", "d1", "x1", date(2025, 1, 1), date(2026, 6, 30))
OPEN = replace(SPAN, recorded_from=None, recorded_until=None)
TERMS = Terms(
    permit_id="1", crossing=Crossing.EXTRACTION, observatory_id="demo", study_id=None, practices=("p",), cut=1,
    rule_version="1", columns=(ColumnTerm("diagnosis", Precision.FULL, ("a", "b")), ColumnTerm("sex", Precision.FULL)),
    provenance=(Provenance.ENTERED, Provenance.IMPORTED), period_from=date(2020, 1, 1), period_until=date(2026, 12, 31),
    doctors=(SPAN,), unnamed_doctor_ok=("p",), not_before=datetime(2026, 3, 2, tzinfo=UTC),
    expires_at=datetime(2026, 3, 3, tzinfo=UTC), serial=1,
)  # fmt: skip


def diagnosis(*codes: str, **changes: Any) -> tuple[ColumnTerm, ...]:
    return replace(TERMS.columns[0], codes=codes, **changes), TERMS.columns[1]


@pytest.mark.parametrize(
    ("code", "now"),
    [
        ("G10", {"columns": TERMS.columns[:1]}),
        ("G33", {"columns": diagnosis("a")}),
        ("G33", {"columns": (ColumnTerm("diagnosis", Precision.FULL), TERMS.columns[1])}),
        ("G31", {"provenance": (Provenance.ENTERED,)}),
        ("G32", {"period_from": date(2020, 1, 2)}),
        ("G32", {"period_until": date(2026, 12, 30)}),
        ("G34", {"unnamed_doctor_ok": ()}),
        ("G34", {"doctors": ()}),
        ("G25", {"doctors": (replace(SPAN, recorded_from=date(2025, 1, 2)),)}),
        ("G25", {"doctors": (replace(SPAN, recorded_until=date(2026, 6, 29)),)}),
    ],
)
def test_whatever_became_narrower_is_named(code: str, now: dict[str, Any]) -> None:
    assert exceeds(TERMS, replace(TERMS, **now)) == code
    assert exceeds(replace(TERMS, **now), TERMS) is None, "the other way it only became wider"


def test_a_coarser_precision_is_named_and_a_finer_one_lets_it_pass() -> None:
    year = replace(TERMS, columns=(ColumnTerm("year_of_birth", Precision.YEAR),))
    decade = replace(TERMS, columns=(ColumnTerm("year_of_birth", Precision.DECADE),))
    assert exceeds(year, decade) == "G12"
    assert exceeds(decade, year) is None


def test_an_open_end_is_wider_than_any_day() -> None:
    assert exceeds(replace(TERMS, doctors=(OPEN,)), TERMS) == "G25"
    assert exceeds(TERMS, replace(TERMS, doctors=(OPEN,))) is None
    for end in ("recorded_from", "recorded_until"):
        assert exceeds(replace(TERMS, doctors=(replace(SPAN, **{end: None}),)), TERMS) == "G25"


def test_another_doctor_in_the_place_of_one_is_named() -> None:
    other = replace(TERMS, doctors=(replace(SPAN, doctor_id="d2"),))
    assert (exceeds(TERMS, other), exceeds(other, TERMS)) == ("G34", "G34")


def test_the_same_terms_let_the_same_pass() -> None:
    assert exceeds(TERMS, replace(TERMS, serial=2, permit_id="2", cut=9)) is None
