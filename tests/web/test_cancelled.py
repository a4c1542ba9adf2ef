"""Requests are cancelled at random: what was under way ends whole, and every later request is answered (R6)."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress

import httpx2
import pytest
from whole_site import Web

from portal.records.database import connection, rows
from portal.records.objections import Objection

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)

LONGEST_ANSWER = 1.0


async def one_of_many(web: Web, browser: httpx2.AsyncClient, chance: random.Random) -> None:
    """A page, a no, or its withdrawal."""
    link = f"/o/{chance.choice(list(web.world.links.values()))}"
    match chance.randrange(4):
        case 0:
            await browser.get(chance.choice(["/", "/transparency", "/code", link]))
        case 1:
            await browser.post(f"{link}/withdraw")
        case _:
            await browser.post(f"{link}/object", data={"scope": chance.choice(["everything", "practice"])})


@ON_BOTH
@pytest.mark.shows("R6")
async def test_after_many_cancelled_requests_every_request_is_answered(
    web: Web, how_many: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    wanted, chance, browser, cancelled = how_many(200, 2000), random.Random(6), web.browser(), 0
    record_property("trials", wanted)
    while cancelled < wanted:
        asked = [asyncio.create_task(one_of_many(web, browser, chance)) for _ in range(8)]
        for _ in range(chance.randrange(1, 60)):
            await asyncio.sleep(0)
        await asyncio.sleep(chance.choice([0, 0, 0.002, 0.01, 0.03]))
        for task in asked:
            cancelled += task.cancel()
        for task in asked:
            with suppress(asyncio.CancelledError):
                await task
    for path in ("/", "/transparency", *(f"/o/{link}" for link in web.world.links.values())):
        began = time.perf_counter()
        assert (await browser.get(path)).status_code == 200
        assert time.perf_counter() - began < LONGEST_ANSWER, path
    for link in web.world.links.values():
        began = time.perf_counter()
        assert (await browser.post(f"/o/{link}/object", data={"scope": "everything"})).status_code == 303
        assert time.perf_counter() - began < LONGEST_ANSWER
    assert await Objection.filter(scope="everything", withdrawn_at=None).count() == len(web.world.links)
    assert await rows(connection(), "SELECT id FROM objection WHERE entry_id NOT IN (SELECT id FROM log_entry)") == []
