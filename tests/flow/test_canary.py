"""The canary: a synthetic patient says no over the pages, the gate withholds her and nobody else, and she takes it back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from kept import one_entry
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from whole_site import BASE, Web, site
from world import World, publish

from portal.flow import canary, govern
from portal.flow.canary import sing
from portal.flow.decide import Asked, explain, verdicts
from portal.flow.hatch import hatch
from portal.flow.outage import begin_outage, end_outage
from portal.outside.own_pages import Pages
from portal.records.canaries import CANARY, CanaryRound
from portal.records.governance import Authorisation, NoticeText
from portal.records.ledger import LogEntry
from portal.records.notices import Notice, PathOutage
from portal.records.objections import Objection
from portal.records.people import Patient, PersonToken
from portal.rules.clearance import Withheld
from portal.rules.words import CanaryOutcome, Scope as Extent


@pytest.fixture
async def web(world: World) -> AsyncIterator[Web]:
    async with site(world) as made:
        yield made


def pages(web: Web) -> Pages:
    return Pages(BASE, httpx2.ASGITransport(app=web.app))


async def round_(web: Web, through: Pages | None = None) -> CanaryOutcome | None:
    return await sing(web.world.means, through or pages(web), pauses=())


@pytest.fixture
async def hatched(web: Web) -> Web:
    """A canary whose notice counts since this morning."""
    async with one_entry("canary_hatched"):
        assert await hatch(web.world.means)
    web.world.wait(1)
    return web


async def test_she_says_no_is_withheld_for_that_alone_and_takes_it_back(hatched: Web) -> None:
    assert await round_(hatched) is CanaryOutcome.WORKED
    said = await Objection.all()
    assert [(o.scope, o.channel, o.withdrawn_at is None) for o in said] == [("everything", "link", False)]
    kinds = [e.kind for e in await LogEntry.all().order_by("-id").limit(3)]
    assert kinds == ["canary_sang", "objection_taken_back", "objected"]
    assert await PathOutage.all().count() == 0


async def test_before_her_notice_counts_there_is_no_round(web: Web) -> None:
    assert await round_(web) is None, "nobody is hatched"
    assert await hatch(web.world.means)
    assert not await hatch(web.world.means)
    assert await round_(web) is None
    assert await CanaryRound.all().count() == 0
