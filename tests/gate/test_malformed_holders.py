"""A bad second file of holders is refused whole with every place; no value is repeated, no sentence is idle."""

import traceback
from pathlib import Path

import pytest
from test_malformed_registers import CASES, HEADER, LINE, PRIVATE, TODAY

from portal.gate.holders import HOLDER_COLUMNS, read_holders
from portal.gate.register import read_register
from portal.gate.register_faults import WHAT
from portal.gate.register_row import RegisterRow
from portal.rules.refusals import RefusedFile

SECOND = {
    "patient_id": "00018",
    "rank": "2",
    "representative_name": "Armel Tanguy",
    "representative_email": "armel@example.org",
    "representative_address": "82 chemin Verdier",
    "representative_kind": "mandate",
    "unreachable_reason": "",
}


def holders(**values: str) -> bytes:
    """A second file whose line 3 is bad: those values in place of the good ones."""
    third = SECOND | {"rank": "3", "representative_name": "Yann Tanguy"} | values
    return "".join(f"{','.join(line)}\n" for line in (SECOND, SECOND.values(), third.values())).encode()


HOLDERS: list[tuple[str, bytes, str]] = [
    ("bad_rank", holders(rank="0"), "line 3, column rank"),
    ("bad_rank", holders(rank="10"), "line 3, column rank"),
    ("bad_rank", holders(rank="two"), "line 3, column rank"),
    ("missing_value", holders(rank=""), "line 3, column rank"),
    ("missing_value", holders(representative_kind=""), "line 3, column representative_kind"),
    ("missing_column", b"patient_id,rank\n00018,2\n", "line 1, column representative_name"),
    ("unknown_column", holders().replace(b"unreachable", b"Collet"), "line 1, column 7"),
    ("wrong_number_of_fields", holders() + b"00018,4\n", "line 4"),
    ("duplicate_rank", holders(rank="2"), "line 3, column rank"),
    ("rank_one_differs", holders(rank="1"), "line 3, column rank"),
    ("same_holder_twice", holders(representative_name="ARMEL  Tanguy"), "line 3, column representative_name"),
    ("same_holder_twice", holders(representative_name="margot tanguy"), "line 3, column representative_name"),
    ("unknown_patient", holders(patient_id="00019"), "line 3, column patient_id"),
    ("bad_unreachable_reason", holders(unreachable_reason="Verdier"), "line 3, column unreachable_reason"),
    ("empty_file", b"", "the file"),
]


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> list[RegisterRow]:
    path = tmp_path_factory.mktemp("good") / "register.csv"
    path.write_text(f"{HEADER}\n{LINE}\n", encoding="utf-8")
    return read_register(path, practice_id="practice-10", today=TODAY)


@pytest.mark.shows("R8")
@pytest.mark.parametrize(("code", "data", "where"), HOLDERS, ids=[f"{i}-{case[0]}" for i, case in enumerate(HOLDERS)])
def test_a_bad_second_file_is_refused_with_its_place(
    tmp_path: Path, register: list[RegisterRow], code: str, data: bytes, where: str
) -> None:
    path = tmp_path / "holders.csv"
    path.write_bytes(data)
    with pytest.raises(RefusedFile) as caught:
        read_holders(path, register, today=TODAY)
    assert (code, where) in [(problem.code, problem.where) for problem in caught.value.problems]
    said = "".join(traceback.format_exception(caught.value)) + "".join(map(str, caught.value.problems))
    assert not [value for value in (*PRIVATE, "Armel", "Yann", "armel@") if value in said]


def test_the_good_second_file_is_read(tmp_path: Path, register: list[RegisterRow]) -> None:
    path = tmp_path / "holders.csv"
    path.write_bytes(holders())
    assert SECOND.keys() == HOLDER_COLUMNS.keys()
    assert [holder.rank for holder in read_holders(path, register, today=TODAY)["00018"]] == [2, 3]


def test_every_sentence_has_a_bad_file() -> None:
    assert {case[0] for case in CASES} | {case[0] for case in HOLDERS} | {"more_problems"} == WHAT.keys()
