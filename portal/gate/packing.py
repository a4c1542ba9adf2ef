"""A record that passes as a few whole numbers and back, so that writing it down and sorting it cost little.

A column with few possible values is a digit: the place of its value in the list of all of them, in order, with the
last place for "nothing". Digits side by side, first column first, make whole numbers of up to 62 bits: whoever
sorts these numbers has sorted the records by all their columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import pyarrow as pa

WIDEST = 62
"""Bits of a key; a signed whole number of the engine has 63."""


@dataclass(frozen=True)
class Digit:
    """`values`: all that may stand here, in order, and None at the end. `place`: an expression for where a record's
    value stands among them (NULL: nothing). A place outside the list would spill into the neighbour."""

    name: str
    place: str
    values: pa.Array

    @property
    def bits(self) -> int:
        return (len(self.values) - 1).bit_length()


@dataclass(frozen=True)
class Text:
    """A column that may hold more than a list can: it stays as it is, a key of its own."""

    name: str
    value: str


@dataclass(frozen=True)
class Packing:
    """How records of these columns are packed, in their order, and after them those `behind`: what tells two records
    apart and is never unpacked."""

    columns: Sequence[Digit | Text]
    behind: Sequence[Digit] = ()

    @cached_property
    def keys(self) -> list[list[Digit] | Text]:
        """What stands in each key: the digits side by side, most significant first, or one text."""
        keys: list[list[Digit] | Text] = []
        for column in (*self.columns, *self.behind):
            last = keys[-1] if keys else None
            if isinstance(column, Text):
                keys.append(column)
            elif isinstance(last, list) and sum(d.bits for d in last) + column.bits <= WIDEST:
                last.append(column)
            else:
                keys.append([column])
        return keys

    @property
    def names(self) -> list[str]:
        return [f"key{place}" for place in range(len(self.keys))]

    @property
    def schema(self) -> pa.Schema:
        """The columns as they leave."""
        return pa.schema([(c.name, c.values.type if isinstance(c, Digit) else pa.string()) for c in self.columns])

    def packed(self, when: str) -> str:
        """The keys of a judged record as an SQL list; NULL unless `when`."""
        return ", ".join(f"CASE WHEN {when} THEN {_key(key)} END AS key{n}" for n, key in zip(count(), self.keys))

    def digits(self) -> str:
        """Every column's place, or its text, out of the keys: an SQL list in the order of the columns."""
        outputs = []
        for n, key in zip(count(), self.keys):
            if isinstance(key, Text):
                outputs.append(f'key{n} AS "{key.name}"')
                continue
            for digit, shift in _shifts(key):
                if digit not in self.behind:
                    outputs.append(f'CAST((key{n} >> {shift}) & {(1 << digit.bits) - 1} AS INTEGER) AS "{digit.name}"')
        return ", ".join(outputs)

    def values(self, places: pa.RecordBatch) -> pa.Table:
        """The records themselves, from what `digits` gave."""
        columns = [
            c.values.take(places.column(n)) if isinstance(c, Digit) else places.column(n)
            for n, c in zip(count(), self.columns)
        ]
        return pa.Table.from_arrays(columns, schema=self.schema)


def _shifts(key: Sequence[Digit]) -> list[tuple[Digit, int]]:
    shift, shifts = 0, []
    for digit in reversed(key):
        shifts.append((digit, shift))
        shift += digit.bits
    return shifts[::-1]


def _key(key: list[Digit] | Text) -> str:
    if isinstance(key, Text):
        return key.value
    digits = [_digit(digit, 1 << shift) for digit, shift in _shifts(key)]
    return " + ".join(digits)


def _digit(digit: Digit, weight: int) -> str:
    """Multiplied and added: the engine's shifts cost more."""
    return f"CAST(coalesce({digit.place}, {len(digit.values) - 1}) AS BIGINT) * {weight}"
