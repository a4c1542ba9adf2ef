"""A doctor's enrolment at one practice for one observatory: who was invited, what was signed, what is mailed. The
doctor enrols, not the site."""

import json
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.expressions import Q
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.accounts import Account
from portal.records.database import Connection, json_texts, rows
from portal.records.fields import exactly_one, one_of, together, word
from portal.records.governance import AgreementText, Observatory
from portal.records.ledger import LogEntry
from portal.records.people import Practice
from portal.rules.enrolment import DoctorMailKind
from portal.rules.waiting import paris_day
from portal.rules.words import EnrolmentState, InDirectory

ENROLLED = tuple(state for state in EnrolmentState if state is not EnrolmentState.INVITED)
"""The states that an enrolment may be in."""


class Enrolment(Model):
    """`doctor_number` is how the practice's software names this doctor (the register's doctor_id). `closes_on`: the
    first day on which nothing of hers passes any more (a locum). `before_suspension`: where lifting it leads back to.
    """

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
    closes_on = fields.DateField(null=True)
    before_suspension = word(EnrolmentState, null=True)
    in_directory = word(InDirectory, null=True)
    looked_up_at = fields.DatetimeField(null=True)
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
            one_of("state", ENROLLED, name="enrolment_state"),
            one_of("before_suspension", ENROLLED, name="enrolment_before_suspension", or_null=True),
            one_of("in_directory", InDirectory, name="enrolment_in_directory", or_null=True),
            together("in_directory", "looked_up_at", name="enrolment_looked_up"),
            together("signed_at", "agreement_id", "agreement_sha256", "includes_history", name="enrolment_signed"),
            together("active_from", "verified_by", "doctor_number", name="enrolment_verified"),
        )


async def active(now: datetime, observatory_id: str, **only: Any) -> list[Enrolment]:
    """The enrolments that let something pass at this moment: active, under an agreement that counts, and no locum's
    whose last day is over. Asked for each doctor: a colleague who has signed the newest does not sign for her.
    `only`: some of them, as Tortoise filters."""
    in_force = [agreement for agreement, _ in await agreements_that_count(now, observatory_id)]
    state = EnrolmentState.ACTIVE
    found = Enrolment.filter(_goes_on(now), observatory_id=observatory_id, state=state, agreement_id__in=in_force)
    return await found.filter(**only).order_by("id")


async def named_only(c: Connection, now: datetime, observatory_id: str, practice_id: str | None = None) -> set[str]:
    """The practices (of all, or this one) at which a record that names nobody does not pass: where a doctor whom the
    register names, or who began to enrol, is not active under an agreement that counts, or is a locum; what names
    nobody may have been noted after her last day."""
    in_force = [str(agreement) for agreement, _ in await agreements_that_count(now, observatory_id)]
    here, this = ("", ()) if practice_id is None else ("AND {}.practice_id = $3", (practice_id,))
    found = await rows(
        c,
        "SELECT e.practice_id FROM enrolment e WHERE e.observatory_id = $1 AND (e.state <> 'active' "
        "OR e.closes_on IS NOT NULL OR CAST(e.agreement_id AS text) NOT IN "
        f"({json_texts(c, 2)})) {here.format('e')} "
        "UNION SELECT p.practice_id FROM patient p WHERE p.doctor_number <> '' AND NOT EXISTS "
        "(SELECT 1 FROM enrolment e WHERE e.practice_id = p.practice_id AND e.observatory_id = $1 "
        f"AND e.state = 'active' AND e.doctor_number = p.doctor_number) {here.format('p')}",
        observatory_id, json.dumps(in_force), *this,
    )  # fmt: skip
    return {row["practice_id"] for row in found}


async def agreements_that_count(now: datetime, observatory_id: str) -> tuple[tuple[int, date | None], ...]:
    """Every version except those that a newer one has replaced for good (its grace date is past), and from which day a
    newer one will have replaced it."""
    texts, today = await AgreementText.filter(observatory_id=observatory_id).order_by("version", "id"), paris_day(now)
    graces = [(t.version, t.grace_until + timedelta(days=1)) for t in texts if t.grace_until is not None]
    ends = [(t, min((day for version, day in graces if version > t.version), default=None)) for t in texts]
    return tuple((t.id, day) for t, day in ends if day is None or day > today)


async def works_at(c: Connection, practice_id: str, account_id: int, now: datetime, *, pausing: bool = False) -> bool:
    """A doctor is active at the practice at this moment (or, `pausing`, rests): verified, not suspended, not gone, her
    last day not over."""
    states = [EnrolmentState.ACTIVE, *([EnrolmentState.PAUSED] if pausing else [])]
    hers = Enrolment.filter(_goes_on(now), practice_id=practice_id, account_id=account_id, state__in=states)
    return await hers.using_db(c).exists()


