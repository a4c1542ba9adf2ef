"""The steps by which a released column may be made coarser, and what a released value becomes at each.

Every step is a function of the value before it, so that persons who are alike stay alike: a coarser release never
has more combinations than a finer one. A week belongs to the month, quarter and year of its Thursday, as in ISO 8601.
"""

from collections.abc import Mapping
from datetime import date

from portal.rules.codes import coarsen
from portal.rules.precision import BANDS, COLUMNS, PERIODS, STEPS, Kind, resolve, rounded
from portal.rules.words import Precision

Value = str | int

MIDDLE_OF_WEEK = 4
"""Thursday: ISO 8601 gives a week to the year that its Thursday is in."""


def ladder(column: str) -> tuple[Precision, ...]:
    """Finest first; the last step leaves the column out. A release always says when, so a day has no such step."""
    steps = COLUMNS[column].precisions
    return steps if column == "recorded_on" else (*steps, Precision.ABSENT)


def steps(column: str, asked: Precision, coarsest: Precision) -> tuple[Precision, ...]:
    """From what the study asks for down to the coarsest that it accepts. ValueError for a step that does not exist."""
    order, first = ladder(column), resolve(column, asked)
    last = coarsest if coarsest is Precision.ABSENT else resolve(column, coarsest)
    if last not in order:
        raise ValueError(f"{column} cannot be left out")
    return order[order.index(first) : max(order.index(first), order.index(last)) + 1]


def loss(precisions: Mapping[str, Precision], asked: Mapping[str, Precision]) -> float:
    """How much is lost against what was asked for, from 0 (nothing) to 1 (every column left out).

    Steps taken over steps that there are, averaged over the quasi-identifiers (Sweeney's "precision", 2002, from 1).
    It does not depend on the data, so that the choice says nothing about anybody.
    """
    shares = []
    for column, wanted in asked.items():
        order, first = ladder(column), resolve(column, wanted)
        there_are = len(order) - 1 - order.index(first)
        shares.append((order.index(precisions[column]) - order.index(first)) / there_are if there_are else 0.0)
    return sum(shares) / len(shares) if shares else 0.0


def coarser(column: str, value: Value, step: Precision) -> Value | None:
    """A released value at a coarser step; None where it has none (a code whose system has no such level)."""
    if step is Precision.ABSENT:
        return None
    match COLUMNS[column].kind:
        case Kind.DAY:
            return _period(str(value), step)
        case Kind.YEAR:
            return int(value) // BANDS[step] * BANDS[step]
        case Kind.NUMBER:
            return rounded(int(value), STEPS[step])
        case Kind.CODE:
            return coarsen(str(value), step)
        case Kind.WORD if step is Precision.CATEGORY:
            return str(value)[:1]
    return value


def _period(value: str, step: Precision) -> Value:
    """`2025-W07`, `2025-02`, `2025-Q1` or `2025` as month, quarter or year; at its own step it stays."""
    year, _, part = value.partition("-")
    if part.startswith("W"):
        return PERIODS[step](date.fromisocalendar(int(year), int(part[1:]), MIDDLE_OF_WEEK))
    month = int(part[1:]) * 3 if part.startswith("Q") else int(part or 1)
    return PERIODS[step](date(int(year), month, 1))
