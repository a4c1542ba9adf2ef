"""A table of persons by one or two dimensions, made from release files with its small cells masked: safe to publish.

Persons, not rows: each stands in one cell. Who shows several values of a dimension counts under `several`, who shows
none under `none`, so that cells add up to their sums and what a reader can work out is known (rules/masking.py).
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portal.gate.combinations import BETWEEN, combine, names
from portal.gate.engine import NO_LIMITS, engine, select
from portal.rules.masking import ALL, Key, differing, masked, with_sums
from portal.rules.precision import released_name
from portal.rules.refusals import Refused
from portal.rules.words import Precision

MOST_CELLS = 2_000
SEVERAL, NONE, MASKED = "several", "none", "masked"

Question = frozenset[str]


@dataclass(frozen=True, slots=True)
class Aggregates:
    """dimensions: (column, precision). published: the numbers that are shown. hidden: the keys that are not."""

    dimensions: tuple[tuple[str, str], ...]
    published: dict[Key, int]
    hidden: frozenset[Key]

    def as_csv(self) -> bytes:
        """A line a number, sums last of their line: the dimensions, then persons or `masked`."""
        lines = [",".join([*(column for column, _ in self.dimensions), "persons"])]
        for key in sorted(self.published.keys() | self.hidden, key=lambda k: tuple((v == ALL, v) for v in k)):
            lines.append(",".join([*key, str(self.published.get(key, MASKED))]))
        return ("\n".join(lines) + "\n").encode()

    def as_json(self) -> list[list[Any]]:
        """What was published, as [[question, …], persons]: for comparing the next table with it."""
        return sorted([sorted(_question(self.dimensions, key)), n] for key, n in self.published.items())


def published(said: Sequence[Sequence[Any]]) -> dict[Question, int]:
    """The inverse of `as_json`."""
    return {frozenset(question): int(n) for question, n in said}


def aggregate(
    files: Sequence[Path],
    dimensions: Mapping[str, Precision],
    *,
    least: int,
    earlier: Sequence[Mapping[Question, int]] = (),
) -> Aggregates:
    """The table over the persons of these release files. `earlier`: tables that are public already; a number that
    differs from the same number there by a few persons is masked (G62). Refused G61: more cells than can be checked."""
    columns = tuple((column, precision.value) for column, precision in dimensions.items())
    with engine(NO_LIMITS) as con:
        there = [released_name(column, precision) for column, precision in dimensions.items()]
        combine(con, files, there)
        rows = con.execute(select(", ".join([*names(there), "n"]), "combination")).fetchall()
    cells: Counter[Key] = Counter()
    for *values, n in rows:
        cells[tuple(_value(value) for value in values)] += int(n)
    table = with_sums(cells)
    if len(table) > MOST_CELLS:
        raise Refused("G61", f"a table of more than {MOST_CELLS} numbers is not made: ask for coarser dimensions")
    asked = {_question(columns, key): key for key in table}
    close = differing({question: table[key] for question, key in asked.items()}, earlier, least=least)
    hidden = masked(table, least=least, also=_keys(asked, close))
    shown = {key: n for key, n in table.items() if key not in hidden}
    return Aggregates(columns, shown, frozenset(hidden))


def _keys(asked: Mapping[Question, Key], questions: Collection[Question]) -> set[Key]:
    return {asked[question] for question in questions}


def _value(value: str | None) -> str:
    if value is None:
        return NONE
    return SEVERAL if BETWEEN in value else value


def _question(dimensions: Sequence[tuple[str, str]], key: Key) -> Question:
    pairs = zip(dimensions, key, strict=True)
    return frozenset(f"{column}/{precision}={value}" for (column, precision), value in pairs if value != ALL)
