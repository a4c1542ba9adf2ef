"""Letters that wait to be printed, and the runs in which they are."""

from dataclasses import dataclass
from datetime import date, datetime

from portal.records.database import as_day, as_moment, connection, rows
from portal.records.people import TOLD_ALONE

PRINTABLE = (
    "FROM notice n JOIN notice_text t ON t.id = n.text_id JOIN patient p ON p.id = n.patient_id "
    "JOIN contact c ON c.patient_id = n.patient_id AND c.addressee = n.addressee AND c.postal_index = n.address_index "
    "LEFT JOIN campaign m ON m.id = n.campaign_id"
)
"""A letter with its text, patient and the contact who still lives there; a campaign may have been stopped."""

LIVES = (
    "n.state = 'queued' AND p.deceased_on IS NULL AND p.left_at IS NULL AND (n.addressee = 'self' OR NOT EXISTS "
    f"(SELECT 1 FROM ({TOLD_ALONE}) a WHERE a.patient_id = p.id))"
)
"""It is still to be sent: its patient lives and is here, and has not asked to be told alone since."""

READY = (
    f"n.channel = 'post' AND {LIVES} AND n.code_hash IS NOT NULL AND n.print_run_id IS NULL AND m.stopped_at IS NULL "
    "AND t.state = 'published' AND t.superseded_at IS NULL"
)
"""It can be printed now."""


@dataclass(frozen=True, slots=True)
class Run:
    """One print run, in numbers."""

    number: int
    observatory: str
    letters: int
    printed_at: datetime
    posted_on: date | None
    returned: int


async def ready() -> dict[str, int]:
    """How many letters can be printed now, by observatory."""
    found = await rows(
        connection(),
        f"SELECT t.observatory_id AS id, count(*) AS n {PRINTABLE} WHERE {READY} GROUP BY t.observatory_id",
    )
    return {row["id"]: int(row["n"]) for row in found}


async def runs() -> list[Run]:
    """Every print run, the newest first."""
    found = await rows(
        connection(),
        "SELECT r.id, o.name, r.letters, r.printed_at, r.posted_on, "
        "(SELECT count(*) FROM notice n WHERE n.print_run_id = r.id AND n.state = 'returned') AS back "
        "FROM print_run r JOIN observatory o ON o.id = r.observatory_id ORDER BY r.id DESC",
    )
    return [
        Run(int(r["id"]), r["name"], r["letters"], at, as_day(r["posted_on"]), int(r["back"]))
        for r in found
        if (at := as_moment(r["printed_at"])) is not None
    ]


async def returns_entered() -> datetime | None:
    """When the letters that came back were last entered completely."""
    read = await rows(
        connection(), "SELECT max(read_at) AS at FROM returns_reading WHERE channel = 'post' AND complete"
    )
    return as_moment(read[0]["at"])
