"""What waits to be mailed, in the three tables of `Table`: claimed, then done or tried again."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from portal.records.database import Connection, is_postgres, rows, write_many
from portal.rules.words import NoticeChannel, NoticeState

Table = Literal["outbox_item", "receipt_mail", "doctor_mail"]


async def claim(
    c: Connection, table: Table, *, now: datetime, until: datetime, at_most: int, unless: str = "FALSE"
) -> list[int]:
    """Take what is due, so that no other worker takes it until then. Returns the ids, the oldest first. `unless`: a
    condition on rows that are not taken now."""
    skip = "FOR UPDATE SKIP LOCKED" if is_postgres(c) else ""
    due = await rows(
        c,
        f"SELECT id FROM {table} WHERE done_at IS NULL AND due_at <= $1 "
        f"AND (claimed_until IS NULL OR claimed_until < $1) AND NOT ({unless}) ORDER BY due_at, id LIMIT $2 {skip}",
        now, at_most,
    )  # fmt: skip
    ids = [int(row["id"]) for row in due]
    await write_many(c, f"UPDATE {table} SET claimed_until = $1 WHERE id = $2", [(until, i) for i in ids])
    return ids


async def done(c: Connection, table: Table, ids: Iterable[int], *, at: datetime) -> None:
    """Nothing more is to be done about these."""
    statement = f"UPDATE {table} SET done_at = $1, claimed_until = NULL WHERE id = $2"
    await write_many(c, statement, [(at, i) for i in ids])


async def try_again(c: Connection, table: Table, waiting: Sequence[tuple[int, datetime, int]]) -> None:
    """(attempts made, due at, id) of each that could not be handed over."""
    statement = f"UPDATE {table} SET attempts = $1, due_at = $2, claimed_until = NULL WHERE id = $3"
    await write_many(c, statement, waiting)


async def queue_receipt(c: Connection, objection: UUID, notice: UUID, *, now: datetime) -> None:
    """The receipt of this no, for the address to which its notice was mailed; none when it came another way."""
    await rows(
        c,
        "INSERT INTO receipt_mail (objection_id, due_at, attempts) SELECT $1, $2, 0 "
        "FROM notice WHERE id = $3 AND channel = $4 AND state = $5",
        objection, now, notice, NoticeChannel.EMAIL, NoticeState.SENT,
    )  # fmt: skip
