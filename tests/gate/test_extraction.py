"""An extraction as it arrives, from the fewest files that it can have: what it says of itself, and to the byte."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from portal.gate.extraction import KIND, read_extraction, write_statement
from portal.gate.folders import sha256_of
from portal.gate.permit import Permit
from portal.gate.signature import canonical, sign, verified
from portal.rules.refusals import Refused

PERMIT = Permit(made.TERMS, Path("allowed.parquet"), "5a" * 32, made.NOW)
ROW: dict[str, Any] = {
    "practice_id": "p1", "pseudonym": made.pseudonym("a"), "doctor_pseudonym": made.pseudonym("d"),
    "recorded_on": made.RECORD["recorded_on"], "provenance": "entered",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "records").mkdir()
    for name, many in (("0", 2), ("1", 1)):
        write(tmp_path / "records" / f"{name}.parquet", [ROW] * many)
    write_statement(tmp_path, PERMIT, {"passed": 3}, {"0.parquet": 2, "1.parquet": 1}, made.PRACTICE_KEY)
    return tmp_path


def write(path: Path, rows: list[dict[str, Any]], **more: pa.Array) -> None:
    table = pa.Table.from_pylist(rows, schema=pa.schema([(n, made_type(n)) for n in rows[0]]))
    for name, values in more.items():
        table = table.append_column(name, values)
    pq.write_table(table, path)


def made_type(name: str) -> pa.DataType:
    return pa.date32() if name == "recorded_on" else pa.string()


def sign_again(folder: Path, **changes: Any) -> None:
    """The practice's own statement with other contents; the files as they are now."""
    payload = json.loads(verified(KIND, (folder / "extraction.jws").read_bytes(), made.PRACTICE_KEY.public_key()))
    for name, described in payload["files"].items():
        if (folder / name).is_file():
            described["sha256"] = sha256_of(folder / name)
    payload.update(changes)
    (folder / "extraction.jws").write_bytes(sign(KIND, canonical(payload), made.PRACTICE_KEY))


def told(folder: Path) -> tuple[str, str]:
    with pytest.raises(Refused) as no:
        read_extraction(folder, made.PRACTICE_KEY.public_key())
    assert no.value.status == 422
    assert made.SENTENCE.fullmatch(no.value.what)
    return no.value.code.removeprefix("extraction_"), no.value.where


def test_an_extraction_says_what_its_permit_was_and_what_it_holds(folder: Path) -> None:
    found = read_extraction(folder, made.PRACTICE_KEY.public_key())
    assert (found.permit_sha256, found.permit_id, found.serial) == ("5a" * 32, "permit-1", 3)
    assert (found.practices, found.counts, found.rows) == (("p1", "p2"), {"passed": 3}, 3)
    assert found.columns == tuple(ROW)
    assert found.sha256 == sha256_of(folder / "extraction.jws")


def test_every_file_is_known_by_its_rows_and_its_hash(folder: Path) -> None:
    signed = json.loads(verified(KIND, (folder / "extraction.jws").read_bytes(), made.PRACTICE_KEY.public_key()))
    assert signed == {
        "permit_sha256": "5a" * 32, "permit_id": "permit-1", "serial": 3, "practices": ["p1", "p2"],
        "counts": {"passed": 3},
        "files": {f"records/{n}.parquet": {"rows": rows, "sha256": sha256_of(folder / "records" / f"{n}.parquet")}
                  for n, rows in (("0", 2), ("1", 1))},
    }  # fmt: skip


@pytest.mark.parametrize("name", ["permit_sha256", "permit_id", "serial", "practices", "counts", "files"])
def test_a_statement_that_lacks_something_is_none(folder: Path, name: str) -> None:
    payload = json.loads(verified(KIND, (folder / "extraction.jws").read_bytes(), made.PRACTICE_KEY.public_key()))
    del payload[name]
    (folder / "extraction.jws").write_bytes(sign(KIND, canonical(payload), made.PRACTICE_KEY))
    assert told(folder) == ("malformed", "extraction.jws")


@pytest.mark.parametrize(
    "changes",
    [{"serial": "x"}, {"serial": None}, {"practices": None}, {"counts": 3}, {"files": None}, {"files": {"a": {}}},
     {"files": {"records/0.parquet": {"rows": "x", "sha256": ""}}}],
    ids=str,
)  # fmt: skip
def test_a_statement_of_another_shape_is_none(folder: Path, changes: dict[str, Any]) -> None:
    sign_again(folder, **changes)
    assert told(folder) == ("malformed", "extraction.jws")


def test_what_is_not_signed_by_the_practice_is_not_read(folder: Path) -> None:
    payload = verified(KIND, (folder / "extraction.jws").read_bytes(), made.PRACTICE_KEY.public_key())
    for kind, key in ((KIND, made.FOREIGN_KEY), ("portal-permit", made.PRACTICE_KEY)):
        (folder / "extraction.jws").write_bytes(sign(kind, payload, key))
        assert told(folder) == ("signature", "extraction.jws")
    (folder / "extraction.jws").unlink()
    assert told(folder) == ("missing", "extraction.jws")


