"""What the public and the desk look at: named read queries, each one or few statements over whole sets."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from portal.records.canaries import CANARY, NO_CANARY
from portal.records.database import as_day, as_moment, connection, from_json, rows
from portal.records.notices import silences
from portal.rules.waiting import ATTEMPTS

Row = dict[str, Any]

NEWEST_EXTRACTIONS = "SELECT max(id) FROM extraction GROUP BY practice_id"
PAGE = 50
"""Entries of the log on one page."""


async def house() -> Row | None:
    """The first active observatory, whose contacts stand on the pages for everybody."""
    found = await rows(
        connection(),
        "SELECT id, name, controller, dpo_contact, phone, postal_address FROM observatory WHERE active "
        "ORDER BY id LIMIT 1",
    )
    return found[0] if found else None


async def has_verdicts() -> bool:
    """Whether the verdict table was made; it fails when the database does not answer."""
    return bool(await rows(connection(), "SELECT id FROM verdict_version WHERE id = 1"))


async def observatories() -> list[Row]:
    """The active observatories with the number of their active doctors and their authorisations in force."""
    c = connection()
    found = await rows(
        c,
        "SELECT o.id, o.name, o.controller, count(DISTINCT e.account_id) AS doctors FROM observatory o "
        "LEFT JOIN enrolment e ON e.observatory_id = o.id AND e.state = 'active' "
        "WHERE o.active GROUP BY o.id, o.name, o.controller ORDER BY o.id",
    )
    given = await rows(
        c,
        "SELECT observatory_id, reference, valid_from, valid_until FROM authorisation WHERE suspended_at IS NULL "
        "ORDER BY valid_from, id",
    )
    for row in given:
        row["valid_from"], row["valid_until"] = as_day(row["valid_from"]), as_day(row["valid_until"])
    return [{**o, "authorisations": [a for a in given if a["observatory_id"] == o["id"]]} for o in found]


async def studies() -> list[Row]:
    """Every study, newest on the page first, with its recipient, conditions and sealed releases (persons, records)."""
    c = connection()
    found = await rows(
        c,
        "SELECT s.id, s.title, s.question, s.purpose, s.k, s.ethics_opinion AS ethics, s.listed_at, s.closed_at, "
        "s.conditions, r.name AS recipient, r.country FROM study s JOIN recipient r ON r.id = s.recipient_id "
        "ORDER BY s.listed_at DESC, s.id",
    )
    sealed = await rows(
        c,
        "SELECT id, study_id, sealed_at, version, summary, manifest_sha256 FROM release WHERE state = 'sealed' "
        "ORDER BY sealed_at DESC",
    )
    releases: dict[str, list[Row]] = {}
    for row in sealed:
        summary = from_json(row["summary"])
        releases.setdefault(row["study_id"], []).append(
            {
                "id": row["id"], "sealed_at": as_moment(row["sealed_at"]), "persons": summary["persons"],
                "records": summary["rows"], "hash": row["manifest_sha256"], "version": row["version"],
            }
        )  # fmt: skip
    return [
        {
            **row,
            "listed_at": as_moment(row["listed_at"]),
            "closed_at": as_moment(row["closed_at"]),
            "conditions": from_json(row["conditions"]),
            "columns": from_json(row["conditions"])["columns"],
            "releases": releases.get(row["id"], []),
        }
        for row in found
    ]


async def authorisations() -> list[Row]:
    """Every authorisation, with its observatory and its conditions; those in force first."""
    found = await rows(
        connection(),
        "SELECT a.id, a.reference, a.valid_from, a.valid_until, a.dpia_review_on, a.suspended_at, a.conditions, "
        "o.name AS observatory FROM authorisation a JOIN observatory o ON o.id = a.observatory_id "
        f"WHERE o.id <> '{CANARY}' ORDER BY a.suspended_at IS NOT NULL, a.valid_until DESC, a.id",
    )
    days = ("valid_from", "valid_until", "dpia_review_on")
    return [
        {
            **row,
            **{name: as_day(row[name]) for name in days},
            "suspended_at": as_moment(row["suspended_at"]),
            "conditions": from_json(row["conditions"]),
        }
        for row in found
    ]


async def outages() -> list[Row]:
    """The times in which patients could not say no, the newest first: id, began_at, ended_at (None while it lasts)."""
    found = await rows(connection(), "SELECT id, began_at, ended_at FROM path_outage ORDER BY began_at DESC, id DESC")
    return [{**row, "began_at": as_moment(row["began_at"]), "ended_at": as_moment(row["ended_at"])} for row in found]


async def to_do(today: date) -> list[Row]:
    """What waits for somebody at the desk, the oldest first: kind, count, oldest."""
    found = await rows(
        connection(),
        "SELECT 'enrolments' AS kind, count(*) AS count, min(signed_at) AS oldest FROM enrolment "
        "WHERE state = 'signed' "
        "UNION ALL SELECT 'texts', count(*), min(e.at) FROM notice_text t JOIN log_entry e ON e.id = t.entry_id "
        "WHERE t.state = 'draft' "
        "UNION ALL SELECT 'drafts', count(*), min(loaded_at) FROM reviewed_draft WHERE state = 'waiting' "
        "UNION ALL SELECT 'to_approve', count(*), min(prepared_at) FROM release WHERE state = 'prepared' "
        "UNION ALL SELECT 'to_seal', count(*), min(approved_at) FROM release WHERE state = 'approved' "
        "UNION ALL SELECT 'outages', count(*), min(began_at) FROM path_outage WHERE ended_at IS NULL "
        "UNION ALL SELECT 'stuck', count(*), min(due_at) FROM outbox_item WHERE done_at IS NULL AND attempts >= $2 "
        "UNION ALL SELECT 'late_deletions', count(*), min(made_at) FROM retraction "
        "WHERE acknowledged_at IS NULL AND due_on < $1 "
        "UNION ALL SELECT 'late_erasures', count(*), min(made_at) FROM store_retraction "
        "WHERE erased_at IS NULL AND due_on < $1",
        today,
        ATTEMPTS,
    )
    waiting = [{**row, "oldest": as_moment(row["oldest"])} for row in found if row["count"]]
    return sorted(waiting, key=lambda row: row["oldest"])


async def figures(now: datetime) -> list[Row]:
    """The line from enrolment to release in numbers: kind, count."""
    c = connection()
    silent = await silences(c, now)
    found = await rows(
        c,
        "SELECT 1 AS place, 'doctors' AS kind, count(DISTINCT account_id) AS count FROM enrolment p "
        f"WHERE state = 'active' AND {NO_CANARY} "
        "UNION ALL SELECT 2, 'patients', count(*) FROM patient p WHERE left_at IS NULL AND deceased_on IS NULL "
        f"AND {NO_CANARY} "
        "UNION ALL SELECT 3, 'notices_sent', count(*) FROM notice n JOIN patient p ON p.id = n.patient_id "
        f"WHERE n.sent_at IS NOT NULL AND {NO_CANARY} "
        "UNION ALL SELECT 4, 'notices_valid', count(*) FROM notice n JOIN patient p ON p.id = n.patient_id "
        f"WHERE {silent.delivered('n', 1, 2)} AND {NO_CANARY} "
        "UNION ALL SELECT 5, 'objections', count(DISTINCT o.person_id) FROM objection o "
        f"JOIN patient p ON p.id = o.patient_id WHERE o.withdrawn_at IS NULL AND {NO_CANARY} "
        "UNION ALL SELECT 6, 'stored', coalesce(sum(e.rows), 0) FROM extraction e "
        f"WHERE e.id IN ({NEWEST_EXTRACTIONS}) "
        "ORDER BY place",
        silent.mailed_before,
        silent.posted_before,
    )
    sealed = await rows(c, "SELECT summary FROM release WHERE state = 'sealed'")
    released = sum(from_json(row["summary"])["rows"] for row in sealed)
    counts = [{"kind": row["kind"], "count": int(row["count"])} for row in found]
    return [*counts, {"kind": "released", "count": released}]


async def texts() -> list[Row]:
    """Notice texts and agreements (reader: None), drafts first; the author of an agreement is who loaded it."""
    found = await rows(
        connection(),
        "SELECT id, 'notice' AS kind, version, language, reader, state, author, approved_by, sha256 AS hash, body "
        f"FROM notice_text WHERE observatory_id <> '{CANARY}' "
        "UNION ALL SELECT CAST(t.id AS text), 'agreement', t.version, t.language, NULL, 'published', e.actor, NULL, "
        "t.sha256, t.body FROM agreement_text t JOIN log_entry e ON e.id = t.entry_id "
        f"WHERE t.observatory_id <> '{CANARY}'",
    )
    found.sort(
        key=lambda row: (row["state"] != "draft", row["kind"], row["version"], row["reader"] or "", row["language"])
    )
    return [{**row, "body": from_json(row["body"])} for row in found]


async def practices_to_tell() -> list[Row]:
    """Practices with an active doctor and a register: those whose patients can be told."""
    return await rows(
        connection(),
        "SELECT p.id, p.name FROM practice p "
        "WHERE p.id IN (SELECT practice_id FROM enrolment WHERE state = 'active') "
        "AND p.id IN (SELECT practice_id FROM register_import) "
        f"AND p.id <> '{CANARY}' ORDER BY p.name, p.id",
    )


async def campaigns(now: datetime) -> list[Row]:
    """Every campaign, the newest first, with the state of its notices in numbers; `stuck`: of those that are queued,
    how many no server took, however often it was tried."""
    silent = await silences(connection(), now)
    found = await rows(
        connection(),
        "SELECT c.id, c.observatory_id, p.name AS practice, o.name AS observatory, c.started_at AS at, c.stopped_at, "
        "count(CASE WHEN n.state = 'queued' THEN 1 END) AS queued, count(n.sent_at) AS sent, "
        f"count(CASE WHEN {silent.delivered('n', 1, 2)} THEN 1 END) AS delivered, "
        "count(CASE WHEN n.state IN ('bounced', 'returned') THEN 1 END) AS bounced, count(i.id) AS stuck "
        "FROM campaign c JOIN practice p ON p.id = c.practice_id JOIN observatory o ON o.id = c.observatory_id "
        "LEFT JOIN notice n ON n.campaign_id = c.id "
        "LEFT JOIN outbox_item i ON i.notice_id = n.id AND i.done_at IS NULL AND i.attempts >= $3 "
        "GROUP BY c.id, p.name, o.name, c.started_at, c.stopped_at, c.observatory_id ORDER BY c.id DESC",
        silent.mailed_before, silent.posted_before, ATTEMPTS,
    )  # fmt: skip
    return [{**row, "at": as_moment(row["at"]), "stopped_at": as_moment(row["stopped_at"])} for row in found]


async def log_page(before: int | None) -> tuple[list[Row], int]:
    """The newest entries of the log (below `before`), each with its place (None: none yet), and how many it holds."""
    c = connection()
    found = await rows(
        c,
        "SELECT e.id, e.at, e.kind, e.actor, p.place FROM log_entry e LEFT JOIN log_place p ON p.entry_id = e.id "
        "WHERE e.id < $1 ORDER BY e.id DESC LIMIT $2",
        2**62 if before is None else before,
        PAGE,
    )
    total = await rows(c, "SELECT count(*) AS n FROM log_entry")
    return [{**row, "at": as_moment(row["at"])} for row in found], int(total[0]["n"])


async def leaf_of(entry: int) -> Row | None:
    """An entry's place in the tree and the hash that stands there, in hex; None while it has none."""
    found = await rows(connection(), "SELECT place, leaf_hash FROM log_place WHERE entry_id = $1", entry)
    return {"place": int(found[0]["place"]), "hash": bytes(found[0]["leaf_hash"]).hex()} if found else None


async def names_of(actors: Iterable[str | None]) -> dict[str, str]:
    """Who stands behind `role:account` in the log, for the desk: the display name, else the invited address."""
    ids = {int(a.partition(":")[2]) for a in actors if a and a.partition(":")[2].isdecimal()}
    if not ids:
        return {}
    listed = ", ".join(map(str, sorted(ids)))
    found = await rows(connection(), f"SELECT id, role, display_name, email FROM account WHERE id IN ({listed})")
    return {f"{row['role']}:{row['id']}": row["display_name"] or row["email"] or "" for row in found}
