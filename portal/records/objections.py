"""Objections: they follow the person, count by their log entry, and are never deleted."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.database import Connection, rows, write_many
from portal.records.fields import one_of, together, word
from portal.records.ledger import LogEntry
from portal.records.notices import Notice
from portal.records.people import Patient, Person
from portal.rules.waiting import month_after, paris_day
from portal.rules.words import ObjectionChannel, ProvisionalOutcome, Scope


def bound_by(objections: str) -> str:
    """Whom these objections bind (objection_id, person_id): every person that their patient row has ever stood for,
    and who was parted from one of them since. `objections`: a table or query name with id, person_id, patient_id."""
    return f"""
    SELECT id AS objection_id, person_id FROM {objections}
    UNION SELECT o.id, p.person_id FROM {objections} o JOIN patient p ON p.id = o.patient_id
    UNION SELECT o.id, f.person_id FROM {objections} o JOIN former_person f ON f.patient_id = o.patient_id
    UNION SELECT b.objection_id, b.person_id FROM objection_binding b JOIN {objections} o ON o.id = b.objection_id
    """


BOUND = bound_by("objection")


class Objection(Model):
    """In force until `withdrawn_at`. `scope_ref` names the observatory, study or practice ("" for everything)."""

    id = fields.UUIDField(primary_key=True)
    person_id: UUID
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField("portal.Person", on_delete=fields.RESTRICT)
    patient_id: int
    patient: fields.ForeignKeyRelation[Patient] = fields.ForeignKeyField("portal.Patient", on_delete=fields.RESTRICT)
    notice_id: UUID | None
    notice: fields.ForeignKeyNullableRelation[Notice] = fields.ForeignKeyField(
        "portal.Notice", on_delete=fields.RESTRICT, null=True
    )
    scope = word(Scope)
    scope_ref = fields.CharField(max_length=80, default="")
    channel = word(ObjectionChannel)
    actor = fields.CharField(max_length=80)
    received_at = fields.DatetimeField()
    withdrawn_at = fields.DatetimeField(null=True)
    withdrawal_id: int | None
    withdrawal: fields.ForeignKeyNullableRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, null=True, related_name="withdrawals"
    )
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, related_name="objections"
    )

    class Meta:
        table = "objection"
        indexes = (
            Index(fields=("person_id", "withdrawn_at"), name="objection_person"),
            Index(fields=("patient_id",), name="objection_patient"),
            Index(fields=("notice_id",), name="objection_notice"),
            Index(fields=("withdrawal_id",), name="objection_withdrawal"),
            Index(fields=("entry_id",), name="objection_entry"),
        )
        constraints = (
            one_of("scope", Scope, name="objection_scope"),
            one_of("channel", ObjectionChannel, name="objection_channel"),
            together("withdrawn_at", "withdrawal_id", name="objection_withdrawn"),
        )


async def write_objections(
    c: Connection,
    made: Mapping[UUID, int],
    *,
    scope: Scope,
    scope_ref: str,
    channel: ObjectionChannel,
    actor: str,
    received_at: datetime,
    entry: int,
    notice_id: UUID | None = None,
) -> None:
    """A no for each of these patient rows (by the id that it gets), and for whom the row stands for now."""
    await write_many(
        c,
        "INSERT INTO objection (id, person_id, patient_id, notice_id, scope, scope_ref, channel, actor, received_at, "
        "entry_id) SELECT $1, person_id, id, $2, $3, $4, $5, $6, $7, $8 FROM patient WHERE id = $9",
        [(one, notice_id, scope, scope_ref, channel, actor, received_at, entry, row) for one, row in made.items()],
    )


async def write_provisional(
    c: Connection,
    no_id: UUID,
    *,
    sealed: bytes,
    tokens: Iterable[tuple[str, str]],
    scope: Scope,
    scope_ref: str,
    channel: ObjectionChannel,
    received_at: datetime,
    by: str,
    entry: int,
) -> date:
    """A no said without a token, from its entry on; returns by when it is settled."""
    due_on = month_after(paris_day(received_at))
    await rows(
        c,
        "INSERT INTO provisional_objection (id, scope, scope_ref, channel, sealed, received_at, due_on, "
        "recorded_by, entry_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        no_id, scope, scope_ref, channel, sealed, received_at, due_on, by, entry,
    )  # fmt: skip
    await write_many(
        c,
        "INSERT INTO provisional_token (provisional_id, kind, token) VALUES ($1, $2, $3)",
        [(no_id, kind, token) for kind, token in sorted(tokens)],
    )
    return due_on


async def take_back(c: Connection, objections: Iterable[UUID], *, at: datetime, entry: int) -> None:
    """They stand no longer; one that was taken back before keeps its day."""
    await write_many(
        c,
        "UPDATE objection SET withdrawn_at = $1, withdrawal_id = $2 WHERE id = $3 AND withdrawn_at IS NULL",
        [(at, entry, one) for one in objections],
    )


class ReceiptMail(Model):
    """A receipt to be mailed to the address told; given up, and done, when that is no longer the reader's."""

    id = fields.BigIntField(primary_key=True, generated=True)
    objection_id: UUID
    objection: fields.OneToOneRelation[Objection] = fields.OneToOneField("portal.Objection", on_delete=fields.CASCADE)
    due_at = fields.DatetimeField()
    attempts = fields.IntField(default=0)
    claimed_until = fields.DatetimeField(null=True)
    done_at = fields.DatetimeField(null=True)

    class Meta:
        table = "receipt_mail"
        indexes = (Index(fields=("done_at", "due_at"), name="receipt_mail_due"),)


