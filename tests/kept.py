"""What the database kept: whole dumps, and the two things every step owes: one entry, or nothing at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from portal.records.database import connection, rows
from portal.records.ledger import Touch, last_entry, touched_since
from portal.records.schema import metadata
from portal.rules.refusals import Refused

DECIDED_BEFOREHAND = {"verdict", "verdict_version"}


async def dump() -> dict[str, list[str]]:
    """Every row of every table as text, sorted."""
    c = connection()
    names = [name for name in sorted(metadata().tables) if name not in DECIDED_BEFOREHAND]
    return {name: sorted(repr(row) for row in await rows(c, f"SELECT * FROM {name}")) for name in names}


async def kinds_since(entry: int) -> list[str]:
    found = await rows(connection(), "SELECT kind FROM log_entry WHERE id > $1 ORDER BY id", entry)
    return [row["kind"] for row in found]


@asynccontextmanager
async def one_entry(kind: str, *touches: Touch) -> AsyncIterator[None]:
    """The step inside writes exactly one entry, of this kind, which names at least these."""
    before = await last_entry(connection())
    yield
    assert await kinds_since(before) == [kind]
    assert set(touches) <= await touched_since(connection(), before)


@asynccontextmanager
async def refused(*codes: str) -> AsyncIterator[None]:
    """The step inside is refused with one of these codes and leaves nothing behind."""
    before = await dump()
    with pytest.raises(Refused) as no:
        yield
    assert no.value.code in codes
    assert await dump() == before
