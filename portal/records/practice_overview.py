"""A practice as its doctor looks at it: her enrolment, her patients' states (never why), what has left."""

from datetime import datetime
from typing import Any

from portal.records.database import as_moment, connection, rows
from portal.records.notices import silences
from portal.records.overview import Row
from portal.rules.waiting import paris_day

PATIENT_STATES = ("informed", "waiting", "not_reachable", "out")


async def patients(practice_id: str, observatory_id: str, now: datetime) -> list[Row]:
    """Number, state and minor of each patient of a practice, in the register's order. `minor`: "told_alone" or
    "not_alone" for who is fifteen to seventeen today, else "".

    `out` also holds those whose identity or age is open, so that the word does not say who objected.
    """
    silent = await silences(connection(), now)
    return await rows(
        connection(),
        f"WITH told AS (SELECT n.patient_id, max(CASE WHEN {silent.delivered('n', 3, 5)} THEN 2 "
        "WHEN n.state IN ('queued', 'sent') THEN 1 ELSE 0 END) AS word FROM notice n "
        "JOIN notice_text t ON t.id = n.text_id AND t.observatory_id = $2 GROUP BY n.patient_id), "
        "said AS (SELECT DISTINCT person_id FROM objection WHERE withdrawn_at IS NULL AND (scope = 'everything' "
        "OR (scope = 'observatory' AND scope_ref = $2) OR (scope = 'practice' AND scope_ref = $1))), "
        "reachable AS (SELECT DISTINCT patient_id FROM contact "
        "WHERE email_index IS NOT NULL OR postal_index IS NOT NULL), "
        "unsettled AS (SELECT DISTINCT patient_id FROM identity_doubt WHERE settled_at IS NULL) "
        "SELECT p.number, CASE WHEN s.person_id IS NOT NULL OR u.patient_id IS NOT NULL OR p.adult_on IS NULL "
        "THEN 'out' WHEN t.word = 2 THEN 'informed' WHEN t.word = 1 THEN 'waiting' "
        "WHEN t.word IS NULL AND r.patient_id IS NOT NULL THEN 'waiting' ELSE 'not_reachable' END AS state, "
        "CASE WHEN p.teen_on <= $4 AND p.adult_on > $4 THEN CASE WHEN a.patient_id IS NULL THEN 'not_alone' "
        "ELSE 'told_alone' END ELSE '' END AS minor "
        "FROM patient p LEFT JOIN told t ON t.patient_id = p.id LEFT JOIN said s ON s.person_id = p.person_id "
        "LEFT JOIN (SELECT DISTINCT patient_id FROM minor_alone WHERE ended_at IS NULL) a ON a.patient_id = p.id "
        "LEFT JOIN reachable r ON r.patient_id = p.id LEFT JOIN unsettled u ON u.patient_id = p.id "
        "WHERE p.practice_id = $1 AND p.deceased_on IS NULL AND p.left_at IS NULL ORDER BY p.id",
        practice_id, observatory_id, silent.mailed_before, paris_day(now), silent.posted_before,
    )  # fmt: skip


async def noted_by(practice_id: str, actor: str) -> list[Row]:
    """Every no that this doctor was told at the practice, recorded, and that stands: id, number, received_at."""
    found = await rows(
        connection(),
        "SELECT o.id, o.received_at, p.number FROM objection o JOIN patient p ON p.id = o.patient_id "
        "WHERE p.practice_id = $1 AND o.actor = $2 AND o.withdrawn_at IS NULL ORDER BY o.entry_id DESC",
        practice_id,
        actor,
    )
    return [{**row, "received_at": as_moment(row["received_at"])} for row in found]


async def hand_overs_to_confirm(practice_id: str) -> list[Row]:
    """Hand-overs reported at a practice that no doctor has confirmed, the oldest first: id, number, at."""
    found = await rows(
        connection(),
        "SELECT n.id, p.number, n.sent_at AS at FROM notice n JOIN patient p ON p.id = n.patient_id "
        "WHERE p.practice_id = $1 AND n.state = 'reported' ORDER BY n.sent_at, n.id",
        practice_id,
    )
    return [{**row, "at": as_moment(row["at"])} for row in found]


def counted(listed: list[Row]) -> dict[str, int]:
    """Patients by state, and `total`: the numbers add up."""
    counts = {state: sum(row["state"] == state for row in listed) for state in PATIENT_STATES}
    return {**counts, "total": len(listed)}


async def sent_from(practice_id: str, observatory_id: str) -> list[dict[str, Any]]:
    """The studies that were served records of this practice, and when first."""
    found = await rows(
        connection(),
        "SELECT s.title AS study, min(d.served_at) AS sent_on FROM release r JOIN study s ON s.id = r.study_id "
        "JOIN delivery d ON d.release_id = r.id WHERE s.observatory_id = $2 AND EXISTS "
        "(SELECT 1 FROM release_person m WHERE m.release_id = r.id AND m.practice_id = $1 "
        "AND (m.left_version IS NULL OR d.version < m.left_version)) "
        "GROUP BY r.id, s.title ORDER BY min(d.served_at)",
        practice_id,
        observatory_id,
    )
    return [{"study": row["study"], "sent_on": as_moment(row["sent_on"])} for row in found]
