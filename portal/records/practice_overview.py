"""A practice as its doctor looks at it: her enrolment, her patients' states (never why), what has left."""

from datetime import datetime
from typing import Any

from portal.records.database import as_moment, connection, rows
from portal.records.notices import Silences, silences
from portal.records.objections import bound_by
from portal.records.overview import Row
from portal.records.people import TOLD_ALONE
from portal.rules.waiting import paris_day

PATIENT_STATES = ("informed", "waiting", "not_reachable", "out")
PER_PAGE = 50


def _situated(silent: Silences) -> str:
    """The beginning of a statement: `situated` holds number, state and minor of each patient of practice $1 for
    observatory $2. `out` also holds those whose identity or age is open and those who asked for another right, so that
    the word does not say who objected."""
    return (
        "WITH mine AS (SELECT id, number, person_id, teen_on, adult_on, stands_since FROM patient "
        "WHERE practice_id = $1 AND deceased_on IS NULL AND left_at IS NULL), "
        f"told AS (SELECT n.patient_id, max(CASE WHEN {silent.delivered('n', 3, 5)} THEN 2 "
        "WHEN n.state IN ('queued', 'sent') THEN 1 ELSE 0 END) AS word FROM mine m CROSS JOIN notice n "
        "CROSS JOIN notice_text t WHERE n.patient_id = m.id AND t.id = n.text_id AND t.observatory_id = $2 "
        "AND (m.stands_since IS NULL OR n.sent_at IS NULL OR n.sent_at >= m.stands_since) GROUP BY n.patient_id), "
        "in_force AS (SELECT id, person_id, patient_id FROM objection WHERE withdrawn_at IS NULL AND "
        "(scope = 'everything' OR (scope = 'observatory' AND scope_ref = $2) "
        "OR (scope = 'practice' AND scope_ref = $1))), "
        f"closed AS (SELECT person_id FROM ({bound_by('in_force')}) b UNION SELECT person_id FROM rights_request "
        "WHERE kind <> 'access' AND (state = 'open' OR (state = 'granted' AND kind IN ('erasure', 'restriction')))), "
        "situated AS (SELECT m.number, CASE WHEN m.adult_on IS NULL OR m.person_id IN (SELECT person_id FROM closed) "
        "OR m.id IN (SELECT patient_id FROM identity_doubt WHERE settled_at IS NULL) THEN 'out' "
        "WHEN m.id IN (SELECT patient_id FROM told WHERE word = 2) THEN 'informed' "
        "WHEN m.id IN (SELECT patient_id FROM told WHERE word = 1) THEN 'waiting' "
        "WHEN m.id IN (SELECT patient_id FROM told) THEN 'not_reachable' "
        "WHEN m.id IN (SELECT c.patient_id FROM mine r CROSS JOIN contact c WHERE c.patient_id = r.id "
        "AND (c.email_index IS NOT NULL OR c.postal_index IS NOT NULL)) THEN 'waiting' "
        "ELSE 'not_reachable' END AS state, "
        "CASE WHEN m.teen_on > $4 OR m.adult_on <= $4 OR m.teen_on IS NULL THEN '' "
        f"WHEN m.id IN ({TOLD_ALONE}) THEN 'told_alone' "
        "ELSE 'not_alone' END AS minor FROM mine m) "
    )


async def _of_patients(practice_id: str, observatory_id: str, now: datetime, tail: str, *values: Any) -> list[Row]:
    silent = await silences(connection(), now)
    return await rows(
        connection(), _situated(silent) + tail,
        practice_id, observatory_id, silent.mailed_before, paris_day(now), silent.posted_before, *values,
    )  # fmt: skip


async def counts(practice_id: str, observatory_id: str, now: datetime) -> dict[str, int]:
    """Patients by state, and `total`: the numbers add up."""
    tail = "SELECT state, count(*) AS count FROM situated GROUP BY state"
    found = {row["state"]: row["count"] for row in await _of_patients(practice_id, observatory_id, now, tail)}
    by_state = {state: found.get(state, 0) for state in PATIENT_STATES}
    return {**by_state, "total": sum(by_state.values())}


async def patients(
    practice_id: str, observatory_id: str, now: datetime, *, state: str = "", page: int = 1
) -> list[Row]:
    """One page of a practice's patients, of one state if it is given, by the practice's own numbers: number, state and
    minor of each. `minor`: "told_alone" or "not_alone" for who is fifteen to seventeen today, else ""."""
    tail = (
        "SELECT number, state, minor FROM situated WHERE ($6::text = '' OR state = $6::text) "
        f"ORDER BY length(number), number LIMIT {PER_PAGE} OFFSET $7"
    )
    return await _of_patients(practice_id, observatory_id, now, tail, state, (page - 1) * PER_PAGE)


