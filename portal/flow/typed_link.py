"""A code that somebody typed leads to her link. Wrong ones from one place are answered more and more slowly."""

import asyncio
import ipaddress
from datetime import UTC, datetime, timedelta

from portal.flow.means import Means
from portal.outside.tokens import blind_index, sent_link_token, typed_code_hashes
from portal.records.database import Connection, as_moment, rows, transact
from portal.rules.refusals import Refused
from portal.rules.typed_code import LENGTH, as_typed, is_code
from portal.rules.waiting import paris_day

PACE = timedelta(milliseconds=200)
"""Between two tries from one place: what looking a code up costs, four times over."""

FREE_TRIES, SLOWEST = 3, timedelta(seconds=15)
LONGEST_QUEUE = timedelta(seconds=60)
"""Who would have to wait longer is asked to come back; no code and no notice is ever shut."""


def pace(failures: int) -> timedelta:
    """How long one place waits after so many unknown codes: a fifth of a second, then twice as long each time."""
    doublings = min(max(0, failures - FREE_TRIES), 20)
    return min(timedelta(seconds=PACE.total_seconds() * float(2**doublings)), SLOWEST)


async def reserve(means: Means, source: str) -> timedelta:
    """Take the next turn of a place in the queue; returns how long it is to wait. `source`: its network address.

    Refused("too_many_codes") when the queue is too long: later is as good. Nothing is looked up without a turn.
    """

    async def step(c: Connection) -> timedelta:
        now = await means.now(c)
        place = _place(means, source, now)
        await rows(c, "DELETE FROM code_attempt WHERE free_at < $1", now - timedelta(days=1))
        await rows(
            c,
            "INSERT INTO code_attempt (source, failures, free_at) VALUES ($1, 0, $2) ON CONFLICT (source) DO UPDATE "
            "SET failures = code_attempt.failures",
            place, now,
        )  # fmt: skip
        found = await rows(c, "SELECT failures, free_at FROM code_attempt WHERE source = $1", place)
        start = max(now, as_moment(found[0]["free_at"]) or now)
        if start - now > LONGEST_QUEUE:
            raise Refused("too_many_codes", "too many codes were tried from here: come back in a minute", status=429)
        free_at = start + pace(int(found[0]["failures"]))
        await rows(c, "UPDATE code_attempt SET free_at = $1 WHERE source = $2", free_at, place)
        return start - now

    return await transact(step)


async def link_of(means: Means, typed: str, source: str) -> str | None:
    """The token of the letter's link; None for a code that is not known, which counts against its source. A wait of
    `reserve` has passed. Refused("no_code") for what cannot be one: its check symbol is wrong, or its length."""
    code = as_typed(typed)
    if not is_code(code):
        raise Refused("no_code", "these are not the signs of a code", status=422)
    hashes = [hashed.hex() for hashed in await asyncio.to_thread(typed_code_hashes, means.ring, code)]

    async def step(c: Connection) -> str | None:
        now = await means.now(c)
        listed = ", ".join(f"${place}" for place in range(1, len(hashes) + 1))
        found = await rows(c, f"SELECT id, token_hash FROM notice WHERE code_hash IN ({listed})", *hashes)
        failures = "0" if found else "failures + 1"
        statement = f"UPDATE code_attempt SET failures = {failures} WHERE source = $1"
        await rows(c, statement, _place(means, source, now))
        return sent_link_token(means.ring, str(found[0]["id"]), found[0]["token_hash"]) if found else None

    return await transact(step)


def missing(typed: str) -> int:
    """How many signs are missing; negative when there are too many."""
    return LENGTH - len(as_typed(typed))


def _place(means: Means, source: str, now: datetime) -> str:
    """A place and a day, keyed: what is kept says nothing of where somebody was. IPv6 counts by its /64."""
    try:
        address = ipaddress.ip_address(source)
        network = ipaddress.ip_network((address, 64 if address.version == 6 else 32), strict=False)
        named = str(network)
    except ValueError:
        named = "unknown"
    return blind_index(means.ring, "source", f"{paris_day(now.astimezone(UTC))}|{named}").hex()
