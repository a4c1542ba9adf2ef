"""The filter on a real Spark with two executor processes: the same judgement, the same rows, the same refusals.

DuckDB's filter is held against an oracle elsewhere (test_filtering.py, test_record_facts.py); here Spark is held
against DuckDB's.
"""

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import made
import oracle
import pyarrow as pa
import pyarrow.parquet as pq
import pyspark
import pytest
from made import record
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from portal.__main__ import app
from portal.gate import filtering, spark
from portal.gate.columns import read_records, released
from portal.gate.engine import Limits, engine
from portal.gate.extraction import read_extraction
from portal.gate.permit import ColumnTerm, Permit
from portal.gate.record_facts import doctor_pseudonyms, judged, load_allowed, load_terms
from portal.gate.spark_sql import own_session, spoken
from portal.outside.keys import KeyRing, public_pem
from portal.rules.precision import COLUMNS, Kind
from portal.rules.refusals import Refused, RefusedFile
from portal.rules.words import Precision

DATA = Path(__file__).parents[2] / "portal" / "demo" / "records"

CLUSTER = """--master local-cluster[2,1,1024]
--conf spark.driver.host=127.0.0.1 --conf spark.driver.bindAddress=127.0.0.1 --conf spark.sql.shuffle.partitions=2
--conf spark.shuffle.compress=false --conf spark.broadcast.compress=false
--conf "spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
--conf "spark.executor.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
--conf spark.hadoop.fs.viewfs.mounttable.lake.link.{0}=file:{0} pyspark-shell"""
"""Two executor processes, of Java that starts quickly. Nothing is compressed, so that what they keep on disk can be
read. viewfs://lake/ is a file system of another kind that shows the test's own folders."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Spark keeps what it writes for itself, beside links to Spark, which may itself be read-only."""
    home = tmp_path_factory.mktemp("spark")
    for part in Path(pyspark.__file__).parent.iterdir():
        (home / part.name).symlink_to(part)
    return home


@pytest.fixture(scope="module")
def cluster(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    submit = CLUSTER.format(tmp_path_factory.getbasetemp())
    settings = {"SPARK_HOME": folders, "SPARK_LOCAL_DIRS": folders / "local", "PYSPARK_SUBMIT_ARGS": submit}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, str(value))
        here = Path.cwd()
        environment.chdir(folders)  # Java stays where it starts
        with spark.running() as session:
            os.chdir(here)
            yield session


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Permit, Path, Path, filtering.Counts]:
    """The demo's records by practice, a permit, and DuckDB's extraction with its counts."""
    folder = tmp_path_factory.mktemp("real")
    records = oracle.flat_from_fhir(DATA)
    permit = made.permit(folder / "permit", *made.real_terms(records))
    partitions = made.write_partitions(folder / "records", records)
    counts = with_duckdb(permit, partitions, folder / "out")
    return permit, partitions, folder / "out", counts


def with_duckdb(permit: Permit, records: Path, out: Path) -> filtering.Counts:
    return filtering.filter_extraction(permit, records, out, practice_key=made.PRACTICE_KEY, buckets=16)


def with_spark(session: SparkSession, permit: Permit, records: str | Path, out: Path, **more: Any) -> filtering.Counts:
    return spark.filter_extraction(session, permit, str(records), out, practice_key=made.PRACTICE_KEY, **more)


def same_rows(one: Path, other: Path) -> None:
    """The same files with the same rows: in the same order too."""
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    for name in names:
        assert made.rows_of(one, name) == made.rows_of(other, name), name
        assert pq.read_schema(one / name).names == pq.read_schema(other / name).names


