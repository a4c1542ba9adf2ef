"""A patient says no to her doctor, who records it with one click: for everything, from the day it was said."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from portal.flow.means import Means
from portal.flow.taken_back import heard_on
from portal.records.accounts import Account
from portal.records.database import Connection, as_moment, connection, rows, transact
from portal.records.enrolments import works_at
from portal.records.ledger import Touch, enter
from portal.records.objections import take_back, write_objections
from portal.rules.refusals import Refused
from portal.rules.waiting import midnight, paris_day
from portal.rules.words import ObjectionChannel, Scope


@dataclass(frozen=True, slots=True)
class Told:
    """`number`: the patient's at the practice. `mine`: recorded by this doctor, and not taken back. `undoable`: today.
    `undone`: taken back on the day it was recorded."""

    id: UUID
    number: str
    received_at: datetime
    taken_back_at: datetime | None
    mine: bool
    undoable: bool
    undone: bool


async def object_for(means: Means, *, practice_id: str, number: str, said_on: date | None = None, by: Account) -> UUID:
    """The patient of this number told her doctor; effective at once. Said again to her it is the same no, which an
    earlier `said_on` dates back; said to a colleague it is another, so that neither takes back what the other heard. A
    day ahead is now. Any doctor who was once verified at the practice may record it, also after she has left."""
    patient = await transact(lambda c: _patient(c, practice_id, number, by))
    return await _record(means, patient, said_on, ObjectionChannel.DOCTOR, by.actor)


async def object_by_software(
    means: Means, *, practice_id: str, number: str, said_on: date | None = None, actor: str
) -> UUID:
    """The same, passed on by the practice's software: what the doctor noted there. The caller has seen that the program
    may act for the practice; only the patient's own channels take it back."""
    found = await rows(
        connection(), "SELECT id, person_id FROM patient WHERE practice_id = $1 AND number = $2", practice_id, number
    )
    if not found:
        raise _unknown_patient()
    return await _record(means, found[0], said_on, ObjectionChannel.SOFTWARE, actor)


async def _record(
    means: Means, patient: dict[str, Any], said_on: date | None, channel: ObjectionChannel, actor: str
) -> UUID:
    touches: list[Touch] = [("person", str(patient["person_id"])), ("patient", str(patient["id"]))]

    async def step(c: Connection) -> UUID:
        now = await means.now(c)
        entry = await enter(c, "objected", actor=actor, at=now, touches=touches, summary=str(Scope.EVERYTHING))
        await rows(c, "UPDATE patient SET number = number WHERE id = $1", patient["id"])  # of two clicks, one waits
        received_at = min(midnight(said_on), now) if said_on else now
        standing = await rows(
            c,
            "SELECT id FROM objection WHERE patient_id = $1 AND channel = $2 AND scope = $3 AND actor = $4 "
            "AND withdrawn_at IS NULL AND person_id = $5 "
            "AND NOT EXISTS (SELECT 1 FROM patient p JOIN log_entry l ON l.id = objection.entry_id "
            "WHERE p.id = objection.patient_id AND p.stands_since > l.at) "
            "AND NOT EXISTS (SELECT 1 FROM sent_consent s WHERE s.objection_id = objection.id)",
            patient["id"], channel, Scope.EVERYTHING, actor, patient["person_id"],
        )  # fmt: skip
        if not standing:
            objection = uuid4()
            await write_objections(
                c, {objection: patient["id"]}, scope=Scope.EVERYTHING, scope_ref="", channel=channel,
                actor=actor, received_at=received_at, entry=entry,
            )  # fmt: skip
            return objection
        objection = UUID(str(standing[0]["id"]))
        await rows(
            c, "UPDATE objection SET received_at = $1 WHERE id = $2 AND received_at > $1", received_at, objection
        )
        return objection

    return await transact(step)


async def told(means: Means, objection: UUID, *, by: Account) -> Told:
    """What was recorded, for a doctor of that practice; hers to take back only while she takes part."""
    row, now = await _recorded(connection(), objection, by), means.clock.now()
    found = _told(row, now, by)
    there = await works_at(connection(), row["practice_id"], by.id, now, pausing=True)
    return found if there else replace(found, mine=False, undoable=False)


