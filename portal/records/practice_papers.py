"""What the papers of a practice are filled with: who answers for what, and what the authorisation in force gives."""

from datetime import date
from typing import Any

from portal.records.database import connection, rows
from portal.records.governance import Authorisation, Observatory, deciding_authorisation
from portal.records.people import Practice


async def facts(practice_id: str, observatory_id: str, today: date) -> dict[str, Any]:
    """practice, observatory, authorisation (in force today; None when there is none), studies (open: title, recipient,
    country)."""
    studies = await rows(
        connection(),
        "SELECT s.title, r.name AS recipient, r.country FROM study s JOIN recipient r ON r.id = s.recipient_id "
        "WHERE s.observatory_id = $1 AND s.closed_at IS NULL ORDER BY s.listed_at, s.id",
        observatory_id,
    )
    authorisation = await deciding_authorisation(observatory_id, today)
    return {
        "practice": await Practice.get(id=practice_id),
        "observatory": await Observatory.get(id=observatory_id),
        "authorisation": authorisation if authorisation and _in_force(authorisation, today) else None,
        "studies": studies,
    }


def _in_force(authorisation: Authorisation, today: date) -> bool:
    return authorisation.suspended_at is None and authorisation.valid_from <= today <= authorisation.valid_until
