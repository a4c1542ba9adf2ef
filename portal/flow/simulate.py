"""Two worlds: what passes now, and what would pass if something changed. The change is made, decided on, undone."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from portal.flow.decide import Asked, stand
from portal.flow.means import Means
from portal.records.canaries import NO_CANARY
from portal.records.clearance import decided
from portal.records.database import Connection, rows, transact
from portal.records.governance import deciding_authorisation
from portal.rules.clearance import Withheld
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day

PASSES = "passes"
LONGEST_REFLECTION = 365

CHANGES = {
    "doctor-leaves": "PRACTICE/NUMBER: this doctor of this practice leaves",
    "reflection": "DAYS: the reflection period becomes so long",
    "new-notice": "OBSERVATORY: a new version with a material change supersedes every notice text",
    "withdraw-text": "ID: this notice text is withdrawn",
}
"""What `--if` takes, as `name=value`."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """Patients by first reason (or `passes`), now and after the change; the same twice without one."""

    now: dict[str, int]
    then: dict[str, int]

    @property
    def difference(self) -> dict[str, int]:
        codes = sorted(self.now.keys() | self.then.keys())
        changed = {code: self.then.get(code, 0) - self.now.get(code, 0) for code in codes}
        return {code: n for code, n in changed.items() if n}


class _Undo(Exception):
    """Not a fault: it takes the simulated change back."""


async def simulate(means: Means, asked: Asked, change: str | None = None) -> Simulated:
    """Count both worlds with the same `decide`. Nothing is kept: the change's transaction is rolled back."""
    now = await transact(lambda c: _count(means, c, asked))
    if change is None:
        return Simulated(now, now)

    then: dict[str, int] = {}

    async def other_world(c: Connection) -> None:
        await _make(means, c, asked, change)
        then.update(await _count(means, c, asked))
        raise _Undo

    with suppress(_Undo):
        await transact(other_world)
    return Simulated(now, then)


async def _count(means: Means, c: Connection, asked: Asked) -> dict[str, int]:
    decision = await stand(means, c, asked, cut=0)
    found = await decided(
        c,
        decision.thresholds,
        "SELECT reason, count(*) AS n FROM decided GROUP BY reason",
        among=f"WHERE {NO_CANARY}",
    )
    counts: Counter[str] = Counter()
    for row in found:
        batch = decision.verdict.reasons[0] if isinstance(decision.verdict, Withheld) else None
        counts[batch or row["reason"] or PASSES] += int(row["n"])
    return dict(sorted(counts.items()))


async def _make(means: Means, c: Connection, asked: Asked, change: str) -> None:
    name, _, value = change.partition("=")
    if name == "reflection":
        await _reflect(asked, value, paris_day(await means.now(c)))
        return
    statement, values = _statement(name, value, asked, await means.now(c))
    if not await rows(c, f"{statement} RETURNING 1 AS one", *values):
        raise Refused("unknown_change", "the change concerns nobody: check the name after `=`", where="--if")


async def _reflect(asked: Asked, days: str, today: date) -> None:
    authorisation = await deciding_authorisation(asked.observatory_id, today)
    if authorisation is None or not days.isdecimal() or int(days) > LONGEST_REFLECTION:
        raise Refused("unknown_change", f"give days from 0 to {LONGEST_REFLECTION}, as reflection=60", where="--if")
    authorisation.conditions = {**authorisation.conditions, "reflection_days": int(days)}
    await authorisation.save()


def _statement(name: str, value: str, asked: Asked, now: Any) -> tuple[str, tuple[Any, ...]]:
    match name:
        case "doctor-leaves":
            practice, _, number = value.partition("/")
            statement = (
                "UPDATE enrolment SET state = 'left' WHERE observatory_id = $1 AND practice_id = $2 "
                "AND doctor_number = $3 AND state = 'active'"
            )
            return statement, (asked.observatory_id, practice, number)
        case "new-notice":
            return "UPDATE notice_text SET superseded_at = $1 WHERE observatory_id = $2", (now, value)
        case "withdraw-text":
            return "UPDATE notice_text SET state = 'withdrawn' WHERE id = $1 AND state = 'published'", (value,)
        case _:
            known = "; ".join(f"{k}={v}" for k, v in CHANGES.items())
            raise Refused("unknown_change", f"a change is one of {known}", where="--if", status=422)