def test_the_demos_records_pass_as_with_duckdb(tmp_path: Path, cluster: SparkSession, real: Any) -> None:
    permit, records, expected, counts = real
    assert with_spark(cluster, permit, records, tmp_path / "out") == counts
    assert min(counts.passed, counts.not_in_permit, *counts.by_reason.values()) > 0
    same_rows(tmp_path / "out" / "records", expected / "records")
    read_extraction(tmp_path / "out", made.PRACTICE_KEY.public_key())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_a_release_holds_the_same_rows_as_with_duckdb(tmp_path: Path, cluster: SparkSession, real: Any) -> None:
    _, _, extraction, _ = real
    store = sorted((extraction / "records").iterdir())
    rows = [row for file in store for row in pq.read_table(file, partitioning=None).to_pylist()]
    terms, _ = made.real_terms(oracle.flat_from_fhir(DATA))
    persons = sorted({(row["practice_id"], row["pseudonym"]) for row in rows})
    allowed: made.Allowed = {
        key: (made.pseudonym("study " + key[1]), [(None, date(2025, 6, 30)) if place % 3 else (None, None)])
        for place, key in enumerate(persons)
        if place % 4
    }
    coarse = {"diagnosis": Precision.CHAPTER, "recorded_on": Precision.MONTH, "year_of_birth": Precision.DECADE}
    columns = (ColumnTerm("recorded_on", Precision.MONTH), *terms.columns)
    columns = tuple(replace(c, precision=coarse.get(c.name, c.precision)) for c in columns)
    permit = made.permit(tmp_path / "permit", made.release_terms(terms, columns=columns), allowed)
    counts = filtering.filter_release(permit, store, tmp_path / "duckdb", reference_year=2026)
    found = spark.filter_release(cluster, permit, [str(f) for f in store], tmp_path / "spark", reference_year=2026)
    assert found == counts
    assert 0 < counts.passed < counts.records_in
    same_rows(tmp_path / "spark", tmp_path / "duckdb")


# --- the judgement of each record ------------------------------------------------------------------------------------


