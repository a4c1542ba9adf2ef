"""Large things are read ahead: in order, errors included, and no longer than somebody wants them."""

import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest

from portal.gate import buckets
from portal.gate.engine import ahead


def test_pieces_come_in_order_and_none_is_lost() -> None:
    assert list(ahead(range(100))) == list(range(100))
    assert list(ahead([])) == []


def test_an_error_while_reading_ahead_reaches_who_works_on_the_piece_before() -> None:
    def pieces() -> Iterator[int]:
        yield 1
        raise OSError("the disk")

    coming = ahead(pieces())
    assert next(coming) == 1
    with pytest.raises(OSError, match="the disk"):
        next(coming)


def test_nothing_is_read_once_the_reader_has_gone() -> None:
    read: list[int] = []

    def pieces() -> Iterator[int]:
        for n in count():
            read.append(n)
            yield n

    with closing(ahead(pieces())) as coming:
        assert next(coming) == 0
    assert read in ([0], [0, 1])


def test_an_error_while_writing_leaves_no_thread_that_reads(tmp_path: Path) -> None:
    schema = pa.schema([("a", pa.int32())])
    groups = [pa.table({"a": [1]}, schema=schema), pa.table({"b": ["another"]}), pa.table({"a": [2]}, schema=schema)]
    before = threading.active_count()
    with pytest.raises(ValueError, match="schema") as error:
        buckets._write(groups, schema, tmp_path / "rows.parquet")
    assert threading.active_count() == before, "while the error is being handled"
    assert error.traceback
