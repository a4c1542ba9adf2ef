"""An objection as the patient's page records it, beside bare single-row commits, sixteen at once.

Ours is the whole step: log entry with salt and touches, the notice answered, the objection, its receipt queued, one
commit. The bare loop inserts one row a commit through asyncpg, sixteen connections. The cluster writes to disk as a
production does: `fsync` and `synchronous_commit` are on.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

from bench.made_observatory import make, means_in
from bench.measure import Figure, Taken, compared, medians, timed
from bench.postgres import postgres
from portal.demo.clock import PlayedClock
from portal.flow.opt_out import object_
from portal.outside.clock import SystemClock
from portal.records.database import opened
from portal.rules.words import Scope

IDS = ("P10",)
OBJECTIONS = {"small": 320, "full": 1_600}
AT_ONCE, RUNS = 16, 5

Work = Callable[[int], Awaitable[object]]


def run(scale: str) -> list[Figure]:
    each = OBJECTIONS[scale]
    with postgres(durable=True) as url, tempfile.TemporaryDirectory() as folder:
        tokens = make(url, Path(folder), each * (RUNS + 1))
        ours, bare = asyncio.run(_run(url, Path(folder), tokens, each))
    sizes = f"{each:,} a run, {AT_ONCE} at once, PostgreSQL writing to disk"
    return [compared("P10", "objection, the whole step : one bare row, committed", ours, bare, 1 / 0.35, RUNS, sizes)]


async def _run(url: str, folder: Path, tokens: list[str], each: int) -> tuple[Taken, Taken]:
    from bench.made_observatory import START

    clock = PlayedClock(START, SystemClock())
    means = means_in(folder, clock)
    taken: dict[str, list[Taken]] = {"ours": [], "bare": []}
    async with opened(url), asyncpg.create_pool(url, min_size=AT_ONCE, max_size=AT_ONCE, reset=_as_it_is) as pool:
        await pool.execute("CREATE TABLE bare (id bigserial PRIMARY KEY, what text, at timestamptz)")
        for turn in range(RUNS + 1):
            mine = tokens[turn * each : (turn + 1) * each]

            async def say_no(place: int, mine: list[str] = mine) -> None:
                await object_(means, mine[place], Scope.EVERYTHING)

            async def insert(place: int) -> None:
                await pool.execute("INSERT INTO bare (what, at) VALUES ($1, clock_timestamp())", f"row {place}")

            for name, work in (("ours", say_no), ("bare", insert)):
                with timed(taken[name]):
                    await _at_once(work, each)
    return medians(taken["ours"][1:]), medians(taken["bare"][1:])  # the first warms up


async def _as_it_is(_: object) -> None:
    """As the portal's own connections are given back."""


async def _at_once(work: Work, many: int) -> None:
    left = iter(range(many))

    async def one() -> None:
        for place in left:
            await work(place)

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))
