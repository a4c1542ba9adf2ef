"""Every page, in every state it shows, in both languages, from a narrow phone to a wide screen: axe finds nothing."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from looker import Looker
from playwright.sync_api import Browser, BrowserContext
from served import Site
from visits import MACHINES, VISITS, Visit, states

from portal.web.routes import PAGES

WIDTHS = (320, 768, 1440)
LOCALES = {"fr": "fr-FR", "en": "en-GB"}


@dataclass
class Lookers:
    """One tab for each reader and language, with the cookies of who is signed in."""

    chromium: Browser
    site: Site
    known: dict[str, str]
    cookies: dict[str, Any]
    open: dict[tuple[str, str], Looker] = field(default_factory=dict)

    def of(self, who: str, language: str) -> Looker:
        if (who, language) not in self.open:
            context = self.chromium.new_context(
                locale=LOCALES[language], reduced_motion="reduce", storage_state=self.cookies.get(who)
            )
            self.open[who, language] = Looker(context, self.site.base)
        return self.open[who, language]


@pytest.fixture(scope="module")
def lookers(chromium: Browser, site: Site) -> Lookers:
    made: list[BrowserContext] = []

    def new() -> BrowserContext:
        made.append(chromium.new_context(locale="fr-FR", base_url=site.base))
        return made[-1]

    known, cookies = states(site, new)
    for context in made:
        context.close()
    return Lookers(chromium, site, known, cookies)


@pytest.mark.shows("R22")
@pytest.mark.parametrize("language", LOCALES)
@pytest.mark.parametrize("visit", VISITS, ids=str)
def test_page(lookers: Lookers, visit: Visit, language: str) -> None:
    looker = lookers.of(visit.who, language)
    if visit.route in MACHINES:
        assert looker.fetch(visit.path(lookers.known, language)) == visit.status
        return
    assert looker.open(visit.path(lookers.known, language), press=visit.press) == visit.status
    assert looker.ask("document.documentElement.lang") == language
    assert looker.ask("document.title").strip(" –")
    assert looker.ask("[...document.querySelectorAll('h1')].map(h => h.checkVisibility())") == [True]
    for width in WIDTHS:
        assert looker.axe(width) == [], width
        assert looker.ask("document.documentElement.scrollWidth") <= width
    assert looker.contrast("dark") == []
    assert looker.noise == []


def test_every_page_of_the_route_table_is_visited() -> None:
    shown = {page.path for page in PAGES if page.method == "GET" and not page.who.access}
    assert shown <= {visit.route for visit in VISITS}


def test_axe_would_find_something(lookers: Lookers) -> None:
    """A page with three known faults, so that a blind axe is noticed."""
    looker = lookers.of("", "fr")
    looker.open("/legal?lang=fr")
    looker.ask("""document.querySelector('main').innerHTML += `<img src="/static/icon.svg"><p id="pale">pale</p>
      <button class="tiny">x</button><button class="tiny">y</button>`""")
    looker.ask("document.querySelector('#pale').style.color = '#ccc'")
    looker.ask("document.querySelectorAll('.tiny').forEach(b => b.style = 'width:9px;height:9px;padding:0;border:0')")
    found = {line.partition(":")[0] for line in looker.axe(320)}
    assert {"image-alt", "color-contrast", "target-size"} <= found
