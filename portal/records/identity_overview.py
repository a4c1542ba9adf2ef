"""What the desk sees of who is who: objections without a token, doubts, requests, and objections dated before a
release. Numbers and states; names come from sealed contacts, one matter at a time."""

from datetime import date
from typing import Any
from uuid import UUID

from portal.records.canaries import CANARY
from portal.records.database import as_day, as_moment, connection, rows
from portal.records.objections import BOUND
from portal.records.possible_matches import MEANT
from portal.rules.words import Addressee

Row = dict[str, Any]


async def provisional(today: date) -> list[Row]:
    """Every objection without a token, those to settle first: id, channel, scope, received_at, due_on, outcome,
    settled_at, settled_by, meant (patients whom it may mean now), waits (bool), late (bool), taken_back_at, stands
    (bool: bound to its person and not taken back)."""
    found = await rows(
        connection(),
        "SELECT o.id, o.channel, o.scope, o.scope_ref, o.received_at, o.due_on, o.outcome, o.settled_at, o.settled_by, "
        "count(DISTINCT p.id) AS meant, (SELECT max(x.withdrawn_at) FROM objection x "
        "WHERE x.actor = 'provisional/' || CAST(o.id AS text)) AS taken_back_at FROM provisional_objection o "
        f"LEFT JOIN ({MEANT}) m ON m.provisional_id = o.id LEFT JOIN patient p ON p.person_id = m.person_id "
        "GROUP BY o.id, o.channel, o.scope, o.scope_ref, o.received_at, o.due_on, o.outcome, o.settled_at, "
        "o.settled_by, o.entry_id ORDER BY o.entry_id",
    )
    listed = [
        {
            **row,
            "id": str(row["id"]),
            "received_at": as_moment(row["received_at"]),
            "due_on": as_day(row["due_on"]),
            "settled_at": as_moment(row["settled_at"]),
            "taken_back_at": as_moment(row["taken_back_at"]),
            "stands": row["outcome"] == "bound" and row["taken_back_at"] is None,
            "waits": row["outcome"] is None or (row["outcome"] == "not_here" and row["meant"] > 0),
        }
        for row in found
    ]
    for row in listed:
        row["late"] = row["waits"] and row["due_on"] < today
    return sorted(listed, key=lambda row: (not row["waits"], row["due_on"]))


_PATIENT = (
    "SELECT p.id, p.practice_id, pr.name AS practice, p.number, p.person_id, p.birth_date, p.sex, p.left_at, c.sealed "
    "FROM patient p JOIN practice pr ON pr.id = p.practice_id "
    "LEFT JOIN contact c ON c.patient_id = p.id AND c.addressee = 'self' "
)


async def meant_by(no_id: UUID) -> list[Row]:
    """The patients whom an objection may mean, with their sealed contacts."""
    return await rows(
        connection(),
        f"{_PATIENT} WHERE p.person_id IN (SELECT m.person_id FROM ({MEANT}) m WHERE m.provisional_id = $1) "
        "ORDER BY p.practice_id, p.id",
        no_id,
    )


async def patient_of(practice_id: str, number: str) -> Row | None:
    found = await rows(connection(), f"{_PATIENT} WHERE p.practice_id = $1 AND p.number = $2", practice_id, number)
    return found[0] if found else None


async def patients_of_persons(persons: set[UUID]) -> list[Row]:
    """The patients who stand, or stood, for these persons: each with `stands_for`, the person meant."""
    if not persons:
        return []
    listed = ", ".join(f"'{person}'" for person in sorted(persons, key=str))
    found = await rows(
        connection(),
        f"SELECT x.*, s.person_id AS stands_for FROM ({_PATIENT}) x JOIN (SELECT id AS patient_id, person_id "
        "FROM patient UNION SELECT patient_id, person_id FROM former_person) s ON s.patient_id = x.id "
        f"WHERE s.person_id IN ({listed}) ORDER BY x.practice_id, x.id",
    )
    return [{**row, "stands_for": str(row["stands_for"])} for row in found]


