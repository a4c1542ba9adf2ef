"""Restriction, erasure, rectification: asked for, withheld meanwhile at every practice, answered within a month.
Access is asked for and answered the same way, and withholds nobody."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from portal.flow.means import Means
from portal.flow.opt_out import look
from portal.flow.provisional import only_dpo
from portal.records.accounts import Account
from portal.records.database import Connection, as_day, connection, rows, transact
from portal.records.ledger import Touch, enter
from portal.rules.refusals import Refused
from portal.rules.waiting import midnight, month_after, paris_day
from portal.rules.words import Addressee, RightsKind, RightsState

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
    """A right that this patient asks for. If it withholds, from its entry on nothing of her passes, at any practice
    (G46).

    `received`: the day on which it was asked, from which the month runs; a day ahead is today.
    """
    only_dpo(by)
    patient = await transact(lambda c: _patient(c, practice_id, number))
    return await _open(means, patient, kind, received=received, actor=by.actor, opened_by=by.actor)


async def ask(
    means: Means, token: str, kind: RightsKind, *, received: date | None = None, by: Account | None = None
) -> Opened:
    """The same through her personal link, by herself or who is told for her; or noted by the DPO (`by`) from the code
    of her letter. Refused("now_adult") for a parent whose child has come of age."""
    if by is not None:
        only_dpo(by)
    link = await look(connection(), token)
    patient = {"id": link.patient_id, "person_id": link.person_id}
    if link.addressee == Addressee.PARENT and await _of_age(means, link.patient_id):
        raise Refused("now_adult", "she is of age: she asks for her rights herself")
    actor, opened_by = (by.actor, by.actor) if by else ("patient", link.addressee)
    return await _open(means, patient, kind, received=received, actor=actor, opened_by=opened_by)


async def _open(
    means: Means, patient: dict[str, Any], kind: RightsKind, *, received: date | None, actor: str, opened_by: str
) -> Opened:
    """Asked again while it is open it is the same request, which an earlier day dates back."""

    async def step(c: Connection) -> Opened:
        now = await means.now(c)
        entry = await enter(
            c, "right_asked", actor=actor, at=now, touches=_touches(patient["person_id"], patient["id"]),
            summary=str(kind),
        )  # fmt: skip
        await rows(c, "UPDATE patient SET number = number WHERE id = $1", patient["id"])  # of two clicks, one waits
        received_at = min(midnight(received), now) if received else now
        due_on = month_after(paris_day(received_at))
        standing = await _standing(c, patient, kind)
        if standing is not None:
            await rows(
                c,
                "UPDATE rights_request SET received_at = $1, due_on = $2 WHERE id = $3 AND received_at > $1",
                received_at, due_on, standing.id,
            )  # fmt: skip
            return Opened(standing.id, min(due_on, standing.due_on))
        opened = Opened(uuid4(), due_on)
        made = await rows(
            c,
            "INSERT INTO rights_request (id, person_id, patient_id, kind, state, received_at, due_on, opened_by, "
            "entry_id) SELECT $1, person_id, id, $2, $3, $4, $5, $6, $7 FROM patient WHERE id = $8 AND person_id = $9 "
            "RETURNING id",
            opened.id, kind, RightsState.OPEN, received_at, due_on, opened_by, entry, patient["id"],
            patient["person_id"],
        )  # fmt: skip
        if not made:
            raise Refused("changed_meanwhile", "who this patient is has changed meanwhile: look again")
        return opened

    return await transact(step)


async def _standing(c: Connection, patient: dict[str, Any], kind: RightsKind) -> Opened | None:
    found = await rows(
        c,
        "SELECT id, due_on FROM rights_request WHERE patient_id = $1 AND person_id = $2 AND kind = $3 AND state = $4",
        patient["id"], patient["person_id"], kind, RightsState.OPEN,
    )  # fmt: skip
    return Opened(UUID(str(found[0]["id"])), as_day(found[0]["due_on"]) or date.max) if found else None


async def _of_age(means: Means, patient_id: int) -> bool:
    found = await rows(connection(), "SELECT adult_on FROM patient WHERE id = $1", patient_id)
    adult_on = as_day(found[0]["adult_on"]) if found else None
    return adult_on is not None and adult_on <= paris_day(means.clock.now())


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
