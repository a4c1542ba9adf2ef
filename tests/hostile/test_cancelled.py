"""Requests are cancelled at random: every later one is answered, no connection is lost, and no answered word."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from whole_site import Web, site
from world import build, patient

from portal.demo.clock import PlayedClock
from portal.flow.means import Means
from portal.flow.opt_out import look
from portal.flow.paper import make_codes
from portal.outside.tokens import sent_letter_code
from portal.records.database import connection
from portal.records.notices import Notice
from portal.records.objections import ProvisionalObjection

HOME = {"email": "", "address": "3 rue de la Paix", "postcode": "75002", "city": "Paris"}
AT_ONCE, WITHIN = 8, 1.0
FORM = {"for_whom": "self", "family_name": "Inconnu", "given_names": "Alix", "birth": "12/03/1970"}


@dataclass
class Told:
    """Ten who may say no, ten who may take theirs back, a code; what was answered of all that."""

    web: Web
    objecting: list[str]
    withdrawing: list[str]
    code: str
    said: set[str] = field(default_factory=set)
    references: set[str] = field(default_factory=set)

    async def ask(self, browser: httpx2.AsyncClient, chance: random.Random) -> None:
        """One request of a random kind, remembered if it was answered."""
        kind = chance.choice(["notice", "object", "object", "withdraw", "form", "form page", "code"])
        link = chance.choice(self.withdrawing if kind == "withdraw" else self.objecting)
        asked: dict[str, Callable[[], Coroutine[Any, Any, httpx2.Response]]] = {
            "notice": lambda: browser.get(f"/o/{link}"),
            "object": lambda: browser.post(f"/o/{link}/object", data={"scope": "everything"}),
            "withdraw": lambda: browser.post(f"/o/{link}/withdraw"),
            "form page": lambda: browser.get("/object"),
            "form": lambda: browser.post("/object", data=FORM),
            "code": lambda: browser.post("/code", data={"code": self.code}),
        }
        answer = await asked[kind]()
        assert answer.status_code < 500, kind
        if kind in ("object", "withdraw") and answer.status_code == 303:
            self.said.add(link)
        if kind == "form":
            self.references.add(answer.headers["location"].rpartition("/")[2])


@pytest.fixture
async def told(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> AsyncIterator[Told]:
    world = await build(means, clock, tmp_path)
    await world.enrol()
    await world.register([*(patient(str(n)) for n in range(1, 21)), patient("21", **HOME)])
    await world.tell()
    await make_codes(means)
    notice = await Notice.get(channel="post")
    links = sorted(world.links.values())
    async with site(world) as web:
        browser = web.browser()
        for link in links[10:]:
            assert (await browser.post(f"/o/{link}/object", data={"scope": "everything"})).status_code == 303
        yield Told(web, links[:10], links[10:], sent_letter_code(means.ring, str(notice.id), notice.token_hash))


async def cancelled(told: Told, chance: random.Random) -> bool:
    """One request, cancelled after a random while; whether that was before its answer."""
    browser = told.web.browser()
    asking = asyncio.create_task(told.ask(browser, chance))
    await asyncio.sleep(chance.choice((0, chance.uniform(0, 0.01), chance.uniform(0, 0.1))))
    cut = asking.cancel()
    (ended,) = await asyncio.gather(asking, return_exceptions=True)
    assert ended is None or isinstance(ended, asyncio.CancelledError), ended
    return cut and ended is not None


async def nothing_is_held(database: str) -> None:
    """No transaction is left open, no connection is out."""
    if not database.startswith("postgres"):
        return
    pool = connection()._pool  # type: ignore[attr-defined] # only asyncpg's client has one, and only it is here
    assert pool.get_idle_size() == pool.get_size()
    with psycopg.connect(database) as c:
        left = c.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        ).fetchone()
    assert left == (0,)


@pytest.mark.shows("R6")
async def test_after_requests_were_cancelled_every_request_is_answered(
    told: Told, database: str, how_many: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    chance, many, cut = random.Random(6), how_many(200, 2000), 0
    record_property("trials", many)
    while cut < many:
        cut += sum(await asyncio.gather(*(cancelled(told, chance) for _ in range(min(AT_ONCE, many - cut)))))
    told.web.world.wait(1)
    await asyncio.sleep(0.5)
    await nothing_is_held(database)
    browser = told.web.browser()
    for _ in range(40):
        began = time.monotonic()
        await asyncio.wait_for(told.ask(browser, chance), WITHIN)
        assert time.monotonic() - began < WITHIN
        told.web.world.wait(0.01)
    for link in told.said:
        state = (await look(connection(), link)).state
        assert state == ("taken_back" if link in told.withdrawing else "no_everything"), "an answered word was lost"
    there = {str(id_) for id_ in await ProvisionalObjection.all().values_list("id", flat=True)}
    assert told.references <= there
    assert len(told.said) >= 10
