"""A no that was said without a link is taken back the way it was said, at the desk; it lifts that no only.

It counts from the moment it is entered, for later records, whatever day it was said: until then she was out.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from portal.flow.means import Means
from portal.flow.provisional import note_binding, only_dpo
from portal.records.accounts import Account
from portal.records.database import Connection, as_moment, connection, rows, transact
from portal.records.ledger import Touch, enter
from portal.records.objections import take_back
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import ObjectionChannel as By

PROVES: Mapping[By, frozenset[By]] = {
    By.LINK: frozenset(),
    By.PAPER: frozenset({By.PAPER}),
    By.PHONE: frozenset({By.PHONE, By.PAPER}),
    By.DOCTOR: frozenset({By.DOCTOR, By.PAPER}),
    By.FORM: frozenset({By.PHONE, By.PAPER}),
    By.SOFTWARE: frozenset({By.DOCTOR, By.PAPER}),
    By.PARTNER: frozenset({By.PHONE, By.PAPER}),
}
"""By which way a no that came by another is taken back: the same kind of proof, or a better one."""

_FOUND = (
    "SELECT o.id, o.person_id, o.patient_id, o.channel, o.received_at, p.person_id AS stands_for FROM objection o "
    "JOIN patient p ON p.id = o.patient_id WHERE o.notice_id IS NULL AND o.withdrawn_at IS NULL "
)


async def bound(means: Means, no_id: UUID, *, said_on: date | None, channel: By, by: Account) -> int:
    """Take back what a no without a link became when it was bound to its person; returns how many objections.

    `said_on`: the day on which she said so, today if None. Refused("nothing_stands") while it is not bound, or when
    it was taken back before.
    """
    only_dpo(by)
    found = await rows(connection(), f"{_FOUND} AND o.actor = $1 ORDER BY o.patient_id", note_binding(no_id))
    return await _lift(means, found, said_on, channel, by, [("provisional", str(no_id))])


async def told(means: Means, *, practice_id: str, number: str, said_on: date | None, channel: By, by: Account) -> int:
    """Take back what this patient told her doctor, or what the practice's software passed on, when she does not go to
    that doctor with it. Of what was said while the row stood for somebody else, nothing."""
    only_dpo(by)
    found = await rows(
        connection(),
        f"{_FOUND} AND (o.channel = '{By.SOFTWARE}' OR o.channel = '{By.DOCTOR}' AND o.actor LIKE 'doctor:%') "
        "AND p.practice_id = $1 AND p.number = $2 AND o.person_id = p.person_id "
        "AND (p.stands_since IS NULL OR p.stands_since <= (SELECT l.at FROM log_entry l WHERE l.id = o.entry_id))",
        practice_id, number,
    )  # fmt: skip
    return await _lift(means, found, said_on, channel, by, [])


def heard_on(said_on: date | None, received_at: datetime, now: datetime) -> date:
    """The day on which she took it back; a day ahead is today. Refused("before_the_no") for one before she said no:
    what was written then is not about this no."""
    day = min(said_on or paris_day(now), paris_day(now))
    if day < paris_day(received_at):
        raise Refused("before_the_no", "this was said before the no", status=422)
    return day


async def _lift(
    means: Means, found: list[dict[str, Any]], said_on: date | None, channel: By, by: Account, touches: list[Touch]
) -> int:
    if not found:
        raise Refused("nothing_stands", "no such no stands, or it is not bound to its person yet")
    if any(channel not in PROVES[By(no["channel"])] for no in found):
        raise Refused("weaker_proof", "it is taken back the way it was said, or on paper", status=422)
    received_at = max(filter(None, (as_moment(no["received_at"]) for no in found)))
    touched = [*touches, *(touch for no in found for touch in _touches(no))]

    async def step(c: Connection) -> int:
        now = await means.now(c)
        day = heard_on(said_on, received_at, now)
        entry = await enter(
            c, "objection_taken_back", actor=by.actor, at=now, touches=touched, summary=f"{channel}, said on {day}"
        )
        await take_back(c, [no["id"] for no in found], at=now, entry=entry)
        lifted = await rows(c, "SELECT id FROM objection WHERE withdrawal_id = $1", entry)
        if len(lifted) != len(found):
            raise Refused("nothing_stands", "it was taken back meanwhile")
        return len(lifted)

    return await transact(step)


def _touches(no: dict[str, Any]) -> list[Touch]:
    return [("person", str(no["person_id"])), ("person", str(no["stands_for"])), ("patient", str(no["patient_id"]))]
