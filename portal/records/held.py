"""Everything that is kept about one person, for her right of access. Sealed contacts come sealed."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from portal.records.behind_link import deliveries_of
from portal.records.database import Connection, rows
from portal.records.objections import BOUND
from portal.records.stored import CURRENT

Row = dict[str, Any]
Held = dict[str, list[Row]]

_HERS = "SELECT id FROM patient WHERE person_id = $1"

_QUERIES = {
    "patients": (
        "SELECT p.id, p.practice_id, pr.name AS practice, p.number, p.doctor_number, p.birth_date, p.sex, p.language, "
        "p.representative_kind, p.deceased_on, p.left_at, i.taken_at AS register_taken_at FROM patient p "
        "JOIN practice pr ON pr.id = p.practice_id JOIN register_import i ON i.id = p.import_batch_id "
        "WHERE p.person_id = $1 ORDER BY p.practice_id, p.id"
    ),
    "contacts": (
        "SELECT p.practice_id, p.number, c.rank, c.addressee, c.sealed, c.unreachable_reason FROM contact c "
        "JOIN patient p ON p.id = c.patient_id WHERE p.person_id = $1 ORDER BY p.practice_id, p.id, c.rank"
    ),
    "told_alone": (f"SELECT asked_at, ended_at FROM minor_alone WHERE patient_id IN ({_HERS}) ORDER BY entry_id"),
    "notices": (
        "SELECT p.practice_id, n.text_id, t.version, t.language, n.addressee, n.channel, n.state, n.sent_at, "
        "n.returned_at, n.answered_at, c.id IS NOT NULL AS address_kept FROM notice n "
        "JOIN patient p ON p.id = n.patient_id JOIN notice_text t ON t.id = n.text_id "
        "LEFT JOIN contact c ON c.patient_id = p.id AND c.rank = 0 AND n.addressee = 'self' "
        "AND n.address_index IN (c.email_index, c.postal_index) "
        "WHERE p.person_id = $1 AND (p.stands_since IS NULL OR n.sent_at >= p.stands_since) ORDER BY n.sent_at, n.id"
    ),
    "objections": (
        "SELECT o.id, o.scope, o.scope_ref, o.channel, o.received_at, o.withdrawn_at, o.entry_id AS log_entry "
        f"FROM objection o WHERE o.id IN (SELECT objection_id FROM ({BOUND}) b WHERE b.person_id = $1) "
        "ORDER BY o.entry_id"
    ),
    "requests": (
        "SELECT id, kind, state, received_at, due_on, closed_at, entry_id AS log_entry FROM rights_request "
        "WHERE person_id = $1 ORDER BY entry_id"
    ),
    "matching": (
        "SELECT kind, count(*) AS keyed_tokens FROM person_token WHERE person_id = $1 GROUP BY kind ORDER BY kind"
    ),
    "not_sent": (
        "SELECT DISTINCT r.id AS release_id, s.title AS study, r.state FROM release r "
        "JOIN study s ON s.id = r.study_id "
        "JOIN release_person m ON m.release_id = r.id WHERE m.person_id = $1 AND m.left_version IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.release_id = r.id) ORDER BY r.id"
    ),
    "log": (
        "SELECT DISTINCT e.id, e.kind, e.at, e.actor FROM log_entry e JOIN log_touch t ON t.entry_id = e.id "
        "WHERE (t.kind = 'person' AND t.ref = CAST($1 AS text)) "
        "OR (t.kind IN ('patient', 'contact') AND t.ref IN "
        "(SELECT CAST(id AS text) FROM patient WHERE person_id = $2)) "
        "OR (t.kind = 'notice' AND t.ref IN (SELECT CAST(n.id AS text) FROM notice n "
        "JOIN patient p ON p.id = n.patient_id WHERE p.person_id = $2)) ORDER BY e.id"
    ),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """Where one person's rows stand in the store, and as whom."""

    practice_id: str
    file_name: str
    pseudonym: str


async def _files_of(c: Connection, person_id: UUID) -> list[Kept]:
    """Every file that counts and holds rows of this person."""
    found = await rows(
        c,
        f"SELECT f.practice_id, f.file_name, s.pseudonym FROM ({CURRENT}) f JOIN stored_person s "
        "ON s.practice_id = f.practice_id AND s.file_sha256 = f.file_sha256 WHERE s.person_id = $1 "
        "ORDER BY f.practice_id",
        person_id,
    )
    return [Kept(row["practice_id"], row["file_name"], row["pseudonym"]) for row in found]


async def held(c: Connection, person_id: UUID) -> tuple[Held, list[Kept]]:
    """What the tables hold of her, by subject, and where her rows are in the observatory's store."""
    found = {
        name: await rows(c, query, *([str(person_id), person_id] if name == "log" else [person_id]))
        for name, query in _QUERIES.items()
    }
    sent = await deliveries_of(c, person_id)
    found["sent"] = [{k: v for k, v in row.items() if k not in ("due_on", "conditions")} for row in sent]
    return found, await _files_of(c, person_id)


async def in_doubt(c: Connection, person_id: UUID) -> bool:
    """Whether it is an open question that a row of hers is she: what is kept may then be somebody else's."""
    found = await rows(
        c,
        f"SELECT 1 AS one FROM identity_doubt WHERE settled_at IS NULL AND patient_id IN ({_HERS})",
        person_id,
    )
    return bool(found)
