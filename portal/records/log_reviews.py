"""Which entries of the log somebody has read who did not make them, and which still wait for a reader."""

from datetime import date
from typing import Any

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.database import Connection, as_moment, connection, rows
from portal.records.ledger import LogEntry
from portal.rules.log_review import TO_REVIEW, due_on
from portal.rules.waiting import paris_day


class LogReview(Model):
    """An entry that was read. `review`: the entry by which the reader said so."""

    entry_id: int
    entry: fields.OneToOneRelation[LogEntry] = fields.OneToOneField(
        "portal.LogEntry", primary_key=True, on_delete=fields.RESTRICT, related_name="read_by"
    )
    review_id: int
    review: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, related_name="reads"
    )

    class Meta:
        table = "log_review"
        indexes = (Index(fields=("review_id",), name="log_review_review"),)


Row = dict[str, Any]

_KINDS = ", ".join(f"'{kind}'" for kind in sorted(TO_REVIEW))


async def unread(c: Connection | None = None) -> list[Row]:
    """The entries that wait for a reader, the oldest first: id, at, kind, actor, due_on."""
    found = await rows(
        c or connection(),
        "SELECT e.id, e.at, e.kind, e.actor FROM log_entry e LEFT JOIN log_review r ON r.entry_id = e.id "
        f"WHERE e.kind IN ({_KINDS}) AND r.entry_id IS NULL ORDER BY e.id",
    )
    moments = [(row, as_moment(row["at"])) for row in found]
    return [{**row, "at": at, "due_on": due_on(paris_day(at))} for row, at in moments if at]


async def to_do(today: date) -> list[Row]:
    """What waits for a reader: kind ("log_unread", "log_unread_late"), count, oldest."""
    waiting = await unread()
    found = {
        "log_unread_late": [row["at"] for row in waiting if row["due_on"] < today],
        "log_unread": [row["at"] for row in waiting if row["due_on"] >= today],
    }
    return [{"kind": kind, "count": len(at), "oldest": min(at)} for kind, at in found.items() if at]
