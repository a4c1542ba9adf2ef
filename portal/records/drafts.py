"""Drafts: what a reviewed file says of an object, until a second person approves it. Only what stands in the
objects' own tables counts; nothing that decides reads a draft."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from tortoise import fields
from tortoise.indexes import Index
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model

from portal.records.fields import one_of, together, word
from portal.records.governance import Authorisation, Observatory, Recipient, Study
from portal.records.ledger import LogEntry
from portal.rules.reviewed import AuthorisationFile, Governed, ObservatoryFile, RecipientFile, StudyFile
from portal.rules.words import DraftState

KINDS: Mapping[str, tuple[type[Governed], type[Model]]] = {
    "observatory": (ObservatoryFile, Observatory),
    "recipient": (RecipientFile, Recipient),
    "authorisation": (AuthorisationFile, Authorisation),
    "study": (StudyFile, Study),
}
"""Each kind with the shape of its file and the table in which it counts, each after what it refers to."""

COLUMN_OF = {"observatory": "observatory_id", "recipient": "recipient_id"}
"""Fields of a file that are named otherwise in the table."""


class ReviewedDraft(Model):
    """`body` is the object as its file says, `sha256` over its canonical form. It never changes: a newer file makes
    a new draft and replaces this one."""

    id = fields.BigIntField(primary_key=True, generated=True)
    kind = fields.CharField(max_length=20)
    ref = fields.CharField(max_length=80)
    body: Any = fields.JSONField()
    sha256 = fields.CharField(max_length=64)
    state = word(DraftState)
    loaded_at = fields.DatetimeField()
    loaded_by = fields.CharField(max_length=80)
    settled_at = fields.DatetimeField(null=True)
    settled_by = fields.CharField(max_length=80, null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "reviewed_draft"
        indexes = (
            Index(fields=("entry_id",), name="reviewed_draft_entry"),
            Index(fields=("state", "kind", "ref"), name="reviewed_draft_waiting"),
        )
        constraints = (
            one_of("kind", KINDS, name="reviewed_draft_kind"),
            one_of("state", DraftState, name="reviewed_draft_state"),
            together("settled_at", "settled_by", name="reviewed_draft_settled"),
            CheckConstraint(check="(state = 'waiting') = (settled_by IS NULL)", name="reviewed_draft_settled_once"),
            CheckConstraint(check="state <> 'approved' OR settled_by <> loaded_by", name="reviewed_draft_two_persons"),
        )


async def waiting() -> list[ReviewedDraft]:
    """The drafts that wait, each after what it refers to, the oldest first."""
    found = await ReviewedDraft.filter(state=DraftState.WAITING).order_by("id")
    return sorted(found, key=lambda draft: list(KINDS).index(draft.kind))


async def counting() -> dict[tuple[str, str], dict[str, Any]]:
    """What counts now, by kind and id, in the form of its file."""
    return {
        (kind, row.pk): body_of(kind, row)
        for kind, (_, model) in KINDS.items()
        for row in await model.all().order_by("id")
    }


def body_of(kind: str, row: Model) -> dict[str, Any]:
    """A row in the form of its file, in plain JSON values."""
    shape, _ = KINDS[kind]
    return {name: _plain(getattr(row, COLUMN_OF.get(name, name))) for name in shape.model_fields}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
