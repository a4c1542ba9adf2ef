"""GET, HEAD and OPTIONS change nothing, whoever asks and however often; nor does a crawler behind a mail (R7)."""

import re
from urllib.parse import urlsplit

import pytest
from kept import dump
from whole_site import BASE, Shown, Web, address
from world import load_texts, patient

from portal.flow import campaign, notify
from portal.flow.notify import Letter, Rendered
from portal.records.accounts import Account
from portal.rules.words import Role
from portal.web.letters import render_letter
from portal.web.routes import PAGES

TIMES = 20


async def addresses(web: Web) -> list[str]:
    """Every address for everybody, with links that work beside one that does not."""
    await web.sealed()
    await load_texts(web.world, "notice-easy-*")
    found = []
    for page in PAGES:
        if page.who.roles is None:
            path = page.path.replace("{reader}", "easy")
            found += [path.replace("{token}", t) for t in (*web.world.links.values(), "x" * 43)]
    return sorted(set(found))


@pytest.mark.shows("R7")
async def test_reading_changes_nothing_however_often(web: Web) -> None:
    found = await addresses(web)
    browser = web.browser()
    await browser.post(f"/o/{web.world.links['patient1@example.org']}/object", data={"scope": "everything"})
    before = await dump()
    for _ in range(TIMES):
        for path in found:
            for method in ("GET", "HEAD", "OPTIONS"):
                answer = await browser.request(method, path)
                assert answer.status_code < 500, (method, path)
    assert await dump() == before


@pytest.mark.shows("R7")
async def test_reading_by_somebody_signed_in_changes_nothing(web: Web) -> None:
    release_id = await web.sealed()
    for role in (Role.DOCTOR, Role.OPERATOR, Role.DPO, Role.RECIPIENT):
        browser = await web.as_account(await Account.get(role=role))
        before = await dump()
        for page in PAGES:
            path = address(page).replace("unknown", release_id)
            for method in ("GET", "HEAD", "OPTIONS"):
                assert (await browser.request(method, path)).status_code < 500, (method, path)
        assert await dump() == before


@pytest.mark.shows("R7")
async def test_a_crawler_on_every_link_of_a_mail_changes_nothing(web: Web) -> None:
    """Mail scanners open each link, and some open what they find there."""
    letters: list[Rendered] = []

    def kept(letter: Letter) -> Rendered:
        letters.append(render_letter(letter))
        return letters[-1]

    await web.world.register([patient("1"), patient("2"), patient("3"), patient("5")])
    await campaign.start_campaign(
        web.world.means, observatory_id="demo", practice_id="practice-a", by=web.world.operator
    )
    await notify.send_due(web.world.means, web.world.post, kept)
    assert len(letters) == 1
    before = await dump()
    browser, seen = web.browser(), set[str]()
    waiting = re.findall(r"https?://[^\s\"<]+", letters[0].text + letters[0].html)
    assert waiting
    while waiting:
        url = waiting.pop()
        parts = urlsplit(url)
        if url in seen or f"{parts.scheme}://{parts.netloc}" != BASE:
            continue
        seen.add(url)
        answer = await browser.get(url)
        assert answer.status_code in (200, 303), url
        waiting += [str(answer.url.join(href)) for href in Shown(answer.text).links]
        if "location" in answer.headers:
            waiting.append(str(answer.url.join(answer.headers["location"])))
    assert len(seen) >= 8
    assert await dump() == before
