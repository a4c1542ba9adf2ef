"""Has anything happened since the last reconciliation that could close somebody? Not known means: it has.

A reconciliation decides everybody who was delivered or stored. Between two rounds of an idle worker nothing closes
anybody but an entry of the log, or time. Time closes at midnight in Paris, or at a `holds_until` that was written down;
and whatever else there may be is found within `AT_LEAST_EVERY`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
from tortoise.exceptions import OperationalError

from portal.flow.look import CLOSES_NOBODY
from portal.flow.means import Means
from portal.records.database import Connection, as_moment, is_lock_timeout, rows, transact
from portal.records.ledger import take_cut, touched_since
from portal.rules.waiting import paris_day

AT_LEAST_EVERY = timedelta(hours=1)

_DELIVERS = frozenset({"release", "extraction"})
"""Touches that close nobody, and after which more has been delivered or stored than was decided."""

_MARKS = (
    "SELECT (SELECT count(*) FROM retraction) AS a, (SELECT max(id) FROM retraction) AS b, "
    "(SELECT count(*) FROM store_retraction) AS c, (SELECT max(id) FROM store_retraction) AS d, "
    "(SELECT count(*) FROM store_retraction WHERE erased_at IS NULL) AS e, "
    "(SELECT count(*) FROM store_change WHERE gone_at IS NULL) AS f"
)
"""What the last reconciliation left: a list of retractions that was emptied since is seen (F16)."""

_UNTIL = (
    "SELECT min(holds_until) AS at FROM (SELECT holds_until FROM release_person UNION ALL "
    "SELECT holds_until FROM stored_person UNION ALL SELECT holds_until FROM release) h WHERE holds_until > $1"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reconciliation stood on: no entry at or beneath `cut` was under way any more when it began."""

    cut: int
    at: datetime
    until: datetime | None
    marks: dict[str, Any]


async def begin(means: Means) -> Seen | None:
    """Take the cut of a reconciliation, before it reads anything; None while the log is busy."""
    try:
        cut = await take_cut()
    except (asyncpg.LockNotAvailableError, OperationalError) as error:
        if not is_lock_timeout(error):
            raise
        return None

    async def read(c: Connection) -> Seen:
        now = await means.now(c)
        return Seen(cut, now, as_moment((await rows(c, _UNTIL, now))[0]["at"]), {})

    return await transact(read)


async def end(begun: Seen | None) -> Seen | None:
    """What the next round may compare with, once the reconciliation is over."""
    if begun is None:
        return None
    marks = await transact(lambda c: rows(c, _MARKS))
    return Seen(begun.cut, begun.at, begun.until, marks[0])


async def unchanged(means: Means, seen: Seen | None) -> bool:
    """True only when nobody can have closed since `seen`, and what was made then is still there."""
    if seen is None:
        return False

    async def read(c: Connection) -> bool:
        now = await means.now(c)
        if not seen.at <= now < seen.at + AT_LEAST_EVERY or paris_day(now) != paris_day(seen.at):
            return False
        if seen.until is not None and seen.until <= now:
            return False
        touched = {kind for kind, _ in await touched_since(c, seen.cut)}
        return touched <= CLOSES_NOBODY - _DELIVERS and (await rows(c, _MARKS))[0] == seen.marks

    return await transact(read)
