"""What the observatory may do: observatories, authorisations, recipients, studies, and the texts people read."""

from datetime import date
from typing import Any

from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model

from portal.records.fields import one_of, together, word
from portal.records.ledger import LogEntry
from portal.rules.fitting import precedence
from portal.rules.words import Language, Purpose, Reader, TextState


class Observatory(Model):
    id = fields.CharField(max_length=80, primary_key=True)
    name = fields.CharField(max_length=200)
    controller = fields.CharField(max_length=200)
    contact = fields.CharField(max_length=254)
    dpo_contact = fields.CharField(max_length=254)
    phone = fields.CharField(max_length=40)
    postal_address = fields.CharField(max_length=300)
    active = fields.BooleanField()
    register_max_days = fields.IntField()
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "observatory"
        indexes = (Index(fields=("entry_id",), name="observatory_entry"),)


class Authorisation(Model):
    """An object with conditions. `conditions` is validated by rules/conditions.py when loaded and when read."""

    id = fields.CharField(max_length=80, primary_key=True)
    observatory_id: str
    observatory: fields.ForeignKeyRelation[Observatory] = fields.ForeignKeyField(
        "portal.Observatory", on_delete=fields.RESTRICT
    )
    reference = fields.CharField(max_length=120)
    valid_from = fields.DateField()
    valid_until = fields.DateField()
    dpia_review_on = fields.DateField(null=True)
    suspended_at = fields.DatetimeField(null=True)
    conditions: Any = fields.JSONField()
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "authorisation"
        indexes = (
            Index(fields=("observatory_id",), name="authorisation_observatory"),
            Index(fields=("entry_id",), name="authorisation_entry"),
        )


class Recipient(Model):
    """`age_recipient`: the age public key for which its releases are encrypted."""

    id = fields.CharField(max_length=80, primary_key=True)
    name = fields.CharField(max_length=200)
    category = fields.CharField(max_length=80)
    country = fields.CharField(max_length=2)
    contract_until = fields.DateField()
    age_recipient = fields.CharField(max_length=62, null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "recipient"
        indexes = (Index(fields=("entry_id",), name="recipient_entry"),)


class Study(Model):
    """`conditions_hash` starts the clock of the transparency page: a changed study is listed anew."""

    id = fields.CharField(max_length=80, primary_key=True)
    observatory_id: str
    observatory: fields.ForeignKeyRelation[Observatory] = fields.ForeignKeyField(
        "portal.Observatory", on_delete=fields.RESTRICT
    )
    recipient_id: str
    recipient: fields.ForeignKeyRelation[Recipient] = fields.ForeignKeyField(
        "portal.Recipient", on_delete=fields.RESTRICT
    )
    title = fields.CharField(max_length=200)
    question = fields.CharField(max_length=600)
    purpose = word(Purpose)
    ethics_opinion = fields.CharField(max_length=120, default="")
    k = fields.IntField()
    conditions: Any = fields.JSONField()
    conditions_hash = fields.CharField(max_length=64)
    listed_at = fields.DatetimeField()
    closed_at = fields.DatetimeField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "study"
        indexes = (
            Index(fields=("observatory_id",), name="study_observatory"),
            Index(fields=("recipient_id",), name="study_recipient"),
            Index(fields=("entry_id",), name="study_entry"),
        )
        constraints = (one_of("purpose", Purpose, name="study_purpose"),)


class AgreementText(Model):
    """What a doctor signs. `grace_until` of the newer version ends the older one."""

    id = fields.BigIntField(primary_key=True, generated=True)
    observatory_id: str
    observatory: fields.ForeignKeyRelation[Observatory] = fields.ForeignKeyField(
        "portal.Observatory", on_delete=fields.RESTRICT
    )
    version = fields.CharField(max_length=20)
    language = word(Language)
    body: Any = fields.JSONField()
    sha256 = fields.CharField(max_length=64)
    grace_until = fields.DateField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "agreement_text"
        unique_together = (("observatory", "version", "language"),)
        indexes = (Index(fields=("entry_id",), name="agreement_text_entry"),)
        constraints = (one_of("language", Language, name="agreement_text_language"),)


class NoticeText(Model):
    """A notice version. Once published it never changes; `sha256` is over its canonical body."""

    id = fields.CharField(max_length=80, primary_key=True)
    observatory_id: str
    observatory: fields.ForeignKeyRelation[Observatory] = fields.ForeignKeyField(
        "portal.Observatory", on_delete=fields.RESTRICT
    )
    version = fields.CharField(max_length=20)
    language = word(Language)
    reader = word(Reader)
    body: Any = fields.JSONField()
    sha256 = fields.CharField(max_length=64)
    state = word(TextState)
    author = fields.CharField(max_length=80)
    approved_by = fields.CharField(max_length=80, null=True)
    approved_at = fields.DatetimeField(null=True)
    superseded_at = fields.DatetimeField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "notice_text"
        unique_together = (("observatory", "version", "language", "reader"),)
        indexes = (Index(fields=("entry_id",), name="notice_text_entry"),)
        constraints = (
            one_of("language", Language, name="notice_text_language"),
            one_of("reader", Reader, name="notice_text_reader"),
            one_of("state", TextState, name="notice_text_state"),
            together("approved_by", "approved_at", name="notice_text_approved"),
            CheckConstraint(check="approved_by IS NULL OR approved_by <> author", name="notice_text_two_persons"),
            CheckConstraint(check="state <> 'published' OR approved_by IS NOT NULL", name="notice_text_needs_approval"),
        )


async def deciding_authorisation(observatory_id: str, today: date) -> Authorisation | None:
    """The one under which an observatory's crossings are decided: in force today if any is, else the longest."""
    found = await Authorisation.filter(observatory_id=observatory_id).order_by("id")
    return max(
        found,
        key=lambda a: (a.suspended_at is None, *precedence(a.valid_from, a.valid_until, today)),
        default=None,
    )


async def next_authorisation(observatory_id: str, today: date) -> date | None:
    """The first day after today on which one of an observatory's authorisations begins."""
    later = Authorisation.filter(observatory_id=observatory_id, valid_from__gt=today, suspended_at=None)
    found = await later.order_by("valid_from").first()
    return found.valid_from if found else None
