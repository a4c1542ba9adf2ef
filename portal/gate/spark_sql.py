"""The gate's statements as Spark reads them: the same text, with settings and functions that make it mean the same."""

import re

from pyspark.sql import SparkSession

_SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.parser.escapedStringLiterals": "true",
    "spark.sql.caseSensitive": "false",
    "spark.sql.session.timeZone": "UTC",
    # a file that is damaged, or gone, refuses the run
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    # values stand in a file as they are
    "spark.sql.parquet.binaryAsString": "false",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.files.maxRecordsPerFile": "0",
}

_FUNCTIONS = (
    r"regexp_full_match(x STRING, p STRING) RETURNS BOOLEAN RETURN x RLIKE ('\A(?:' || p || ')\z')",
    "isfinite(x DOUBLE) RETURNS BOOLEAN RETURN NOT isnan(x) AND abs(x) < DOUBLE('Infinity')",
    "timezone(zone STRING, x TIMESTAMP) RETURNS TIMESTAMP_NTZ "
    "RETURN CASE WHEN year(x) BETWEEN 0 AND 10000 THEN CAST(from_utc_timestamp(x, zone) AS TIMESTAMP_NTZ) END",
    "strftime(x DATE, form STRING) RETURNS STRING RETURN CASE form WHEN '%Y-%m' THEN date_format(x, 'yyyy-MM') "
    "WHEN '%Y-Q' THEN date_format(x, 'yyyy') || '-Q' "
    "WHEN '%G-W%V' THEN extract(YEAROFWEEK FROM x) || '-W' || lpad(weekofyear(x), 2, '0') "
    "ELSE raise_error('no such form of a day') END",
    "in_a_span(day DATE, spans ARRAY<STRUCT<first: DATE, last: DATE>>) RETURNS BOOLEAN "
    "RETURN exists(spans, s -> day BETWEEN s.first AND s.last)",
)
"""DuckDB's functions that the statements use and Spark does not have, or has under another name."""

_TYPES = {"VARCHAR": "STRING", "TIMESTAMPTZ": "TIMESTAMP_LTZ"}


def own_session(spark: SparkSession) -> SparkSession:
    """A session of the same cluster with settings, views and functions of its own."""
    own = spark.newSession()
    for setting, value in _SETTINGS.items():
        own.conf.set(setting, value)
    for function in _FUNCTIONS:
        own.sql(f"CREATE TEMPORARY FUNCTION {function}")
    return own


def spoken(statement: str) -> str:
    """The statement with Spark's names of types. No value stands in a statement, so none is changed."""
    return re.sub(rf"\b({'|'.join(_TYPES)})\b", lambda word: _TYPES[word[0]], statement)