def test_the_files_are_those_that_were_signed_and_no_others(folder: Path) -> None:
    one = folder / "records" / "1.parquet"
    (folder / "b.txt").write_text("x")
    (folder / "a.txt").write_text("x")
    assert told(folder) == ("unknown_file", "a.txt")
    for stray in ("a.txt", "b.txt"):
        (folder / stray).unlink()
    kept = one.read_bytes()
    one.write_bytes(kept + b"x")
    assert told(folder) == ("hash", "records/1.parquet")
    one.unlink()
    assert told(folder) == ("missing_file", "records/1.parquet")
    (folder / "elsewhere").write_bytes(kept)
    one.symlink_to(folder / "elsewhere")
    assert told(folder)[0] in {"missing_file", "unknown_file"}
    one.unlink()
    (folder / "elsewhere").rename(one)
    assert read_extraction(folder, made.PRACTICE_KEY.public_key()).rows == 3


def test_the_rows_are_as_many_as_was_said(folder: Path) -> None:
    sign_again(folder, counts={"passed": 4})
    assert told(folder) == ("counts", "extraction.jws")
    sign_again(folder, counts={})
    assert told(folder) == ("counts", "extraction.jws")
    write(folder / "records" / "1.parquet", [ROW, ROW])
    sign_again(folder, counts={"passed": 3})
    assert told(folder) == ("rows", "records/1.parquet")
    (folder / "records" / "1.parquet").write_bytes(b"PAR1")
    sign_again(folder)
    assert told(folder) == ("unreadable", "records/1.parquet")


@pytest.mark.parametrize(
    ("more", "good"),
    [
        ({"sex": pa.array(["male"])}, True),
        ({"year_of_birth": pa.array([1980], pa.int32())}, True),
        ({"height_cm": pa.array([170], pa.int32())}, True),
        ({"test_value": pa.array(["7.1"])}, True),
        ({"year_of_birth": pa.array(["1980"])}, False),
        ({"height_cm": pa.array([170.0])}, False),
        ({"sex": pa.array([1], pa.int32())}, False),
        ({"name": pa.array(["Dupont"])}, False),
    ],
    ids=lambda value: (
        f"{next(iter(value))} as {next(iter(value.values())).type}" if isinstance(value, dict) else str(value)
    ),
)
def test_a_column_is_one_of_a_record_and_of_its_type(folder: Path, more: dict[str, pa.Array], good: bool) -> None:
    (folder / "records" / "0.parquet").unlink()
    write(folder / "records" / "1.parquet", [ROW], **more)
    described = {"records/1.parquet": {"rows": 1, "sha256": sha256_of(folder / "records" / "1.parquet")}}
    sign_again(folder, files=described, counts={"passed": 1})
    if good:
        assert read_extraction(folder, made.PRACTICE_KEY.public_key()).columns == (*ROW, *more)
    else:
        assert told(folder) == ("columns", "records/1.parquet")


@pytest.mark.parametrize("name", ROW)
def test_a_column_that_the_gate_needs_is_there(folder: Path, name: str) -> None:
    write(folder / "records" / "1.parquet", [{key: value for key, value in ROW.items() if key != name}])
    sign_again(folder)
    with pytest.raises((Refused, KeyError)) as no:
        read_extraction(folder, made.PRACTICE_KEY.public_key())
    assert isinstance(no.value, Refused)
    assert (no.value.code, no.value.where) == ("extraction_columns", "records/1.parquet")


def test_all_files_have_the_same_columns(folder: Path) -> None:
    write(folder / "records" / "1.parquet", [ROW], sex=pa.array(["male"]))
    sign_again(folder)
    assert told(folder) == ("columns", "records")


@pytest.mark.parametrize("wrong", ["short", "A" * 32, "0" * 33, None, f"{'0' * 32}\n"])
def test_a_pseudonym_is_thirty_two_hexadecimal_digits(folder: Path, wrong: str | None) -> None:
    write(folder / "records" / "1.parquet", [{**ROW, "pseudonym": wrong}])
    sign_again(folder)
    assert told(folder) == ("pseudonym", "records/1.parquet")


def test_the_terms_of_another_permit_are_told(folder: Path) -> None:
    other = replace(PERMIT, terms=replace(made.TERMS, serial=9, permit_id="permit-2"))
    write_statement(folder, other, {"passed": 3}, {"0.parquet": 2, "1.parquet": 1}, made.PRACTICE_KEY)
    found = read_extraction(folder, made.PRACTICE_KEY.public_key())
    assert (found.serial, found.permit_id) == (9, "permit-2")
