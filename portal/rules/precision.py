"""The columns that may be asked for, and how finely each may be released (DOMAIN §7).

The functions here are the definition in plain Python; gate/columns.py says the same in SQL, and a test holds the
two equal. Halves round up, so that rounding first to 1 and then to 5 gives what rounding to 5 gives, and to 15 too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import floor

from portal.rules.words import Precision

OLDEST = 95
"""From this age on, everyone shares one year of birth."""


class Kind(StrEnum):
    """What a column holds."""

    DAY = "day"
    YEAR = "year"
    WORD = "word"
    CODE = "code"
    NUMBER = "number"
    RESULT = "result"
    UNIT = "unit"


@dataclass(frozen=True, slots=True)
class Column:
    """precisions: finest first, the first is the default. bounds: what a number may be; outside, the record stays."""

    name: str
    kind: Kind
    precisions: tuple[Precision, ...] = (Precision.FULL,)
    bounds: tuple[int, int] | None = None
    of_person: bool = False

    @property
    def listed(self) -> bool:
        """True when nothing may leave this column but what is on its list of codes."""
        return self.kind in {Kind.CODE, Kind.RESULT, Kind.UNIT}


_CODED = (Precision.FULL, Precision.CATEGORY, Precision.CHAPTER)
_ROUNDED = (Precision.UNIT, Precision.FIVE, Precision.FIFTEEN)
_YEARS = (Precision.YEAR, Precision.FIVE, Precision.DECADE)

COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        Column("recorded_on", Kind.DAY, (Precision.WEEK, Precision.MONTH, Precision.QUARTER, Precision.YEAR)),
        Column("year_of_birth", Kind.YEAR, _YEARS, (1850, 2200), of_person=True),
        Column("sex", Kind.WORD, of_person=True),
        Column("socio_professional_category", Kind.WORD, (Precision.FULL, Precision.CATEGORY), of_person=True),
        Column("allergy", Kind.CODE, _CODED),
        Column("medical_history", Kind.CODE, _CODED),
        Column("height_cm", Kind.NUMBER, _ROUNDED, (20, 280)),
        Column("weight_kg", Kind.NUMBER, _ROUNDED, (0, 700)),
        Column("diagnosis", Kind.CODE, _CODED),
        Column("prescription", Kind.CODE, _CODED),
        Column("sick_leave_days", Kind.NUMBER, (Precision.UNIT,), (0, 3660)),
        Column("test_code", Kind.CODE, _CODED),
        Column("test_value", Kind.RESULT),
        Column("test_unit", Kind.UNIT),
    )
}
"""In the order in which they stand in a file."""

PERSON_COLUMNS = tuple(name for name, column in COLUMNS.items() if column.of_person)
"""The quasi-identifiers: what a neighbour may know of a person."""

_DEFAULTS = {"height_cm": Precision.FIVE, "weight_kg": Precision.FIVE}


def allowed(column: str) -> tuple[Precision, ...]:
    """The precisions a column may be asked for, finest first."""
    return COLUMNS[column].precisions


def resolve(column: str, precision: Precision) -> Precision:
    """What is meant: FULL is the column's default of DOMAIN §7. ValueError for one the column does not have."""
    if precision in COLUMNS[column].precisions:
        return precision
    if precision is Precision.FULL:
        return _DEFAULTS.get(column, COLUMNS[column].precisions[0])
    raise ValueError(f"{column} has no precision {precision.value}")


def permits(column: str, granted: Precision, wanted: Precision) -> bool:
    """May `wanted` be released where `granted` is authorised? False too for what the column cannot be (G12)."""
    if column not in COLUMNS:
        return False
    order = COLUMNS[column].precisions
    try:
        return order.index(resolve(column, wanted)) >= order.index(resolve(column, granted))
    except ValueError:
        return False


def released_name(column: str, precision: Precision) -> str:
    """The name of a column in a release: a day is no day any more."""
    return f"recorded_{resolve(column, precision).value}" if column == "recorded_on" else column


def year_of_birth(year: int, precision: Precision, reference_year: int) -> int:
    """1987 → 1987, 1985 or 1980. From 95 on one year, the one of those who turn 95 in the release's year."""
    band = BANDS[resolve("year_of_birth", precision)]
    return max(year, reference_year - OLDEST) // band * band


def rounded(value: float, step: int) -> int:
    """To the nearest multiple of `step`, halves up."""
    return floor(value / step + 0.5) * step


STEPS = {Precision.UNIT: 1, Precision.FIVE: 5, Precision.FIFTEEN: 15}

BANDS = {Precision.YEAR: 1, Precision.FIVE: 5, Precision.DECADE: 10}
"""How many years of birth share one."""

PERIODS: dict[Precision, Callable[[date], str | int]] = {
    Precision.WEEK: lambda day: f"{day.isocalendar().year}-W{day.isocalendar().week:02d}",
    Precision.MONTH: lambda day: f"{day:%Y-%m}",
    Precision.QUARTER: lambda day: f"{day.year:04}-Q{(day.month + 2) // 3}",
    Precision.YEAR: lambda day: day.year,
}
"""A day as ISO week (`2025-W07`), month (`2025-02`), quarter (`2025-Q1`) or year."""