def judged_by_both(
    session: SparkSession, permit: Permit, records: Path
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """(practice, patient, facts, person, reason, problem, codes) of every record: as Spark says, as DuckDB says, with
    the pseudonyms whose places it has."""
    names = "practice_id, patient_id, recorded_on, person, doctor_place, origin, dated, doctor, code, reason, problem"
    names += "".join(f", code_{term.name}" for term in permit.terms.columns if f"code_{term.name}" in CODED)
    found = spark.judge(session, permit, [str(records)]).selectExpr(*names.split(", ")).collect()
    with engine(Limits()) as con:
        load_terms(con, permit.terms)
        persons = load_allowed(con, permit).to_pylist()
        read_records(con, [records], [term.name for term in permit.terms.columns])
        rows = con.execute(f"SELECT {names} FROM ({judged(permit.terms)})").fetchall()
    who, doctors = ({None: None, **dict(enumerate(names))} for names in (persons, doctor_pseudonyms(permit.terms)))
    wanted = [(*row[:3], who[row[3]], doctors[row[4]], *row[5:]) for row in rows]
    return sorted((tuple(row) for row in found), key=repr), sorted(wanted, key=repr)


CODED = {f"code_{name}" for name in (*oracle.CODED, "test_value", "test_unit")}


def every_combination() -> Iterator[dict[str, Any]]:
    """Each origin, date, doctor and code that a record can have, of each person, those in no permit too."""
    persons = [("p1", "001"), ("p1", "002"), ("p2", "001"), ("p1", "003"), ("p3", "001")]
    doctors = [None, "d1", "d2", "d3", "d9", ""]
    days = [
        None,
        *(date(year, month, d) for year in (2023, 2024, 2025, 2026) for month, d in ((1, 1), (3, 1), (12, 31))),
    ]
    words = ["entered", "imported", "teleservice_auto", "unknown", "Entered", None]
    contents: list[dict[str, Any]] = [
        {"diagnosis": "J45.0"},
        {"diagnosis": "Z59.0"},
        {"diagnosis": None},
        {"diagnosis": None, "test_code": "2571-8", "test_value": "113.8", "test_unit": "mg/dL"},
        {"diagnosis": None, "test_code": "2571-8", "test_value": "0612345678"},
    ]
    for (practice, patient), doctor, day, word, content in itertools.product(persons, doctors, days, words, contents):
        yield record(
            practice_id=practice, patient_id=patient, doctor_id=doctor, recorded_on=day, provenance=word, **content
        )


def test_every_combination_of_facts_is_judged_as_with_duckdb(tmp_path: Path, cluster: SparkSession) -> None:
    records = made.write_parquet(tmp_path / "records.parquet", list(every_combination()))
    spans = made.ALLOWED_PERSONS["p1", "002"][1]
    persons = made.ALLOWED_PERSONS | {("p2", "001"): (made.pseudonym("three"), spans)}
    terms = replace(made.TERMS, period_from=date(2025, 2, 1))
    found, wanted = judged_by_both(cluster, made.permit(tmp_path / "permit", terms, persons), records)
    assert found == wanted
    assert {row[9] for row in wanted} == {None, "G25", "G30", "G31", "G32", "G33", "G34"}
    assert len({row[5:9] for row in wanted}) == 3 * 2 * (2 * 5 + 2 * 4)  # a doctor who has not enrolled has no span


POOL: dict[str, list[Any]] = {
    "practice_id": ["p1", "p2", "p3", "00012"],
    "patient_id": ["001", "002", "1", "é", "o'clock"],
    "doctor_id": [None, "", "d1", "d2", "d3", "d9"],
    "recorded_on": [None, date(1, 1, 1), date(1582, 10, 10), date(2024, 12, 30), date(2025, 2, 28), date(9999, 12, 31)],
    "provenance": ["entered", "imported", "teleservice_auto", "unknown", "odd", "", None],
    "year_of_birth": [None, 1849, 1850, 1930, 1931, 1987, 2200, 2201],
    "sex": [None, "", "female", "male", "other", "unknown"],
    "socio_professional_category": [None, "", "1", "38", "388a", "38A1"],
    "diagnosis": [
        None,
        "",
        "J45.0",
        "J450",
        "cim10|J45.0",
        "http://snomed.info/sct|195967001",
        "Z59.0",
        " J45.0",
        "J45.0\n",
    ],
    "prescription": [None, "R03AC02", "atc|R03AC02", "http://www.whocc.no/atc|R03AC02", "r03ac02"],
    "height_cm": [None, 19.9, 20.0, 172.4999, 172.5, 177.5, 280.0, 280.1, -0.0, 1e300],
    "weight_kg": [None, 0.0, 2.5, 7.5, 700.0, 700.1],
    "sick_leave_days": [None, 0, 3660, 3661, -1],
    "test_code": [None, "2571-8", "loinc|72166-2", "http://loinc.org|2571-8", "32624-9"],
    "test_value": [None, "", "12", "-3.5e2", "12\n", "1e+05", "007", "123456789", "sct|266919005", "0612345678", "１"],
    "test_unit": [None, "mg/dL", "MG/DL", "Mme Collet", "1"],
}


def random_records(seed: int, n: int) -> Iterator[dict[str, Any]]:
    """A good record with a few other values, n times."""
    chance = random.Random(seed)
    for _ in range(n):
        columns = chance.sample(sorted(POOL), chance.randrange(8))
        yield record(**{name: chance.choice(POOL[name]) for name in columns})


def test_random_records_pass_as_with_duckdb(tmp_path: Path, cluster: SparkSession) -> None:
    """Each value on both sides of each limit, in columns of all kinds and at each precision."""
    extra = (ColumnTerm("socio_professional_category", Precision.CATEGORY), ColumnTerm("weight_kg", Precision.UNIT))
    days_off = ColumnTerm("sick_leave_days", Precision.FULL)
    terms = replace(made.TERMS, columns=(*made.TERMS.columns, *extra, days_off), period_from=date(1, 1, 1))
    persons: made.Allowed = {
        (practice, patient): (made.pseudonym(practice + patient), [(None, date(2025, 1, 1)), (date(2025, 2, 1), None)])
        for practice in ("p1", "p2")
        for patient in ("001", "1", "é", "o'clock")
    }
    permit = made.permit(tmp_path / "permit", terms, persons)
    records = made.write_parquet(tmp_path / "records.parquet", list(random_records(2026, 20_000)))
    counts = with_duckdb(permit, records, tmp_path / "duckdb")
    assert with_spark(cluster, permit, records, tmp_path / "spark") == counts
    assert min(counts.passed, counts.not_in_permit) > 1000
    assert set(counts.by_reason) == {"G25", "G30", "G31", "G32", "G33", "G34"}
    same_rows(tmp_path / "spark" / "records", tmp_path / "duckdb" / "records")


def test_every_precision_of_every_column_is_duckdbs(cluster: SparkSession) -> None:
    chance = random.Random(7)
    days = [date(1900, 1, 1) + timedelta(days=chance.randrange(73_000)) for _ in range(2000)]
    values = pa.table(
        {
            Kind.DAY: pa.array([None, *days], pa.date32()),
            Kind.YEAR: [None, *(chance.randrange(3700, 4400) / 2 for _ in days)],
            Kind.NUMBER: [None, *(chance.choice((chance.random() * 700, chance.randrange(1400) / 2)) for _ in days)],
            Kind.WORD: [None, *(chance.choice(("female", "38", "388a", "38A1", "é")) for _ in days)],
        }
    )
    asked = [
        released(column.name, precision, column.kind, year)
        for column in COLUMNS.values()
        for precision in column.precisions
        for year in (2026, None)
        if not column.listed
    ]
    own = own_session(cluster)
    own.createDataFrame(values).createOrReplaceTempView("given_values")
    statement = "SELECT " + ", ".join(f"{said} AS c{place}" for place, said in enumerate(asked)) + " FROM given_values"
    found = [tuple(row) for row in own.sql(spoken(statement)).collect()]
    with engine(Limits()) as con:
        con.register("given_values", values)
        wanted = con.execute(statement).fetchall()
    assert sorted(found, key=repr) == sorted(wanted, key=repr)
    assert len(asked) > 20
    assert not [place for place in range(len(asked)) if all(row[place] is None for row in wanted)]


# --- what cannot be read ---------------------------------------------------------------------------------------------


def columns_file(**columns: pa.Array) -> Callable[[Path], Path]:
    """One Parquet file of good records with these columns."""

    def write(folder: Path) -> Path:
        n = len(next(iter(columns.values()), [None]))
        names = ("practice_id", "patient_id", "recorded_on", "provenance", "diagnosis")
        good = {name: pa.array([made.RECORD[name]] * n) for name in names}
        pq.write_table(pa.table(good | columns), folder / "records.parquet")
        return folder / "records.parquet"

    return write


def damaged(damage: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = columns_file()(folder)
        path.write_bytes(damage(path.read_bytes()))
        return path

    return write


def contradicting(folder: Path) -> Path:
    return made.write_parquet(folder / "by" / "practice_id=p2" / "a.parquet", [record()])


def lacking(folder: Path) -> Path:
    """A folder where only one of two files lacks a column."""
    made.write_parquet(folder / "two" / "a.parquet", [record()])
    made.write_parquet(folder / "two" / "b.parquet", [record()], without="recorded_on")
    return folder / "two"


def text(*values: str | None) -> pa.Array:
    return pa.array(values, pa.string())


FOREVER, NEVER, TOO_FAR = 2**31 - 1, -(2**31) + 1, 2_932_897
"""A day without end and one without beginning, as DuckDB writes them, and the first of the year 10,000."""

MISSPELLED = {
    "recorded_on": ["2025-06-30", "2025-02-29", "2025-6-30", "2025-06-30T24:00Z", "2025-06-30T10:00", "2025-06-30\n"],
    "height_cm": ["172", "172,5", "1e5", " 1", "0x10", "1d", "NaN", "1_0", "", "1e-99"],
    "sex": ["female", "F", "", "Mme Collet"],
    "practice_id": ["p1", ""],
    "patient_id": ["001", None],
}


def misspelled(folder: Path) -> Path:
    """One row for each word, all else being good."""
    good = {name: str(made.RECORD[name]) for name in MISSPELLED if name != "height_cm"} | {"provenance": "entered"}
    rows = [good | {"height_cm": "172", name: word} for name, words in MISSPELLED.items() for word in words]
    pq.write_table(pa.table({name: text(*(row[name] for row in rows)) for name in rows[0]}), folder / "records.parquet")
    return folder / "records.parquet"


UNREADABLE: dict[str, Callable[[Path], Path]] = {
    "misspelled": misspelled,
    "days without end": columns_file(
        recorded_on=pa.array([0, FOREVER, NEVER, TOO_FAR, 0, 0], pa.int32()).cast(pa.date32()),
        height_cm=pa.array([1.0, 1.0, 1.0, 1.0, float("inf"), float("nan")]),
    ),
    "moments without end": columns_file(recorded_on=pa.array([0, 2**63 - 1, -(2**63) + 1], pa.timestamp("us", "UTC"))),
    "a practice that contradicts its folder": contradicting,
    "moments without a zone": columns_file(recorded_on=pa.array([0], pa.timestamp("us"))),
    "numbers for names": columns_file(patient_id=pa.array([1])),
    "lists for codes": columns_file(diagnosis=pa.array([["J45.0"]])),
    "bytes for codes": columns_file(diagnosis=pa.array([b"J45.0"])),
    "yes and no for codes": columns_file(diagnosis=pa.array([True])),
    "bytes for numbers": columns_file(year_of_birth=pa.array([b"1987"])),
    "cut off": damaged(lambda content: content[: len(content) // 2]),
    "no Parquet": damaged(lambda content: b"PAR1"),
    "nothing in the file": damaged(lambda content: b""),
    "one of two files lacks a column": lacking,
    "no such file": lambda folder: folder / "nothing",
}


@pytest.mark.shows("R8")
@pytest.mark.parametrize("what", UNREADABLE)
def test_what_duckdb_refuses_spark_refuses_for_the_same(tmp_path: Path, cluster: SparkSession, what: str) -> None:
    permit, records = made.permit(tmp_path / "permit"), UNREADABLE[what](tmp_path)
    refused = []
    for run in (lambda out: with_duckdb(permit, records, out), lambda out: with_spark(cluster, permit, records, out)):
        with pytest.raises(RefusedFile) as caught:
            run(tmp_path / "out")
        refused.append([(problem.code, problem.where) for problem in caught.value.problems])
        assert "Collet" not in str(caught.value)
    assert refused[0] == refused[1]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".", "out"))]


def garbled(folder: Path) -> Path:
    """A text that is not UTF-8, in a file that says that it is."""
    path = columns_file(diagnosis=text("J45.0"), sex=text("female"))(folder)
    path.write_bytes(path.read_bytes().replace(b"J45.0", b"J45\xff0"))
    return path


def twice(folder: Path) -> Path:
    names = ["practice_id", "patient_id", "recorded_on", "provenance", "sex", "SEX"]
    pq.write_table(pa.table([text("x")] * 6, names=names), folder / "records.parquet")
    return folder / "records.parquet"


def unpacked(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


STRICTER: dict[str, tuple[str, str, Callable[[Path], Path | str]]] = {
    "text that is not UTF-8": ("bad_encoding", "records.parquet, line 1, column diagnosis", garbled),
    "a column twice": ("duplicate_column", "records.parquet", twice),
    "broken numbers as results": (
        "wrong_type",
        "records.parquet, column test_value",
        columns_file(test_value=pa.array([0.5])),
    ),
    "other forms": ("unknown_form", "records.csv", lambda folder: made.write_csv(folder / "records.csv", [record()])),
    "names that are patterns": (
        "unreadable_file",
        "a{1}.parquet",
        lambda f: columns_file()(f).rename(f / "a{1}.parquet"),
    ),
    "an empty folder": ("empty_folder", "empty", unpacked),
    "an unknown file system": ("unreadable_folder", "records", lambda folder: "nowhere://lake/records"),
}


@pytest.mark.parametrize("what", STRICTER)
def test_what_spark_could_not_read_for_sure_it_does_not_read(tmp_path: Path, cluster: SparkSession, what: str) -> None:
    code, where, write = STRICTER[what]
    with pytest.raises(RefusedFile) as caught:
        with_spark(cluster, made.permit(tmp_path / "permit"), write(tmp_path), tmp_path / "out")
    assert [(problem.code, problem.where) for problem in caught.value.problems] == [(code, where)]


def test_a_page_that_is_damaged_refuses_the_run(tmp_path: Path, cluster: SparkSession) -> None:
    """The header is whole, so that only the machine that reads the records can notice."""
    records = made.write_parquet(tmp_path / "records.parquet", list(random_records(1, 2000)))
    content = records.read_bytes()
    records.write_bytes(content[:40] + b"\xff" * 4000 + content[4040:])
    with pytest.raises(Refused, match="bad_parquet"):
        with_spark(cluster, made.permit(tmp_path / "permit"), records, tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".", "out"))]


