"""Which entries of the log bear on what is decided of one patient, by the fact of rules/facts.py that they bear on."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from portal.records.database import Connection, as_moment, rows
from portal.records.objections import BOUND

_OF_OBSERVATORY = (
    "SELECT t.entry_id FROM log_touch t JOIN log_entry e ON e.id = t.entry_id "
    "WHERE t.kind = 'observatory' AND t.ref = $2"
)

_OF_HERS = (
    f"FROM objection o JOIN ({BOUND}) b ON b.objection_id = o.id JOIN her h ON h.person_id = b.person_id "
    "WHERE o.scope = 'everything' OR (o.scope = 'observatory' AND o.scope_ref = $2) "
    "OR (o.scope = 'study' AND o.scope_ref = $3) OR (o.scope = 'practice' AND o.scope_ref = h.practice_id)"
)

ABOUT: Mapping[tuple[str, ...], str] = {
    ("observatory",): f"{_OF_OBSERVATORY} AND e.kind <> 'agreement_loaded'",
    ("authorisation", "impact_assessment", "columns_authorised", "precision_allowed"): (
        "SELECT t.entry_id FROM log_touch t JOIN authorisation a ON a.id = t.ref AND a.observatory_id = $2 "
        "WHERE t.kind = 'authorisation'"
    ),
    ("study_open", "purpose_covered", "recipient_entitled", "listed_long_enough", "columns_authorised",
     "precision_allowed"): (
        "SELECT t.entry_id FROM log_touch t WHERE t.kind = 'study' AND t.ref = $3"
    ),
    ("recipient_entitled",): (
        "SELECT t.entry_id FROM log_touch t JOIN study s ON s.recipient_id = t.ref AND s.id = $3 "
        "WHERE t.kind = 'recipient'"
    ),
    ("own_key",): "SELECT k.entry_id FROM key_binding k WHERE k.family = 'study:' || $3",
    ("practice",): (
        "SELECT t.entry_id FROM log_touch t JOIN log_touch d ON d.entry_id = t.entry_id AND d.kind = 'doctor' "
        "JOIN her h ON h.practice_id = t.ref WHERE t.kind = 'practice' "
        "UNION SELECT i.entry_id FROM register_import i JOIN her h ON h.practice_id = i.practice_id "
        "WHERE NOT i.partial AND i.taken_at = "
        "(SELECT MAX(n.taken_at) FROM register_import n WHERE n.practice_id = i.practice_id AND NOT n.partial) "
        f"UNION {_OF_OBSERVATORY} AND e.kind = 'agreement_loaded'"
    ),
    ("identity",): (
        "SELECT i.entry_id FROM identity_doubt d JOIN her_rows p ON p.id = d.patient_id "
        "JOIN register_import i ON i.id = d.import_batch_id "
        "UNION SELECT t.entry_id FROM log_touch t JOIN her_rows p ON CAST(p.id AS text) = t.ref "
        "JOIN log_entry e ON e.id = t.entry_id AND e.kind IN ('doubt_settled', 'persons_parted') "
        "WHERE t.kind = 'patient'"
    ),
    ("objection",): f"SELECT o.entry_id {_OF_HERS} UNION SELECT o.withdrawal_id {_OF_HERS}",
    ("pending",): (
        "SELECT r.entry_id FROM rights_request r WHERE r.kind <> 'access' AND r.patient_id IN (SELECT id FROM stood) "
        "UNION SELECT r.closing_id FROM rights_request r "
        "WHERE r.kind <> 'access' AND r.patient_id IN (SELECT id FROM stood)"
    ),
    ("presence",): (
        "SELECT i.entry_id FROM her_rows p JOIN register_import i ON i.id = p.import_batch_id "
        "UNION SELECT i.entry_id FROM former_person f JOIN her h ON h.person_id = f.person_id "
        "JOIN register_import i ON i.id = f.import_batch_id WHERE f.deceased_on IS NOT NULL "
        "UNION SELECT i.entry_id FROM her h JOIN register_import i ON i.practice_id = h.practice_id "
        "JOIN log_entry e ON e.id = i.entry_id WHERE NOT i.partial AND e.at = h.left_at"
    ),
    ("capacity",): (
        "SELECT i.entry_id FROM her h JOIN register_import i ON i.id = h.import_batch_id "
        "UNION SELECT t.entry_id FROM log_touch t JOIN her h ON CAST(h.id AS text) = t.ref "
        "JOIN log_entry e ON e.id = t.entry_id AND e.kind = 'doubt_settled' WHERE t.kind = 'patient' "
        "UNION SELECT m.entry_id FROM minor_alone m JOIN her h ON h.id = m.patient_id "
        "UNION SELECT m.ending_id FROM minor_alone m JOIN her h ON h.id = m.patient_id"
    ),
    ("text",): "SELECT t.entry_id FROM log_touch t JOIN told n ON n.text_id = t.ref WHERE t.kind = 'text'",
    ("text", "addressed", "delivery", "reflection"): (
        "SELECT coalesce(n.entry_id, g.entry_id) AS entry_id FROM told n LEFT JOIN campaign g ON g.id = n.campaign_id "
        "UNION SELECT t.entry_id FROM log_touch t JOIN told n ON CAST(n.id AS text) = t.ref WHERE t.kind = 'notice'"
    ),
    ("delivery",): (
        "SELECT r.posting_id AS entry_id FROM told n JOIN print_run r ON r.id = n.print_run_id "
        "UNION SELECT t.entry_id FROM log_touch t JOIN her h ON CAST(h.person_id AS text) = t.ref "
        "JOIN log_entry e ON e.id = t.entry_id AND e.kind = 'returns_read' WHERE t.kind = 'person'"
    ),
    ("reflection",): (
        "SELECT o.entry_id FROM path_outage o "
        "WHERE o.ended_at IS NULL OR o.ended_at > (SELECT MIN(n.sent_at) FROM told n) "
        "UNION SELECT o.ending_id FROM path_outage o WHERE o.ended_at > (SELECT MIN(n.sent_at) FROM told n)"
    ),
    ("extracted",): (
        "SELECT m.entry_id FROM extraction x JOIN permit m ON m.id = x.permit_id WHERE x.id = "
        "(SELECT MAX(n.id) FROM extraction n JOIN her h ON h.practice_id = n.practice_id)"
    ),
}  # fmt: skip
"""By fact, the entries: $1 is the patient's row, $2 the observatory, $3 the study or ''."""

