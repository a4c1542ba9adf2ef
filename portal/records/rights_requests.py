"""Requests for restriction, erasure or rectification, which withhold while they stand (G46), and for access."""

from uuid import UUID, uuid4

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.database import Connection, as_day, as_moment, rows, write_many
from portal.records.fields import one_of, together, word
from portal.records.ledger import LogEntry
from portal.records.people import Patient, Person
from portal.records.standing import LAST_SETTLED
from portal.rules.words import RightsKind, RightsState


class RightsRequest(Model):
    """One right asked for through one patient row; if it withholds, it binds every person that the row ever stood for.

    `opened_by`: the actor who noted it, or as whom its reader asked through a personal link (an Addressee).
    """

    id = fields.UUIDField(primary_key=True)
    person_id: UUID
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField("portal.Person", on_delete=fields.RESTRICT)
    patient_id: int
    patient: fields.ForeignKeyRelation[Patient] = fields.ForeignKeyField("portal.Patient", on_delete=fields.RESTRICT)
    kind = word(RightsKind)
    state = word(RightsState)
    received_at = fields.DatetimeField()
    due_on = fields.DateField()
    opened_by = fields.CharField(max_length=80)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, related_name="rights_requests"
    )
    closed_at = fields.DatetimeField(null=True)
    closed_by = fields.CharField(max_length=80, null=True)
    closing_id: int | None
    closing: fields.ForeignKeyNullableRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", on_delete=fields.RESTRICT, null=True, related_name="rights_closings"
    )

    class Meta:
        table = "rights_request"
        indexes = (
            Index(fields=("person_id",), name="rights_request_person"),
            Index(fields=("patient_id",), name="rights_request_patient"),
            Index(fields=("state", "due_on"), name="rights_request_open"),
            Index(fields=("entry_id",), name="rights_request_entry"),
            Index(fields=("closing_id",), name="rights_request_closing"),
        )
        constraints = (
            one_of("kind", RightsKind, name="rights_request_kind"),
            one_of("state", RightsState, name="rights_request_state"),
            together("closed_at", "closed_by", "closing_id", name="rights_request_closed"),
        )


_ABOUT = """
    SELECT id, person_id FROM rights_request
    UNION SELECT r.id, p.person_id FROM rights_request r JOIN patient p ON p.id = r.patient_id
    UNION SELECT r.id, f.person_id FROM rights_request r JOIN former_person f ON f.patient_id = r.patient_id
"""
"""Whom requests are about (id, person_id): every person that their patient row has ever stood for."""

CHANGED_BY_RIGHT = f"""
    SELECT b.person_id, max(CASE WHEN s.entry > r.closing_id THEN s.entry ELSE r.closing_id END) AS entry
    FROM rights_request r JOIN ({_ABOUT}) b ON b.id = r.id
    LEFT JOIN ({LAST_SETTLED}) s ON s.ref = CAST(b.person_id AS text)
    WHERE r.state = 'granted' AND r.kind IN ('erasure', 'rectification') GROUP BY b.person_id
"""
"""Who was granted an erasure or a rectification, with the newest entry that granted it or by which it came to be hers
(person_id, entry): what was delivered or stored before is not to be kept."""


async def changed_by_right(c: Connection) -> dict[str, int]:
    """`CHANGED_BY_RIGHT`, by person."""
    return {str(row["person_id"]): int(row["entry"]) for row in await rows(c, CHANGED_BY_RIGHT)}


async def copy_to_parted(c: Connection, old: UUID, new: UUID, patient_id: int, entry: int) -> None:
    """Who was taken for another until now is under that other's requests too, until each is closed for her."""
    found = await rows(
        c,
        "SELECT kind, state, received_at, due_on, opened_by, closed_at, closed_by, closing_id FROM rights_request "
        f"WHERE id IN (SELECT b.id FROM ({_ABOUT}) b WHERE b.person_id = $1) AND kind <> 'access' "
        "AND (state = 'open' OR (state = 'granted' AND kind IN ('erasure', 'restriction')))",
        old,
    )
    await write_many(
        c,
        "INSERT INTO rights_request (id, person_id, patient_id, entry_id, kind, state, received_at, due_on, opened_by, "
        "closed_at, closed_by, closing_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        [
            (uuid4(), new, patient_id, entry, r["kind"], r["state"], as_moment(r["received_at"]), as_day(r["due_on"]),
             r["opened_by"], as_moment(r["closed_at"]), r["closed_by"], r["closing_id"])
            for r in found
        ],
    )  # fmt: skip
