"""The form of a no without a link, as somebody who has no message meets it."""

import re

import pytest
from kept import dump
from whole_site import Shown, Web

from portal.flow.batch import Asked
from portal.flow.decide import explain
from portal.rules.clearance import Withheld
from portal.rules.waiting import month_after, paris_day
from portal.rules.words import Language
from portal.web.render import day

SHE = {"for_whom": "self", "family_name": "Bernard", "given_names": "Camille", "birth": "17/05/1960"}


async def test_she_says_no_and_nobody_who_may_be_her_passes(web: Web) -> None:
    browser = web.browser()
    page = await browser.get("/object")
    assert page.status_code == 200
    assert " checked" not in page.text, "she chooses for whom"
    answer = await browser.post("/object", data=SHE | {"postcode": "75011", "answer_to": "12 rue des Lilas"})
    assert answer.status_code == 303
    page = await browser.get(answer.headers["location"])
    assert Shown(page.text).heading == "C’est reçu\u00a0: ce non compte dès maintenant."
    assert re.search(r"[0-9A-F]{4}-[0-9A-F]{4}", page.text)
    due_on = month_after(paris_day(web.world.clock.now()))
    assert f"Avant le {day(due_on, language=Language.FR)}" in page.text
    verdict, _ = await explain(web.world.means, Asked("demo"), practice_id="practice-a", number="1")
    assert isinstance(verdict, Withheld)
    assert "G45" in verdict.reasons


async def test_the_answer_never_says_who_is_a_patient(web: Web) -> None:
    browser = web.browser()
    pages = []
    for family in (SHE["family_name"], "Zorglub"):
        answer = await browser.post("/object", data=SHE | {"family_name": family})
        page = await browser.get(answer.headers["location"])
        pages.append(re.sub(r"[0-9A-F]{4}-[0-9A-F]{4}|/object/[0-9a-f-]{36}", "…", page.text))
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("changes", "id"),
    [
        ({"for_whom": ""}, "for_whom-self"),
        ({"for_whom": "neighbour"}, "for_whom-self"),
        ({"family_name": "  "}, "family_name"),
        ({"given_names": ""}, "given_names"),
        ({"birth": ""}, "birth"),
        ({"birth": "31/02/1960"}, "birth"),
        ({"family_name": "'-'"}, "family_name"),
    ],
)
async def test_what_is_missing_is_asked_for_beside_its_field_and_nothing_is_lost(
    web: Web, changes: dict[str, str], id: str
) -> None:
    before = await dump()
    answer = await web.browser().post("/object", data=SHE | {"answer_to": "camille@example.org"} | changes)
    assert answer.status_code == 422
    assert f"#{id}" in Shown(answer.text).links
    assert "camille@example.org" in answer.text
    assert await dump() == before


@pytest.mark.parametrize("number", ["5e1b6f3a-4c1d-4c5e-9a53-0d7f2f6f9b11", "unknown", "7"])
async def test_a_number_of_no_objection_is_not_found(web: Web, number: str) -> None:
    assert (await web.browser().get(f"/object/{number}")).status_code == 404


async def test_the_form_is_found_from_a_dead_link_and_from_the_front_page(web: Web) -> None:
    browser = web.browser()
    for path in ("/", "/transparency", f"/o/{'x' * 43}"):
        assert "/object" in Shown((await browser.get(path)).text).links, path
