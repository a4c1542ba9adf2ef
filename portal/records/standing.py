"""Whom a patient's row stands for, and stood for: rows pointed to another person, and what she is bound by then."""

from typing import Any
from uuid import UUID

from portal.records.database import Connection, rows
from portal.rules.words import DoubtReason

SETTLED = """
    SELECT t.entry_id, t.ref FROM log_entry e JOIN log_touch t ON t.entry_id = e.id AND t.kind || '' = 'person'
    WHERE e.kind IN ('doubt_settled', 'persons_parted')
"""
"""By the entries that settled who somebody is, the persons (entry_id, ref: a person's id as text). `|| ''`: found by
their entries, as most touches are of this kind."""

LAST_SETTLED = f"SELECT ref, max(entry_id) AS entry FROM ({SETTLED}) n GROUP BY ref"
"""The newest of these of each (ref, entry)."""

PARTED = """
    SELECT t.entry_id, t.ref, p.practice_id FROM log_entry e
    JOIN log_touch t ON t.entry_id = e.id AND t.kind || '' = 'person'
    JOIN log_touch q ON q.entry_id = e.id AND q.kind || '' = 'patient' JOIN patient p ON p.id = CAST(q.ref AS bigint)
    WHERE e.kind = 'persons_parted'
"""
"""By the entries that parted somebody, both persons and the practice whose row it was (entry_id, ref, practice_id)."""


async def remember_former(c: Connection, which: str, *values: Any) -> None:
    """The persons that rows stand for now, as their former ones."""
    await rows(
        c,
        "INSERT INTO former_person (patient_id, person_id, import_batch_id, stood_since) "
        f"SELECT p.id, p.person_id, p.import_batch_id, p.stands_since FROM patient p WHERE {which} "
        "ON CONFLICT (patient_id, person_id) DO NOTHING",
        *values,
    )


_AS_BEFORE = """
    CASE WHEN EXISTS (SELECT 1 FROM former_person f WHERE f.patient_id = patient.id AND f.person_id = $1)
              AND NOT EXISTS (SELECT 1 FROM former_person z JOIN notice n ON n.patient_id = z.patient_id
                              WHERE z.patient_id = patient.id AND z.person_id <> $1
                                AND EXISTS (SELECT 1 FROM person_token t WHERE t.person_id = z.person_id)
                                AND (z.stood_since IS NULL OR n.sent_at >= z.stood_since)
                                AND NOT EXISTS (SELECT 1 FROM former_person f WHERE f.patient_id = patient.id
                                                AND f.person_id = $1 AND n.sent_at < f.stood_since)
                                AND n.sent_at < patient.stands_since)
         THEN (SELECT f.stood_since FROM former_person f WHERE f.patient_id = patient.id AND f.person_id = $1)
         ELSE stands_since END
"""
"""Since when a row stands for $1, for whom it stood before: as then, when nobody else was told between."""


async def point_to(c: Connection, old: UUID, new: UUID) -> None:
    """Every row of `old` stands for `new`. Where it did so before, what was told to it then counts again."""
    await remember_former(c, "p.person_id = $1", old)
    await rows(c, f"UPDATE patient SET person_id = $1, stands_since = {_AS_BEFORE} WHERE person_id = $2", new, old)


async def stood_all_along(c: Connection, old: UUID, new: UUID) -> None:
    """Rows that had changed from `old` into `new`, who are one: what was told to them before counts."""
    await rows(
        c,
        f"UPDATE patient SET stands_since = {_AS_BEFORE} WHERE person_id = $1 AND id IN "
        "(SELECT patient_id FROM former_person WHERE person_id = $2)",
        new, old,
    )  # fmt: skip


async def bind_too(c: Connection, old: UUID, new: UUID, entry: int) -> None:
    """`new` is bound by what `old` was: rows that have left `old` have stood for `new`, a death that such a row knew of
    is hers, and so is the no of whom `old` was parted from. What `old` said was said by `new`."""
    await rows(
        c,
        "INSERT INTO former_person (patient_id, person_id, import_batch_id, stood_since, deceased_on) "
        "SELECT f.patient_id, $1, f.import_batch_id, f.stood_since, f.deceased_on FROM former_person f "
        "WHERE f.person_id = $2 "
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
    await rows(c, "UPDATE objection SET person_id = $1 WHERE person_id = $2", new, old)


async def former_of(c: Connection, doubt: dict[str, Any]) -> UUID | None:
    """Whom the row stood for before it came into this doubt, else last, of those who are known: not who was merged or
    mistyped."""
    found = await rows(
        c,
        "SELECT f.person_id FROM former_person f WHERE f.patient_id = $1 AND f.person_id <> $2 "
        "AND EXISTS (SELECT 1 FROM person_token t WHERE t.person_id = f.person_id) "
        "ORDER BY CASE f.import_batch_id WHEN $3 THEN -f.id END DESC NULLS LAST, f.import_batch_id DESC, f.id DESC "
        "LIMIT 1",
        doubt["patient_id"], doubt["person_id"], doubt["import_batch_id"],
    )  # fmt: skip
    return UUID(str(found[0]["person_id"])) if found else None


async def back_to_former(c: Connection, doubt: dict[str, Any], former: UUID) -> None:
    """The row in doubt stands for its former person, of unknown birth; what was told to it then counts again."""
    await remember_former(c, "p.id = $1", doubt["patient_id"])
    await rows(
        c,
        "UPDATE patient SET person_id = $1, birth_date = '', adult_on = NULL, traits = NULL, row_digest = $3, "
        f"stands_since = {_AS_BEFORE} WHERE id = $2",
        former, doubt["patient_id"], b"",  # the next register's line is read, be it the same
    )  # fmt: skip
    said = "UPDATE objection SET person_id = $1 WHERE person_id = $2 AND patient_id = $3"
    await rows(c, said, former, doubt["person_id"], doubt["patient_id"])
    await forget_unless_stood_for(c, doubt["person_id"])


async def forget_unless_stood_for(c: Connection, person: UUID) -> None:
    """Who was merged or mistyped is met no more by what she was known by."""
    await rows(
        c,
        "DELETE FROM person_token WHERE person_id = $1 AND NOT EXISTS (SELECT 1 FROM patient p WHERE p.person_id = $1)",
        person,
    )


async def doubt_deaths(c: Connection, person: UUID) -> None:
    """A row that comes back to whom it knew to be dead, and says nothing of it any more, is doubted (back to life)."""
    await rows(
        c,
        "INSERT INTO identity_doubt (patient_id, reason, import_batch_id) "
        f"SELECT p.id, '{DoubtReason.BACK_TO_LIFE}', p.import_batch_id FROM patient p "
        "JOIN former_person f ON f.patient_id = p.id AND f.person_id = p.person_id "
        "WHERE p.person_id = $1 AND p.deceased_on IS NULL AND f.deceased_on IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM identity_doubt d WHERE d.patient_id = p.id AND d.settled_at IS NULL "
        f"AND d.reason = '{DoubtReason.BACK_TO_LIFE}') "
        "ON CONFLICT (patient_id, reason, import_batch_id) DO UPDATE SET settled_at = NULL, settled_by = NULL",
        person,
    )


async def never_died(c: Connection, patient_id: int, person: UUID) -> None:
    """What this row knew of her death was a mistake."""
    forget = "UPDATE former_person SET deceased_on = NULL WHERE patient_id = $1 AND person_id = $2"
    await rows(c, forget, patient_id, person)