# --- any file system, any name ---------------------------------------------------------------------------------------

ODD_PRACTICES = ("00012", "1e3", "2025-01-01", "a b", "a+b", "p%2", "é", "__HIVE_DEFAULT_PARTITION__")


def test_practices_are_texts_whatever_their_folders_look_like(tmp_path: Path, cluster: SparkSession) -> None:
    """Spark would take 00012 for a number and a+b for a space; here from another file system than DuckDB's."""
    terms = replace(
        made.TERMS,
        practices=ODD_PRACTICES,
        unnamed_doctor_ok=(),
        doctors=tuple(replace(made.TERMS.doctors[0], practice_id=practice) for practice in ODD_PRACTICES),
    )
    persons: made.Allowed = {(p, "001"): (made.pseudonym(p), [(None, None)]) for p in ODD_PRACTICES}
    permit = made.permit(tmp_path / "permit", terms, persons)
    records = made.write_partitions(tmp_path / "records", [record(practice_id=p) for p in ODD_PRACTICES])
    (records / "_SUCCESS").touch()
    (records / ".hidden.parquet").write_bytes(b"no Parquet")
    counts = with_duckdb(permit, records, tmp_path / "duckdb")
    assert counts.passed == len(ODD_PRACTICES)
    lake = f"viewfs://lake{records}"
    assert with_spark(cluster, permit, lake, tmp_path / "spark", staging=f"viewfs://lake{tmp_path}/staging") == counts
    same_rows(tmp_path / "spark" / "records", tmp_path / "duckdb" / "records")
    assert list((tmp_path / "staging").iterdir()) == []


