"""Programs that speak to the portal, the practices that let them, and the tokens they hold."""

from datetime import datetime
from typing import Any

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.accounts import Account
from portal.records.database import as_moment, connection, rows
from portal.records.fields import one_of, word
from portal.records.ledger import LogEntry
from portal.records.people import Practice
from portal.rules.words import ClientKind


class Client(Model):
    """A program, known by its public keys (a JWK set). It holds no secret of ours and acts for nobody by itself."""

    id = fields.CharField(max_length=40, primary_key=True)
    kind = word(ClientKind)
    name = fields.CharField(max_length=120)
    keys: Any = fields.JSONField()
    created_at = fields.DatetimeField()
    closed_at = fields.DatetimeField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "client"
        indexes = (Index(fields=("entry_id",), name="client_entry"),)
        constraints = (one_of("kind", ClientKind, name="client_kind"),)

    @property
    def actor(self) -> str:
        """How the log names it."""
        return f"software:{self.id}"


class ClientPractice(Model):
    """A doctor lets a program act for her practice; `ended_at` once a doctor there has ended it."""

    id = fields.BigIntField(primary_key=True, generated=True)
    client_id: str
    client: fields.ForeignKeyRelation[Client] = fields.ForeignKeyField("portal.Client", on_delete=fields.RESTRICT)
    practice_id: str
    practice: fields.ForeignKeyRelation[Practice] = fields.ForeignKeyField("portal.Practice", on_delete=fields.RESTRICT)
    account_id: int
    account: fields.ForeignKeyRelation[Account] = fields.ForeignKeyField("portal.Account", on_delete=fields.RESTRICT)
    began_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "client_practice"
        indexes = (
            Index(fields=("client_id", "practice_id"), name="client_practice_both"),
            Index(fields=("practice_id",), name="client_practice_practice"),
            Index(fields=("account_id",), name="client_practice_account"),
            Index(fields=("entry_id",), name="client_practice_entry"),
        )


class ClientToken(Model):
    """An access token, by its SHA-256, and the id of the assertion that was given for it, which no other may reuse."""

    token_hash = fields.CharField(max_length=64, primary_key=True)
    client_id: str
    client: fields.ForeignKeyRelation[Client] = fields.ForeignKeyField("portal.Client", on_delete=fields.CASCADE)
    assertion = fields.CharField(max_length=64)
    access: Any = fields.JSONField()
    ends_at = fields.DatetimeField()

    class Meta:
        table = "client_token"
        unique_together = (("client", "assertion"),)
        indexes = (Index(fields=("ends_at",), name="client_token_ends"),)


class ClientAnswer(Model):
    """What a request with an idempotency key was answered, so that the same request again is answered the same."""

    id = fields.BigIntField(primary_key=True, generated=True)
    client_id: str
    client: fields.ForeignKeyRelation[Client] = fields.ForeignKeyField("portal.Client", on_delete=fields.CASCADE)
    key_hash = fields.CharField(max_length=64)
    request_hash = fields.CharField(max_length=64)
    status = fields.IntField(null=True)
    body = fields.BinaryField(null=True)
    at = fields.DatetimeField()

    class Meta:
        table = "client_answer"
        unique_together = (("client", "key_hash"),)
        indexes = (Index(fields=("at",), name="client_answer_at"),)


async def client_of_token(token_hash: str, *, now: datetime) -> ClientToken | None:
    """The live token of this hash, its client loaded; None when unknown, ended, or its client closed."""
    return await ClientToken.get_or_none(token_hash=token_hash, ends_at__gt=now, client__closed_at=None).select_related(
        "client"
    )


async def programs_of(practice_id: str) -> list[dict[str, Any]]:
    """The programs that act for a practice now, the oldest first: [{id, kind, name, began_at}]."""
    found = await rows(
        connection(),
        "SELECT c.id, c.kind, c.name, p.began_at FROM client_practice p JOIN client c ON c.id = p.client_id "
        "WHERE p.practice_id = $1 AND p.ended_at IS NULL AND c.closed_at IS NULL ORDER BY p.id",
        practice_id,
    )
    return [{**row, "began_at": as_moment(row["began_at"])} for row in found]


async def programs() -> list[dict[str, Any]]:
    """Every program on file: [{id, kind, name, created_at, closed_at, practices}], the last in how many it acts."""
    found = await rows(
        connection(),
        "SELECT c.id, c.kind, c.name, c.created_at, c.closed_at, count(p.id) AS practices FROM client c "
        "LEFT JOIN client_practice p ON p.client_id = c.id AND p.ended_at IS NULL "
        "GROUP BY c.id, c.kind, c.name, c.created_at, c.closed_at ORDER BY c.created_at, c.id",
    )
    return [{**row, **{name: as_moment(row[name]) for name in ("created_at", "closed_at")}} for row in found]
