"""An outage of the path by which patients say no: while it lasts, no reflection period goes on (DOMAIN §4, 14)."""

from datetime import datetime

from portal.flow.means import Means
from portal.records.database import Connection, rows, transact
from portal.records.ledger import enter
from portal.rules.refusals import Refused

PATH = "objection_path"
"""What the entries touch: nobody in particular, so that every list is looked at in full."""


async def begin_outage(means: Means, *, actor: str, began_at: datetime | None = None) -> int:
    """Patients cannot say no, since `began_at` (now if not given). Returns the outage's number.

    It may be found late: who passed meanwhile because her reflection was over is closed again.
    """

    async def step(c: Connection) -> int:
        now = await means.now(c)
        entry = await enter(c, "outage_began", actor=actor, at=now, touches=[(PATH, "all")])
        if began_at is not None and began_at > now:
            raise Refused("in_future", "an outage is entered once it has begun", where="began_at", status=422)
        made = await rows(
            c,
            "INSERT INTO path_outage (began_at, entry_id) VALUES ($1, $2) RETURNING id",
            began_at or now,
            entry,
        )
        return int(made[0]["id"])

    return await transact(step)


async def end_outage(means: Means, outage_id: int, *, actor: str) -> None:
    """Patients can say no again, from now on."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        entry = await enter(c, "outage_ended", actor=actor, at=now, touches=[(PATH, "all")])
        ended = await rows(
            c,
            "UPDATE path_outage SET ended_at = $1, ending_id = $2 WHERE id = $3 AND ended_at IS NULL RETURNING id",
            now, entry, outage_id,
        )  # fmt: skip
        if not ended:
            raise Refused("no_outage", "no outage of this number is open", status=404)

    await transact(step)
