"""A doctor's enrolment at one practice for one observatory. The doctor enrols, not the site."""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.accounts import Account
from portal.records.fields import one_of, together, word
from portal.records.governance import AgreementText, Observatory
from portal.records.ledger import LogEntry
from portal.records.people import Practice
from portal.rules.words import EnrolmentState


class Enrolment(Model):
    """`doctor_number` is how the practice's software names this doctor (the register's doctor_id)."""

    id = fields.BigIntField(primary_key=True, generated=True)
    account_id: int
    account: fields.ForeignKeyRelation[Account] = fields.ForeignKeyField("portal.Account", on_delete=fields.RESTRICT)
    practice_id: str
    practice: fields.ForeignKeyRelation[Practice] = fields.ForeignKeyField("portal.Practice", on_delete=fields.RESTRICT)
    observatory_id: str
    observatory: fields.ForeignKeyRelation[Observatory] = fields.ForeignKeyField(
        "portal.Observatory", on_delete=fields.RESTRICT
    )
    state = word(EnrolmentState)
    doctor_number = fields.CharField(max_length=80, null=True)
    agreement_id: int | None
    agreement: fields.ForeignKeyNullableRelation[AgreementText] = fields.ForeignKeyField(
        "portal.AgreementText", on_delete=fields.RESTRICT, null=True
    )
    agreement_sha256 = fields.CharField(max_length=64, null=True)
    includes_history = fields.BooleanField(null=True)
    identified_at = fields.DatetimeField()
    signed_at = fields.DatetimeField(null=True)
    active_from = fields.DatetimeField(null=True)
    verified_by = fields.CharField(max_length=80, null=True)
    ended_at = fields.DatetimeField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "enrolment"
        unique_together = (("account", "practice", "observatory"),)
        indexes = (
            Index(fields=("practice_id", "observatory_id"), name="enrolment_practice"),
            Index(fields=("observatory_id",), name="enrolment_observatory"),
            Index(fields=("agreement_id",), name="enrolment_agreement"),
            Index(fields=("entry_id",), name="enrolment_entry"),
        )
        constraints = (
            one_of("state", EnrolmentState, name="enrolment_state"),
            together("signed_at", "agreement_id", "agreement_sha256", "includes_history", name="enrolment_signed"),
            together("active_from", "verified_by", "doctor_number", name="enrolment_verified"),
        )
