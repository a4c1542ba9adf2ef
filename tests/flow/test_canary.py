"""The canary: a synthetic patient says no on the pages, is withheld for that alone, and takes it back."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from kept import kinds_since, one_entry
from whole_site import BASE, Web, site
from world import World, publish

from portal.flow.basis import basis_of
from portal.flow.canary import EVERY, UNTRIED, sing
from portal.flow.counters import count_objections
from portal.flow.decide import Asked, verdicts
from portal.flow.hatch import LIVES, hatch
from portal.flow.outage import begin_outage
from portal.flow.permit import issue
from portal.flow.simulate import simulate
from portal.outside.own_pages import Pages
from portal.records import enrolment_overview, identity_overview, overview, path_overview
from portal.records.canaries import CANARY, CanaryRound
from portal.records.database import Connection, connection, rows, transact
from portal.records.ledger import last_entry
from portal.records.notices import Notice, PathOutage, lost_to_outages
from portal.records.objections import Objection
from portal.records.people import PersonToken
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import CanaryOutcome


class Between(httpx2.AsyncBaseTransport):
    """What stands between the canary and the pages, and may break: answers as `broken` says for a path that ends so."""

    def __init__(self, web: Web) -> None:
        self.real = httpx2.ASGITransport(app=web.app)
        self.broken: dict[str, int | str] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        for end, answer in self.broken.items():
            if f"{request.method} {request.url.path}".endswith(end):
                if answer == "lost":
                    raise httpx2.ConnectError("nobody answers")
                if isinstance(answer, str):
                    return httpx2.Response(200, text=answer)
                return httpx2.Response(answer, headers={"location": "/"}, text="")
        return await self.real.handle_async_request(request)


@pytest.fixture
async def web(world: World) -> AsyncIterator[Web]:
    async with site(world) as made:
        yield made


@pytest.fixture
async def between(web: Web) -> Between:
    """A canary whose notice counts since this morning."""
    async with one_entry("canary_hatched"):
        assert await hatch(web.world.means)
    web.world.wait(1)
    return Between(web)


async def try_(web: Web, between: Between, **options: Any) -> CanaryOutcome | None:
    return await sing(web.world.means, Pages(BASE, between), **{"pauses": (), **options})


async def spans() -> list[tuple[Any, Any]]:
    return await PathOutage.all().order_by("id").values_list("began_at", "ended_at")


async def test_she_says_no_is_withheld_for_that_alone_and_takes_it_back(web: Web, between: Between) -> None:
    before = await last_entry(connection())
    assert await try_(web, between) is CanaryOutcome.WORKED
    said = await Objection.all()
    assert [(o.scope, o.channel, o.withdrawn_at is None) for o in said] == [("everything", "link", False)]
    assert await kinds_since(before) == ["objected", "objection_taken_back", "canary_sang"]
    assert await spans() == []


async def test_no_log_line_holds_her_link(web: Web, between: Between, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert await try_(web, between) is CanaryOutcome.WORKED
    assert "/o/" not in caplog.text


async def test_before_her_notice_counts_there_is_no_round(web: Web) -> None:
    through = Between(web)
    assert await try_(web, through) is None, "nobody is hatched"
    assert await hatch(web.world.means)
    assert not await hatch(web.world.means)
    assert await try_(web, through) is None, "her notice counts from tomorrow on"
    assert await CanaryRound.all().count() == 0
    web.world.wait(1)
    assert await try_(web, through) is CanaryOutcome.WORKED


async def test_nobody_is_hatched_where_there_is_no_notice_to_be_like(web: Web) -> None:
    await rows(connection(), "UPDATE notice_text SET superseded_at = approved_at")
    before = await last_entry(connection())
    assert not await hatch(web.world.means)
    assert await last_entry(connection()) == before


async def test_one_round_an_hour_whoever_asks(web: Web, between: Between) -> None:
    """Of three workers at once one sings; an hour later again one."""
    for _ in range(2):
        outcomes = await asyncio.gather(*(try_(web, between) for _ in range(3)))
        assert sorted(map(str, outcomes)) == ["None", "None", "worked"]
        web.world.clock.advance_to(web.world.clock.now() + EVERY - timedelta(seconds=1))
        assert await try_(web, between) is None
        web.world.clock.advance_to(web.world.clock.now() + timedelta(seconds=1))
    assert await CanaryRound.all().count() == 2
    assert await try_(web, between, now=True) is CanaryOutcome.WORKED, "by hand, at any time"


async def test_a_worker_waits_for_another_that_is_about_to_begin(web: Web, between: Between) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def other(c: Connection) -> None:
        await rows(c, "UPDATE practice SET name = name WHERE id = $1", CANARY)
        await rows(c, "INSERT INTO canary_round (started_at) VALUES ($1)", web.world.clock.now())
        begun.set()
        await go_on.wait()

    holding = asyncio.create_task(transact(other))
    await begun.wait()
    trying = asyncio.create_task(try_(web, between))
    await asyncio.wait([trying], timeout=0.5)
    assert not trying.done()
    go_on.set()
    await holding
    assert await trying is None
    assert await Objection.all().count() == 0


@pytest.mark.parametrize(
    ("broken", "outcome"),
    [
        ({"": "lost"}, CanaryOutcome.UNREACHABLE),
        ({"": 502}, CanaryOutcome.NO_PAGE),
        ({"": "<h1>Vous pouvez dire non.</h1>"}, CanaryOutcome.NO_WAY),
        ({"": '<form><button formaction="/o/x/object">Non</button></form>'}, CanaryOutcome.NO_WAY),
        ({"/object": 404}, CanaryOutcome.NOT_RECORDED),
        ({"/object": 500}, CanaryOutcome.NOT_RECORDED),
        ({"/object": 303}, CanaryOutcome.NOT_RECORDED),
        ({"/receipt": 500}, CanaryOutcome.NO_RECEIPT),
        ({"/withdraw": 500}, CanaryOutcome.NOT_TAKEN_BACK),
    ],
    ids=[
        "nobody answers",
        "proxy",
        "no button",
        "another button",
        "no route",
        "fault",
        "led away",
        "no receipt",
        "no way back",
    ],
)
async def test_a_broken_way_is_an_outage_from_the_last_round_that_worked_to_the_next(
    web: Web, between: Between, broken: dict[str, int | str], outcome: CanaryOutcome
) -> None:
    assert await try_(web, between) is CanaryOutcome.WORKED
    worked = web.world.clock.now()
    web.world.clock.advance_to(worked + EVERY)
    between.broken = broken
    before = await last_entry(connection())
    assert await try_(web, between) is outcome
    assert (await kinds_since(before))[-1] == "outage_began"
    assert await spans() == [(worked, None)]
    web.world.clock.advance_to(worked + EVERY + timedelta(minutes=5))
    assert await try_(web, between) is outcome
    assert await spans() == [(worked, None)], "it is one outage"
    web.world.clock.advance_to(worked + 2 * EVERY)
    between.broken = {}
    assert await try_(web, between) is CanaryOutcome.WORKED
    assert await spans() == [(worked, web.world.clock.now())]
    assert paris_day(worked) in await lost_to_outages(connection(), web.world.clock.now())
    web.world.clock.advance_to(worked + 3 * EVERY)
    assert await try_(web, between) is CanaryOutcome.WORKED, "a day that is lost to outages does not silence her"


async def test_pages_that_are_being_started_again_are_no_outage(web: Web, between: Between) -> None:
    between.broken = {"": "lost"}
    trying = asyncio.create_task(try_(web, between, pauses=(0.5,)))
    await asyncio.sleep(0.1)
    between.broken = {}
    assert await trying is CanaryOutcome.WORKED
    assert await spans() == []


async def test_an_outage_that_staff_have_noted_is_theirs_to_end(web: Web, between: Between) -> None:
    await begin_outage(web.world.means, actor=web.world.operator.actor)
    assert await try_(web, between) is CanaryOutcome.WORKED
    assert [ended for _, ended in await spans()] == [None]


async def test_a_round_that_was_stopped_half_way_is_not_known_to_have_worked(web: Web, between: Between) -> None:
    """Her no stands; the next round takes it back first, and what lies between the two that worked was an outage."""
    assert await try_(web, between) is CanaryOutcome.WORKED
    worked = web.world.clock.now()
    web.world.clock.advance_to(worked + EVERY)
    between.broken = {"/withdraw": 500}
    await try_(web, between)
    await rows(connection(), "DELETE FROM path_outage")
    await rows(
        connection(), "UPDATE canary_round SET ended_at = NULL, outcome = NULL, entry_id = NULL WHERE id = "
        "(SELECT max(id) FROM canary_round)"
    )  # fmt: skip
    between.broken = {}
    web.world.clock.advance_to(worked + EVERY + timedelta(minutes=6))
    assert await try_(web, between) is CanaryOutcome.WORKED
    assert await spans() == [(worked, web.world.clock.now())]


async def test_hours_in_which_nobody_tried_were_an_outage(web: Web, between: Between) -> None:
    assert await try_(web, between) is CanaryOutcome.WORKED
    worked = web.world.clock.now()
    web.world.clock.advance_to(worked + UNTRIED)
    assert await try_(web, between) is CanaryOutcome.WORKED
    assert await spans() == []
    again = web.world.clock.now()
    web.world.clock.advance_to(again + UNTRIED + timedelta(minutes=1))
    assert await try_(web, between) is CanaryOutcome.WORKED
    assert await spans() == [(again, web.world.clock.now())]


async def test_the_desk_hears_of_it_and_of_silence(web: Web, between: Between) -> None:
    async def alarms() -> set[str]:
        return {row["kind"] for row in await path_overview.to_do(web.world.clock.now())}

    assert await alarms() == {"canary"}, "her notice counts since midnight, and nobody tried"
    await try_(web, between)
    assert await alarms() == set()
    web.world.clock.advance_to(web.world.clock.now() + path_overview.OVERDUE + timedelta(minutes=1))
    assert await alarms() == {"canary"}, "one an hour is due"
    between.broken = {"": "lost"}
    await try_(web, between)
    operator = await web.as_account(web.world.operator)
    home = (await operator.get("/desk")).text
    assert "Les pages ne répondent pas" in home
    assert "/desk/outages" in home
    between.broken = {}
    await try_(web, between, now=True)
    assert await alarms() == set()
    assert "Le non est arrivé et a été retenu" in (await operator.get("/desk")).text


# --- she is nobody ---------------------------------------------------------------------------------------------------


async def seen(world: World) -> dict[str, Any]:
    """Every number and list that somebody sees."""
    now = world.clock.now()
    return {
        "figures": await overview.figures(now),
        "observatories": await overview.observatories(),
        "house": await overview.house(),
        "authorisations": await overview.authorisations(),
        "enrolments": await enrolment_overview.enrolments(),
        "texts": await overview.texts(),
        "practices": [await overview.practices_to_tell(), await identity_overview.practices()],
        "campaigns": await overview.campaigns(now),
        "to_do": await overview.to_do(paris_day(now)),
        "settle": await identity_overview.to_do(paris_day(now)),
        "channels": await count_objections(world.means, silence_factor=3),
        "simulated": await simulate(world.means, Asked("demo")),
        "study": await simulate(world.means, Asked("demo", "diabetes")),
        "refused by a release": (await basis_of(world.means, "diabetes")).refused,
        "verdicts": await verdicts(world.means, Asked("demo")),
    }


async def test_no_list_and_no_count_that_anybody_sees_knows_her(told: World) -> None:
    async with site(told) as web:
        before = await seen(told)
        assert await hatch(told.means)
        told.wait(1)
        assert await seen(told) == before
        between = Between(web)
        between.broken = {"/withdraw": 500}
        assert await try_(web, between) is CanaryOutcome.NOT_TAKEN_BACK
        await rows(connection(), "DELETE FROM path_outage")
        assert await Objection.filter(withdrawn_at=None).count() == 1
        assert await seen(told) == before
        assert "Essai automatique" not in (await web.browser().get("/transparency")).text


async def test_nothing_crosses_for_her_and_nobody_is_taken_for_her(told: World) -> None:
    assert await hatch(told.means)
    told.wait(1)
    assert await PersonToken.filter(person__patients__practice_id=CANARY).count() == 0
    assert not told.means.ring.folder.joinpath(f"observatory:{CANARY}.key").exists()
    with pytest.raises(Refused):
        told.means.ring.create(f"observatory:{CANARY}")
    with pytest.raises(Refused):
        await issue(told.means, observatory_id=CANARY, practice_id=CANARY, by=told.operator, out=told.folder / "permit")
    for asked in (Asked("demo"), Asked("demo", "diabetes")):
        _, found = await verdicts(told.means, asked)
        assert CANARY not in {one.practice_id for one in found}


async def test_after_a_month_another_is_hatched_who_sings_from_the_next_day_on(web: Web, between: Between) -> None:
    assert await try_(web, between) is CanaryOutcome.WORKED
    first = (await Objection.get()).patient_id
    await publish(web.world, "2026-09", covers__purposes=["public_health_research"])
    web.world.clock.advance_to(web.world.clock.now() + LIVES)
    assert await hatch(web.world.means)
    assert await try_(web, between) is CanaryOutcome.WORKED
    web.world.wait(1)
    assert await try_(web, between) is CanaryOutcome.WORKED
    singers = [o.patient_id for o in await Objection.all().order_by("entry_id")]
    assert singers[:2] == [first, first]
    assert singers[2] != first
    assert {n.text_id for n in await Notice.filter(patient_id=singers[2])} == {"~demo-adult-fr-2026-09"}
