"""Releases as the desk looks at them: the list, and one with its facts, its past and the difference to the last."""

from typing import Any

from portal.records.accounts import Account
from portal.records.database import Connection, as_moment, connection, from_json, rows
from portal.records.overview import NEWEST_EXTRACTIONS, Row

_RELEASE = (
    "SELECT r.id, r.study_id, s.title AS study, rc.name AS recipient, rc.age_recipient, r.version, s.k AS k_limit, "
    "r.state, r.prepared_by, "
    "r.approved_by, r.prepared_at, r.holds_until, r.cut, r.manifest_sha256 AS hash, r.summary, l.at "
    "FROM release r JOIN study s ON s.id = r.study_id JOIN recipient rc ON rc.id = s.recipient_id "
    "JOIN log_entry l ON l.id = r.entry_id "
)


async def releases() -> list[Row]:
    """Every release, the newest first."""
    return [_shown(row) for row in await rows(connection(), _RELEASE + "ORDER BY r.prepared_at DESC, r.id")]


async def release(release_id: str) -> Row | None:
    """One release with `in_store` (records of the store now), `steps` from the log, `since_last`, and the account
    of who prepared it (`preparer_account`)."""
    c = connection()
    found = await rows(c, _RELEASE + "WHERE r.id = $1", release_id)
    if not found:
        return None
    stored = await rows(
        c, f"SELECT coalesce(sum(e.rows), 0) AS n FROM extraction e WHERE e.id IN ({NEWEST_EXTRACTIONS})"
    )
    steps = await rows(
        c,
        "SELECT e.at, e.kind, e.actor FROM log_touch t JOIN log_entry e ON e.id = t.entry_id "
        "WHERE t.kind = 'release' AND t.ref = $1 ORDER BY e.id",
        release_id,
    )
    return {
        **_shown(found[0]),
        "in_store": int(stored[0]["n"]),
        "steps": [
            {"at": as_moment(s["at"]), "kind": s["kind"].removeprefix("release_"), "actor": s["actor"]} for s in steps
        ],
        "preparer_account": await Account.get(id=int(found[0]["prepared_by"].partition(":")[2])),
        "since_last": await _since_last(c, found[0]),
    }


async def _since_last(c: Connection, row: Row) -> dict[str, int] | None:
    """How many persons came and went since the study's last sealed release before this one; None without one."""
    last = await rows(
        c,
        "SELECT id FROM release WHERE study_id = $1 AND state = 'sealed' AND id <> $2 AND prepared_at <= $3 "
        "ORDER BY sealed_at DESC LIMIT 1",
        row["study_id"], row["id"], as_moment(row["prepared_at"]),
    )  # fmt: skip
    if not last:
        return None
    before, now = last[0]["id"], row["id"]
    return {"added": await _only_in(c, now, before), "gone": await _only_in(c, before, now)}


async def _only_in(c: Connection, one: str, other: str) -> int:
    found = await rows(
        c,
        "SELECT count(DISTINCT person_id) AS n FROM release_person WHERE release_id = $1 AND left_version IS NULL "
        "AND person_id NOT IN (SELECT person_id FROM release_person WHERE release_id = $2 AND left_version IS NULL)",
        one,
        other,
    )
    return int(found[0]["n"])


def _shown(row: Row) -> Row:
    summary: dict[str, Any] = from_json(row["summary"])
    return {
        **row,
        "at": as_moment(row["at"]),
        "holds_until": as_moment(row["holds_until"]),
        "records": summary["rows"],
        "passed": summary["rows"],
        "persons": summary["persons"],
        "k_min": summary["k_min"],
        "uniques": summary["uniques"],
        "withheld": [{"code": code, "count": n} for code, n in sorted(summary["refused"].items()) if code],
    }
