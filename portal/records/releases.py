"""Permits, accepted extractions and releases, with the list of persons that each release holds."""

from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model

from portal.records.fields import one_of, together, word
from portal.records.governance import Observatory, Study
from portal.records.ledger import LogEntry
from portal.records.people import Person, Practice
from portal.rules.words import Crossing, ReleaseState


class Verdict(Model):
    """Every combination of the person facts, decided beforehand (rules/clearance.py); joined by facts.sql."""

    key = fields.IntField(primary_key=True)
    bits = fields.BigIntField()
    reason = fields.CharField(max_length=3, null=True)

    class Meta:
        table = "verdict"


class VerdictVersion(Model):
    """Which rules the verdict table was made from: the hash of its rows."""

    id = fields.IntField(primary_key=True)
    rules_sha256 = fields.CharField(max_length=64)

    class Meta:
        table = "verdict_version"


class Permit(Model):
    """A permit for one practice's extraction; only the newest of a practice is accepted on arrival.

    `doctors` are the accounts whose records it lets pass: one of them gone, and what it let pass is refused.
    `terms`: what it said, without its list (gate/terms.py); None in a permit issued before terms were kept.
    """

    id = fields.BigIntField(primary_key=True, generated=True)
    crossing = word(Crossing)
    observatory_id: str
    observatory: fields.ForeignKeyRelation[Observatory] = fields.ForeignKeyField(
        "portal.Observatory", on_delete=fields.RESTRICT
    )
    practice_id: str
    practice: fields.ForeignKeyRelation[Practice] = fields.ForeignKeyField("portal.Practice", on_delete=fields.RESTRICT)
    serial = fields.IntField()
    cut = fields.BigIntField()
    sha256 = fields.CharField(max_length=64, unique=True)
    expires_at = fields.DatetimeField()
    doctors: Any = fields.JSONField()
    terms: Any = fields.JSONField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "permit"
        unique_together = (("practice", "observatory", "serial"),)
        indexes = (
            Index(fields=("observatory_id",), name="permit_observatory"),
            Index(fields=("entry_id",), name="permit_entry"),
        )
        constraints = (one_of("crossing", Crossing, name="permit_crossing"),)


class Extraction(Model):
    """An accepted extraction: the newest of a practice names the one store file that exists for it."""

    id = fields.BigIntField(primary_key=True, generated=True)
    permit_id: int
    permit: fields.OneToOneRelation[Permit] = fields.OneToOneField("portal.Permit", on_delete=fields.RESTRICT)
    practice_id: str
    practice: fields.ForeignKeyRelation[Practice] = fields.ForeignKeyField("portal.Practice", on_delete=fields.RESTRICT)
    file_name = fields.CharField(max_length=120)
    file_sha256 = fields.CharField(max_length=64)
    rows = fields.BigIntField()
    received_at = fields.DatetimeField()
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "extraction"
        indexes = (
            Index(fields=("practice_id",), name="extraction_practice"),
            Index(fields=("entry_id",), name="extraction_entry"),
        )


class Release(Model):
    """prepared → approved (by another person) → sealed, and sealed again with fewer rows: then `version` goes up.

    `list_sha256` binds the list that was approved. The database refuses the preparer as approver: by account, and by
    the fingerprints of the human's identity at the provider and of her address, for two accounts may be one human.
    """

    id = fields.CharField(max_length=80, primary_key=True)
    study_id: str
    study: fields.ForeignKeyRelation[Study] = fields.ForeignKeyField("portal.Study", on_delete=fields.RESTRICT)
    state = word(ReleaseState)
    cut = fields.BigIntField()
    holds_until = fields.DatetimeField(null=True)
    conditions_hash = fields.CharField(max_length=64)
    list_sha256 = fields.CharField(max_length=64)
    version = fields.IntField(default=1)
    manifest_sha256 = fields.CharField(max_length=64)
    summary: Any = fields.JSONField()
    prepared_at = fields.DatetimeField()
    prepared_by = fields.CharField(max_length=80)
    approved_at = fields.DatetimeField(null=True)
    approved_by = fields.CharField(max_length=80, null=True)
    preparer_subject = fields.CharField(max_length=64, null=True)
    preparer_address = fields.CharField(max_length=64, null=True)
    approver_subject = fields.CharField(max_length=64, null=True)
    approver_address = fields.CharField(max_length=64, null=True)
    sealed_at = fields.DatetimeField(null=True)
    sealed_by = fields.CharField(max_length=80, null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "release"
        indexes = (
            Index(fields=("study_id",), name="release_study"),
            Index(fields=("entry_id",), name="release_entry"),
        )
        constraints = (
            one_of("state", ReleaseState, name="release_state"),
            together("approved_at", "approved_by", name="release_approved"),
            together("sealed_at", "sealed_by", name="release_sealed"),
            CheckConstraint(check="approved_by IS NULL OR approved_by <> prepared_by", name="release_two_persons"),
            CheckConstraint(
                check="approver_subject IS NULL OR preparer_subject IS NULL OR approver_subject <> preparer_subject",
                name="release_two_subjects",
            ),
            CheckConstraint(
                check="approver_address IS NULL OR preparer_address IS NULL OR approver_address <> preparer_address",
                name="release_two_addresses",
            ),
            CheckConstraint(
                check="approved_by IS NULL OR approver_subject IS NOT NULL", name="release_approver_is_known"
            ),
            CheckConstraint(
                check="state NOT IN ('approved', 'sealed') OR approved_by IS NOT NULL",
                name="release_needs_approval",
            ),
        )


class ReleasePerson(Model):
    """Who is on a release's approved list, at which practice, until when, and under which pseudonym it was written.

    `left_version` is the first version that she is not in (1: in none); nobody comes back, and no row goes.
    """

    id = fields.BigIntField(primary_key=True, generated=True)
    release_id: str
    release: fields.ForeignKeyRelation[Release] = fields.ForeignKeyField("portal.Release", on_delete=fields.CASCADE)
    person_id: UUID
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField("portal.Person", on_delete=fields.RESTRICT)
    practice_id: str
    practice: fields.ForeignKeyRelation[Practice] = fields.ForeignKeyField("portal.Practice", on_delete=fields.RESTRICT)
    pseudonym = fields.CharField(max_length=32)
    holds_until = fields.DatetimeField(null=True)
    left_version = fields.IntField(null=True)

    class Meta:
        table = "release_person"
        unique_together = (("release", "person", "practice"),)
        indexes = (
            Index(fields=("person_id",), name="release_person_person"),
            Index(fields=("practice_id",), name="release_person_practice"),
        )


class Delivery(Model):
    """A version of a release that has left, as it left: who was in it says `left_version` of its list.

    `doctors` are the (practice, pseudonym) whose records it may hold.
    """

    id = fields.BigIntField(primary_key=True, generated=True)
    release_id: str
    release: fields.ForeignKeyRelation[Release] = fields.ForeignKeyField("portal.Release", on_delete=fields.RESTRICT)
    version = fields.IntField()
    cut = fields.BigIntField()
    manifest_sha256 = fields.CharField(max_length=64)
    doctors: Any = fields.JSONField()
    served_at = fields.DatetimeField()
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "delivery"
        unique_together = (("release", "version"),)
        indexes = (Index(fields=("entry_id",), name="delivery_entry"),)
