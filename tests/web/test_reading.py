"""GET, HEAD and OPTIONS change nothing, whoever asks and however often (R7); of crawlers: tests/failures, F18."""

from collections.abc import Callable

import pytest
from kept import dump
from whole_site import Web, address
from world import load_texts

from portal.records.accounts import Account
from portal.rules.words import Role
from portal.web.routes import PAGES


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
async def test_reading_changes_nothing_however_often(
    web: Web, how_many: Callable[[int, int], int], record_property: Callable[[str, object], None]
) -> None:
    times = how_many(20, 1000)
    record_property("trials", times)
    found = await addresses(web)
    browser = web.browser()
    await browser.post(f"/o/{web.world.links['patient1@example.org']}/object", data={"scope": "everything"})
    before = await dump()
    for _ in range(times):
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
