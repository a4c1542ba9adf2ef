"""What a row of a flat file is as a record, by the type and the name of its columns and by the folder it lies in."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from portal.gate.columns import read_records
from portal.gate.engine import Limits, engine
from portal.gate.flat import Table, read_columns
from portal.gate.forms import Form
from portal.rules.refusals import RefusedFile

ROW = {name: made.RECORD[name] for name in ("practice_id", "patient_id", "recorded_on", "provenance", "doctor_id")}
HEADER = "practice_id,patient_id,doctor_id,recorded_on,provenance,sex,socio_professional_category\n"


def records(
    path: Path, columns: str, *, wanted: Mapping[str, Any] = made.RECORD, names: Mapping[str, str] | None = None
) -> list[tuple[Any, ...]]:
    with engine(Limits()) as con:
        read = read_records(con, [path], wanted, names=names)
        found = con.execute(f"SELECT {columns}, problem FROM record ORDER BY ALL").fetchall()
        if any(row[-1] for row in found):
            read.refuse_problems()
        return [row[:-1] for row in found]


def parquet(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: value if isinstance(value, pa.Array) else pa.array([value]) for name, value in columns.items()}
    pq.write_table(pa.table(arrays), path)
    return path


def told(path: Path, **more: Any) -> tuple[str, str]:
    with pytest.raises(RefusedFile) as no:
        records(path, "*", **more)
    return no.value.code, no.value.where


def shown(value: Any) -> str:
    """A test's name, the same in every process: an array by what it holds."""
    cells = value.items() if isinstance(value, dict) else ()
    return str({name: f"{v.type}" if isinstance(v, pa.Array) else v for name, v in cells} or value)


@pytest.mark.parametrize(
    ("columns", "read", "value"),
    [
        ({"recorded_on": datetime(2025, 6, 30, 22, 30, tzinfo=UTC)}, "recorded_on", date(2025, 7, 1)),  # as in Paris
        ({"recorded_on": pa.array([None], pa.date32())}, "recorded_on", None),
        ({"height_cm": Decimal("172.5")}, "height_cm", 172.5),
        ({"height_cm": "172.5"}, "height_cm", 172.5),
        ({"height_cm": ""}, "height_cm", None),
        ({"weight_kg": pa.array([70], pa.uint8())}, "weight_kg", 70.0),
        ({"test_value": 12}, "test_value", "12"),
        ({"diagnosis": ""}, "diagnosis", None),
        ({"doctor_id": None}, "doctor_id", None),
        ({"provenance": "Entered"}, "provenance", "unknown"),
        ({"provenance": None}, "provenance", "unknown"),
        ({"DIAGNOSIS": "J45.0"}, "diagnosis", "J45.0"),
    ],
    ids=shown,
)
def test_a_cell(tmp_path: Path, columns: dict[str, Any], read: str, value: Any) -> None:
    typed = {name: pa.array([v], pa.string()) if v is None else v for name, v in columns.items()}
    path = parquet(tmp_path / "r.parquet", **ROW | typed)
    (found,) = records(path, read)
    assert found == (value,)
    assert isinstance(found[0], type(value))


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("recorded_on", pa.array([0], pa.timestamp("us")), "wrong_type"),
        ("recorded_on", pa.array([2**30], pa.int32()).cast(pa.date32()), "bad_date"),
        ("doctor_id", 7, "wrong_type"),
        ("diagnosis", 7, "wrong_type"),
        ("height_cm", [172.5], "wrong_type"),
        ("height_cm", float("nan"), "bad_number"),
        ("sex", "F", "bad_word"),
        ("socio_professional_category", "Collet", "bad_word"),
    ],
)
def test_a_cell_that_cannot_be_one(tmp_path: Path, column: str, value: Any, code: str) -> None:
    path = parquet(tmp_path / "r.parquet", **ROW | {column: value})
    where = f"column {column}" if code == "wrong_type" else f"line 1, column {column}"
    assert told(path) == (code, f"r.parquet, {where}")
    if column not in ROW:
        assert len(records(path, "*", wanted=())) == 1, "what nobody wants is not looked at"


