"""The right of access: everything that is kept about one person, gathered for the DPO who hands it out."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from portal.flow.means import Means
from portal.flow.provisional import only_dpo
from portal.flow.register_rows import contact_binding
from portal.gate.store import rows_of
from portal.outside.tokens import open_sealed
from portal.records.accounts import Account
from portal.records.database import Connection, as_day, as_moment, connection, rows, transact
from portal.records.held import Held, Kept, held, in_doubt
from portal.records.ledger import Touch, enter
from portal.rules.refusals import Refused
from portal.rules.words import Language, RightsKind, RightsState

MAY_BE_READ = frozenset({RightsState.OPEN, RightsState.GRANTED})
"""In which states of her request the file is made: also once more after it was handed out."""


STILL_SHE = "SELECT 1 AS one FROM patient WHERE id = $1 AND person_id = $2"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is handed out. `held`: by subject, contacts opened; `records`: her rows in the store, by practice."""

    request_id: UUID
    language: Language
    made_at: datetime
    held: Held
    records: list[dict[str, Any]]


async def gather(means: Means, request_id: UUID, *, by: Account) -> Answer:
    """Everything of her who asked. It opens her contacts and shows her records, so it is entered in the log.

    Refused("rights_state") unless she asked for access and was not refused; ("in_doubt") while it is an open question
    who she is: it would hand out somebody else's data.
    """
    only_dpo(by)
    asked = await _asked(request_id)
    person_id = UUID(str(asked["person_id"]))
    hers = await rows(connection(), "SELECT id FROM patient WHERE person_id = $1 ORDER BY id", person_id)
    touches: list[Touch] = [("contact", str(row["id"])) for row in hers] or [("contact", str(asked["patient_id"]))]

    async def step(c: Connection) -> tuple[datetime, Held, list[Kept]]:
        now = await means.now(c)
        await enter(c, "access_gathered", actor=by.actor, at=now, touches=touches, summary=f"request {request_id}")
        if not await rows(c, STILL_SHE, asked["patient_id"], person_id):
            raise Refused("changed_meanwhile", "who this patient is has changed meanwhile: look again")
        if await in_doubt(c, person_id):
            raise Refused("in_doubt", "first settle who this patient is")
        return (now, *await held(c, person_id))

    now, found, kept = await transact(step)
    found["contacts"] = [_opened(means, row) for row in found["contacts"]]
    found["log"] = [{**row, "actor": row["actor"].partition(":")[0]} for row in found["log"]]
    records = [
        {"practice_id": one.practice_id, "record": record}
        for one in kept
        for record in await asyncio.to_thread(rows_of, means.store / one.practice_id / one.file_name, one.pseudonym)
    ]
    plain = {name: [_plain(row) for row in rows_] for name, rows_ in found.items()}
    return Answer(request_id, Language(asked["language"]), now, plain, records)


async def _asked(request_id: UUID) -> dict[str, Any]:
    """The request, with the person and the language of its patient today."""
    found = await rows(
        connection(),
        "SELECT r.kind, r.state, r.patient_id, p.person_id, p.language FROM rights_request r "
        "JOIN patient p ON p.id = r.patient_id WHERE r.id = $1",
        request_id,
    )
    if not found:
        raise Refused("unknown_request", "there is no such request", status=404)
    if found[0]["kind"] != RightsKind.ACCESS or found[0]["state"] not in MAY_BE_READ:
        raise Refused("rights_state", "this request is not answered by a file")
    return found[0]


def _opened(means: Means, row: dict[str, Any]) -> dict[str, Any]:
    """Her own contact in clear. Of who represents her it is said who is told, not where she lives: that is hers."""
    shown = {"practice_id": row["practice_id"], "addressee": row["addressee"]}
    if row["rank"] != 0:
        return {**shown, "unreachable_reason": row["unreachable_reason"]}
    binding = contact_binding(row["practice_id"], row["number"], row["addressee"], row["rank"])
    return {**shown, **json.loads(open_sealed(means.ring, bytes(row["sealed"]), binding))}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Moments and days as moments and days on either engine; ids and sets as text."""
    return {name: _value(name, value) for name, value in row.items()}


def _value(name: str, value: Any) -> Any:
    if name.endswith("_at") or name == "at":
        return as_moment(value)
    if name.endswith(("_on", "_by")):
        return as_day(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, set | tuple):
        return sorted(value)
    return bool(value) if name == "address_kept" else value
