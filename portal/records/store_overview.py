"""What had to leave the observatory's store, in numbers and with its proof."""

from datetime import date
from typing import Any

from portal.records.database import Connection, as_day, as_moment, connection, rows


async def overdue(c: Connection, today: date) -> list[tuple[int, str]]:
    """(retraction, practice) of what should have left before today, has not, and was not alarmed."""
    found = await rows(
        c,
        "SELECT x.id, e.practice_id FROM store_retraction x JOIN extraction e ON e.id = x.extraction_id "
        "WHERE x.erased_at IS NULL AND x.alarmed_at IS NULL AND x.due_on < $1 ORDER BY x.id",
        today,
    )
    return [(int(row["id"]), row["practice_id"]) for row in found]


async def store_counts(observatory_id: str, today: date) -> dict[str, int]:
    """How many retractions of an observatory's own store are open, how many of these are overdue, how many erased."""
    found = await rows(
        connection(),
        "SELECT count(CASE WHEN x.erased_at IS NULL THEN 1 END) AS open, "
        "count(CASE WHEN x.erased_at IS NULL AND x.due_on < $2 THEN 1 END) AS overdue, "
        "count(x.erased_at) AS erased FROM store_retraction x JOIN extraction e ON e.id = x.extraction_id "
        "JOIN permit m ON m.id = e.permit_id WHERE m.observatory_id = $1",
        observatory_id,
        today,
    )
    return {name: int(n) for name, n in found[0].items()}


async def erasures(most: int = 50) -> list[dict[str, Any]]:
    """What had to leave the store, the open first: practice, due_on, made_at, erased_at, and the hashes of the file
    before and after (None while it is open)."""
    found = await rows(
        connection(),
        "SELECT p.name AS practice, x.due_on, min(x.made_at) AS made_at, x.erased_at, h.old_sha256, h.new_sha256 "
        "FROM store_retraction x JOIN extraction e ON e.id = x.extraction_id JOIN practice p ON p.id = e.practice_id "
        "LEFT JOIN store_change h ON h.id = x.change_id "
        "GROUP BY p.name, x.due_on, x.erased_at, h.id, h.old_sha256, h.new_sha256 "
        "ORDER BY CASE WHEN x.erased_at IS NULL THEN 0 ELSE 1 END, x.due_on DESC, p.name LIMIT $1",
        most,
    )
    moments = ("made_at", "erased_at")
    return [{**r, "due_on": as_day(r["due_on"]), **{name: as_moment(r[name]) for name in moments}} for r in found]
