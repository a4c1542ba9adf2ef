"""Every combination of facts decided beforehand: the table that bulk decisions join, and that the proof walks."""

from dataclasses import replace
from functools import cache
from itertools import product
from math import prod
from typing import Any

from portal.rules import facts as f
from portal.rules.clearance import ORDER, RULES, Rule

Row = tuple[int, int, str | None]


@cache
def verdict_table(grain: type[Any], rules: tuple[Rule, ...] = RULES) -> tuple[Row, ...]:
    """Every combination decided beforehand: (key, bits of the failing rules by place in ORDER, first reason).

    A rule is asked once for each combination of the fields that it `reads`, as soon as the last of them is set. That
    takes a fifteenth of the time of `decide` for each row, with which a test compares. Rows stand in order of key.
    """
    names, mine = list(f.words_of(grain)), [rule for rule in rules if rule.grain is grain]
    sizes = [len(words) for words in f.words_of(grain).values()]
    failing = [0]
    for place, name in enumerate(names):
        due = [rule for rule in mine if max(names.index(read) for read in rule.reads) == place]
        earlier = [n for n in names[:place] if any(n in rule.reads for rule in due)]
        found = _failing(grain, due, earlier, name)
        radix = [(prod(sizes[names.index(n) + 1 : place]), len(f.words_of(grain)[n])) for n in earlier]
        failing = [
            bits | more
            for key, bits in enumerate(failing)
            for more in found[tuple(key // step % size for step, size in radix)]
        ]
    return tuple((key, bits, _first(bits)) for key, bits in enumerate(failing))


def _failing(
    grain: type[Any], rules: list[Rule], earlier: list[str], name: str
) -> dict[tuple[int, ...], tuple[int, ...]]:
    """By the places of the earlier fields' values: for each value of this field, the bits of those rules that fail."""
    words = f.words_of(grain)
    facts = grain(*(next(iter(each)) for each in words.values()))
    found = {}
    for values in product(*(enumerate(words[n]) for n in earlier)):
        known = replace(facts, **{n: value for n, (_, value) in zip(earlier, values, strict=True)})
        found[tuple(at for at, _ in values)] = tuple(
            sum(1 << ORDER[rule.code] for rule in rules if rule.withholds(replace(known, **{name: value})))
            for value in words[name]
        )
    return found


def _first(bits: int) -> str | None:
    """The code of the lowest bit."""
    return RULES[(bits & -bits).bit_length() - 1].code if bits else None


def reasons_of(bits: int) -> tuple[str, ...]:
    """The codes of a bit mask made by `verdict_table`, in order."""
    return tuple(rule.code for place, rule in enumerate(RULES) if bits >> place & 1)