class ObjectionBinding(Model):
    """A person whom an objection binds besides those its patient row ever stood for: she was taken for one of them
    when it was said, and has been parted since."""

    id = fields.BigIntField(primary_key=True, generated=True)
    objection_id: UUID
    objection: fields.ForeignKeyRelation[Objection] = fields.ForeignKeyField(
        "portal.Objection", on_delete=fields.RESTRICT
    )
    person_id: UUID
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField("portal.Person", on_delete=fields.RESTRICT)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "objection_binding"
        unique_together = (("objection", "person"),)
        indexes = (
            Index(fields=("person_id",), name="objection_binding_person"),
            Index(fields=("entry_id",), name="objection_binding_entry"),
        )


class ProvisionalObjection(Model):
    """A no said without a token. `sealed`: what was said of the person and how to answer, encrypted for the DPO;
    matched by keyed tokens only. It stands until settled, and as NOT_HERE against whoever comes in later."""

    id = fields.UUIDField(primary_key=True)
    scope = word(Scope)
    scope_ref = fields.CharField(max_length=80, default="")
    channel = word(ObjectionChannel)
    sealed = fields.BinaryField()
    received_at = fields.DatetimeField()
    due_on = fields.DateField()
    recorded_by = fields.CharField(max_length=80)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, related_name="provisional_objections"
    )
    outcome = word(ProvisionalOutcome, null=True)
    settled_at = fields.DatetimeField(null=True)
    settled_by = fields.CharField(max_length=80, null=True)
    settlement_id: int | None
    settlement: fields.ForeignKeyNullableRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, null=True, related_name="settlements"
    )

    class Meta:
        table = "provisional_objection"
        indexes = (
            Index(fields=("entry_id",), name="provisional_objection_entry"),
            Index(fields=("settlement_id",), name="provisional_objection_settlement"),
        )
        constraints = (
            one_of("scope", Scope, name="provisional_objection_scope"),
            one_of("channel", ObjectionChannel, name="provisional_objection_channel"),
            one_of("outcome", ProvisionalOutcome, name="provisional_objection_outcome", or_null=True),
            together("outcome", "settled_at", "settled_by", "settlement_id", name="provisional_objection_settled"),
        )


class ProvisionalToken(Model):
    """A keyed token of what was said of the person: the kinds of `PersonToken`."""

    id = fields.BigIntField(primary_key=True, generated=True)
    provisional_id: UUID
    provisional: fields.ForeignKeyRelation[ProvisionalObjection] = fields.ForeignKeyField(
        "portal.ProvisionalObjection", on_delete=fields.CASCADE
    )
    kind = fields.CharField(max_length=24)
    token = fields.CharField(max_length=64)

    class Meta:
        table = "provisional_token"
        unique_together = (("provisional", "kind", "token"),)
        indexes = (Index(fields=("kind", "token"), name="provisional_token_lookup"),)


class ProvisionalCleared(Model):
    """A person whom the DPO has looked at: she is not the one who objected."""

    id = fields.BigIntField(primary_key=True, generated=True)
    provisional_id: UUID
    provisional: fields.ForeignKeyRelation[ProvisionalObjection] = fields.ForeignKeyField(
        "portal.ProvisionalObjection", on_delete=fields.CASCADE
    )
    person_id: UUID
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField("portal.Person", on_delete=fields.RESTRICT)

    class Meta:
        table = "provisional_cleared"
        unique_together = (("provisional", "person"),)
        indexes = (Index(fields=("person_id",), name="provisional_cleared_person"),)
