"""Enrolments as their doctor and the desk look at them: hers, those to verify, invitations, signatures."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from portal.records.canaries import CANARY
from portal.records.database import as_day, as_moment, connection, from_json, rows

Row = dict[str, Any]

_MOMENTS = ("signed_at", "ended_at", "since")


def _last(row: Row) -> date | None:
    """A locum's last day: the one before nothing of hers passes any more."""
    closes_on = as_day(row["closes_on"])
    return closes_on and closes_on - timedelta(days=1)


async def enrolments_of(account_id: int) -> list[Row]:
    """A doctor's enrolments: those that she has not left first, the newest before the others; with names, since when in
    its state and why, when that is a suspension."""
    found = await rows(
        connection(),
        "SELECT e.id, e.state, e.practice_id, e.observatory_id, e.agreement_id, e.includes_history, e.signed_at, "
        "e.ended_at, e.closes_on, p.name AS practice, p.finess, o.name AS observatory, t.version AS signed_version, "
        "t.language AS signed_language, "
        "l.at AS since, CASE e.state WHEN 'suspended' THEN l.summary ELSE '' END AS why "
        "FROM enrolment e JOIN practice p ON p.id = e.practice_id JOIN observatory o ON o.id = e.observatory_id "
        "JOIN log_entry l ON l.id = e.entry_id LEFT JOIN agreement_text t ON t.id = e.agreement_id "
        "WHERE e.account_id = $1 ORDER BY CASE e.state WHEN 'left' THEN 1 ELSE 0 END, e.id DESC",
        account_id,
    )
    return [
        {
            **row,
            **{name: as_moment(row[name]) for name in _MOMENTS},
            "last": _last(row),
            "includes_history": bool(row["includes_history"]),
        }
        for row in found
    ]


async def agreement(observatory_id: str, language: str, *, version: str = "") -> Row | None:
    """A version of the agreement, else the newest, in this language when there is one: id, version, language, sha256,
    grace_until, body."""
    found = await rows(
        connection(),
        "SELECT id, version, language, sha256, grace_until, body FROM agreement_text WHERE observatory_id = $1 "
        "AND ($2 = '' OR version = $2)",
        observatory_id,
        version,
    )
    if not found:
        return None
    best = max(found, key=lambda row: (row["version"], row["language"] == language, row["language"] == "fr"))
    return {**best, "body": from_json(best["body"]), "grace_until": as_day(best["grace_until"])}


_SIGNED = (
    "SELECT s.id, s.agreement_sha256 AS sha256, s.includes_history, s.closes_on, s.signed_at, s.name, s.rpps, "
    "s.issuer, s.subject, s.acr, s.amr, s.signed_in_at, s.email, t.version, t.language, t.body, p.name AS practice, "
    "p.finess, o.name AS observatory, o.controller, o.dpo_contact, s.entry_id AS entry FROM signature s "
    "JOIN agreement_text t ON t.id = s.agreement_id JOIN enrolment e ON e.id = s.enrolment_id "
    "JOIN practice p ON p.id = e.practice_id JOIN observatory o ON o.id = e.observatory_id"
)


def _signed(row: Row) -> Row:
    return {
        **row,
        "includes_history": bool(row["includes_history"]),
        "last": _last(row),
        "signed_at": as_moment(row["signed_at"]),
        "signed_in_at": as_moment(row["signed_in_at"]),
        "body": from_json(row["body"]),
    }


async def signature(signature_id: UUID) -> Row:
    """Everything that is kept of one signing, with the text."""
    return _signed((await rows(connection(), f"{_SIGNED} WHERE s.id = $1", signature_id))[0])


async def last_signature(enrolment_id: int) -> Row | None:
    """Of the newest signing of an enrolment; None before there is any."""
    found = await rows(
        connection(), f"{_SIGNED} WHERE s.enrolment_id = $1 ORDER BY s.entry_id DESC LIMIT 1", enrolment_id
    )
    return _signed(found[0]) if found else None


# --- the desk ---------------------------------------------------------------------------------------------------------


async def enrolments() -> list[Row]:
    """Every enrolment, those to verify first, with the doctor numbers of that practice's register as a hint."""
    c = connection()
    found = await rows(
        c,
        "SELECT e.id, a.display_name AS doctor, coalesce(a.rpps, '–') AS rpps, p.id AS practice_id, "
        "p.name AS practice, p.finess, e.state, e.closes_on, e.in_directory, e.looked_up_at, l.at AS since, "
        "CASE e.state WHEN 'suspended' THEN l.summary ELSE '' END AS why "
        "FROM enrolment e JOIN account a ON a.id = e.account_id "
        "JOIN practice p ON p.id = e.practice_id JOIN log_entry l ON l.id = e.entry_id "
        f"WHERE p.id <> '{CANARY}' ORDER BY CASE e.state WHEN 'signed' THEN 0 ELSE 1 END, e.id DESC",
    )
    named = await rows(
        c,
        "SELECT DISTINCT practice_id, doctor_number FROM patient WHERE doctor_number <> '' "
        "AND practice_id IN (SELECT practice_id FROM enrolment WHERE state = 'signed') ORDER BY doctor_number",
    )
    numbers: dict[str, list[str]] = {}
    for row in named:
        numbers.setdefault(row["practice_id"], []).append(row["doctor_number"])
    return [
        {
            **row,
            "since": as_moment(row["since"]),
            "looked_up_at": as_moment(row["looked_up_at"]),
            "last": _last(row),
            "numbers": numbers.get(row["practice_id"], []),
        }
        for row in found
    ]


_INVITED = (
    "SELECT i.id, i.email, i.invited_at, i.ends_at, i.practice_id, p.name AS practice, p.finess FROM invitation i "
    "LEFT JOIN practice p ON p.id = i.practice_id"
)


def _invited(row: Row) -> Row:
    return {**row, "invited_at": as_moment(row["invited_at"]), "ends_at": as_moment(row["ends_at"])}


async def open_invitations(now: datetime) -> list[Row]:
    """Invitations that nobody has used and that are not over, the newest first."""
    found = await rows(
        connection(), f"{_INVITED} WHERE i.used_at IS NULL AND i.ends_at > $1 ORDER BY i.invited_at DESC", now
    )
    return [_invited(row) for row in found]


async def invitation(token_hash: str, now: datetime) -> Row | None:
    """The open invitation behind a link; None when it is unknown, used or over."""
    found = await rows(
        connection(), f"{_INVITED} WHERE i.token_hash = $1 AND i.used_at IS NULL AND i.ends_at > $2", token_hash, now
    )
    return _invited(found[0]) if found else None


async def invitations_of(account_id: int) -> list[Row]:
    """Those that served this doctor, the newest first."""
    found = await rows(connection(), f"{_INVITED} WHERE i.account_id = $1 ORDER BY i.used_at DESC", account_id)
    return [_invited(row) for row in found]


async def practices() -> list[Row]:
    """Every practice on file, by name: id, name."""
    return await rows(connection(), f"SELECT id, name FROM practice WHERE id <> '{CANARY}' ORDER BY name, id")
