"""Notices, the campaigns they came with, the outbox they leave by, and the readings of what came back."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model

from portal.records.database import Connection, as_moment, rows
from portal.records.fields import exactly_one, one_of, together, word
from portal.records.governance import NoticeText, Observatory
from portal.records.ledger import LogEntry
from portal.records.people import Patient, Practice
from portal.rules.waiting import EMAIL_SILENCE_DAYS, POST_SILENCE_DAYS, lost_days, silence_counts_before
from portal.rules.words import Addressee, NoticeChannel, NoticeState


class Campaign(Model):
    """The notices of one practice that one entry started: the batch that they came with.

    `stopped_at`: nothing more of it is sent or printed until it goes on.
    """

    id = fields.BigIntField(primary_key=True, generated=True)
    observatory_id: str
    observatory: fields.ForeignKeyRelation[Observatory] = fields.ForeignKeyField(
        "portal.Observatory", on_delete=fields.RESTRICT
    )
    practice_id: str
    practice: fields.ForeignKeyRelation[Practice] = fields.ForeignKeyField("portal.Practice", on_delete=fields.RESTRICT)
    started_at = fields.DatetimeField()
    started_by = fields.CharField(max_length=80)
    stopped_at = fields.DatetimeField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "campaign"
        indexes = (
            Index(fields=("observatory_id", "practice_id"), name="campaign_observatory"),
            Index(fields=("practice_id",), name="campaign_practice"),
            Index(fields=("entry_id",), name="campaign_entry"),
        )


class PrintRun(Model):
    """Letters printed together in one file. They are sent on the day they were taken to the post, not before."""

    id = fields.BigIntField(primary_key=True, generated=True)
    observatory_id: str
    observatory: fields.ForeignKeyRelation[Observatory] = fields.ForeignKeyField(
        "portal.Observatory", on_delete=fields.RESTRICT
    )
    letters = fields.IntField()
    printed_at = fields.DatetimeField()
    posted_on = fields.DateField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, related_name="print_runs"
    )
    posting_id: int | None
    posting: fields.ForeignKeyNullableRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, null=True, related_name="print_runs_posted"
    )

    class Meta:
        table = "print_run"
        indexes = (
            Index(fields=("observatory_id",), name="print_run_observatory"),
            Index(fields=("entry_id",), name="print_run_entry"),
            Index(fields=("posting_id",), name="print_run_posting"),
        )
        constraints = (together("posted_on", "posting_id", name="print_run_posted"),)


class Notice(Model):
    """One text to one addressee about one patient, with what became of it: the evidence of DOMAIN §4, 13.

    `reader_index`, `address_index`: who the addressee was and where she was told, as her contact then said.
    `code_hash`: of a letter, the code that stands on it, as it is kept (argon2id).
    `place`: of a letter, its number in its print run. `text_sha256`: the text that was in fact sent. `server_answer`:
    what came back, or who says that it was handed over or posted.
    """

    id = fields.UUIDField(primary_key=True)
    patient_id: int
    patient: fields.ForeignKeyRelation[Patient] = fields.ForeignKeyField("portal.Patient", on_delete=fields.RESTRICT)
    text_id: str
    text: fields.ForeignKeyRelation[NoticeText] = fields.ForeignKeyField("portal.NoticeText", on_delete=fields.RESTRICT)
    addressee = word(Addressee)
    channel = word(NoticeChannel)
    state = word(NoticeState)
    token_hash = fields.CharField(max_length=64, unique=True)
    code_hash = fields.CharField(max_length=64, unique=True, null=True)
    reader_index = fields.CharField(max_length=64, null=True)
    address_index = fields.CharField(max_length=64, null=True)
    text_sha256 = fields.CharField(max_length=64, null=True)
    sent_at = fields.DatetimeField(null=True)
    server_answer = fields.CharField(max_length=12, null=True)
    returned_at = fields.DatetimeField(null=True)
    answered_at = fields.DatetimeField(null=True)
    print_run_id: int | None
    print_run: fields.ForeignKeyNullableRelation[PrintRun] = fields.ForeignKeyField(
        "portal.PrintRun", on_delete=fields.RESTRICT, null=True
    )
    place = fields.IntField(null=True)
    campaign_id: int | None
    campaign: fields.ForeignKeyNullableRelation[Campaign] = fields.ForeignKeyField(
        "portal.Campaign", on_delete=fields.RESTRICT, null=True
    )
    entry_id: int | None
    entry: fields.ForeignKeyNullableRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, null=True
    )

    class Meta:
        table = "notice"
        unique_together = (("patient", "text", "addressee", "channel", "address_index"), ("print_run", "place"))
        indexes = (
            Index(fields=("text_id",), name="notice_text_fk"),
            Index(fields=("campaign_id",), name="notice_campaign"),
            Index(fields=("entry_id",), name="notice_entry"),
        )
        constraints = (
            one_of("addressee", Addressee, name="notice_addressee"),
            one_of("channel", NoticeChannel, name="notice_channel"),
            one_of("state", NoticeState, name="notice_state"),
            exactly_one("campaign_id", "entry_id", name="notice_one_origin"),
            together("print_run_id", "place", name="notice_printed"),
            CheckConstraint(check="sent_at IS NULL OR server_answer IS NOT NULL", name="notice_sent"),
        )


class OutboxItem(Model):
    """A message to be rendered and sent. It names the notice; it holds no token, name or address."""

    id = fields.BigIntField(primary_key=True, generated=True)
    notice_id: UUID
    notice: fields.OneToOneRelation[Notice] = fields.OneToOneField("portal.Notice", on_delete=fields.CASCADE)
    due_at = fields.DatetimeField()
    attempts = fields.IntField(default=0)
    claimed_until = fields.DatetimeField(null=True)
    done_at = fields.DatetimeField(null=True)

    class Meta:
        table = "outbox_item"
        indexes = (Index(fields=("done_at", "due_at"), name="outbox_item_due"),)


class CodeAttempt(Model):
    """How often codes that are not known were tried from one place, and when that place may try again.

    `source`: a keyed hash of the network address and the day; it says nothing once the day is over.
    """

    source = fields.CharField(max_length=64, primary_key=True)
    failures = fields.IntField()
    free_at = fields.DatetimeField()

    class Meta:
        table = "code_attempt"
        indexes = (Index(fields=("free_at",), name="code_attempt_free"),)


class PathOutage(Model):
    """A time in which patients could not say no. Open until `ended_at`; it lengthens every reflection period."""

    id = fields.BigIntField(primary_key=True, generated=True)
    began_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, related_name="outages"
    )
    ending_id: int | None
    ending: fields.ForeignKeyNullableRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, null=True, related_name="outages_ended"
    )

    class Meta:
        table = "path_outage"
        indexes = (
            Index(fields=("entry_id",), name="path_outage_entry"),
            Index(fields=("ending_id",), name="path_outage_ending"),
        )
        constraints = (
            together("ended_at", "ending_id", name="path_outage_ended"),
            CheckConstraint(check="ended_at IS NULL OR began_at <= ended_at", name="path_outage_in_order"),
        )


@dataclass(frozen=True, slots=True)
class Silences:
    """What was mailed or posted at or before these moments, and did not come back, counts as delivered."""

    mailed_before: datetime
    posted_before: datetime

    @staticmethod
    def delivered(notice: str, mailed: int, posted: int) -> str:
        """The condition on a notice's row, in SQL; the two moments stand at these places among the parameters."""
        sent = f"{notice}.sent_at <="
        silent = f"CASE {notice}.channel WHEN 'post' THEN {sent} ${posted} ELSE {sent} ${mailed} END"
        return f"({notice}.state = 'handed_over' OR ({notice}.state = 'sent' AND {silent}))"


