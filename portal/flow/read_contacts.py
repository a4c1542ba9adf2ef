"""Sealed contacts opened for the DPO, one matter at a time; that they were read is entered in the log."""

import json
from collections.abc import Sequence
from typing import Any

from portal.flow.means import Means
from portal.flow.provisional import only_dpo
from portal.flow.register_rows import contact_binding
from portal.outside.tokens import open_sealed
from portal.records.accounts import Account
from portal.records.database import Connection, transact
from portal.records.ledger import Touch, enter
from portal.rules.words import Addressee


async def with_names(means: Means, patients: Sequence[dict[str, Any]], *, by: Account) -> list[dict[str, Any]]:
    """The same patients with `name` in the place of the sealed contact; "" where there is none."""
    only_dpo(by)
    touches: list[Touch] = [("contact", str(p["id"])) for p in patients]

    async def step(c: Connection) -> None:
        await enter(
            c,
            "contact_read",
            actor=by.actor,
            at=await means.now(c),
            touches=touches,
            summary=f"{len(touches)} patients",
        )

    if patients:
        await transact(step)
    return [{**{k: v for k, v in p.items() if k != "sealed"}, "name": _name(means, p)} for p in patients]


def _name(means: Means, patient: dict[str, Any]) -> str:
    if patient["sealed"] is None:
        return ""
    binding = contact_binding(patient["practice_id"], patient["number"], Addressee.SELF, 0)
    contact = json.loads(open_sealed(means.ring, bytes(patient["sealed"]), binding))
    return f"{contact.get('family_name', '')} {contact.get('given_names', '')}".strip()
