"""A bad second file of holders is refused whole with every place; no value is repeated, no sentence is idle."""

import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from test_malformed_registers import CASES, GOOD, HEADER, LINE, PRIVATE, TODAY

from portal.gate.holders import HOLDER_COLUMNS, Holder, read_holders
from portal.gate.register import read_register
from portal.gate.register_faults import WHAT
from portal.gate.register_row import RegisterRow
from portal.rules.refusals import Problem, RefusedFile
from portal.rules.words import Addressee, Unreachable

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


FIRST = {"rank": "1", "representative_name": "margot  Tanguy", "unreachable_reason": "Abroad"}
"""The register's own representative, told once more."""

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
    ("duplicate_rank", holders(**FIRST) + holders(**FIRST).splitlines(keepends=True)[2], "line 4, column rank"),
    ("rank_one_differs", holders(rank="1"), "line 3, column rank"),
    ("same_holder_twice", holders(representative_name="ARMEL  Tanguy"), "line 3, column representative_name"),
    ("same_holder_twice", holders(representative_name="margot tanguy"), "line 3, column representative_name"),
    ("rank_one_differs", holders(**FIRST | {"patient_id": "00020"}), "line 3, column rank"),
    ("unknown_patient", holders(patient_id="00019"), "line 3, column patient_id"),
    ("bad_unreachable_reason", holders(unreachable_reason="Verdier"), "line 3, column unreachable_reason"),
    ("empty_file", b"", "the file"),
]


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> list[RegisterRow]:
    path = tmp_path_factory.mktemp("good") / "register.csv"
    alone = GOOD | {"patient_id": "00020"} | {name: "" for name in GOOD if name.startswith("representative")}
    path.write_text(f"{HEADER}\n{LINE}\n{','.join(alone.values())}\n", encoding="utf-8")
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
    assert Problem(code, where, WHAT[code]) in caught.value.problems
    said = "".join(traceback.format_exception(caught.value)) + "".join(map(str, caught.value.problems))
    assert not [value for value in (*PRIVATE, "Armel", "Yann", "armel@") if value in said]


def test_the_good_second_file_is_read(tmp_path: Path, register: list[RegisterRow]) -> None:
    path = tmp_path / "holders.csv"
    path.write_bytes(holders())
    assert SECOND.keys() == HOLDER_COLUMNS.keys()
    assert [holder.rank for holder in read_holders(path, register, today=TODAY)["00018"]] == [2, 3]


def test_what_is_said_of_each_holder_in_the_order_of_ranks(tmp_path: Path, register: list[RegisterRow]) -> None:
    path = tmp_path / "holders.csv"
    lines = [SECOND, (SECOND | {"rank": "9"}).values(), (SECOND | FIRST).values()]
    path.write_text("".join(f"{','.join(line)}\n" for line in (*lines, (SECOND | {"patient_id": "00020"}).values())))
    found = read_holders(path, register, today=TODAY)
    armel = ("Armel Tanguy", "armel@example.org", "82 chemin Verdier")
    margot = Holder("00018", 1, Addressee.MANDATE, "margot  Tanguy", *armel[1:], Unreachable.ABROAD)
    assert found == {
        "00018": [margot, Holder("00018", 9, Addressee.MANDATE, *armel)],
        "00020": [Holder("00020", 2, Addressee.MANDATE, *armel)],
    }
    assert repr(found["00018"][0]) == "<Holder of a patient_id>"


def test_the_registers_own_representative_is_the_first_holder(register: list[RegisterRow]) -> None:
    first = Holder("00018", 1, Addressee.MANDATE, "Margot Tanguy", "margot@example.org", "3, rue Haute")
    assert Holder.first_of(replace(register[0], representative_address="3, rue Haute")) == first
    with pytest.raises(ValueError, match="no representative"):
        Holder.first_of(register[1])


def test_every_sentence_has_a_bad_file() -> None:
    assert {case[0] for case in CASES} | {case[0] for case in HOLDERS} | {"more_problems"} == WHAT.keys()
