"""What monitors read: with the token only, by route and channel only, and about nobody."""

from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from whole_site import BASE, Web
from world import patient

from portal.flow.canary import sing
from portal.flow.hatch import hatch
from portal.flow.outage import begin_outage
from portal.outside.own_pages import Pages
from portal.records.canaries import CanaryRound
from portal.records.people import Patient
from portal.service import try_the_path

TOKEN = "t" * 40
ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
async def monitored(web: Web) -> Web:
    settings = web.settings.model_copy(update={"metrics_token": SecretStr(TOKEN)})
    web.app.state.portal = replace(web.app.state.portal, settings=settings)
    return web


async def read(web: Web) -> dict[str, float]:
    answer = await web.browser(Authorization=f"Bearer {TOKEN}").get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(v for k, v in sorted(sample.labels.items()) if k != "process")
            found[f"{sample.name} {labels}".strip()] = sample.value
    return found


@pytest.mark.parametrize(
    "sent", ["", "Bearer ", "Bearer x", f"Bearer {'t' * 39}", TOKEN, f"bearer {TOKEN}", "Bearer é"]
)
async def test_only_who_sends_the_token_reads_them(monitored: Web, sent: str) -> None:
    headers = {"Authorization": sent.encode()} if sent else {}
    answer = await monitored.browser().get("/metrics", headers=headers)
    assert answer.status_code == 401
    assert "portal_" not in answer.text


@pytest.mark.parametrize("sent", ["", "Bearer ", "Bearer None"])
async def test_without_a_token_in_the_settings_nobody_reads_them(web: Web, sent: str) -> None:
    answer = await web.browser().get("/metrics", headers={"Authorization": sent} if sent else {})
    assert answer.status_code == 401


@ON_BOTH
async def test_the_path_of_objections_in_numbers(monitored: Web) -> None:
    world = monitored.world
    pages = Pages(BASE, httpx2.ASGITransport(app=monitored.app))
    before = await read(monitored)
    assert "portal_canary_alarm" not in before, "no canary's notice counts yet"
    assert before["portal_outages_open"] == 0
    await hatch(world.means)
    world.wait(1)
    assert (await read(monitored))["portal_canary_alarm"] == 1, "nobody has tried"
    await monitored.browser().post(f"/o/{world.links['patient1@example.org']}/object", data={"scope": "everything"})
    await try_the_path(world.means, pages, silence_factor=3)
    world.clock.advance_to(world.clock.now() + timedelta(minutes=10))
    found = await read(monitored)
    assert {n: v for n, v in found.items() if n.startswith("portal_canary")} == {
        "portal_canary_alarm": 0, "portal_canary_failures": 0, "portal_canary_age_seconds": 600,
    }  # fmt: skip
    assert [found[f"portal_objections link,{s}"] for s in ("received", "committed", "withheld")] == [1, 1, 1]
    assert (found["portal_channel_age_seconds link"], found["portal_counts_age_seconds"]) == (600, 600)
    assert (found["portal_channel_differs link"], found["portal_channel_silent link"]) == (0, 0)
    assert (found["portal_outbox_due"], found["portal_notices_bounced"], found["portal_outages_open"]) == (0, 0, 0)


async def test_a_failed_round_an_outage_and_mail_that_waits_are_told(monitored: Web) -> None:
    world = monitored.world
    await hatch(world.means)
    world.wait(1)
    nobody = Pages("http://127.0.0.1:1")
    await sing(world.means, nobody, pauses=())
    await begin_outage(world.means, actor=world.operator.actor)
    await world.register([patient("5")], partial=True)
    await world.queue()
    world.clock.advance_to(world.clock.now() + timedelta(minutes=1))
    found = await read(monitored)
    assert (found["portal_canary_alarm"], found["portal_canary_failures"]) == (1, 1)
    assert found["portal_outages_open"] == 2
    assert (found["portal_outbox_due"], found["portal_outbox_oldest_seconds"]) == (1, 60)
    assert await CanaryRound.all().count() == 1


async def test_requests_are_counted_by_route_and_never_by_address(monitored: Web) -> None:
    link = monitored.world.links["patient1@example.org"]
    browser = monitored.browser()
    for path in (f"/o/{link}", f"/o/{link}", f"/o/{'x' * 43}", "/nowhere/Martin", "/static/portal.css"):
        await browser.get(path)
    await browser.request("MARTIN", f"/o/{link}")
    await browser.post(f"/o/{link}/object", data={"scope": "everything"}, headers={"Origin": "https://evil.example"})
    answer = await monitored.browser(Authorization=f"Bearer {TOKEN}").get("/metrics")
    for word in (link, "x" * 43, "Martin", "MARTIN", "evil", "example.org", *map(str, await persons())):
        assert word not in answer.text
    found = await read(monitored)
    assert found["portal_requests_total GET,/o/{token},200"] == 2
    assert found["portal_requests_total GET,/o/{token},404"] == 1
    assert found["portal_requests_total other,/o/{token},405"] == 1
    assert found["portal_requests_total POST,none,403"] == 1
    assert found["portal_request_seconds_count /o/{token}"] == 4


async def persons() -> list[object]:
    return list(await Patient.all().values_list("person_id", flat=True))