def takes_part(now: datetime) -> Q:
    """Those who were verified and have not left, a pause included, and no locum whose last day is over."""
    return Q(_goes_on(now), state__in=[EnrolmentState.ACTIVE, EnrolmentState.PAUSED])


def _goes_on(now: datetime) -> Q:
    return Q(closes_on=None) | Q(closes_on__gt=paris_day(now))


class Signature(Model):
    """One signing of an agreement, never overwritten: who, when, which text, and how she was authenticated.

    `email`: where the copy goes, when she gave an address.
    """

    id = fields.UUIDField(primary_key=True)
    enrolment_id: int
    enrolment: fields.ForeignKeyRelation[Enrolment] = fields.ForeignKeyField(
        "portal.Enrolment", on_delete=fields.RESTRICT
    )
    agreement_id: int
    agreement: fields.ForeignKeyRelation[AgreementText] = fields.ForeignKeyField(
        "portal.AgreementText", on_delete=fields.RESTRICT
    )
    agreement_sha256 = fields.CharField(max_length=64)
    includes_history = fields.BooleanField()
    closes_on = fields.DateField(null=True)
    signed_at = fields.DatetimeField()
    name = fields.CharField(max_length=160)
    rpps = fields.CharField(max_length=11, null=True)
    issuer = fields.CharField(max_length=200)
    subject = fields.CharField(max_length=200)
    acr = fields.CharField(max_length=200)
    amr = fields.CharField(max_length=200)
    signed_in_at = fields.DatetimeField()
    email = fields.CharField(max_length=254, null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "signature"
        indexes = (
            Index(fields=("enrolment_id",), name="signature_enrolment"),
            Index(fields=("agreement_id",), name="signature_agreement"),
            Index(fields=("entry_id",), name="signature_entry"),
        )


class Invitation(Model):
    """A doctor is invited by mail, to one practice when it is named. Only the hash of the link is at rest. The link
    serves whoever first signs in with it; the address goes once it is used or over."""

    id = fields.UUIDField(primary_key=True)
    observatory_id: str
    observatory: fields.ForeignKeyRelation[Observatory] = fields.ForeignKeyField(
        "portal.Observatory", on_delete=fields.RESTRICT
    )
    practice_id: str | None
    practice: fields.ForeignKeyNullableRelation[Practice] = fields.ForeignKeyField(
        "portal.Practice", on_delete=fields.RESTRICT, null=True
    )
    token_hash = fields.CharField(max_length=64, unique=True)
    email = fields.CharField(max_length=254, null=True)
    invited_at = fields.DatetimeField()
    ends_at = fields.DatetimeField()
    account_id: int | None
    account: fields.ForeignKeyNullableRelation[Account] = fields.ForeignKeyField(
        "portal.Account", on_delete=fields.RESTRICT, null=True
    )
    used_at = fields.DatetimeField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "invitation"
        indexes = (
            Index(fields=("observatory_id",), name="invitation_observatory"),
            Index(fields=("practice_id",), name="invitation_practice"),
            Index(fields=("account_id",), name="invitation_account"),
            Index(fields=("entry_id",), name="invitation_entry"),
        )
        constraints = (together("account_id", "used_at", name="invitation_used"),)


class DoctorMail(Model):
    """A message to a doctor that waits to be sent: her invitation, or what follows a signature."""

    id = fields.BigIntField(primary_key=True, generated=True)
    kind = word(DoctorMailKind)
    invitation_id: UUID | None
    invitation: fields.ForeignKeyNullableRelation[Invitation] = fields.ForeignKeyField(
        "portal.Invitation", on_delete=fields.CASCADE, null=True
    )
    signature_id: UUID | None
    signature: fields.ForeignKeyNullableRelation[Signature] = fields.ForeignKeyField(
        "portal.Signature", on_delete=fields.CASCADE, null=True
    )
    due_at = fields.DatetimeField()
    attempts = fields.IntField(default=0)
    claimed_until = fields.DatetimeField(null=True)
    done_at = fields.DatetimeField(null=True)

    class Meta:
        table = "doctor_mail"
        indexes = (
            Index(fields=("done_at", "due_at"), name="doctor_mail_due"),
            Index(fields=("invitation_id",), name="doctor_mail_invitation"),
            Index(fields=("signature_id",), name="doctor_mail_signature"),
        )
        constraints = (
            one_of("kind", DoctorMailKind, name="doctor_mail_kind"),
            exactly_one("invitation_id", "signature_id", name="doctor_mail_about"),
        )
