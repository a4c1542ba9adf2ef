"""The precisions of rules/precision.py and what the engine makes of them are the same."""

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.gate.columns import released
from portal.gate.engine import Limits, engine
from portal.rules import codes, precision
from portal.rules.words import Precision


def by_engine(column: str, wanted: Precision, values: list[object], kind: pa.DataType) -> list[object]:
    with engine(Limits(threads=1)) as con:
        con.register("given_values", pa.table({"v": pa.array(values, kind)}))
        return [
            row[0] for row in con.execute(f"SELECT {released(column, wanted, 'v', 2026)} FROM given_values").fetchall()
        ]


@settings(max_examples=30, deadline=None)
@given(days=st.lists(st.dates(date(1900, 1, 1), date(2100, 12, 31)), min_size=1))
def test_days(days: list[date]) -> None:
    for wanted, of in precision.PERIODS.items():
        assert by_engine("recorded_on", wanted, list(days), pa.date32()) == [of(day) for day in days]


@settings(max_examples=20, deadline=None)
@given(years=st.lists(st.integers(1850, 2026), min_size=1))
def test_years_of_birth(years: list[int]) -> None:
    for wanted in precision.allowed("year_of_birth"):
        found = by_engine("year_of_birth", wanted, list(years), pa.float64())
        assert found == [precision.year_of_birth(year, wanted, 2026) for year in years]


@settings(max_examples=20, deadline=None)
@given(values=st.lists(st.floats(0, 300), min_size=1))
def test_heights_and_weights(values: list[float]) -> None:
    for wanted, step in precision.STEPS.items():
        assert by_engine("height_cm", wanted, list(values), pa.float64()) == [
            precision.rounded(v, step) for v in values
        ]
        once = [precision.rounded(precision.rounded(v, 1), step) for v in values]
        assert once == [precision.rounded(v, step) for v in values]


def test_examples_of_the_domain() -> None:
    assert precision.year_of_birth(1987, Precision.DECADE, 2026) == 1980
    assert {precision.year_of_birth(year, Precision.FULL, 2026) for year in (1890, 1930, 1931)} == {1931}
    assert precision.PERIODS[Precision.WEEK](date(2025, 2, 12)) == "2025-W07"
    assert precision.PERIODS[Precision.WEEK](date(2024, 12, 30)) == "2025-W01"
    assert by_engine("socio_professional_category", Precision.CATEGORY, ["31", None], pa.string()) == ["3", None]
    assert by_engine("year_of_birth", Precision.YEAR, [None], pa.float64()) == [None]


def test_a_coarser_precision_is_permitted_and_a_finer_one_is_not() -> None:
    assert precision.permits("year_of_birth", Precision.YEAR, Precision.DECADE)
    assert not precision.permits("year_of_birth", Precision.DECADE, Precision.YEAR)
    assert not precision.permits("recorded_on", Precision.MONTH, Precision.FULL)
    assert not precision.permits("height_cm", Precision.FULL, Precision.UNIT)
    assert not precision.permits("height_cm", Precision.FIVE, Precision.CHAPTER)
    assert not precision.permits("address", Precision.FULL, Precision.FULL)


@pytest.mark.parametrize("column", precision.COLUMNS)
@pytest.mark.parametrize("wanted", Precision)
def test_every_column_has_its_precisions_and_no_others(column: str, wanted: Precision) -> None:
    if wanted in (*precision.allowed(column), Precision.FULL):
        assert precision.resolve(column, wanted) in precision.allowed(column)
        assert precision.permits(column, wanted, wanted)
    else:
        with pytest.raises(ValueError, match=column):
            precision.resolve(column, wanted)


@pytest.mark.parametrize(
    ("said", "column", "token"),
    [
        ("http://snomed.info/sct|195967001", "diagnosis", "sct|195967001"),
        ("sct|195967001", "diagnosis", "sct|195967001"),
        ("J450", "diagnosis", "cim10|J45.0"),
        ("http://hl7.org/fhir/sid/icd-10|J45.0", "diagnosis", "cim10|J45.0"),
        ("https://smt.esante.gouv.fr/terminologie-cim-10/|J45", "medical_history", "cim10|J45"),
        ("R03AC02", "prescription", "atc|R03AC02"),
        ("2571-8", "test_code", "loinc|2571-8"),
        ("J45.0", "allergy", None),
        ("|J45.0", "diagnosis", None),
        ("sct|", "diagnosis", None),
        ("urn:other|1", "diagnosis", "urn:other|1"),
    ],
)
def test_codes_have_one_form(said: str, column: str, token: str | None) -> None:
    assert codes.normalise(said, column) == token
    if token:
        assert {codes.normalise(spelling, column) for spelling in codes.spellings(token, column)} == {token}
        assert said in codes.spellings(token, column)


def test_a_dot_may_be_left_out_where_it_means_nothing_and_nowhere_else() -> None:
    assert {"cim10|J450", "cim10|J45.0", "J450"} <= set(codes.spellings("cim10|J45.0", "diagnosis"))
    assert codes.spellings("urn:other|1.2", "diagnosis") == ("urn:other|1.2",), "12 is another code"


@pytest.mark.parametrize(
    ("token", "wanted", "out"),
    [
        ("cim10|J45.0", Precision.CATEGORY, "cim10|J45"),
        ("cim10|J45.0", Precision.CHAPTER, "cim10|X"),
        ("cim10|A00", Precision.CHAPTER, "cim10|I"),
        ("cim10|D48.9", Precision.CHAPTER, "cim10|II"),
        ("cim10|D50", Precision.CHAPTER, "cim10|III"),
        ("cim10|H59.9", Precision.CHAPTER, "cim10|VII"),
        ("cim10|H60", Precision.CHAPTER, "cim10|VIII"),
        ("cim10|T98.3", Precision.CHAPTER, "cim10|XIX"),
        ("cim10|U07.1", Precision.CHAPTER, "cim10|XXII"),
        ("cim10|Y98", Precision.CHAPTER, "cim10|XX"),
        ("cim10|Z59.0", Precision.CHAPTER, "cim10|XXI"),
        ("atc|R03AC02", Precision.CATEGORY, "atc|R03"),
        ("atc|R03AC02", Precision.CHAPTER, "atc|R"),
        ("sct|195967001", Precision.FULL, "sct|195967001"),
        ("sct|195967001", Precision.CHAPTER, None),
        ("loinc|2571-8", Precision.CATEGORY, None),
        ("urn:other|J45", Precision.CHAPTER, None),
        ("cim10|000", Precision.CHAPTER, None),
    ],
)
def test_codes_are_coarsened_where_their_system_has_levels(token: str, wanted: Precision, out: str | None) -> None:
    assert codes.coarsen(token, wanted) == out
