"""The oracle on what a record says: which values leave, and how they come out."""

import ast
import sys
from pathlib import Path
from typing import Any

import pytest
from story.made import ASTHMA_INHALER, POLLEN, Made, concept, quantity
from story.oracle import COLUMNS, Expected, generalised
from story.oracle_reading import majority


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


def test_the_oracle_knows_nothing_of_the_portal() -> None:
    """Nor of anything of the story that does: it reads what people did, and judges by itself."""
    imported = set()
    for name in ("oracle.py", "oracle_reading.py"):
        for node in ast.walk(ast.parse(Path(__file__).with_name(name).read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                imported.add(str(node.module))
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
    assert {module for module in imported if module.split(".")[0] in {"portal", "story"}} == {"story.oracle_reading"}
    assert {module.split(".")[0] for module in imported} - sys.stdlib_module_names == {"story"}
