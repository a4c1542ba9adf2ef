"""Files of any file system that Spark reads, found and fetched by the driver, and their headers.

Headers come from the files themselves, never from Spark's guess: no file hides another's columns.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession
from pyspark.sql.types import (
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    TimestampType,
)

from portal.gate.forms import refuse

_AT_ONCE = 16
"""Headers that are fetched at the same time."""

_PATTERNS = set("*?[]{}\\")

Column = tuple[str, str, DataType]
"""A column's name, its kind as DuckDB calls it, and its type in Spark."""

_PLAIN: Mapping[tuple[str, str], tuple[str, DataType]] = {
    ("BINARY", "STRING"): ("VARCHAR", StringType()),
    ("INT32", "DATE"): ("DATE", DateType()),
    ("INT64", "TIMESTAMP(MILLIS,true)"): ("TIMESTAMP WITH TIME ZONE", TimestampType()),
    ("INT64", "TIMESTAMP(MICROS,true)"): ("TIMESTAMP WITH TIME ZONE", TimestampType()),
    ("INT32", "INTEGER(8,true)"): ("TINYINT", ByteType()),
    ("INT32", "INTEGER(16,true)"): ("SMALLINT", ShortType()),
    ("INT32", "INTEGER(8,false)"): ("UTINYINT", ShortType()),
    ("INT32", "INTEGER(16,false)"): ("USMALLINT", IntegerType()),
    ("INT32", "INTEGER(32,false)"): ("UINTEGER", LongType()),
    ("INT64", "INTEGER(64,false)"): ("UBIGINT", DecimalType(20, 0)),
    ("FLOAT", ""): ("FLOAT", FloatType()),
    ("DOUBLE", ""): ("DOUBLE", DoubleType()),
} | {
    (kind, said): found
    for kind, found in {"INT32": ("INTEGER", IntegerType()), "INT64": ("BIGINT", LongType())}.items()
    for said in ("", f"INTEGER({kind[3:]},true)")
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SparkFile:
    """One file: its address, and the address as Spark's metadata writes it."""

    path: PurePosixPath
    address: str
    uri: str

    @property
    def practice(self) -> str | None:
        """What its folder's name says, as DuckDB reads it."""
        said = (part for part in self.path.parent.parts if part.startswith("practice_id="))
        return next((unquote(part.removeprefix("practice_id=")) for part in said), None)


def found(spark: SparkSession, source: str) -> list[SparkFile]:
    """Every file below, but hidden ones and those that begin with _."""
    try:
        listed = _listed(spark, source)
    except Py4JJavaError as error:
        said = error.java_exception.getClass().getSimpleName()
        if said == "FileNotFoundException":
            refuse("missing_input", PurePosixPath(source).name, "There is nothing of this name.")
        refuse("unreadable_folder", PurePosixPath(source).name, f"Spark cannot read from there: {said}.")
    files = []
    for file, below in listed:
        if any(part[0] in "._" for part in below.parts):
            continue
        if not file.address.endswith(".parquet"):
            refuse("unknown_form", file.path.name, "Spark reads .parquet files only.")
        if set(file.address) & _PATTERNS:
            refuse("unreadable_file", file.path.name, "A path must not hold * ? [ ] { } or a backslash.")
        files.append(file)
    return sorted(files, key=lambda file: file.address)


def address_of(place: str | Path) -> str:
    """A path of this machine, or a URI, as an address that Spark takes for the same."""
    return str(place) if ":/" in str(place) else f"file://{Path(place).resolve()}"


def fetch(spark: SparkSession, folder: str, to: Path) -> list[Path]:
    """Copies the Parquet files that stand directly in `folder`, in order; none where there is no such folder."""
    path, system = _at(spark, folder)
    if not system.exists(path):
        return []
    to.mkdir()
    names = sorted(str(status.getPath().getName()) for status in system.listStatus(path))
    files = [name for name in names if name.endswith(".parquet")]
    for name in files:
        _copy(spark, f"{folder}/{name}", to / name)
    return [to / name for name in files]


def _copy(spark: SparkSession, address: str, to: Path) -> None:
    path, system = _at(spark, address)
    system.copyToLocalFile(False, path, _jvm(spark).org.apache.hadoop.fs.Path(f"file://{to}"), True)


def delete(spark: SparkSession, folder: str) -> None:
    path, system = _at(spark, folder)
    system.delete(path, True)


def _at(spark: SparkSession, address: str) -> tuple[Any, Any]:
    """A path and its file system, as the driver reaches it."""
    path = _jvm(spark).org.apache.hadoop.fs.Path(address)
    return path, path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())


def _listed(spark: SparkSession, source: str) -> list[tuple[SparkFile, PurePosixPath]]:
    """Every file, and its path below the source."""
    path, system = _at(spark, address_of(source))
    root = system.getFileStatus(path)
    if root.isFile():
        return [(_file(spark, root), PurePosixPath(root.getPath().getName()))]
    top, below = root.getPath().toString(), system.listFiles(path, True)
    listed = []
    while below.hasNext():
        file = _file(spark, below.next())
        listed.append((file, PurePosixPath(file.address[len(top) + 1 :])))
    return listed


def _file(spark: SparkSession, status: Any) -> SparkFile:
    address = status.getPath().toString()
    path, _ = _at(spark, address)  # made anew: Hadoop writes the same path with one slash or with three
    return SparkFile(PurePosixPath(address), address, path.toUri().toString())


def by_header(spark: SparkSession, files: Sequence[SparkFile]) -> list[tuple[tuple[Column, ...], list[SparkFile]]]:
    """The files by their columns, and by whether a folder says whose they are."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        headers = list(pool.map(partial(_header, spark), files))
    columns = {said: _columns(header) for said, header in headers}
    grouped: dict[tuple[str, bool], list[SparkFile]] = {}
    for (said, _), file in zip(headers, files, strict=True):
        grouped.setdefault((said, file.practice is not None), []).append(file)
    return [(columns[said], those) for (said, _), those in grouped.items()]


def _header(spark: SparkSession, file: SparkFile) -> tuple[str, Any]:
    """The schema in a file's own words, and as Java's object."""
    parquet = _jvm(spark).org.apache.parquet.hadoop
    try:
        path, system = _at(spark, file.address)
        reader = parquet.ParquetFileReader.open(parquet.util.HadoopInputFile.fromPath(path, system.getConf()))
        try:
            schema = reader.getFooter().getFileMetaData().getSchema()
        finally:
            reader.close()
    except Py4JJavaError:
        refuse("bad_parquet", file.path.name, "Cut off, damaged, or not Parquet.")
    return schema.toString(), schema


def _columns(schema: Any) -> tuple[Column, ...]:
    return tuple(_column(field) for field in schema.getFields())


def _column(field: Any) -> Column:
    """Kinds that no column of a record has are all OTHER."""
    said = str(field.getName())
    if not field.isPrimitive() or field.getRepetition().name() == "REPEATED":
        return said, "OTHER", StringType()
    annotation = field.getLogicalTypeAnnotation()
    stands = "" if annotation is None else str(annotation.toString())
    if stands.startswith("DECIMAL("):
        return said, "DOUBLE", DecimalType(annotation.getPrecision(), annotation.getScale())
    stored = str(field.asPrimitiveType().getPrimitiveTypeName().name())
    kind, of_spark = _PLAIN.get((stored, stands), ("OTHER", StringType()))
    return said, kind, of_spark


def _jvm(spark: SparkSession) -> Any:
    """Java's side of the driver. Spark Connect has none."""
    return spark.sparkContext._jvm
