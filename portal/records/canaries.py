"""The canary's rounds, what was counted of each channel, and where the canary is kept apart from people."""

from datetime import datetime
from typing import Any

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.database import Connection, as_moment, rows
from portal.records.fields import one_of, together, word
from portal.records.ledger import LogEntry
from portal.rules.waiting import began_before
from portal.rules.words import CanaryOutcome

CANARY = "~canary"
"""Her observatory, practice and authorisation. No reviewed file can name it: an id there has no such sign."""

NO_CANARY = f"p.practice_id <> '{CANARY}'"
"""For every count of patients that somebody sees; `p` is a patient."""


class CanaryRound(Model):
    """One try of the whole path. Without an outcome it is under way, or whoever made it was stopped."""

    id = fields.BigIntField(primary_key=True, generated=True)
    started_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)
    outcome = word(CanaryOutcome, null=True)
    entry_id: int | None
    entry: fields.ForeignKeyNullableRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, null=True
    )

    class Meta:
        table = "canary_round"
        indexes = (Index(fields=("entry_id",), name="canary_round_entry"),)
        constraints = (
            one_of("outcome", CanaryOutcome, name="canary_round_outcome", or_null=True),
            together("ended_at", "outcome", "entry_id", name="canary_round_ended"),
        )


class ChannelCount(Model):
    """What one channel brought, as last counted: objections received by the log, on record, and closed at the gate.

    `channel`: an ObjectionChannel, or "unknown" for what came by none. `silent_since`: when it was last heard, once it
    is silent for longer than it ever was.
    """

    channel = fields.CharField(max_length=8, primary_key=True)
    received = fields.IntField()
    committed = fields.IntField()
    withheld = fields.IntField()
    last_at = fields.DatetimeField(null=True)
    silent_since = fields.DatetimeField(null=True)
    counted_at = fields.DatetimeField()
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "channel_count"
        indexes = (Index(fields=("entry_id",), name="channel_count_entry"),)


Row = dict[str, Any]


async def singer(c: Connection, now: datetime) -> Row | None:
    """The newest canary whose notice counts by now: notice_id, token_hash, patient_id, sent_at (her notice)."""
    found = await rows(
        c,
        "SELECT n.id AS notice_id, n.token_hash, n.patient_id, n.sent_at FROM notice n "
        "JOIN patient p ON p.id = n.patient_id WHERE p.practice_id = $1 AND n.sent_at < $2 "
        "ORDER BY n.sent_at DESC LIMIT 1",
        CANARY,
        began_before(now, 0),
    )
    return {**found[0], "sent_at": as_moment(found[0]["sent_at"])} if found else None


async def newest_canary(c: Connection) -> datetime | None:
    """When the newest canary was given her notice."""
    found = await rows(
        c,
        "SELECT max(n.sent_at) AS at FROM notice n JOIN patient p ON p.id = n.patient_id WHERE p.practice_id = $1",
        CANARY,
    )
    return as_moment(found[0]["at"])


async def last_round(c: Connection) -> Row | None:
    """id, started_at, ended_at and outcome of the newest round."""
    return _round(await rows(c, "SELECT * FROM canary_round ORDER BY id DESC LIMIT 1"))


async def last_that_worked(c: Connection, *, before: int | None = None) -> Row | None:
    """The newest round (before the one of this id) that found the path working."""
    return _round(
        await rows(
            c,
            "SELECT * FROM canary_round WHERE outcome = 'worked' AND id < $1 ORDER BY id DESC LIMIT 1",
            2**62 if before is None else before,
        )
    )


def _round(found: list[Row]) -> Row | None:
    if not found:
        return None
    return {**found[0], **{name: as_moment(found[0][name]) for name in ("started_at", "ended_at")}}
