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
from portal.rules.precision import COLUMNS, PERIODS, STEPS, Kind, released_name, resolve
from portal.rules.words import Crossing, Precision, Provenance, Sex


def packing(terms: Terms, pseudonyms: pa.Array, reference_year: int | None) -> Packing:
    """The columns in the order of rules/precision.py; in an extraction with the gate columns.

    `pseudonyms`: all those of the permit, in order. Ages are those of `reference_year` (None: no age is grouped).
    """
    asked = [name for name in COLUMNS if terms.precision_of(name) and name != "recorded_on"]
    values = [_column(terms, name, reference_year) for name in asked]
    person = Digit("pseudonym", "person", _list(pseudonyms))
    if terms.crossing is Crossing.RELEASE:
        return Packing([person, _period(terms), *values])
    days = list(_days(terms.period_from, terms.period_until))
    return Packing(
        [
            _texts("practice_id", "practice_place", sorted(terms.practices)),
            person,
            _texts("doctor_pseudonym", "doctor_place", doctor_pseudonyms(terms)),
            Digit("recorded_on", f"recorded_on - DATE '{terms.period_from}'", _list(pa.array(days, pa.date32()))),
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


def _period(terms: Terms) -> Digit:
    """The day as week, month or year, counted from that of the first day."""
    precision = resolve("recorded_on", terms.precision_of("recorded_on") or Precision.FULL)
    place = f"date_diff('{precision.value}', DATE '{terms.period_from}', recorded_on)"
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
            return Text(name, f"CASE WHEN {is_number(name)} THEN {name} ELSE code_{name} END")
        case Kind.WORD if name == "sex":
            return _word(name, sorted(Sex))
        case Kind.WORD:
            return Text(name, released(name, precision, name, reference_year))
    lowest, highest = column.bounds or (0, 0)
    step = 10 if precision is Precision.DECADE else STEPS.get(precision, 1)
    numbers = pa.array(range(lowest, highest + step, step), pa.int32())
    place = f"{released(name, precision, name, reference_year)} - {lowest}"
    return Digit(name, place if step == 1 else f"({place}) // {step}", _list(numbers))