async def patient(practice_id: str, observatory_id: str, now: datetime, number: str) -> list[Row]:
    """The same of the one patient of this number, if there is one."""
    tail = "SELECT number, state, minor FROM situated WHERE number = $6"
    return await _of_patients(practice_id, observatory_id, now, tail, number)


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
    """Hand-overs reported at a practice that no doctor has confirmed, the oldest fifty first: id, number, at."""
    found = await rows(
        connection(),
        "SELECT n.id, p.number, n.sent_at AS at FROM notice n JOIN patient p ON p.id = n.patient_id "
        "WHERE p.practice_id = $1 AND n.state = 'reported' ORDER BY n.sent_at, n.id "
        f"LIMIT {PER_PAGE}",
        practice_id,
    )
    return [{**row, "at": as_moment(row["at"])} for row in found]


async def unconfirmed(practice_id: str) -> int:
    """How many hand-overs were reported at a practice that no doctor has confirmed."""
    found = await rows(
        connection(),
        "SELECT count(*) AS n FROM notice n JOIN patient p ON p.id = n.patient_id "
        "WHERE p.practice_id = $1 AND n.state = 'reported'",
        practice_id,
    )
    return int(found[0]["n"])


async def sent_from(practice_id: str, observatory_id: str) -> list[Row]:
    """The releases that a study was handed and that held records of this practice, the newest first: study, sent_on,
    and how many of its patients were in it (to be shown rounded)."""
    found = await rows(
        connection(),
        "SELECT s.title AS study, g.sent_on, count(*) AS patients FROM release r JOIN study s ON s.id = r.study_id "
        "JOIN (SELECT release_id, min(served_at) AS sent_on, min(version) AS first FROM delivery "
        "GROUP BY release_id) g ON g.release_id = r.id JOIN release_person m ON m.release_id = r.id "
        "WHERE s.observatory_id = $2 AND m.practice_id = $1 AND (m.left_version IS NULL OR g.first < m.left_version) "
        "GROUP BY r.id, s.title, g.sent_on ORDER BY g.sent_on DESC, r.id",
        practice_id,
        observatory_id,
    )
    return [{**row, "sent_on": as_moment(row["sent_on"])} for row in found]


async def extracted(practice_id: str, observatory_id: str) -> list[Row]:
    """The newest extractions that the observatory took in from this practice: at, records."""
    found = await rows(
        connection(),
        "SELECT e.received_at AS at, e.rows AS records FROM extraction e JOIN permit p ON p.id = e.permit_id "
        "WHERE e.practice_id = $1 AND p.observatory_id = $2 ORDER BY e.id DESC LIMIT 5",
        practice_id,
        observatory_id,
    )
    return [{**row, "at": as_moment(row["at"])} for row in found]


async def register_of(practice_id: str, observatory_id: str) -> Row | None:
    """The newest whole register of a practice: taken_at, and how many days the observatory lets it count."""
    found = await rows(
        connection(),
        "SELECT max(i.taken_at) AS taken_at, o.register_max_days FROM register_import i, observatory o "
        "WHERE i.practice_id = $1 AND NOT i.partial AND o.id = $2 GROUP BY o.register_max_days",
        practice_id,
        observatory_id,
    )
    return {**found[0], "taken_at": as_moment(found[0]["taken_at"])} if found else None


async def permits(practice_id: str, observatory_id: str) -> list[Row]:
    """The newest extraction permits of a practice: serial, issued_at, expires_at, used_at (an extraction made with it
    was taken in, else None), newest (bool: the only one that is still accepted)."""
    found = await rows(
        connection(),
        "SELECT p.serial, l.at AS issued_at, p.expires_at, e.received_at AS used_at, p.serial = "
        "(SELECT max(q.serial) FROM permit q WHERE q.practice_id = p.practice_id) AS newest "
        "FROM permit p JOIN log_entry l ON l.id = p.entry_id LEFT JOIN extraction e ON e.permit_id = p.id "
        "WHERE p.practice_id = $1 AND p.observatory_id = $2 ORDER BY p.serial DESC LIMIT 10",
        practice_id,
        observatory_id,
    )
    moments = ("issued_at", "expires_at", "used_at")
    return [{**row, **{name: as_moment(row[name]) for name in moments}, "newest": bool(row["newest"])} for row in found]
