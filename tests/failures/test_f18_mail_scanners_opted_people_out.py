"""F18 (Rock 7034, useSend 412 and others): scanners that open the links of every mail opted people out.

Here GET, HEAD and OPTIONS never act, however deep a scanner follows what it finds; one POST does.
"""

import re
from urllib.parse import urlsplit

import httpx2
import pytest
from kept import dump
from line import Line
from whole_site import BASE, Shown, site
from world import patient

from portal.flow import campaign, notify
from portal.flow.notify import Letter, Rendered
from portal.flow.opt_out import look
from portal.records.database import connection
from portal.web.letters import render_letter


async def the_mail(line: Line) -> Rendered:
    """The mail that a fifth patient is sent."""
    letters: list[Rendered] = []

    def kept(letter: Letter) -> Rendered:
        letters.append(render_letter(letter))
        return letters[-1]

    world = line.world
    await world.register([patient("5")], partial=True)
    await campaign.start_campaign(world.means, observatory_id="demo", practice_id="practice-a", by=world.operator)
    await notify.send_due(world.means, world.post, kept)
    (mail,) = letters
    return mail


def found_in(page: httpx2.Response) -> list[str]:
    """Every address that a page names: links, where its forms lead, what it loads, where it redirects to."""
    named = [*re.findall(r'(?:href|action|src)="([^"]+)"', page.text), *Shown(page.text).links]
    named += [page.headers["location"]] if "location" in page.headers else []
    return [str(page.url.join(each.replace("&amp;", "&"))) for each in named if each]


async def scan(browser: httpx2.AsyncClient, mail: Rendered) -> set[str]:
    """As a mail scanner: each link of both parts, then all that stands on those pages, to the end of this site."""
    seen: set[str] = set()
    waiting = re.findall(r"https?://[^\s\"<]+", mail.text + mail.html)
    while waiting:
        url = waiting.pop().partition("#")[0]
        parts = urlsplit(url)
        if url in seen or f"{parts.scheme}://{parts.netloc}" != BASE:
            continue
        seen.add(url)
        for method in ("HEAD", "OPTIONS", "GET"):
            answer = await browser.request(method, url)
            assert answer.status_code < 500, (method, url)
        waiting += found_in(answer)
    return seen


@pytest.mark.shows("R7")
async def test_a_scanner_on_every_link_of_a_mail_changes_nothing_and_one_post_does(line: Line) -> None:
    mail = await the_mail(line)
    (token,) = set(re.findall(r"/o/([\w-]{43})", mail.text + mail.html))
    async with site(line.world) as web:
        browser = web.browser()
        before = await dump()
        seen = await scan(browser, mail)
        assert await dump() == before
        assert {f"{BASE}/o/{token}", f"{BASE}/o/{token}/object"} <= seen, "it went where a no is said"
        assert len(seen) >= 10
        answer = await browser.post(f"/o/{token}/object", data={"scope": "everything"})
        assert answer.status_code == 303
    assert (await look(connection(), token)).state == "no_everything"
