"""The served demo and a Chromium to look at it with."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from served import NewContext, Site, load_draft, serve


@pytest.fixture(scope="session")
def site(played: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A copy of the played demo, served. What one test changes, the next one finds changed: ask it for fresh people."""
    folder = tmp_path_factory.mktemp("browser") / "demo"
    shutil.copytree(played, folder)
    load_draft(folder)
    yield from serve(folder)


@pytest.fixture(scope="module")
def chromium(site: Site) -> Iterator[Browser]:
    """One Chromium a module: Playwright's loop would be in the way of the other folders' asynchronous tests."""
    path = shutil.which("chromium")
    assert path, "Chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, site: Site) -> Iterator[NewContext]:
    """Makes somebody's own browser: a French reader without motion unless told otherwise; closed after the test."""
    made: list[BrowserContext] = []

    def new(**changes: Any) -> BrowserContext:
        given = {"locale": "fr-FR", "reduced_motion": "reduce", "base_url": site.base, **changes}
        made.append(chromium.new_context(**given))
        return made[-1]

    yield new
    for each in made:
        each.close()