async def undo(means: Means, objection: UUID, *, by: Account) -> None:
    """The doctor took the wrong row: only she, and only on the day itself. It is taken back, never deleted."""
    row = await transact(lambda c: _recorded(c, objection, by))
    touches: list[Touch] = [("person", str(row["person_id"])), ("patient", str(row["patient_id"]))]

    async def step(c: Connection) -> None:
        now = await means.now(c)
        entry = await enter(c, "objection_taken_back", actor=by.actor, at=now, touches=touches)
        await _refuse_who_does_not_take_part(c, row["practice_id"], by, now)
        if not _told(await _recorded(c, objection, by), now, by).undoable:
            raise Refused("too_late", "only who recorded it takes it back, on the same day", status=409)
        await take_back(c, [objection], at=now, entry=entry)

    await transact(step)


async def take_back_told(means: Means, objection: UUID, *, said_on: date | None, by: Account) -> None:
    """The patient tells the doctor who recorded her no that she takes it back; on any later day. It lifts that no only,
    and counts from now on, for later records."""
    row = await transact(lambda c: _recorded(c, objection, by))
    touches: list[Touch] = [("person", str(row["person_id"])), ("patient", str(row["patient_id"]))]

    async def step(c: Connection) -> None:
        now = await means.now(c)
        day = heard_on(said_on, row["received_at"], now)
        entry = await enter(
            c, "objection_taken_back", actor=by.actor, at=now, touches=touches, summary=f"doctor, said on {day}"
        )
        await _refuse_who_does_not_take_part(c, row["practice_id"], by, now)
        if not _told(await _recorded(c, objection, by), now, by).mine:
            raise Refused("not_told_her", "only who recorded it hears that it is taken back", status=409)
        await take_back(c, [objection], at=now, entry=entry)

    await transact(step)


_HERS = "practice_id IN (SELECT practice_id FROM enrolment WHERE account_id = $2 AND active_from IS NOT NULL)"
"""Of a practice at which an operator has once verified her: who only says that she works there learns nothing."""


async def _refuse_who_does_not_take_part(c: Connection, practice_id: str, by: Account, now: datetime) -> None:
    """Whoever is gone or suspended may still close; only who takes part opens again."""
    if not await works_at(c, practice_id, by.id, now, pausing=True):
        raise Refused("not_taking_part", "you do not take part any more: the desk hears this instead", status=403)


async def _patient(c: Connection, practice_id: str, number: str, by: Account) -> dict[str, Any]:
    found = await rows(
        c,
        f"SELECT id, person_id FROM patient WHERE number = $1 AND {_HERS} AND practice_id = $3",
        number, by.id, practice_id,
    )  # fmt: skip
    if not found:
        raise _unknown_patient()
    return found[0]


def _unknown_patient() -> Refused:
    return Refused("unknown_patient", "your practice has no patient of this number", status=404)


async def _recorded(c: Connection, objection: UUID, by: Account) -> dict[str, Any]:
    found = await rows(
        c,
        "SELECT o.id, o.person_id, o.patient_id, o.actor, o.received_at, o.withdrawn_at, l.at, p.number, "
        "p.practice_id, p.stands_since, p.person_id AS stands_for "
        "FROM objection o JOIN patient p ON p.id = o.patient_id JOIN log_entry l ON l.id = o.entry_id "
        f"WHERE o.id = $1 AND o.channel = '{ObjectionChannel.DOCTOR}' AND p.{_HERS}",
        objection, by.id,
    )  # fmt: skip
    if not found:
        raise Refused("unknown_objection", "there is no such objection", status=404)
    row = found[0]
    return {**row, **{name: as_moment(row[name]) for name in ("received_at", "withdrawn_at", "at", "stands_since")}}


def _told(row: dict[str, Any], now: datetime, by: Account) -> Told:
    same_day = paris_day(row["at"]) == paris_day(now)
    stood = row["stands_since"] is None or row["stands_since"] <= row["at"]
    hers = stood and str(row["stands_for"]) == str(row["person_id"])  # who said it is whom the row stands for
    mine, back = hers and row["withdrawn_at"] is None and row["actor"] == by.actor, row["withdrawn_at"]
    undone = back is not None and paris_day(row["at"]) == paris_day(back)
    return Told(UUID(str(row["id"])), row["number"], row["received_at"], back, mine, mine and same_day, undone)
