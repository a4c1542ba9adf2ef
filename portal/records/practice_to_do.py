"""What waits for a doctor at her practice, the most pressing first."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from portal.records import practice_overview
from portal.records.overview import Row
from portal.rules.waiting import paris_day
from portal.rules.words import EnrolmentState as State

MOST = 3
"""Things to do that a dashboard names at once."""

SOON = timedelta(days=14)
"""How long before its end the age of a register is told."""


class Kind(StrEnum):
    """In the order in which they press: nothing passes at all, something does not count, somebody is not told."""

    SIGN = "sign"
    PAUSED = "paused"
    REGISTER_MISSING = "register_missing"
    REGISTER_OLD = "register_old"
    CONFIRM = "confirm"
    HAND_OUT = "hand_out"
    REGISTER_SOON = "register_soon"


@dataclass(frozen=True, slots=True)
class ToDo:
    """`count`: of patients, of hand-overs, or the days of a register's age. `by`: the last day."""

    kind: Kind
    count: int = 0
    by: date | None = None


async def to_do(enrolment: Row, counts: dict[str, int], now: datetime) -> list[ToDo]:
    """At most three; nothing while somebody else must act, or when she has left."""
    match State(enrolment["state"]):
        case State.IDENTIFIED:
            return [ToDo(Kind.SIGN)]
        case State.PAUSED:
            return [ToDo(Kind.PAUSED)]
        case State.ACTIVE:
            practice, observatory = enrolment["practice_id"], enrolment["observatory_id"]
            found = [
                *_register(await practice_overview.register_of(practice, observatory), now),
                *_counted(Kind.CONFIRM, await practice_overview.unconfirmed(practice)),
                *_counted(Kind.HAND_OUT, counts["not_reachable"]),
            ]
            return sorted(found, key=lambda each: list(Kind).index(each.kind))[:MOST]
        case _:
            return []


def _counted(kind: Kind, count: int) -> list[ToDo]:
    return [ToDo(kind, count)] if count else []


def _register(register: Row | None, now: datetime) -> list[ToDo]:
    if register is None:
        return [ToDo(Kind.REGISTER_MISSING)]
    ends = register["taken_at"] + timedelta(days=register["register_max_days"])
    kind = Kind.REGISTER_OLD if ends <= now else Kind.REGISTER_SOON
    age = (paris_day(now) - paris_day(register["taken_at"])).days
    return [ToDo(kind, age, paris_day(ends))] if ends - SOON <= now else []