async def doubts() -> list[Row]:
    """The open doubts, the oldest first: id, reason, practice, number, since."""
    found = await rows(
        connection(),
        "SELECT d.id, d.reason, d.patient_id, p.practice_id, pr.name AS practice, p.number, p.person_id, e.at AS since "
        "FROM identity_doubt d JOIN patient p ON p.id = d.patient_id JOIN practice pr ON pr.id = p.practice_id "
        "JOIN register_import i ON i.id = d.import_batch_id JOIN log_entry e ON e.id = i.entry_id "
        "WHERE d.settled_at IS NULL ORDER BY d.id",
    )
    return [{**row, "since": as_moment(row["since"]), "person_id": UUID(str(row["person_id"]))} for row in found]


async def requests(today: date) -> list[Row]:
    """Every request, the open ones first: id, kind, state, practice, number, received_at, due_on, late (bool), by_link
    (whether it was asked through a personal link)."""
    found = await rows(
        connection(),
        "SELECT r.id, r.kind, r.state, r.received_at, r.due_on, r.opened_by, p.practice_id, p.number, "
        "pr.name AS practice FROM rights_request r JOIN patient p ON p.id = r.patient_id "
        "JOIN practice pr ON pr.id = p.practice_id "
        "ORDER BY CASE r.state WHEN 'open' THEN 0 ELSE 1 END, r.due_on, r.entry_id",
    )
    return [
        {
            **row,
            "id": str(row["id"]),
            "received_at": as_moment(row["received_at"]),
            "due_on": as_day(row["due_on"]),
            "late": row["state"] == "open" and (as_day(row["due_on"]) or today) < today,
            "by_link": row["opened_by"] in set(Addressee),
        }
        for row in found
    ]


async def incidents() -> list[Row]:
    """Objections received before a release was served that holds the person, and recorded after it: released too
    late to be stopped. release_id, study, received_at, served_at, persons; and deleted: all its rows are."""
    found = await rows(
        connection(),
        "SELECT m.release_id, s.title AS study, min(o.received_at) AS received_at, min(d.served_at) AS served_at, "
        "count(DISTINCT m.person_id) AS persons, "
        "min(CASE WHEN x.acknowledged_at IS NULL THEN 0 ELSE 1 END) AS deleted FROM objection o "
        f"JOIN ({BOUND}) b ON b.objection_id = o.id "
        "JOIN release_person m ON m.person_id = b.person_id JOIN release r ON r.id = m.release_id "
        "JOIN study s ON s.id = r.study_id JOIN delivery d ON d.release_id = r.id "
        "AND (m.left_version IS NULL OR d.version < m.left_version) "
        "LEFT JOIN retraction x ON x.release_id = m.release_id AND x.person_id = m.person_id "
        "AND x.practice_id = m.practice_id "
        "WHERE o.received_at <= d.served_at AND d.entry_id < o.entry_id "
        "AND (o.scope = 'everything' OR (o.scope = 'observatory' AND o.scope_ref = s.observatory_id) "
        "OR (o.scope = 'study' AND o.scope_ref = s.id) OR (o.scope = 'practice' AND o.scope_ref = m.practice_id)) "
        "GROUP BY m.release_id, s.title ORDER BY min(d.served_at), m.release_id",
    )
    return [
        {
            **row,
            "received_at": as_moment(row["received_at"]),
            "served_at": as_moment(row["served_at"]),
            "deleted": bool(row["deleted"]),
        }
        for row in found
    ]


async def to_do(today: date) -> list[Row]:
    """What waits for the DPO, the oldest first: kind, count, oldest."""
    said = [row for row in await provisional(today) if row["waits"]]
    asked = [row for row in await requests(today) if row["state"] == "open"]
    released = [row for row in await incidents() if not row["deleted"]]
    waiting = {
        "objections_late": [row["received_at"] for row in said if row["late"]],
        "objections": [row["received_at"] for row in said if not row["late"]],
        "doubts": [row["since"] for row in await doubts()],
        "requests_late": [row["received_at"] for row in asked if row["late"]],
        "requests": [row["received_at"] for row in asked if not row["late"]],
        "incidents": [row["served_at"] for row in released],
    }
    found = [{"kind": kind, "count": len(days), "oldest": min(days)} for kind, days in waiting.items() if days]
    return sorted(found, key=lambda row: row["oldest"])


async def practices() -> list[Row]:
    """Every practice, by name."""
    found = f"SELECT id, name FROM practice WHERE id <> '{CANARY}' ORDER BY name, id"
    return await rows(connection(), found)
