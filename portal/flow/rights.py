"""Restriction, erasure, rectification: asked for, withheld meanwhile at every practice, answered within a month."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from portal.flow.means import Means
from portal.flow.provisional import only_dpo
from portal.records.accounts import Account
from portal.records.database import Connection, rows, transact
from portal.records.ledger import Touch, enter
from portal.rules.refusals import Refused
from portal.rules.waiting import midnight, month_after, paris_day
from portal.rules.words import RightsKind, RightsState

ANSWERS: dict[RightsState, frozenset[RightsState]] = {
    RightsState.OPEN: frozenset({RightsState.GRANTED, RightsState.REFUSED, RightsState.TAKEN_BACK}),
    RightsState.GRANTED: frozenset({RightsState.ENDED}),
}
"""What a request may become. Only a restriction ends: what was erased or mended stays so."""


@dataclass(frozen=True, slots=True)
class Opened:
    id: UUID
    due_on: date


async def open_request(
    means: Means, *, practice_id: str, number: str, kind: RightsKind, received: date | None = None, by: Account
) -> Opened:
    """A right that this patient asks for. From its entry on nothing of her passes, at any practice (G46).

    `received`: the day on which it was asked, from which the month runs; a day ahead is today.
    """
    only_dpo(by)
    patient = await transact(lambda c: _patient(c, practice_id, number))

    async def step(c: Connection) -> Opened:
        now = await means.now(c)
        entry = await enter(
            c, "right_asked", actor=by.actor, at=now, touches=_touches(patient["person_id"], patient["id"]),
            summary=str(kind),
        )  # fmt: skip
        received_at = min(midnight(received), now) if received else now
        opened = Opened(uuid4(), month_after(paris_day(received_at)))
        made = await rows(
            c,
            "INSERT INTO rights_request (id, person_id, patient_id, kind, state, received_at, due_on, opened_by, "
            "entry_id) SELECT $1, person_id, id, $2, $3, $4, $5, $6, $7 FROM patient WHERE id = $8 AND person_id = $9 "
            "RETURNING id",
            opened.id, kind, RightsState.OPEN, received_at, opened.due_on, by.actor, entry, patient["id"],
            patient["person_id"],
        )  # fmt: skip
        if not made:
            raise Refused("changed_meanwhile", "who this patient is has changed meanwhile: look again")
        return opened

    return await transact(step)


async def answer(means: Means, request_id: UUID, state: RightsState, *, by: Account) -> None:
    """Close a request, or end a granted restriction. What was delivered before an erasure or a rectification was
    granted is taken back from its recipients by the next round."""
    only_dpo(by)
    known = await transact(lambda c: _request(c, request_id))
    before = RightsState(known["state"])
    ends = state is RightsState.ENDED
    if state not in ANSWERS.get(before, ()) or (ends and known["kind"] != RightsKind.RESTRICTION):
        raise Refused("rights_state", "this request cannot be answered so")

    async def step(c: Connection) -> None:
        now: datetime = await means.now(c)
        entry = await enter(
            c, "right_answered", actor=by.actor, at=now, touches=_touches(known["person_id"], known["patient_id"]),
            summary=f"{known['kind']}: {state}",
        )  # fmt: skip
        closed = await rows(
            c,
            "UPDATE rights_request SET state = $1, closed_at = $2, closed_by = $3, closing_id = $4 "
            "WHERE id = $5 AND state = $6 RETURNING id",
            state, now, by.actor, entry, request_id, before,
        )  # fmt: skip
        if not closed:
            raise Refused("rights_state", "this request was answered meanwhile")

    await transact(step)


def _touches(person_id: Any, patient_id: Any) -> list[Touch]:
    return [("person", str(person_id)), ("patient", str(patient_id))]


async def _patient(c: Connection, practice_id: str, number: str) -> dict[str, Any]:
    found = await rows(
        c, "SELECT id, person_id FROM patient WHERE practice_id = $1 AND number = $2", practice_id, number
    )
    if not found:
        raise Refused("unknown_patient", "the practice has no patient of this number", status=404)
    return found[0]


async def _request(c: Connection, request_id: UUID) -> dict[str, Any]:
    found = await rows(c, "SELECT kind, state, person_id, patient_id FROM rights_request WHERE id = $1", request_id)
    if not found:
        raise Refused("unknown_request", "there is no such request", status=404)
    return found[0]
