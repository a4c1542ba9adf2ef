"""What the desk and the monitors see of the path by which patients say no: the canary, the channels, what came back."""

from datetime import datetime, timedelta
from typing import Any

from portal.records.canaries import last_round, last_that_worked, singer
from portal.records.channels import counts
from portal.records.database import as_moment, connection, rows
from portal.rules.waiting import midnight, paris_day
from portal.rules.words import CanaryOutcome, ObjectionChannel

Row = dict[str, Any]

OVERDUE = timedelta(hours=2)
"""Without a round that worked for so long, the desk is told: one an hour is due."""


async def canary(now: datetime) -> Row | None:
    """at and outcome of the last round (None: under way or stopped), worked_at, failures, since (when an alarm began;
    None: all is well); None before any canary's notice counts."""
    c = connection()
    bird = await singer(c, now)
    if bird is None:
        return None
    last, worked = await last_round(c), await last_that_worked(c)
    failed = await rows(c, "SELECT count(*) AS n FROM canary_round WHERE outcome <> 'worked'")
    worked_at = worked["ended_at"] if worked else None
    since = worked_at or midnight(paris_day(bird["sent_at"]) + timedelta(days=1))
    fault = last is not None and last["outcome"] not in (None, CanaryOutcome.WORKED)
    return {
        "at": last["started_at"] if last else None,
        "outcome": last["outcome"] if last else None,
        "worked_at": worked_at,
        "failures": int(failed[0]["n"]),
        "since": since if fault or now > since + OVERDUE else None,
    }


async def channels() -> list[Row]:
    """Every channel as last counted: received, committed, withheld, agrees, last_at, silent_since, counted_at; zeros
    before the first count."""
    found = {one.channel: one for one in await counts()}
    return [
        {
            "channel": channel,
            **{name: getattr(found.get(channel), name, 0) for name in ("received", "committed", "withheld")},
            **{name: getattr(found.get(channel), name, None) for name in ("last_at", "silent_since", "counted_at")},
        }
        for channel in dict.fromkeys([*map(str, ObjectionChannel), *found])
    ]


def agrees(row: Row) -> bool:
    return bool(row["received"] == row["committed"] == row["withheld"])


async def post(now: datetime) -> Row:
    """The outbox and what came back: due (messages whose time has come), oldest (of them), bounced (notices)."""
    c = connection()
    bounced = await rows(c, "SELECT count(*) AS n FROM notice WHERE state IN ('bounced', 'returned')")
    due = "SELECT count(*) AS n, min(due_at) AS oldest FROM outbox_item WHERE done_at IS NULL AND due_at <= $1"
    waiting = await rows(c, due, now)
    return {
        "due": int(waiting[0]["n"]), "oldest": as_moment(waiting[0]["oldest"]), "bounced": int(bounced[0]["n"])
    }  # fmt: skip


async def to_do(now: datetime) -> list[Row]:
    """The alarms of the path: kind, count, oldest."""
    bird, listed = await canary(now), await channels()
    found = {
        "canary": [bird["since"]] if bird and bird["since"] else [],
        "channels_silent": [row["silent_since"] for row in listed if row["silent_since"]],
        "channels_differ": [row["counted_at"] for row in listed if row["counted_at"] and not agrees(row)],
    }
    return [{"kind": kind, "count": len(at), "oldest": min(at)} for kind, at in found.items() if at]
