"""The terms of a permit: they read back as they were written, and what no filter could keep is no term."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import made
import pytest

from portal.gate.signature import canonical
from portal.gate.terms import ColumnTerm, DoctorSpan, Terms, as_payload, from_payload
from portal.rules.words import Crossing, Precision, Provenance

RELEASE = made.release_terms()
DAY = timedelta(days=1)


def plain(**changes: Any) -> dict[str, Any]:
    return {**_as_read(made.TERMS), **changes}


def _as_read(terms: Terms) -> dict[str, Any]:
    """As the one who reads the signed JSON has it."""
    return dict(json.loads(canonical(as_payload(terms))))


@pytest.mark.parametrize("terms", [made.TERMS, RELEASE], ids=["extraction", "release"])
def test_terms_read_back_as_they_were_written(terms: Terms) -> None:
    back = from_payload(_as_read(terms))
    assert as_payload(back) == as_payload(terms)
    for name in set(Terms.__slots__) - {"columns"}:
        assert getattr(back, name) == getattr(terms, name), name
        assert type(getattr(back, name)) is type(getattr(terms, name)), name
    for read, written in zip(back.columns, terms.columns, strict=True):
        assert (read.name, read.precision) == (written.name, written.precision)
        assert read.codes == (None if written.codes is None else tuple(sorted(written.codes)))


def test_what_is_signed_says_days_and_moments_as_iso_texts_and_codes_sorted() -> None:
    said = as_payload(replace(made.TERMS, columns=(ColumnTerm("diagnosis", Precision.FULL, ("b", "a")),)))
    assert said["columns"] == [{"name": "diagnosis", "precision": "full", "codes": ["a", "b"]}]
    assert (said["period_from"], said["period_until"]) == ("2024-01-01", "2026-10-31")
    assert (said["not_before"], said["expires_at"]) == ("2026-11-01T00:00:00+00:00", "2026-12-01T00:00:00+00:00")
    assert said["doctors"] == [
        {"practice_id": "p1", "doctor_id": "d1", "pseudonym": made.pseudonym("d1"), "recorded_from": None,
         "recorded_until": None},
        {"practice_id": "p1", "doctor_id": "d2", "pseudonym": made.pseudonym("d2"), "recorded_from": "2025-01-01",
         "recorded_until": "2025-12-31"},
        {"practice_id": "p2", "doctor_id": "d3", "pseudonym": made.pseudonym("d3"), "recorded_from": None,
         "recorded_until": None},
    ]  # fmt: skip
    assert set(said) == set(Terms.__slots__)


@pytest.mark.parametrize("name", Terms.__slots__)
def test_terms_that_lack_a_field_are_none(name: str) -> None:
    without = plain()
    del without[name]
    with pytest.raises(ValueError, match="other fields"):
        from_payload(without)


@pytest.mark.parametrize(
    "changes",
    [
        {"more": 1}, {"permit_id": 1}, {"permit_id": None}, {"observatory_id": []}, {"cut": "17"}, {"cut": True},
        {"rule_version": 1}, {"serial": 3.0}, {"serial": False}, {"list_sha256": None}, {"crossing": "both"},
        {"crossing": None}, {"provenance": ["any"]}, {"provenance": None}, {"practices": "p1"},
        {"practices": ["p1", 2]}, {"unnamed_doctor_ok": None}, {"unnamed_doctor_ok": [None]}, {"columns": None},
        {"columns": ["sex"]},
        {"columns": [{"name": "sex", "precision": "full"}]},
        {"columns": [{"name": "sex", "precision": "exact", "codes": None}]},
        {"columns": [{"name": "diagnosis", "precision": "full", "codes": "E11"}]},
        {"columns": [{"name": "diagnosis", "precision": "full", "codes": [11]}]},
        {"doctors": [{"practice_id": "p1"}]}, {"period_from": None}, {"period_from": "2024"}, {"period_until": "soon"},
        {"not_before": 0}, {"expires_at": "never"}, {"expires_at": "2026-12-01T00:00:00"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_of_its_kind_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_payload(plain(**changes))


@pytest.mark.parametrize("key", ["practice_id", "doctor_id", "pseudonym", "recorded_from", "recorded_until"])
def test_a_doctor_without_one_of_her_fields_is_refused(key: str) -> None:
    doctors = [dict(d) for d in plain()["doctors"]]
    del doctors[1][key]
    with pytest.raises(KeyError):
        from_payload(plain(doctors=doctors))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"columns": (ColumnTerm("sex", Precision.FULL),) * 2}, "columns"),
        ({"columns": (ColumnTerm("address", Precision.FULL),)}, "columns"),
        ({"columns": (ColumnTerm("sex", Precision.DECADE),)}, "sex has no precision"),
        ({"not_before": datetime(2026, 11, 1)}, "zone"),  # noqa: DTZ001 - no zone: the fault that is refused
        ({"expires_at": datetime(2026, 12, 1)}, "zone"),  # noqa: DTZ001 - no zone: the fault that is refused
        ({"expires_at": made.TERMS.not_before}, "an end before"),
        ({"expires_at": made.TERMS.not_before - DAY}, "an end before"),
        ({"period_until": made.TERMS.period_from - DAY}, "an end before"),
        ({"study_id": "study-1"}, "for one study"),
        ({"crossing": Crossing.RELEASE}, "for one study"),
        ({"practices": ()}, "practices"),
        ({"practices": ("p1",)}, "practices"),
    ],
)
def test_terms_that_no_filter_could_keep_are_none(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(made.TERMS, **changes)


def test_terms_at_the_edge_of_what_a_filter_can_keep_are_terms() -> None:
    one_day = replace(made.TERMS, period_until=made.TERMS.period_from)
    assert one_day.period_until == date(2024, 1, 1)
    moment = made.TERMS.not_before + timedelta(microseconds=1)
    assert replace(made.TERMS, expires_at=moment).expires_at == moment
    nobody = replace(made.TERMS, doctors=(), unnamed_doctor_ok=(), columns=(), provenance=())
    assert from_payload(_as_read(nobody)) == nobody
    more = replace(made.TERMS, practices=("p1", "p2", "p3"))
    assert from_payload(_as_read(more)).practices == ("p1", "p2", "p3")


def test_the_precision_of_a_column_is_what_its_term_means_and_nothing_for_another() -> None:
    assert made.TERMS.precision_of("year_of_birth") is Precision.YEAR
    assert RELEASE.precision_of("year_of_birth") is Precision.DECADE
    assert replace(made.TERMS, columns=(ColumnTerm("height_cm", Precision.FULL),)).precision_of("height_cm") is (
        Precision.FIVE
    )
    assert made.TERMS.precision_of("weight_kg") is None


def test_a_span_that_is_open_stays_open() -> None:
    spans = (DoctorSpan("p1", "d", "x" * 32, date(2025, 1, 1)), DoctorSpan("p2", "e", "y" * 32, None, date(2025, 1, 1)))
    terms = replace(
        made.TERMS, doctors=spans, provenance=(Provenance.IMPORTED,), not_before=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert from_payload(_as_read(terms)).doctors == spans
