"""The same filter on Apache Spark: the judgement of gate/record_facts.py, said to a cluster.

The permit, the practice's key and the folder that is written stay on the driver's machine. Every record is judged
where it is read: only what passes is moved between machines, and only as it leaves.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from duckdb import DuckDBPyConnection
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import broadcast, col

from portal.gate.buckets import bucket_names
from portal.gate.engine import NO_LIMITS, engine, select
from portal.gate.extraction import write_statement
from portal.gate.filtering import STORE_NAMES, Counts, expect, without_copies
from portal.gate.folders import whole_folder
from portal.gate.outputs import SOURCE_DAY, outputs
from portal.gate.permit import Permit
from portal.gate.record_facts import doctor_pseudonyms, judged, load_allowed, load_terms
from portal.gate.spark_files import address_of, delete, fetch
from portal.gate.spark_records import read_records, refuse_problems
from portal.gate.spark_sql import own_session, spoken
from portal.rules.refusals import Refused
from portal.rules.words import Crossing

_TABLES = {
    "person": "person JOIN named USING (place)",
    "doctor": "doctor LEFT JOIN named_doctor USING (place)",
    "person_spans": "person_spans", "practice": "practice", "code_list": "code_list", "verdict": "verdict",
}  # fmt: skip
"""What a record is held against, with pseudonyms where DuckDB, which packs records, has their places. Every machine of
the cluster gets them whole."""

_ARROW = {"string": pa.string(), "date": pa.date32(), "int": pa.int32()}


@contextmanager
def running() -> Iterator[SparkSession]:
    """Spark as its own settings say (spark-defaults.conf, PYSPARK_SUBMIT_ARGS); where they say nothing, here.

    One that runs already in this process is taken as it is, and left running.
    """
    if found := SparkSession.getActiveSession():
        yield found
        return
    builder = SparkSession.builder.appName("portal extract").config("spark.ui.enabled", "false")
    try:
        spark = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    except PySparkException as error:
        raise Refused("spark_not_started", "Spark did not start; it needs Java 17 or newer.", where="spark") from error
    spark.sparkContext.setLogLevel("ERROR")
    try:
        yield spark
    finally:
        spark.stop()


def filter_extraction(
    spark: SparkSession,
    permit: Permit,
    records: str,
    out: Path,
    *,
    practice_key: Ed25519PrivateKey,
    buckets: int = 16,
    staging: str | None = None,
) -> Counts:
    """As gate/filtering.py does it. `records`: a folder or file, a path or a URI of any file system that Spark reads.

    `staging`: a folder that every machine of the cluster can write to, where they do not share the disk of `out`.
    """
    expect(permit, Crossing.EXTRACTION)
    with whole_folder(out) as part:
        counts, rows = _pass(spark, permit, [records], part, None, buckets, staging)
        write_statement(part, permit, asdict(counts), rows, practice_key)
    return counts


def filter_release(
    spark: SparkSession,
    permit: Permit,
    store: Sequence[str],
    out: Path,
    *,
    reference_year: int,
    buckets: int = 16,
    staging: str | None = None,
) -> Counts:
    """As gate/filtering.py does it, from files of the store."""
    expect(permit, Crossing.RELEASE)
    with whole_folder(out) as part:
        counts, _ = _pass(spark, permit, store, part, reference_year, buckets, staging)
        for file in sorted((part / "records").iterdir()):
            file.rename(part / file.name)
        (part / "records").rmdir()
    return counts


def judge(spark: SparkSession, permit: Permit, sources: Sequence[str]) -> DataFrame:
    """Every record as `judged` of gate/record_facts.py says, in a session of its own."""
    own = own_session(spark)
    release = permit.terms.crossing is Crossing.RELEASE
    with engine(NO_LIMITS) as con:
        load_terms(con, permit.terms)
        _name(con, "named", load_allowed(con, permit))
        _name(con, "named_doctor", pa.array(doctor_pseudonyms(permit.terms), pa.string()))
        for table, source in _TABLES.items():
            what = "* EXCLUDE (pseudonym) REPLACE (pseudonym AS place)" if "JOIN" in source else "*"
            rows = con.sql(select(what, source)).to_arrow_table()
            rows = rows if rows.num_rows else rows.schema.empty_table()  # Spark wants a piece, even an empty one
            broadcast(own.createDataFrame(rows)).createOrReplaceTempView(table)
    wanted = [term.name for term in permit.terms.columns]
    read_records(own, sources, wanted, STORE_NAMES if release else {})
    return own.sql(spoken(judged(permit.terms)))


def _name(con: DuckDBPyConnection, table: str, pseudonyms: pa.Array | pa.ChunkedArray) -> None:
    con.register(table, pa.table({"place": pa.array(range(len(pseudonyms)), pa.int32()), "pseudonym": pseudonyms}))


def _pass(
    spark: SparkSession,
    permit: Permit,
    sources: Sequence[str],
    part: Path,
    reference_year: int | None,
    buckets: int,
    staging: str | None,
) -> tuple[Counts, dict[str, int]]:
    """The counts, and the files below part/records with their rows."""
    with _unfinished_is_refused():
        records = judge(spark, permit, sources)
        counts = _count(records)
        passing = records.where("person IS NOT NULL AND reason IS NULL")
        rows = passing.selectExpr(*map(spoken, outputs(permit.terms, reference_year)))
        expected = counts.passed
        if permit.terms.crossing is Crossing.RELEASE:
            rows = rows.distinct().drop(SOURCE_DAY)
            expected = rows.count()
        with _staged(spark, part, staging) as folder:
            _write(rows, folder, buckets)
            written = _gather(rows, folder, part / "records", buckets)
    if sum(written.values()) != expected:
        raise Refused(
            "records_incomplete",
            "Not as many rows arrived as passed. Did the records change meanwhile? Can every machine of the cluster, "
            "and this one, write to the folder named by --staging?",
            where="records",
        )
    return without_copies(counts, expected), written


def _count(records: DataFrame) -> Counts:
    """Every record once; RefusedFile if one cannot be read."""
    why = "CASE WHEN problem IS NOT NULL THEN 'problem' WHEN person IS NULL THEN 'nobody' ELSE reason END"
    found = {row[0]: row[1] for row in records.selectExpr(f"{why} AS why").groupBy("why").count().collect()}
    if "problem" in found:
        refuse_problems(records.sparkSession)
    return Counts(
        records_in=sum(found.values()),
        passed=found.pop(None, 0),
        not_in_permit=found.pop("nobody", 0),
        by_reason=dict(sorted(found.items())),
    )


def _write(rows: DataFrame, folder: str, buckets: int) -> None:
    """One file for each bucket that is not empty, in a folder `bucket=` its place, sorted by all columns."""
    digits = len(bucket_names(buckets)[0])
    place = f"CAST(conv(substr(pseudonym, 1, {digits}), 16, 10) AS INT)" if buckets > 1 else "0"
    placed = rows.selectExpr("*", f"{place} AS bucket").repartitionById(buckets, "bucket")
    order = [col("bucket"), *(col(name).asc_nulls_last() for name in rows.columns)]
    placed.sortWithinPartitions(*order).write.partitionBy("bucket").parquet(folder, mode="overwrite")


def _gather(rows: DataFrame, staged: str, folder: Path, buckets: int) -> dict[str, int]:
    """Brings the files here, under the names that DuckDB's have; an empty bucket has an empty file."""
    folder.mkdir()
    written = {}
    for place, name in enumerate(bucket_names(buckets)):
        target = folder / f"{name}.parquet"
        fetched = fetch(rows.sparkSession, f"{staged}/bucket={place}", folder / name)
        if fetched:
            fetched[0].rename(target)
            shutil.rmtree(folder / name)
        else:
            pq.write_table(pa.schema([(said, _ARROW[kind]) for said, kind in rows.dtypes]).empty_table(), target)
        written[target.name] = pq.read_metadata(target).num_rows
    return written


@contextmanager
def _staged(spark: SparkSession, part: Path, staging: str | None) -> Iterator[str]:
    """The address of a folder of this run, gone afterwards."""
    folder = f"{address_of(staging or part)}/{part.name.lstrip('.')}.rows"
    try:
        yield folder
    finally:
        delete(spark, folder)


@contextmanager
def _unfinished_is_refused() -> Iterator[None]:
    """Refused for whatever Spark stumbles over; its own words stay out: they may repeat a path or a value."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        if "FAILED_READ_FILE" in str(error):
            raise Refused("bad_parquet", "A file is cut off, damaged, or not Parquet.", where="records") from error
        raise Refused("spark_failed", "Spark did not finish; its log says why.", where="records") from error
