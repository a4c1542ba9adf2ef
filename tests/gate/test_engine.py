"""The engine as the gate opens it, and what it is told by name."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from portal.gate.buckets import bucket_names
from portal.gate.engine import Limits, engine, name, paths, select
from portal.rules.refusals import Refused


def said(limits: Limits, setting: str, spill: Path | None = None) -> Any:
    with engine(limits, spill) as con:
        found = con.execute(f"SELECT current_setting('{setting}')").fetchone()
        assert found
        return found[0]


def test_it_is_alone_in_its_time_and_takes_what_it_may() -> None:
    assert said(Limits(), "TimeZone") == "UTC"
    assert not said(Limits(), "autoinstall_known_extensions")
    assert not said(Limits(), "autoload_known_extensions")
    assert said(Limits(threads=1), "threads") == 1
    assert said(Limits(memory="500MB"), "memory_limit") == "476.8 MiB"


def test_it_writes_to_the_disk_only_where_it_is_told(tmp_path: Path) -> None:
    assert said(Limits(), "temp_directory") == ""
    assert said(Limits(), "temp_directory", tmp_path / "spill") == str(tmp_path / "spill")


def test_a_connection_is_closed_at_the_end() -> None:
    with engine(Limits()) as con:
        con.execute("SELECT 1")
    with pytest.raises(duckdb.Error):
        con.execute("SELECT 1")


def test_names_and_paths_with_quotes_are_names_and_paths(tmp_path: Path) -> None:
    files = [tmp_path / "l'un.parquet", tmp_path / "l'autre.parquet"]
    for place, file in enumerate(files):
        pq.write_table(pa.table({'a "b"': [place]}), file)
    with engine(Limits()) as con:
        query = select(name('a "b"'), f"read_parquet({paths(files)})", "ORDER BY 1", "DESC")
        assert con.execute(query).fetchall() == [(1,), (0,)]


@pytest.mark.parametrize("sign", "*?[]")
def test_a_path_that_would_be_read_as_a_pattern_is_refused(tmp_path: Path, sign: str) -> None:
    with pytest.raises(Refused) as no:
        paths([tmp_path / "a.parquet", tmp_path / f"b{sign}.parquet"])
    assert (no.value.code, no.value.where, no.value.status) == ("unreadable_file", f"b{sign}.parquet", 422)
    assert no.value.what == "A path must not hold * ? [ or ]."


def test_buckets_have_the_first_digits_of_pseudonyms_as_names() -> None:
    assert bucket_names(1) == ("all",)
    assert bucket_names(16) == tuple("0123456789abcdef")
    assert (len(bucket_names(256)), bucket_names(256)[0], bucket_names(256)[-1]) == (256, "00", "ff")
    assert list(bucket_names(256)) == sorted(set(bucket_names(256)))
    with pytest.raises(KeyError):
        bucket_names(2)
