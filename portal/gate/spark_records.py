"""Records in Parquet from any file system that Spark reads, as the view `record` of one session."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.functions import broadcast
from pyspark.sql.types import StructField, StructType

from portal.gate import flat
from portal.gate.columns import MOST_PROBLEMS, problem
from portal.gate.engine import name
from portal.gate.forms import Form, refuse
from portal.gate.spark_files import Column, SparkFile, by_header, found
from portal.gate.spark_sql import spoken
from portal.rules.refusals import RefusedFile


def refuse_problems(spark: SparkSession) -> None:
    """RefusedFile with the place of every problem in the view `record`, up to twenty."""
    query = f"SELECT line, problem FROM record WHERE problem IS NOT NULL ORDER BY line LIMIT {MOST_PROBLEMS}"
    found = spark.sql(query).collect()
    if found:
        raise RefusedFile([problem(PurePosixPath(unquote(at.uri)).name, at.row, said) for at, said in found])


def read_records(
    spark: SparkSession, sources: Sequence[str], wanted: Collection[str], names: Mapping[str, str]
) -> None:
    """Makes the view `record`: the flat record form, `problem` (NULL when readable) and `line`, which is file and row.

    RefusedFile for what is no Parquet file, or lacks a record's columns.
    """
    files = [file for source in sources for file in found(spark, source)]
    if not files:
        refuse(
            "empty_folder", ", ".join(PurePosixPath(source).name for source in sources), "There are no files to read."
        )
    selects = []
    for place, (columns, those) in enumerate(by_header(spark, files)):
        partitioned = those[0].practice is not None
        table = flat.Table(Form.PARQUET, tuple((said, kind) for said, kind, _ in columns), ",", partitioned)
        for file in those:
            flat.check_columns(table, file.path, names, wanted)
        read = set(flat.read_columns(table, names, wanted))
        _refuse_inexact(columns, read, those[0])
        _scan(spark, f"source_{place}", [column for column in columns if column[0] in read], those)
        line = "named_struct('uri', file_path, 'row', row_index + 1)"
        selects.append(
            flat.select(table, f"source_{place}", names, wanted, line, "folder", _readable(columns, read, partitioned))
        )
    spark.sql(spoken(" UNION ALL ".join(selects))).createOrReplaceTempView("record")


def _readable(columns: Sequence[Column], read: Collection[str], partitioned: bool) -> list[tuple[str, str]]:
    """What DuckDB finds by itself when it reads a text, and that each file is one of those that were found."""
    texts = [said for said, kind, _ in columns if kind == "VARCHAR" and said in read]
    checks = [(f"bad_encoding|{said.lower()}", f"NOT is_valid_utf8({name(said)})") for said in texts]
    return [*checks, *([("missing_value|folder", "folder IS NULL")] if partitioned else [])]


def _refuse_inexact(columns: Sequence[Column], read: Collection[str], file: SparkFile) -> None:
    """A broken number as text has other digits in Spark than in DuckDB."""
    for said, kind, _ in columns:
        if said in read and said.lower() == "test_value" and kind in {"FLOAT", "DOUBLE"}:
            refuse("wrong_type", f"{file.path.name}, column test_value", "For Spark, give results as texts.")


def _scan(spark: SparkSession, view: str, columns: Sequence[Column], files: Sequence[SparkFile]) -> None:
    """A view with these columns, file_path, row_index and folder."""
    form = StructType([StructField(said, kind) for said, _, kind in columns])
    paths = [file.address for file in files]
    rows = spark.read.schema(form).option("recursiveFileLookup", "true").parquet(*paths)
    rows = rows.selectExpr("*", "_metadata.file_path AS file_path", "_metadata.row_index AS row_index")
    if files[0].practice is None:
        rows.createOrReplaceTempView(view)
        return
    folders = pa.table({"file_path": [file.uri for file in files], "folder": [file.practice for file in files]})
    rows.join(broadcast(spark.createDataFrame(folders)), "file_path", "left").createOrReplaceTempView(view)
