"""The log: every step that can change a decision is one transaction whose first statement is its entry.

An entry names what it touches by kind and id, never by a person's data. Salts stand in a table of their own, so
that forgetting one leaves the log in place. Places in the tree come with the sequencer.
"""

import json
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.database import Connection, is_postgres, rows, transact_alone, write_many

Touch = tuple[str, str]
"""(kind, id): person, patient, provisional (an objection without a token), contact (read by the DPO), doctor, practice,
import, campaign, text, study, authorisation, observatory, recipient, release, client (a program)."""


class Acting(Protocol):
    """Whoever acts: an account, or a program. `actor` is how the log names it."""

    @property
    def actor(self) -> str: ...


class LogEntry(Model):
    id = fields.BigIntField(primary_key=True, generated=True)
    kind = fields.CharField(max_length=40)
    at = fields.DatetimeField()
    actor = fields.CharField(max_length=80)
    summary = fields.CharField(max_length=400)

    class Meta:
        table = "log_entry"


class LogTouch(Model):
    id = fields.BigIntField(primary_key=True, generated=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)
    kind = fields.CharField(max_length=20)
    ref = fields.CharField(max_length=80)

    class Meta:
        table = "log_touch"
        indexes = (Index(fields=("entry_id",), name="log_touch_entry"),)
        unique_together = (("kind", "ref", "entry"),)


class LogSalt(Model):
    entry_id: int
    entry: fields.OneToOneRelation[LogEntry] = fields.OneToOneField(
        "portal.LogEntry", primary_key=True, on_delete=fields.RESTRICT
    )
    salt = fields.BinaryField()

    class Meta:
        table = "log_salt"


async def enter(
    c: Connection, kind: str, *, actor: str, at: datetime, touches: Iterable[Touch], summary: str = ""
) -> int:
    """Write the entry of a step; call it before anything else in the step. Returns the entry's id.

    `actor` is a role with an account's id (`operator:7`), `software` with a program's, `patient`, or `system`.
    `summary` holds counts, versions and hashes, never a person's data.
    """
    named, salt = list(dict.fromkeys(touches)), secrets.token_bytes(16)
    if is_postgres(c):
        kinds, refs = json.dumps([kind_ for kind_, _ in named]), json.dumps([ref for _, ref in named])
        return int((await rows(c, _ENTER, kind, at, actor, summary, salt, kinds, refs))[0]["id"])
    inserted = await rows(
        c,
        "INSERT INTO log_entry (kind, at, actor, summary) VALUES ($1, $2, $3, $4) RETURNING id",
        kind, at, actor, summary,
    )  # fmt: skip
    entry = int(inserted[0]["id"])
    await rows(c, "INSERT INTO log_salt (entry_id, salt) VALUES ($1, $2)", entry, salt)
    statement = "INSERT INTO log_touch (entry_id, kind, ref) VALUES ($1, $2, $3)"
    await write_many(c, statement, [(entry, kind_, ref) for kind_, ref in named])
    return entry


_ENTER = """
WITH entry AS (INSERT INTO log_entry (kind, at, actor, summary) VALUES ($1, $2, $3, $4) RETURNING id),
salted AS (INSERT INTO log_salt (entry_id, salt) SELECT id, $5 FROM entry),
touched AS (
    INSERT INTO log_touch (entry_id, kind, ref) SELECT entry.id, named.kind, named.ref FROM entry, ROWS FROM (
        json_array_elements_text($6::text::json), json_array_elements_text($7::text::json)
    ) AS named (kind, ref)
)
SELECT id FROM entry
"""
"""Entry, salt and touches by one statement: every step begins with it."""


async def last_entry(c: Connection) -> int:
    """The highest entry id that this connection sees; 0 for an empty log."""
    return int((await rows(c, "SELECT coalesce(max(id), 0) AS id FROM log_entry"))[0]["id"])


async def take_cut() -> int:
    """The id below which nothing is missing: taken alone, so no entry under way can later appear beneath it."""
    return await transact_alone(last_entry)


async def touched_since(c: Connection, cut: int) -> set[Touch]:
    """What the entries after the cut touch. An entry that names nothing is given back as ("everything", "")."""
    found = await rows(
        c,
        "SELECT DISTINCT coalesce(t.kind, 'everything') AS kind, coalesce(t.ref, '') AS ref "
        "FROM log_entry e LEFT JOIN log_touch t ON t.entry_id = e.id WHERE e.id > $1",
        cut,
    )
    return {(row["kind"], row["ref"]) for row in found}
