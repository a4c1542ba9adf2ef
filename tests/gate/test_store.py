"""The observatory's store: who leaves it is in no file that stays, and only its own names reach it."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from portal.gate.folders import sha256_of
from portal.gate.store import StoreBusy, accept, delete, erase, persons, prune
from portal.rules.refusals import Refused

Row = tuple[str, str, str | None]
ROWS: list[Row] = [
    ("p1", "a", "d1"), ("p1", "a", "d2"), ("p1", "b", "d1"), ("p1", "c", None), ("p1", "d", "d3"),
]  # fmt: skip
NAMES = ("practice_id", "pseudonym", "doctor_pseudonym")


def write(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = pa.schema([(name, pa.string()) for name in NAMES])
    pq.write_table(pa.table({n: [row[i] for row in rows] for i, n in enumerate(NAMES)}, schema=kinds), path)
    return path


def read(path: Path) -> list[Row]:
    return [tuple(row.values()) for row in pq.read_table(path, partitioning=None).to_pylist()]


@pytest.fixture
def extraction(tmp_path: Path) -> Path:
    write(tmp_path / "extraction" / "records" / "0.parquet", ROWS[:2])
    write(tmp_path / "extraction" / "records" / "1.parquet", ROWS[2:])
    return tmp_path / "extraction"


@pytest.mark.parametrize(
    ("gone_persons", "gone_doctors", "stay"),
    [
        (set(), set(), ROWS),
        ({"a"}, set(), ROWS[2:]),
        ({"a", "d"}, set(), [ROWS[2], ROWS[3]]),
        ({"nobody"}, {"nobody"}, [ROWS[0], ROWS[1], ROWS[2], ROWS[4]]),
        (set(), {"d1"}, [ROWS[1], ROWS[4]]),  # and the row that names no doctor: it may be hers
        ({"d"}, {"d1"}, [ROWS[1]]),
    ],
)
def test_what_may_stay_is_written_beside_the_file_that_is_kept(
    tmp_path: Path, gone_persons: set[str], gone_doctors: set[str], stay: list[Row]
) -> None:
    file = write(tmp_path / "p1" / "entry-1.0123456789ab.parquet", ROWS)
    before = file.read_bytes()
    written = erase(file, persons=gone_persons, doctors=gone_doctors)
    assert written is not None
    assert (read(written.path), written.rows) == (sorted(stay, key=lambda r: (r[0], r[1], r[2] or "~")), len(stay))
    assert written.sha256 == sha256_of(written.path)
    assert written.path == tmp_path / "p1" / f"entry-1.{written.sha256[:12]}.parquet"
    assert file.read_bytes() == before
    assert sorted(p.name for p in (tmp_path / "p1").iterdir()) == sorted({file.name, written.path.name})


def test_where_nothing_may_stay_there_is_no_new_file(tmp_path: Path) -> None:
    file = write(tmp_path / "p1" / "entry-1.0123456789ab.parquet", ROWS)
    assert erase(file, persons={"a", "b", "c", "d"}, doctors=set()) is None
    assert list((tmp_path / "p1").iterdir()) == [file]


def test_a_file_that_was_swept_away_meanwhile_is_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "p1").mkdir()
    with pytest.raises(StoreBusy) as no:
        erase(tmp_path / "p1" / "gone.0123456789ab.parquet", persons={"a"}, doctors=set())
    assert (no.value.code, no.value.status) == ("store_busy", 503)
    assert list((tmp_path / "p1").iterdir()) == []


def test_an_extraction_is_taken_in_without_those_who_no_longer_pass(tmp_path: Path, extraction: Path) -> None:
    stored = accept(extraction, tmp_path / "store", "p1", drop={"a", "nobody"}, name="entry-7")
    assert (read(stored.path), stored.rows) == (ROWS[2:], 3)
    assert stored.sha256 == sha256_of(stored.path)
    assert stored.path == tmp_path / "store" / "p1" / f"entry-7.{stored.sha256[:12]}.parquet"
    assert [p.name for p in stored.path.parent.iterdir()] == [stored.path.name]


@pytest.mark.parametrize("practice", ["p2", "P1", "p"])
def test_one_row_of_another_practice_refuses_the_whole(tmp_path: Path, extraction: Path, practice: str) -> None:
    with pytest.raises(Refused) as no:
        accept(extraction, tmp_path / "store", practice, drop=set(), name="e")
    assert (no.value.code, no.value.where, no.value.status) == ("extraction_foreign_practice", "records", 422)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "-x", "a/b", "a\\b", "a b", "é", "a" * 101, "a\n"])
def test_what_could_be_a_path_is_no_name(tmp_path: Path, extraction: Path, name: str) -> None:
    for way in (
        lambda: accept(extraction, tmp_path / "store", "p1", drop=set(), name=name),
        lambda: accept(extraction, tmp_path / "store", name, drop=set(), name="e"),
        lambda: prune(tmp_path / "store", name, keep="x"),
        lambda: delete(tmp_path / "store", "p1", name),
        lambda: delete(tmp_path / "store", name, "e"),
    ):
        with pytest.raises(Refused) as no:
            way()
        assert (no.value.code, no.value.where, no.value.status) == ("store_name", "store", 422)


def test_only_the_file_that_counts_is_kept_and_no_half_written_one(tmp_path: Path) -> None:
    keep = write(tmp_path / "p1" / "e2.parquet", ROWS)
    other = write(tmp_path / "p2" / "e1.parquet", ROWS)
    write(tmp_path / "p1" / "e1.parquet", ROWS)
    (tmp_path / "p1" / ".e3.0a.part").write_bytes(b"half")
    assert prune(tmp_path, "p1", keep="e2.parquet") == 2
    assert list((tmp_path / "p1").iterdir()) == [keep]
    assert prune(tmp_path, "p1", keep="e2.parquet") == 0
    assert prune(tmp_path, "p3", keep="e2.parquet") == 0
    assert other.exists()


def test_a_file_is_deleted_and_one_that_is_gone_is_no_fault(tmp_path: Path) -> None:
    file, other = (write(tmp_path / "p1" / name, ROWS) for name in ("e1.parquet", "e2.parquet"))
    assert delete(tmp_path, "p1", "e1.parquet")
    assert (file.exists(), other.exists()) == (False, True)
    assert delete(tmp_path, "p1", "e1.parquet")
    assert delete(tmp_path, "p9", "e1.parquet")
    (tmp_path / "p1" / "folder").mkdir()
    assert not delete(tmp_path, "p1", "folder"), "what cannot be deleted is said to be there still"


def test_the_persons_of_several_files_are_counted_once_each(tmp_path: Path) -> None:
    one, other = (tmp_path / name for name in ("1.parquet", "2.parquet"))
    pq.write_table(pa.table({"practice_id": ["p1", "p1"], "pseudonym": ["b", "a"], "sex": ["male", None]}), one)
    year = pa.array([1980, 1990], pa.int32())
    pq.write_table(pa.table({"practice_id": ["p1", "p2"], "pseudonym": ["a", "a"], "year_of_birth": year}), other)
    assert [tuple(row.values()) for row in persons([one, other]).to_pylist()] == [
        ("p1", "a", 1980, None, 2), ("p1", "b", None, "male", 1), ("p2", "a", 1990, None, 1),
    ]  # fmt: skip
    assert persons([]).column_names == persons([one]).column_names
