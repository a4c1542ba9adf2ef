"""DuckDB as the gate uses it: in memory, alone, nothing fetched, nothing remembered."""

from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import duckdb

from portal.rules.refusals import Refused

Piece = TypeVar("Piece")

JOIN_AS_WRITTEN = "SET disabled_optimizers = 'join_order, build_side_probe_side'"
"""Of a join, what is written last is held in memory. Left to itself, the engine may hold the records instead: of a CSV
it cannot tell how many they are."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may take; None leaves it to the engine. memory such as `500MB`."""

    threads: int | None = None
    memory: str | None = None


NO_LIMITS = Limits()


@contextmanager
def engine(limits: Limits, spill: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own. Without `spill` nothing is ever written but what is asked for."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "temp_directory": str(spill) if spill else "",
    }
    if limits.threads:
        settings["threads"] = limits.threads
    if limits.memory:
        settings["memory_limit"] = limits.memory
    with duckdb.connect(":memory:", config=settings) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def select(what: str, source: str, *rest: str) -> str:
    """A SELECT over names and expressions of ours; values come in as tables or parameters, keys never."""
    return " ".join(("SELECT", what, "FROM", source, *rest))


def text(value: str) -> str:
    """A text as an SQL literal. Only for names and paths that the caller gave, never for keys or values."""
    return "'" + value.replace("'", "''") + "'"


def name(identifier: str) -> str:
    """An identifier in quotes."""
    return '"' + identifier.replace('"', '""') + '"'


def paths(files: Sequence[Path]) -> str:
    """Files as an SQL list; Refused where a name would be read as a pattern."""
    for file in files:
        if set(str(file)) & set("*?[]"):
            raise Refused("unreadable_file", "A path must not hold * ? [ or ].", where=file.name, status=422)
    return "[" + ", ".join(text(str(file)) for file in files) + "]"


def ahead(pieces: Iterable[Piece]) -> Generator[Piece]:
    """The same pieces of something large, the next one read while the caller works on one. Who ends before the last
    closes it, so that nothing is read any more from what is closed then."""
    coming = iter(pieces)
    with ThreadPoolExecutor(1) as reader:
        following = reader.submit(next, coming, None)
        while (piece := following.result()) is not None:
            following = reader.submit(next, coming, None)
            yield piece
