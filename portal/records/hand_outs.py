"""Notices that a program reported as handed out."""

from datetime import datetime, timedelta
from typing import Any

from portal.records.database import as_moment, connection, rows
from portal.rules.burst import AN_HOUR

_REPORTED = (
    "FROM log_entry e JOIN log_touch t ON t.entry_id = e.id AND t.kind = 'notice' "
    "WHERE e.kind = 'notice_hand_over_reported' AND e.actor LIKE 'software:%' AND e.at > $1"
)


async def reported_within_an_hour(practice_id: str, now: datetime) -> int:
    """How many a program reported for this practice in the last hour."""
    found = await rows(
        connection(), f"SELECT count(*) AS n {_REPORTED} AND t.ref = $2", now - timedelta(hours=1), practice_id
    )
    return int(found[0]["n"])


async def bursts(now: datetime, *, days: int = 30) -> list[dict[str, Any]]:
    """Practices for which a program reported more within one hour of the clock than anybody can hand out, the newest
    first: [{practice_id, practice, n, last_at}]."""
    found = await rows(
        connection(),
        f"SELECT r.practice_id, p.name AS practice, r.n, r.last_at FROM (SELECT t.ref AS practice_id, count(*) AS n, "
        f"max(e.at) AS last_at {_REPORTED} GROUP BY t.ref, substr(CAST(e.at AS text), 1, 13)) r "
        "JOIN practice p ON p.id = r.practice_id WHERE r.n > $2 ORDER BY r.last_at DESC",
        now - timedelta(days=days), AN_HOUR,
    )  # fmt: skip
    return [{**row, "last_at": as_moment(row["last_at"])} for row in found]
