"""Whom a patient's row stands for, and stood for: rows pointed to another person, and what she is bound by then."""

from typing import Any
from uuid import UUID

from portal.records.database import Connection, rows


async def remember_former(c: Connection, which: str, *values: Any) -> None:
    """The persons that rows stand for now, as their former ones."""
    await rows(
        c,
        "INSERT INTO former_person (patient_id, person_id, import_batch_id, stood_since) "
        f"SELECT p.id, p.person_id, p.import_batch_id, p.stands_since FROM patient p WHERE {which} "
        "ON CONFLICT (patient_id, person_id) DO NOTHING",
        *values,
    )


async def point_to(c: Connection, old: UUID, new: UUID) -> None:
    """Every row of `old` stands for `new`. Where it did so before, what was told to it then counts again."""
    await remember_former(c, "p.person_id = $1", old)
    await rows(
        c,
        "UPDATE patient SET person_id = $1, stands_since = CASE WHEN EXISTS (SELECT 1 FROM former_person f "
        "WHERE f.patient_id = patient.id AND f.person_id = $1) THEN (SELECT f.stood_since FROM former_person f "
        "WHERE f.patient_id = patient.id AND f.person_id = $1) ELSE stands_since END WHERE person_id = $2",
        new, old,
    )  # fmt: skip


async def bind_too(c: Connection, old: UUID, new: UUID, entry: int) -> None:
    """`new` is bound by what `old` was: rows that have left `old` have stood for `new`, and the no of whom `old` was
    parted from counts for `new`."""
    await rows(
        c,
        "INSERT INTO former_person (patient_id, person_id, import_batch_id, stood_since, deceased_on) "
        "SELECT f.patient_id, $1, f.import_batch_id, f.stood_since, f.deceased_on FROM former_person f "
        "JOIN patient p ON p.id = f.patient_id WHERE f.person_id = $2 AND p.person_id <> $1 "
        "ON CONFLICT (patient_id, person_id) DO UPDATE "
        "SET deceased_on = coalesce(former_person.deceased_on, excluded.deceased_on)",
        new, old,
    )  # fmt: skip
    await rows(
        c,
        "INSERT INTO objection_binding (objection_id, person_id, entry_id) SELECT b.objection_id, $1, $2 "
        "FROM objection_binding b WHERE b.person_id = $3 ON CONFLICT (objection_id, person_id) DO NOTHING",
        new, entry, old,
    )  # fmt: skip


async def former_of(c: Connection, doubt: dict[str, Any]) -> UUID | None:
    """Whom the row in doubt stood for last, of those who are known: not who was merged or mistyped."""
    found = await rows(
        c,
        "SELECT f.person_id FROM former_person f WHERE f.patient_id = $1 AND f.person_id <> $2 "
        "AND EXISTS (SELECT 1 FROM person_token t WHERE t.person_id = f.person_id) "
        "ORDER BY f.import_batch_id DESC, f.id DESC LIMIT 1",
        doubt["patient_id"], doubt["person_id"],
    )  # fmt: skip
    return UUID(str(found[0]["person_id"])) if found else None


async def back_to_former(c: Connection, doubt: dict[str, Any], former: UUID) -> None:
    """The row in doubt stands for its former person, of unknown birth; what was told to it then counts again."""
    await remember_former(c, "p.id = $1", doubt["patient_id"])
    await rows(
        c,
        "UPDATE patient SET person_id = $1, birth_date = '', adult_on = NULL, traits = NULL, row_digest = $3, "
        "stands_since = (SELECT f.stood_since FROM former_person f "
        "WHERE f.patient_id = patient.id AND f.person_id = $1) WHERE id = $2",
        former, doubt["patient_id"], b"",  # the next register's line is read, be it the same
    )  # fmt: skip
    await forget_unless_stood_for(c, doubt["person_id"])


async def forget_unless_stood_for(c: Connection, person: UUID) -> None:
    """Who was merged or mistyped is met no more by what she was known by."""
    await rows(
        c,
        "DELETE FROM person_token WHERE person_id = $1 AND NOT EXISTS (SELECT 1 FROM patient p WHERE p.person_id = $1)",
        person,
    )
