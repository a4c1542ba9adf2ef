"""What stands behind a personal link, read for the patient's page: one notice at a time, nothing written."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from portal.records.database import Connection, as_day, as_moment, from_json, is_postgres, rows
from portal.rules.words import Reader, TextState


async def notice_with_its_text(c: Connection, notice_id: UUID) -> dict[str, Any]:
    """The notice's text and observatory, the patient's practice, and her own sealed contact (None without one)."""
    found = await rows(
        c,
        "SELECT p.practice_id, p.number, p.doctor_number, p.birth_date, pr.name AS practice, t.language, t.version, "
        "t.body, t.sha256, o.id AS observatory_id, o.name AS observatory, o.controller, o.dpo_contact, "
        "o.phone, o.postal_address, c.sealed FROM notice n JOIN patient p ON p.id = n.patient_id "
        "JOIN practice pr ON pr.id = p.practice_id JOIN notice_text t ON t.id = n.text_id "
        "JOIN observatory o ON o.id = t.observatory_id "
        "LEFT JOIN contact c ON c.patient_id = p.id AND c.addressee = 'self' WHERE n.id = $1",
        notice_id,
    )
    return {**found[0], "body": from_json(found[0]["body"])}


async def text_for(c: Connection, observatory_id: str, version: str, reader: str, language: str) -> Any:
    """What a published text of that version says to a reader; None when there is none."""
    found = await rows(
        c,
        "SELECT body FROM notice_text WHERE observatory_id = $1 AND version = $2 AND state = $3 AND reader = $4 "
        "AND language = $5",
        observatory_id, version, TextState.PUBLISHED, reader, language,
    )  # fmt: skip
    return from_json(found[0]["body"]) if found else None


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a notice. `doctors`: every doctor of the practice who was verified (name, doctor_number,
    active, active_from). `conditions`: of the observatory's longest authorisation, None without one. `outages`: from
    when to when patients could not say no. `studies`: id and title of each on the transparency page, the newest first.
    `readings`: (language, reader) besides the adult's in which this version is published."""

    doctors: list[dict[str, Any]]
    conditions: Any
    outages: list[tuple[datetime, datetime | None]]
    studies: dict[str, str]
    readings: set[tuple[str, Reader]]


async def around(c: Connection, observatory_id: str, practice_id: str, version: str) -> Around:
    """All of it by one statement: her page is opened more often than any other."""
    found = await rows(c, _around(is_postgres(c)), observatory_id, practice_id, version)
    parts: dict[str, list[Any]] = {what: [] for what in ("doctor", "conditions", "outage", "study", "reading")}
    for row in found:
        parts[row["what"]].append(json.loads(row["found"]))
    outages = [(as_moment(one["began_at"]), as_moment(one["ended_at"])) for one in parts["outage"]]
    return Around(
        doctors=[
            {**one, "active": one["state"] == "active", "active_from": as_moment(one["active_from"])}
            for one in parts["doctor"]
        ],
        conditions=parts["conditions"][0] if parts["conditions"] else None,
        outages=[(began, ended) for began, ended in outages if began is not None],
        studies={study["id"]: study["title"] for study in parts["study"]},
        readings={(one["language"], Reader(one["reader"])) for one in parts["reading"]},
    )


@cache
def _around(postgres: bool) -> str:
    named = "json_build_object" if postgres else "json_object"
    whole = "CAST(conditions AS text)"
    parts = (
        f"SELECT 'doctor' AS what, CAST({named}('name', a.display_name, 'doctor_number', e.doctor_number, 'state', "
        "e.state, 'active_from', e.active_from) AS text) AS found FROM enrolment e JOIN account a "
        "ON a.id = e.account_id WHERE e.practice_id = $2 AND e.observatory_id = $1 AND e.active_from IS NOT NULL",
        f"SELECT 'conditions', {whole} FROM (SELECT conditions FROM authorisation WHERE observatory_id = $1 "
        "ORDER BY valid_until DESC LIMIT 1) a",
        f"SELECT 'outage', CAST({named}('began_at', began_at, 'ended_at', ended_at) AS text) FROM path_outage",
        f"SELECT 'study', CAST({named}('id', id, 'title', title) AS text) FROM (SELECT id, title FROM "
        "study WHERE observatory_id = $1 ORDER BY listed_at DESC, id) s",
        f"SELECT 'reading', CAST({named}('language', language, 'reader', reader) AS text) FROM notice_text "
        f"WHERE observatory_id = $1 AND version = $3 AND state = '{TextState.PUBLISHED}' "
        f"AND reader <> '{Reader.ADULT}'",
    )
    return " UNION ALL ".join(parts)


async def listed_studies(c: Connection, observatory_id: str) -> list[dict[str, Any]]:
    """Id and title of each study of the observatory on the transparency page, the newest first."""
    return await rows(
        c, "SELECT id, title FROM study WHERE observatory_id = $1 ORDER BY listed_at DESC, id", observatory_id
    )


async def requests_of(c: Connection, patient_id: int, person_id: UUID) -> list[dict[str, Any]]:
    """The rights asked for of this patient, the newest first: kind, state, received_at, due_on, closed_at."""
    found = await rows(
        c,
        "SELECT kind, state, received_at, due_on, closed_at FROM rights_request WHERE patient_id = $1 "
        "AND person_id = $2 ORDER BY entry_id DESC",
        patient_id,
        person_id,
    )
    return [
        {
            **row,
            "received_at": as_moment(row["received_at"]),
            "due_on": as_day(row["due_on"]),
            "closed_at": as_moment(row["closed_at"]),
        }
        for row in found
    ]


async def deliveries_of(c: Connection, person_id: UUID) -> list[dict[str, Any]]:
    """Each release of which a version that holds this person was served: observatory_id, study_id, title, columns,
    practices, recipient, country, served_at; with the retraction's delete_by (None without one) and deleted_at, once
    the recipient has acknowledged all of it."""
    found = await rows(
        c,
        "SELECT r.id AS release_id, s.observatory_id, s.id AS study_id, s.title, s.conditions, "
        "rc.name AS recipient, rc.country, min(d.served_at) AS served_at, "
        "x.due_on, x.deleted_at FROM release r "
        "JOIN study s ON s.id = r.study_id JOIN recipient rc ON rc.id = s.recipient_id "
        "JOIN delivery d ON d.release_id = r.id JOIN release_person m ON m.release_id = r.id AND m.person_id = $1 "
        "AND (m.left_version IS NULL OR d.version < m.left_version) "
        "LEFT JOIN (SELECT release_id, min(due_on) AS due_on, CASE WHEN count(*) = count(acknowledged_at) "
        "THEN max(acknowledged_at) END AS deleted_at FROM retraction WHERE person_id = $1 GROUP BY release_id) x "
        "ON x.release_id = r.id "
        "GROUP BY r.id, s.observatory_id, s.id, rc.name, rc.country, x.due_on, x.deleted_at ORDER BY min(d.served_at)",
        person_id,
    )
    held = await rows(
        c,
        "SELECT DISTINCT m.release_id, m.practice_id FROM release_person m JOIN delivery d "
        "ON d.release_id = m.release_id AND (m.left_version IS NULL OR d.version < m.left_version) "
        "WHERE m.person_id = $1",
        person_id,
    )
    return [
        {
            **row,
            "columns": sorted(from_json(row["conditions"])["columns"]),
            "practices": {h["practice_id"] for h in held if h["release_id"] == row["release_id"]},
            "served_at": as_moment(row["served_at"]),
            "delete_by": as_day(row["due_on"]),
            "deleted_at": as_moment(row["deleted_at"]),
        }
        for row in found
    ]