def test_files_with_other_headers_are_read_each_by_its_own(tmp_path: Path, cluster: SparkSession) -> None:
    moments = pa.array([datetime(2025, 6, 29, 22, 30, tzinfo=UTC)], pa.timestamp("ms", "UTC"))  # the 30th in Paris
    decimal, tiny = pa.array([172], pa.decimal128(5, 2)), pa.array([113], pa.int8())
    headers: list[dict[str, pa.Array]] = [
        {"recorded_on": moments, "DIAGNOSIS": text("J450"), "height_cm": decimal, "other": pa.array([b"\xff"])},
        {"recorded_on": text("2025-06-30T00:30+02:00"), "test_code": text("2571-8"), "test_value": tiny},
        {"doctor_id": text("d1").dictionary_encode(), "height_cm": pa.array([1.5], pa.float32())},
    ]
    required = ("practice_id", "patient_id", "doctor_id", "recorded_on", "provenance")
    good = {name: pa.array([made.RECORD[name]]) for name in required}
    (tmp_path / "records").mkdir()
    for place, columns in enumerate(headers):
        pq.write_table(pa.table(good | columns), tmp_path / "records" / f"{place}.parquet")
    permit = made.permit(tmp_path / "permit")
    counts = with_duckdb(permit, tmp_path / "records", tmp_path / "duckdb")
    assert with_spark(cluster, permit, tmp_path / "records", tmp_path / "spark") == counts
    assert (counts.passed, counts.by_reason) == (2, {"G33": 1})
    same_rows(tmp_path / "spark" / "records", tmp_path / "duckdb" / "records")