_HER = """
WITH her AS (SELECT * FROM patient WHERE id = $1),
her_rows AS (SELECT p.* FROM patient p JOIN her h ON h.person_id = p.person_id),
stood AS (
    SELECT id FROM her_rows
    UNION SELECT f.patient_id FROM former_person f JOIN her h ON h.person_id = f.person_id
),
told AS (SELECT n.* FROM notice n JOIN her h ON h.id = n.patient_id)
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the log. `place`: where the tree has it; None for the seconds before it has one."""

    id: int
    place: int | None
    at: datetime
    kind: str
    actor: str


async def entries_by_fact(
    c: Connection, *, patient_id: int, observatory_id: str, study_id: str, doubting: Iterable[int]
) -> dict[str, tuple[Entry, ...]]:
    """{fact: entries, the oldest first}. `doubting`: of each no that may be hers, its entry, as facts.sql found it."""
    parts = [
        f"SELECT '{fact}' AS fact, x.entry_id FROM ({query}) x"
        for facts, query in ABOUT.items()
        for fact in facts
    ]  # fmt: skip
    noes = ", ".join(str(entry) for entry in doubting) or "NULL"
    parts.append(f"SELECT 'doubt', e.id FROM log_entry e WHERE e.id IN ({noes})")
    found = await rows(
        c,
        f"{_HER}, bearing AS ({' UNION '.join(parts)}) "
        "SELECT b.fact, e.id, p.place, e.at, e.kind, e.actor FROM bearing b JOIN log_entry e ON e.id = b.entry_id "
        "LEFT JOIN log_place p ON p.entry_id = e.id ORDER BY e.id",
        patient_id, observatory_id, study_id,
    )  # fmt: skip
    entries: dict[str, tuple[Entry, ...]] = defaultdict(tuple)
    for row in found:
        at = as_moment(row["at"])
        if at is not None:
            entries[row["fact"]] += (Entry(int(row["id"]), row["place"], at, row["kind"], row["actor"]),)
    return entries