def test_a_column_that_nobody_wants_is_not_read(tmp_path: Path) -> None:
    path = parquet(tmp_path / "r.parquet", **ROW, diagnosis="J45.0", allergy="sct|735029006")
    assert records(path, "diagnosis, allergy, doctor_id", wanted=["diagnosis"]) == [("J45.0", None, "d1")]


def test_columns_inside_others_are_not_a_records_own(tmp_path: Path) -> None:
    visit = pa.array([{"room": {"floor": 1}, "allergy": ["sct|735029006"], "sex": "F"}])
    path = parquet(tmp_path / "r.parquet", visit=visit, **ROW, days=pa.array([[1]]), diagnosis="J45.0")
    assert records(path, "diagnosis, allergy, sex") == [("J45.0", None, None)]


def test_of_several_files_the_damaged_one_is_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        parquet(tmp_path / "r" / f"{name}.parquet", **ROW)
    file = tmp_path / "r" / "b.parquet"
    file.write_bytes(file.read_bytes()[:-40])
    assert told(tmp_path / "r") == ("bad_parquet", "b.parquet")


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    names = {"practice_id": "cabinet", "patient_id": "dossier", "diagnosis": "cim"}
    csv = tmp_path / "r.csv"
    csv.write_text("Cabinet;dossier;recorded_on;provenance;CIM;diagnosis\np1;7;2025-06-30;entered;J45.0;no\n")
    assert records(csv, "practice_id, patient_id, diagnosis", names=names) == [("p1", "7", "J45.0")]
    assert told(csv, names=names | {"provenance": "source"}) == ("missing_column", "r.csv, column provenance")
    table = Table(Form.CSV, (("Cabinet", "VARCHAR"), ("dossier", "VARCHAR"), ("CIM", "VARCHAR"), ("sex", "VARCHAR")),
                  ";", False)  # fmt: skip
    assert read_columns(table, names, ["diagnosis"]) == ["Cabinet", "dossier", "CIM"]
    assert read_columns(table, {}, ["sex"]) == ["sex"]


def test_a_folder_says_the_practice(tmp_path: Path) -> None:
    without = {name: value for name, value in ROW.items() if name != "practice_id"}
    parquet(tmp_path / "a" / "practice_id=p1" / "0.parquet", **without)
    parquet(tmp_path / "a" / "practice_id=p%2F2" / "deep" / "0.parquet", **without)
    parquet(tmp_path / "a" / "practice_id=p3" / "0.parquet", **ROW | {"practice_id": pa.array([None], pa.string())})
    parquet(tmp_path / "a" / "practice_id=p4" / "0.parquet", **ROW | {"practice_id": "p4"})
    assert records(tmp_path / "a", "practice_id") == [("p/2",), ("p1",), ("p3",), ("p4",)]
    nameless = {name: value for name, value in without.items() if name != "patient_id"}
    parquet(tmp_path / "b" / "practice_id=p1" / "0.parquet", **nameless)
    assert told(tmp_path / "b") == ("missing_column", "0.parquet, column patient_id")
    parquet(tmp_path / "c" / "practice_id=p1" / "0.parquet", **without, cabinet="p2")
    assert told(tmp_path / "c", names={"practice_id": "cabinet"})[0] == "partition_contradicts"


def test_files_of_one_folder_may_have_other_columns_and_each_problem_its_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "Xray.csv").write_text(f"{HEADER}p1,1,,2025-06-30,entered,,52\n")
    (folder / "b.csv").write_text("provenance;recorded_on;patient_id;practice_id\nimported;2025-07-01;2;p1\n")
    (folder / "_c.csv").write_text("passed over")
    found = records(folder, "patient_id, recorded_on::VARCHAR, provenance, socio_professional_category")
    assert found == [("1", "2025-06-30", "entered", "52"), ("2", "2025-07-01", "imported", None)]
    with (folder / "b.csv").open("a") as file:
        file.write("imported;2025-07-32;2;p1\n")
    (folder / "Xray.csv").write_text(f"{HEADER}p1,1,,2025-06-30,entered,F,x\n")
    with pytest.raises(RefusedFile) as no:
        records(folder, "*")
    assert [(problem.code, problem.where) for problem in no.value.problems] == [
        ("bad_word", "Xray.csv, line 2, column sex"),
        ("bad_date", "b.csv, line 3, column recorded_on"),
    ]
