"""The columns that leave at a crossing, each with all that may stand in it.

A coded column holds what its list says and a number what its bounds allow; only test results and socio-professional
categories are texts.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import pyarrow as pa

from portal.gate.cells import is_number
from portal.gate.columns import released
from portal.gate.packing import Digit, Packing, Text
from portal.gate.record_facts import doctor_pseudonyms, released_codes
from portal.gate.terms import Terms
from portal.rules.precision import BANDS, COLUMNS, PERIODS, STEPS, Kind, released_name, resolve, rounded
from portal.rules.words import Crossing, Precision, Provenance, Sex

SOURCE_DAY = "source_day"
"""The record's own day, beside rows of a release: rows of one day that are alike are one record (G60)."""


def packing(terms: Terms, pseudonyms: pa.ChunkedArray, reference_year: int | None) -> Packing:
    """The columns in the order of rules/precision.py; in an extraction with the gate columns.

    `pseudonyms`: all those of the permit, in order. Ages are those of `reference_year` (None: no age is grouped).
    """
    asked = [name for name in COLUMNS if terms.precision_of(name) and name != "recorded_on"]
    values = [_column(terms, name, reference_year) for name in asked]
    person = Digit("pseudonym", "person", pa.concat_arrays([*pseudonyms.chunks, pa.nulls(1, pa.string())]))
    if terms.crossing is Crossing.RELEASE:
        return Packing([person, _period(terms), *values], behind=[_day(terms, SOURCE_DAY)])
    return Packing(
        [
            _texts("practice_id", "practice_place", sorted(terms.practices)),
            person,
            _texts("doctor_pseudonym", "doctor_place", doctor_pseudonyms(terms)),
            _day(terms, "recorded_on"),
            _word("provenance", sorted(Provenance)),
            *values,
        ]
    )


def _list(values: pa.Array) -> pa.Array:
    return pa.concat_arrays([values, pa.nulls(1, values.type)])


def _texts(name: str, place: str, values: Sequence[str]) -> Digit:
    return Digit(name, place, _list(pa.array(values, pa.string())))


def _word(name: str, words: Sequence[str]) -> Digit:
    """A word's place is the number of words before it."""
    return _texts(name, " + ".join(f"CAST({name} >= '{word}' AS INTEGER)" for word in words[1:]), words)


def _day(terms: Terms, name: str) -> Digit:
    """The record's own day, counted from the first day."""
    days = pa.array(_days(terms.period_from, terms.period_until), pa.date32())
    return Digit(name, f"recorded_on - DATE '{terms.period_from}'", _list(days))


def _period(terms: Terms) -> Digit:
    """The day as week, month or year, counted from that of the first day."""
    precision = resolve("recorded_on", terms.precision_of("recorded_on") or Precision.FULL)
    first = terms.period_from
    if precision is Precision.WEEK:  # the engine counts whole weeks, so it must begin on a Monday
        first -= timedelta(days=first.weekday())
    place = f"date_diff('{precision.value}', DATE '{first}', recorded_on)"
    kind = pa.int32() if precision is Precision.YEAR else pa.string()
    periods = list(dict.fromkeys(PERIODS[precision](day) for day in _days(terms.period_from, terms.period_until)))
    return Digit(released_name("recorded_on", precision), place, _list(pa.array(periods, kind)))


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _column(terms: Terms, name: str, reference_year: int | None) -> Digit | Text:
    column, precision = COLUMNS[name], terms.precision_of(name) or Precision.FULL
    match column.kind:
        case Kind.CODE | Kind.UNIT:
            return _texts(name, f"place_{name}", released_codes(terms, name))
        case Kind.RESULT:
            return Text(name, _value(terms, name, reference_year))
        case Kind.WORD if name == "sex":
            return _word(name, sorted(Sex))
        case Kind.WORD:
            return Text(name, _value(terms, name, reference_year))
    numbers = _numbers(name, precision)
    place = f"{released(name, precision, name, reference_year)} - {numbers.start}"
    place = place if numbers.step == 1 else f"({place}) // {numbers.step}"
    return Digit(name, place, _list(pa.array(numbers, pa.int32())))


def _numbers(name: str, precision: Precision) -> range:
    """All that a number within its bounds may be at this precision."""
    lowest, highest = COLUMNS[name].bounds or (0, 0)
    wanted = resolve(name, precision)
    if COLUMNS[name].kind is Kind.YEAR:
        return range(lowest // BANDS[wanted] * BANDS[wanted], highest + 1, BANDS[wanted])
    step = STEPS[wanted]
    return range(rounded(lowest, step), rounded(highest, step) + 1, step)


def outputs(terms: Terms, reference_year: int | None) -> list[str]:
    """The same columns where nothing is packed: SQL over judged records whose person and doctor_place are the
    pseudonyms themselves. In a release with the source day, until copies are found."""
    asked = [name for name in COLUMNS if terms.precision_of(name) and name != "recorded_on"]
    values = [f"{_value(terms, name, reference_year)} AS {name}" for name in asked]
    if terms.crossing is Crossing.EXTRACTION:
        gate = ["practice_id", "person AS pseudonym", "doctor_place AS doctor_pseudonym", "recorded_on", "provenance"]
        return [*gate, *values]
    when = terms.precision_of("recorded_on") or Precision.WEEK
    day = f"{released('recorded_on', when, 'recorded_on', reference_year)} AS {released_name('recorded_on', when)}"
    return ["person AS pseudonym", day, *values, f"recorded_on AS {SOURCE_DAY}"]


def _value(terms: Terms, name: str, reference_year: int | None) -> str:
    precision = terms.precision_of(name) or Precision.FULL
    if COLUMNS[name].kind is Kind.RESULT:
        return f"CASE WHEN {is_number(name)} THEN {name} ELSE code_{name} END"
    return f"code_{name}" if COLUMNS[name].listed else released(name, precision, name, reference_year)