async def silences(c: Connection, now: datetime) -> Silences:
    """From the last complete reading of each channel's returns."""
    found = await rows(c, "SELECT channel, max(read_at) AS at FROM returns_reading WHERE complete GROUP BY channel")
    read = {row["channel"]: as_moment(row["at"]) for row in found}
    return Silences(
        silence_counts_before(now, read.get(NoticeChannel.EMAIL), EMAIL_SILENCE_DAYS),
        silence_counts_before(now, read.get(NoticeChannel.POST), POST_SILENCE_DAYS),
    )


async def lost_to_outages(c: Connection, now: datetime) -> frozenset[date]:
    """The Paris days on which patients could not say no, up to today: no reflection period counts them."""
    found = await rows(c, "SELECT began_at, ended_at FROM path_outage ORDER BY id")
    spans = [(began, as_moment(row["ended_at"])) for row in found if (began := as_moment(row["began_at"]))]
    return lost_days(spans, now)


class ReturnsReading(Model):
    """One reading of a channel's returns. Silence counts only up to a reading that was complete."""

    id = fields.BigIntField(primary_key=True, generated=True)
    channel = word(NoticeChannel)
    read_at = fields.DatetimeField()
    complete = fields.BooleanField()
    bounces = fields.IntField()
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "returns_reading"
        indexes = (
            Index(fields=("channel", "complete", "read_at"), name="returns_reading_latest"),
            Index(fields=("entry_id",), name="returns_reading_entry"),
        )
        constraints = (one_of("channel", NoticeChannel, name="returns_reading_channel"),)