# --- nothing refused travels, and nothing is half done ---------------------------------------------------------------

CANARIES = ("Durand-Canari", "canari@example.org", "0699988877", "289077512345678")


def refused_records() -> list[dict[str, Any]]:
    return [
        record(patient_id=CANARIES[0]),
        record(diagnosis=CANARIES[0]),
        record(allergy=CANARIES[1], provenance="unknown"),
        record(diagnosis=None, test_code="2571-8", test_value=CANARIES[3]),
        record(diagnosis=None, test_code="2571-8", test_value="1", test_unit=CANARIES[0]),
        record(doctor_id=CANARIES[2]),
        record(provenance=CANARIES[1]),
    ]


def stages(session: SparkSession) -> dict[int, int]:
    """Rows that each stage handed on to another, by its number."""
    context, java = session.sparkContext, session.sparkContext._jvm
    store = context._jsc.sc().statusStore()
    quantiles = context._gateway.new_array(java.double, 0)
    found = store.stageList(None, False, False, quantiles, java.java.util.ArrayList())
    return {found.apply(n).stageId(): found.apply(n).shuffleWriteRecords() for n in range(found.size())}


@pytest.mark.shows("R11")
def test_a_refused_record_moves_to_no_other_machine_and_to_no_file(
    tmp_path: Path, cluster: SparkSession, folders: Path
) -> None:
    records = tmp_path / "records"
    passing = [record(height_cm=height) for height in range(20, 280)]
    made.write_parquet(records / "a.parquet", [*passing, *refused_records() * 20])
    made.write_parquet(records / "b.parquet", [*refused_records() * 20, *passing])
    before = stages(cluster)
    counts = with_spark(cluster, made.permit(tmp_path / "permit"), records, tmp_path / "out")
    assert (counts.passed, counts.records_in) == (520, 800)
    moved = [rows for stage, rows in stages(cluster).items() if stage not in before]
    assert moved.count(520) == 1
    assert sum(moved) - 520 <= 2 * 6  # the counts themselves: one row for each reason and machine
    written = [path for top in (folders, tmp_path / "out") for path in top.rglob("*") if not _linked(path, folders)]
    contents = [path.read_bytes() for path in written if path.is_file()]
    assert any(made.pseudonym("one").encode() in content for content in contents if content[:4] != b"PAR1")
    everything = b"".join(contents) + repr(made.rows_of(tmp_path / "out" / "records")).encode()
    assert not [canary for canary in CANARIES if canary.encode() in everything]


