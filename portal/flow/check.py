"""A list of patients is checked: only those come back whose data may be used, and until when. Never who may not, or
why; an answer that has run out may not be used."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from portal.flow.decide import Asked, refuse_withheld_batch, snapshot, stand
from portal.flow.means import Means
from portal.flow.permit import passing
from portal.records.database import Connection, json_texts, transact
from portal.records.ledger import take_cut

HOLDS = timedelta(hours=24)
"""How long an answer may be used; less when something closes before."""


@dataclass(frozen=True, slots=True)
class Checked:
    """`usable`: the practice's numbers, each with the moment until which she may be used."""

    decided_at: datetime
    until: datetime
    usable: dict[str, datetime]


async def check(means: Means, asked: Asked, *, practice_id: str, numbers: Sequence[str]) -> Checked:
    """Who of these may be used for what is asked; reads only. Refused when nothing may pass at all."""
    cut = await take_cut()

    async def step(c: Connection) -> Checked:
        await snapshot(c)
        decision = await stand(means, c, asked, cut=cut)
        refuse_withheld_batch(decision)
        listed = await passing(
            c,
            decision,
            among=f"WHERE p.practice_id = {{v1}} AND p.number IN ({json_texts(c, 2)})".replace("$2", "{v2}"),
            values=(practice_id, json.dumps(sorted(set(numbers)))),
        )
        now = decision.ground.now
        until = min(each for each in (now + HOLDS, decision.closes_at) if each is not None)
        return Checked(now, until, {p.number: min(until, p.member.holds_until or until) for p in listed})

    return await transact(step)
