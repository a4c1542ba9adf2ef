"""Objections: they follow the person, count by their log entry, and are never deleted."""

from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.fields import one_of, together, word
from portal.records.ledger import LogEntry
from portal.records.notices import Notice
from portal.records.people import Patient, Person
from portal.rules.words import ObjectionChannel, Scope


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
