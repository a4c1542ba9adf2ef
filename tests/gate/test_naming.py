"""G11: nothing that names somebody leaves in a value; the refusal says where and how many, and never what."""

from pathlib import Path

import made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from portal.gate.naming import refuse_identifiers
from portal.gate.permit import ColumnTerm
from portal.rules.codes import UNITS
from portal.rules.identifiers import is_identifier, names_somebody
from portal.rules.refusals import Refused
from portal.rules.words import Precision

NAMING = {
    "an NIR": "185057800608491", "an NIR as printed": "1 85 05 78 006 084 91", "a Corsican NIR": "299022A12345625",
    "an NIR called a concept": "sct|185057800608491", "an NIR in another system": "urn:x|185057800608491",
    "an RPPS number": "10003456786", "an RPPS number in another system": "urn:x|10003456786",
    "a phone": "0612345678", "a phone as printed": "06 12 34 56 78", "a phone from abroad": "+33 6 12 34 56 78",
    "a phone in another system": "urn:x|0612345678", "an address": "a.b@example.org", "a name": "Dupont",
    "a name called a code": "cim10|Dupont", "a name in capitals": "urn:x|DUPONT", "free text": "voir avec la mère",
    "a code with a note": "cim10|J45.0 voir mère",
}  # fmt: skip


@pytest.mark.parametrize("value", NAMING.values(), ids=NAMING)
@pytest.mark.parametrize("column", ["diagnosis", "test_value", "test_unit", "sex", "socio_professional_category"])
def test_no_column_lets_it_leave(column: str, value: str) -> None:
    assert names_somebody(column, value)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("diagnosis", "sct|195967001"),
        ("diagnosis", "cim10|J45.0"),
        ("diagnosis", "cim10|XIII"),
        ("prescription", "atc|R03AC02"),
        ("prescription", "cip13|3400930000001"),
        ("prescription", "rxnorm|1049221"),
        ("test_code", "loinc|2571-8"),
        ("allergy", "urn:other|A1"),
        ("test_value", "7.1234567890123"),
        ("test_value", "-1.2e-05"),
        ("test_value", "sct|266919005"),
        ("test_unit", "mL/min/{1.73_m2}"),
        ("sex", "female"),
        ("socio_professional_category", "31"),
        ("recorded_on", "2025-W07"),
        ("recorded_on", "2025-Q1"),
    ],
)
def test_what_a_column_is_for_leaves(column: str, value: str) -> None:
    assert not names_somebody(column, value)


def test_a_concept_of_eleven_digits_is_known_by_its_own_check_digit() -> None:
    """A genuine SNOMED CT identifier is no RPPS number, even where both keys agree."""
    assert is_identifier("urn:x|10003456786")
    assert not is_identifier("sct|90781000119102")
    assert is_identifier("11000024007")
    assert not is_identifier("sct|11000024007")
    assert is_identifier("rxnorm|11000024007"), "in no other system"
    assert is_identifier("sct|10003456786"), "and not without its own check digit"


@pytest.mark.parametrize("kind", [kind for kind in NAMING if kind[:2] == "an" or "RPPS" in kind or "phone" in kind])
def test_a_registered_number_is_one_however_it_is_printed(kind: str) -> None:
    """In itself, whatever its column may hold."""
    assert is_identifier(NAMING[kind])


def test_the_digits_of_a_result_are_no_number_of_a_person() -> None:
    assert is_identifier("185057800608491")
    assert not is_identifier("1.85057800608491")


def test_a_unit_of_a_reviewed_list_leaves_and_no_other_word_does() -> None:
    assert all(not names_somebody("test_unit", unit) for unit in UNITS)
    assert names_somebody("test_unit", "gouttes")
    assert not names_somebody("test_unit", "gouttes", listed=frozenset({"gouttes"}))


def test_the_refusal_names_the_column_and_how_many_and_never_the_value(tmp_path: Path) -> None:
    values = ["cim10|J45.0", "a.b@example.org", "a.b@example.org", "Dupont", None]
    table = pa.table({"pseudonym": [made.pseudonym(str(n)) for n in range(5)], "recorded_week": ["2025-W07"] * 5,
                      "diagnosis": values})  # fmt: skip
    pq.write_table(table, tmp_path / "0.parquet")
    columns = (ColumnTerm("diagnosis", Precision.FULL, ("J45.0",)),)
    with pytest.raises(Refused) as no:
        refuse_identifiers([tmp_path / "0.parquet"], columns)
    assert (no.value.code, no.value.where, no.value.status) == ("G11", "diagnosis", 422)
    assert "2 different values" in str(no.value)
    assert "example" not in str(no.value)
    assert "Dupont" not in str(no.value)
    pq.write_table(table.slice(0, 1), tmp_path / "0.parquet")
    refuse_identifiers([tmp_path / "0.parquet"], columns)
    refuse_identifiers([], columns)


def _refused(folder: Path, columns: tuple[ColumnTerm, ...], **values: str) -> str | None:
    """Where one row with these values is refused; None where it leaves."""
    row = {"pseudonym": made.pseudonym("one"), **values}
    pq.write_table(pa.table({name: [value] for name, value in row.items()}), folder / "0.parquet")
    try:
        refuse_identifiers([folder / "0.parquet"], columns)
    except Refused as no:
        return no.where
    return None


def test_a_period_is_looked_at_under_whatever_name_it_leaves(tmp_path: Path) -> None:
    assert _refused(tmp_path, (), recorded_week="Dupont", sex="female") == "recorded_week"
    assert _refused(tmp_path, (), recorded_month="2025-02", sex="female") is None


def test_only_the_units_that_the_terms_list_for_units_leave_besides_the_known_ones(tmp_path: Path) -> None:
    listed = ColumnTerm("test_unit", Precision.FULL, ("gouttes",))
    elsewhere = ColumnTerm("diagnosis", Precision.FULL, ("gouttes",))
    assert _refused(tmp_path, (listed, ColumnTerm("sex", Precision.FULL)), test_unit="gouttes") is None
    assert _refused(tmp_path, (ColumnTerm("test_unit", Precision.FULL),), test_unit="gouttes") == "test_unit"
    assert _refused(tmp_path, (elsewhere,), test_unit="gouttes") == "test_unit"


def test_a_pseudonym_is_not_looked_at_here(tmp_path: Path) -> None:
    """It holds fifteen digits in a row now and then; its own shape is checked where a release is verified."""
    pq.write_table(pa.table({"pseudonym": ["185057800608491"], "sex": ["female"]}), tmp_path / "0.parquet")
    refuse_identifiers([tmp_path / "0.parquet"], ())