def _linked(path: Path, top: Path) -> bool:
    return any(parent.is_symlink() for parent in (path, *path.parents) if parent.is_relative_to(top))


def executors(session: SparkSession) -> list[int]:
    """The process numbers of this cluster's executors: children of its driver."""
    java = session.sparkContext._jvm.java.lang.ProcessHandle
    children = [int(child.pid()) for child in java.current().children().toList()]
    return [pid for pid in children if b"CoarseGrainedExecutorBackend" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize(("how_many", "after"), [(1, 0.3), (2, 1.0)])
def test_an_executor_that_is_killed_leaves_a_whole_extraction_or_none(
    tmp_path: Path, cluster: SparkSession, real: Any, how_many: int, after: float
) -> None:
    permit, records, expected, counts = real
    killed: list[int] = []

    def kill() -> None:
        while not cluster.sparkContext.statusTracker().getActiveStageIds():
            time.sleep(0.02)
        time.sleep(after)
        for pid in executors(cluster)[:how_many]:
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    with beside(kill):
        found = counts_or_code(cluster, permit, records, tmp_path / "out")
    assert len(killed) == how_many
    if (tmp_path / "out").exists():
        assert found == counts
        same_rows(tmp_path / "out" / "records", expected / "records")
    else:
        assert found in {"spark_failed", "records_incomplete"}
    assert {path.name for path in tmp_path.iterdir()} <= {"out"}


def counts_or_code(session: SparkSession, *run: Any, **more: Any) -> filtering.Counts | str:
    try:
        return with_spark(session, *run, **more)
    except Refused as refused:
        return refused.code


@contextmanager
def beside(act: Callable[[], None]) -> Iterator[None]:
    """What is done meanwhile, to its end."""
    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join()


def test_rows_that_do_not_arrive_refuse_the_run(tmp_path: Path, cluster: SparkSession) -> None:
    """As when the machines of a cluster do not share a disk: here each process writes below a folder of its own."""
    permit = made.permit(tmp_path / "permit")
    records = made.write_parquet(tmp_path / "records.parquet", [record()])
    with pytest.raises(Refused, match="records_incomplete"):
        with_spark(cluster, permit, records, tmp_path / "out", staging="file:/proc/self/cwd/own")
    assert not (tmp_path / "out").exists()


# --- the command -----------------------------------------------------------------------------------------------------


def handed_out(folder: Path) -> dict[str, Path]:
    """What `portal extract` needs, in this folder."""
    long = {"not_before": datetime(2000, 1, 1, tzinfo=UTC), "expires_at": datetime(2100, 1, 1, tzinfo=UTC)}
    made.permit(folder / "permit", replace(made.TERMS, **long))
    made.write_partitions(folder / "records", [record(), record(patient_id="003")])
    KeyRing(folder / "keys").create("practice:p1")
    (folder / "portal.pub").write_bytes(public_pem(made.KEY.public_key()))
    named = {"permit": "permit", "records": "records", "out": "out", "key": "portal.pub", "sign-with": "keys"}
    return {f"--{option}": folder / name for option, name in named.items()}


def test_the_command_extracts_on_spark(tmp_path: Path, cluster: SparkSession) -> None:
    arguments = [str(word) for option in handed_out(tmp_path).items() for word in option]
    done = CliRunner().invoke(app, ["extract", *arguments, "--engine", "spark"])
    assert (done.exit_code, done.output) == (0, "1 of 2 records passed, 1 not in the permit\n")
    own = KeyRing(tmp_path / "keys").signing_key("practice:p1").public_key()
    assert read_extraction(tmp_path / "out", own).rows == 1


def test_without_spark_the_command_says_what_to_install(tmp_path: Path) -> None:
    arguments = [str(word) for option in handed_out(tmp_path).items() for word in option]
    program = "import sys; sys.modules['pyspark'] = None; from portal.__main__ import main; main()"
    command = [sys.executable, "-c", program, "extract", *arguments, "--engine", "spark"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr == "--engine spark: install observatory-portal[spark] [spark_missing]\n"
    assert not (tmp_path / "out").exists()
