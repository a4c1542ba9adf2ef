"""Every combination of facts decided beforehand: the table that bulk decisions join, and that the proof walks."""

from functools import cache
from typing import Any

from portal.rules import facts as f
from portal.rules.clearance import ORDER, RULES, Rule, Withheld, decide


@cache
def verdict_table(grain: type[Any], rules: tuple[Rule, ...] = RULES) -> tuple[tuple[int, int, str | None], ...]:
    """Every combination decided beforehand: (key, bits of the failing rules by place in ORDER, first reason).

    Bulk decisions join their facts to this table; the proof walks the same rows.
    """
    rows, mine = [], tuple(rule for rule in rules if rule.grain is grain)
    for facts in f.every_combination(grain):
        verdict = decide(facts, rules=mine)
        reasons = verdict.reasons if isinstance(verdict, Withheld) else ()
        rows.append((f.key_of(facts), sum(1 << ORDER[r] for r in reasons), reasons[0] if reasons else None))
    return tuple(rows)


def reasons_of(bits: int) -> tuple[str, ...]:
    """The codes of a bit mask made by `verdict_table`, in order."""
    return tuple(rule.code for place, rule in enumerate(RULES) if bits >> place & 1)
