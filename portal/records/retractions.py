"""Retractions: which delivered rows a recipient must delete, by when, and whether it says that it has. Never why."""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.database import Connection, as_day, as_moment, connection, from_json, rows
from portal.records.fields import together
from portal.records.ledger import LogEntry
from portal.records.people import Person, Practice
from portal.records.releases import Release

DELIVERED = (
    "SELECT m.release_id, m.person_id, m.practice_id, m.pseudonym, min(d.cut) AS cut FROM release_person m "
    "JOIN delivery d ON d.release_id = m.release_id AND (m.left_version IS NULL OR d.version < m.left_version) "
)
"""Everybody in a version that has left, once a release: group by the first four columns. Who left the list before
the first delivery is nowhere in it; who was delivered stays, whatever later versions hold."""


class Retraction(Model):
    """One person of one practice in one delivered release, under the pseudonym as delivered. It stays, whatever
    happens later; no column says what made it."""

    id = fields.BigIntField(primary_key=True, generated=True)
    release_id: str
    release: fields.ForeignKeyRelation[Release] = fields.ForeignKeyField("portal.Release", on_delete=fields.RESTRICT)
    person_id: UUID
    person: fields.ForeignKeyRelation[Person] = fields.ForeignKeyField("portal.Person", on_delete=fields.RESTRICT)
    practice_id: str
    practice: fields.ForeignKeyRelation[Practice] = fields.ForeignKeyField("portal.Practice", on_delete=fields.RESTRICT)
    pseudonym = fields.CharField(max_length=32)
    due_on = fields.DateField()
    made_at = fields.DatetimeField()
    reminded_at = fields.DatetimeField(null=True)
    acknowledged_at = fields.DatetimeField(null=True)
    acknowledged_by = fields.CharField(max_length=80, null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "retraction"
        unique_together = (("release", "person", "practice"),)
        indexes = (
            Index(fields=("person_id",), name="retraction_person"),
            Index(fields=("practice_id",), name="retraction_practice"),
            Index(fields=("entry_id",), name="retraction_entry"),
            Index(fields=("acknowledged_at", "due_on"), name="retraction_open"),
        )
        constraints = (together("acknowledged_at", "acknowledged_by", name="retraction_acknowledged"),)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A person at a practice in a release that has left, as it named her; and what its first version that left and
    holds her stood on."""

    release_id: str
    person_id: str
    practice_id: str
    pseudonym: str
    cut: int


async def delivered_studies(c: Connection) -> list[str]:
    """The studies of which a release has left."""
    found = await rows(
        c, "SELECT DISTINCT study_id FROM release WHERE id IN (SELECT release_id FROM delivery) ORDER BY study_id"
    )
    return [row["study_id"] for row in found]


async def not_retracted(c: Connection, study_id: str) -> list[Delivered]:
    """Everybody in the study's delivered releases for whom there is no retraction. Nobody once its key is deleted:
    what a recipient has can then be linked with nobody."""
    found = await rows(
        c,
        f"{DELIVERED} JOIN release r ON r.id = m.release_id WHERE r.study_id = $1 AND m.pseudonym <> '' "
        "AND NOT EXISTS (SELECT 1 FROM retraction x WHERE x.release_id = m.release_id "
        "AND x.person_id = m.person_id AND x.practice_id = m.practice_id) "
        "GROUP BY m.release_id, m.person_id, m.practice_id, m.pseudonym ORDER BY m.release_id, m.pseudonym",
        study_id,
    )
    return [
        Delivered(row["release_id"], str(row["person_id"]), row["practice_id"], row["pseudonym"], int(row["cut"]))
        for row in found
    ]


async def retracted_from(c: Connection, release_id: str) -> set[tuple[str, str]]:
    """The (person, practice) of whoever was taken back from a release."""
    found = await rows(c, "SELECT person_id, practice_id FROM retraction WHERE release_id = $1", release_id)
    return {(str(row["person_id"]), row["practice_id"]) for row in found}


async def doctors_delivered(c: Connection, study_id: str) -> dict[str, set[tuple[str, str]]]:
    """For each delivered release, the (practice, pseudonym) of the doctors whose records any version of it may hold."""
    found = await rows(
        c,
        "SELECT d.release_id, d.doctors FROM delivery d JOIN release r ON r.id = d.release_id WHERE r.study_id = $1",
        study_id,
    )
    doctors: dict[str, set[tuple[str, str]]] = {}
    for row in found:
        doctors.setdefault(row["release_id"], set()).update((p, name) for p, name in from_json(row["doctors"]))
    return doctors


async def first_due(c: Connection, recipient_id: str) -> date | None:
    """The day by which the recipient's oldest open retraction is due, in any of its studies; None without one."""
    found = await rows(
        c,
        "SELECT min(x.due_on) AS due_on FROM retraction x JOIN release r ON r.id = x.release_id "
        "JOIN study s ON s.id = r.study_id WHERE s.recipient_id = $1 AND x.acknowledged_at IS NULL",
        recipient_id,
    )
    return as_day(found[0]["due_on"])


async def open_lines(study_id: str) -> list[tuple[str, str, date]]:
    """(release, pseudonym, due on) of each open retraction, sorted: all causes mixed. A person of two practices
    stands once, with the earlier day."""
    found = await rows(
        connection(),
        "SELECT x.release_id, x.pseudonym, min(x.due_on) AS due_on FROM retraction x "
        "JOIN release r ON r.id = x.release_id WHERE r.study_id = $1 AND x.acknowledged_at IS NULL "
        "GROUP BY x.release_id, x.pseudonym",
        study_id,
    )
    days = [(row["release_id"], row["pseudonym"], as_day(row["due_on"])) for row in found]
    return sorted((release, name, due) for release, name, due in days if due is not None)


async def open_by_release(study_id: str) -> list[dict[str, Any]]:
    """What a study team must still delete, the first due first: release_id, count of pseudonyms, due_on, reminded,
    and up_to, the newest entry that is counted."""
    found = await rows(
        connection(),
        "SELECT x.release_id, count(DISTINCT x.pseudonym) AS count, min(x.due_on) AS due_on, "
        "max(x.reminded_at) AS reminded_at, max(x.entry_id) AS up_to FROM retraction x "
        "JOIN release r ON r.id = x.release_id WHERE r.study_id = $1 AND x.acknowledged_at IS NULL "
        "GROUP BY x.release_id ORDER BY min(x.due_on), x.release_id",
        study_id,
    )
    return [{**r, "due_on": as_day(r["due_on"]), "reminded_at": as_moment(r["reminded_at"])} for r in found]


async def counts(study_id: str, today: date) -> dict[str, int]:
    """How many retractions of a study are open, how many of these are overdue, and how many were acknowledged."""
    found = await rows(
        connection(),
        "SELECT count(CASE WHEN x.acknowledged_at IS NULL THEN 1 END) AS open, "
        "count(CASE WHEN x.acknowledged_at IS NULL AND x.due_on < $2 THEN 1 END) AS overdue, "
        "count(x.acknowledged_at) AS acknowledged FROM retraction x JOIN release r ON r.id = x.release_id "
        "WHERE r.study_id = $1",
        study_id,
        today,
    )
    return {name: int(n) for name, n in found[0].items()}


async def newest(study_id: str) -> Any:
    """When the study's newest retraction was made; None without one."""
    found = await rows(
        connection(),
        "SELECT max(x.made_at) AS at FROM retraction x JOIN release r ON r.id = x.release_id WHERE r.study_id = $1",
        study_id,
    )
    return as_moment(found[0]["at"])
