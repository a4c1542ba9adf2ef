"""F11 (TPP / NHS, 2015-2018): 150,000 objections were recorded and never passed on, for three years.

Here what the log received, what stands on record and what the gate withholds are counted apart, channel by channel,
and must be equal; and a channel that is not heard any more is missed.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr
from whole_site import BASE, Web, site
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow import told_doctor
from portal.flow.means import Means
from portal.outside.own_pages import Pages
from portal.records.accounts import Account
from portal.records.database import connection, rows
from portal.rules.words import Role
from portal.service import try_the_path

TOKEN = "t" * 40


@pytest.fixture
async def web(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> AsyncIterator[Web]:
    world = await build(means, clock, tmp_path)
    await world.enrol()
    await world.register([patient("1"), patient("2"), patient("3")])
    await world.tell()
    async with site(world) as made:
        settings = made.settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})
        made.app.state.portal = replace(made.app.state.portal, settings=settings)
        yield made


async def an_hour_later(web: Web, **later: int) -> None:
    """What a worker does every hour."""
    web.world.clock.advance_to(web.world.clock.now() + timedelta(**later or {"hours": 1}))
    pages = Pages(BASE, httpx2.ASGITransport(app=web.app))
    await try_the_path(web.world.means, pages, silence_factor=3)


async def told(web: Web) -> tuple[str, dict[str, float]]:
    """What the desk reads, and what a monitor reads of the channels."""
    operator = await web.as_account(web.world.operator)
    answer = await web.browser(Authorization=f"Bearer {TOKEN}").get("/metrics")
    lines = [line.rsplit(" ", 1) for line in answer.text.splitlines() if line.startswith("portal_")]
    return (await operator.get("/desk")).text, {name: float(value) for name, value in lines}


async def say_no(world: World, web: Web) -> None:
    link = world.links["patient1@example.org"]
    assert (await web.browser().post(f"/o/{link}/object", data={"scope": "everything"})).status_code == 303
    doctor = await Account.get(role=Role.DOCTOR, closed_at=None)
    await told_doctor.object_for(world.means, practice_id="practice-a", number="2", by=doctor)


@pytest.mark.parametrize(
    ("never", "stages"),
    [
        ("DELETE FROM objection WHERE channel = 'link'", (1, 0, 0)),
        ("UPDATE objection SET scope = 'study', scope_ref = 'another' WHERE channel = 'link'", (1, 0, 0)),
        ("UPDATE verdict SET bits = 0, reason = NULL", (1, 1, 0)),
    ],
    ids=["lost", "altered", "not read by the gate"],
)
async def test_what_was_received_and_closes_nothing_is_seen_within_the_hour(
    web: Web, never: str, stages: tuple[int, int, int]
) -> None:
    await say_no(web.world, web)
    await an_hour_later(web)
    home, known = await told(web)
    assert "Voies où il manque des refus" not in home
    assert [
        known[f'portal_objections{{channel="link",stage="{s}"}}'] for s in ("received", "committed", "withheld")
    ] == [1, 1, 1]
    assert known['portal_channel_differs{channel="link"}'] == 0
    await rows(connection(), never)
    await an_hour_later(web)
    home, known = await told(web)
    assert "Voies où il manque des refus" in home
    assert [
        known[f'portal_objections{{channel="link",stage="{s}"}}'] for s in ("received", "committed", "withheld")
    ] == [*stages]
    assert known['portal_channel_differs{channel="link"}'] == 1


async def test_a_channel_that_is_not_heard_any_more_is_missed(web: Web) -> None:
    doctor = await Account.get(role=Role.DOCTOR, closed_at=None)
    for day in range(12):
        await told_doctor.object_for(web.world.means, practice_id="practice-a", number=str(day % 3 + 1), by=doctor)
        web.world.wait(1)
    await an_hour_later(web)
    home, known = await told(web)
    assert "Voies devenues muettes" not in home
    assert known['portal_channel_silent{channel="doctor"}'] == 0
    for later in ({"days": 4}, {"days": 3 * 365}):
        await an_hour_later(web, **later)
        home, known = await told(web)
        assert "Voies devenues muettes" in home
        assert known['portal_channel_silent{channel="doctor"}'] == 1
        assert known['portal_channel_silent{channel="link"}'] == 0
