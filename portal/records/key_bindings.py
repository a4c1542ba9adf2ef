"""Which key belongs to an observatory or a study: its fingerprint, bound at its first use. Keys stand nowhere here."""

from datetime import datetime
from typing import Any

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.database import Connection, as_moment, rows
from portal.records.ledger import LogEntry


class KeyBinding(Model):
    """The one key that makes this family's pseudonyms. `deleted_at`: it was deleted, and no other takes its place."""

    family = fields.CharField(max_length=80, primary_key=True)
    fingerprint = fields.CharField(max_length=32)
    bound_at = fields.DatetimeField()
    deleted_at = fields.DatetimeField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "key_binding"
        indexes = (Index(fields=("entry_id",), name="key_binding_entry"),)


async def binding(c: Connection, family: str) -> dict[str, Any] | None:
    """The family's binding (fingerprint, deleted_at); None before its first use."""
    found = await rows(c, "SELECT fingerprint, deleted_at FROM key_binding WHERE family = $1", family)
    return {**found[0], "deleted_at": as_moment(found[0]["deleted_at"])} if found else None


async def bind(c: Connection, family: str, fingerprint: str, *, at: datetime, entry: int) -> bool:
    """This key is the family's from now on; False when another is, or one that was deleted."""
    await rows(
        c,
        "INSERT INTO key_binding (family, fingerprint, bound_at, entry_id) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (family) DO NOTHING",
        family, fingerprint, at, entry,
    )  # fmt: skip
    found = await binding(c, family)
    return found is not None and found["fingerprint"] == fingerprint and found["deleted_at"] is None
