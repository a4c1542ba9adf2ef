"""The doctor's numbers and the lists behind them, what she has to do, and what left her practice."""

import re
from datetime import timedelta
from itertools import chain

import httpx2
import pytest
from kept import dump
from whole_site import Shown, Web
from world import child, patient

from portal.flow.decide import Asked, explain
from portal.flow.hand_over import report_handed_over
from portal.flow.who_is_who import another_person
from portal.records.accounts import Account
from portal.records.enrolments import Enrolment
from portal.records.governance import Observatory
from portal.records.people import IdentityDoubt
from portal.rules.clearance import Withheld
from portal.rules.waiting import paris_day

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
STATES = ("informed", "waiting", "not_reachable", "out")


async def doctor(web: Web) -> httpx2.AsyncClient:
    return await web.as_account(await Account.get(role="doctor", subject="doctor-doctor-1"))


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def numbers(page: str) -> list[str]:
    """Of the patients whom the page lists, in its order."""
    return re.findall(r'<tr><th scope="row">(\w+)</th>', page)


async def everybody(browser: httpx2.AsyncClient, path: str) -> list[list[str]]:
    """The numbers on each page of a list, by following "next"."""
    found: list[list[str]] = []
    while path:
        page = (await browser.get(path)).text
        found.append(numbers(page))
        after = re.search(r'rel="next" href="([^"]+)"', page)
        path = after[1].replace("&amp;", "&") if after else ""
    return found


def to_do(page: str) -> list[str]:
    return re.findall(r"<li>\s*<p>(.+?)</p>", plain(page[page.index('id="next"') : page.index('id="patients"')]), re.S)


@ON_BOTH
async def test_each_number_of_the_dashboard_leads_to_a_list_of_just_as_many(web: Web) -> None:
    """Every state has another size, and the numbers add up. (Number 4 became another person: a doubt.)"""
    w = web.world
    rows = [patient(str(n), birth_date=f"19{n % 90 + 10}-05-17" if n > 99 else "1960-05-17") for n in range(1, 121)]
    rows += [patient(str(n), email="") for n in range(121, 128)]
    await w.register([*rows, child("200"), child("201", birth_date="")])
    await web.browser().post(f"/o/{w.links['patient1@example.org']}/object", data={"scope": "everything"})
    browser = await doctor(web)
    home = (await browser.get("/doctor")).text
    shown = dict(zip((*STATES, "total"), map(int, re.findall(r'class="n">(\d+)</td>', home)), strict=True))
    assert shown == {"informed": 2, "waiting": 117, "not_reachable": 7, "out": 3, "total": 129}
    listed = {}
    for state in STATES:
        assert f'href="/doctor/patients?state={state}"' in home
        pages = await everybody(browser, f"/doctor/patients?state={state}")
        assert [len(page) for page in pages[:-1]] == [50] * (len(pages) - 1)
        listed[state] = [number for page in pages for number in page]
        assert len(listed[state]) == shown[state]
    everyone = [number for page in await everybody(browser, "/doctor/patients") for number in page]
    assert everyone == sorted(chain(*listed.values()), key=int), "in the order of the practice's numbers"
    assert len(set(everyone)) == 129


async def test_who_does_not_take_part_is_never_told_apart_from_whose_age_or_right_is_open(web: Web) -> None:
    """One said no, one asked for a restriction, one has no birth date: the same row, but for the number."""
    w = web.world
    await web.browser().post(f"/o/{w.links['patient1@example.org']}/object", data={"scope": "everything"})
    await web.browser().post(f"/o/{w.links['patient2@example.org']}/rights", data={"kind": "restriction"})
    await w.register([patient("1"), patient("2"), patient("3"), patient("5", birth_date="")])
    page = (await (await doctor(web)).get("/doctor/patients?state=out")).text
    rows = dict(re.findall(r'<tr><th scope="row">(\w+)</th>(.*?)</tr>', page, re.S))
    assert set(rows) == {"1", "2", "5"}
    assert len({row.replace(f'value="{n}"', "") for n, row in rows.items()}) == 1


async def test_a_row_that_came_to_stand_for_somebody_else_keeps_its_no_and_loses_its_notice(web: Web) -> None:
    """As the gate has it: a no binds whom its row ever stood for; what was told was told to another."""
    w = web.world
    await web.browser().post(f"/o/{w.links['patient1@example.org']}/object", data={"scope": "everything"})
    await w.register([patient(n, given_names="Zoé") for n in "12"], partial=True)
    for doubt in await IdentityDoubt.all():
        await another_person(w.means, doubt.id, by=w.dpo)
    reasons = {}
    for number in "12":
        verdict, _ = await explain(w.means, Asked("demo"), practice_id="practice-a", number=number)
        reasons[number] = verdict.reasons if isinstance(verdict, Withheld) else ()
    assert ("G41" in reasons["1"], reasons["2"]) == (True, ("G50",))
    browser = await doctor(web)
    assert numbers((await browser.get("/doctor/patients?state=out")).text) == ["1"]
    assert numbers((await browser.get("/doctor/patients?state=waiting")).text) == ["2"]


@pytest.mark.parametrize(
    "query", ["state=all", "state=", "page=0", "page=-1", "page=x", "page=99999999999999999999", "page=²"]
)
async def test_an_odd_address_shows_the_first_or_the_last_page(web: Web, query: str) -> None:
    answer = await (await doctor(web)).get(f"/doctor/patients?{query}")
    assert (answer.status_code, numbers(answer.text)) == (200, ["1", "2", "3", "4"])


async def test_a_filter_is_taken_off_by_a_link_and_survives_the_other_language(web: Web) -> None:
    await web.world.register([patient(str(n)) for n in range(1, 121)])
    page = (await (await doctor(web)).get("/doctor/patients?state=waiting&page=2")).text
    links = Shown(page).links
    assert "/doctor/patients?lang=en&state=waiting&page=2" in links
    assert "/doctor/patients" in links
    english = Shown((await (await doctor(web)).get("/doctor/patients?lang=en&state=waiting&page=2")).text).links
    assert {"/doctor/patients?state=waiting&lang=en", "/doctor/patients?lang=en"} <= set(english)


@ON_BOTH
async def test_a_patient_is_found_by_her_number_which_stands_in_no_address(web: Web) -> None:
    await web.world.register([patient("77")], partial=True)
    browser = await doctor(web)
    before = await dump()
    answer = await browser.post("/doctor/patients", data={"number": " 77 "})
    assert (answer.status_code, numbers(answer.text)) == (200, ["77"])
    assert not any("77" in link for link in Shown(answer.text).links)
    for nobody in ("7", "770", "", "%", "' OR 1=1 --"):
        answer = await browser.post("/doctor/patients", data={"number": nobody})
        assert numbers(answer.text) == []
        assert "aucun patient de ce numéro" in answer.text
    assert await dump() == before


async def test_a_number_of_another_practice_is_not_found_nor_by_who_is_not_verified(web: Web) -> None:
    await web.world.enrol(2, number="doctor-2", rpps="10000000002")
    other = await web.as_account(await Account.get(subject="doctor-doctor-2"))
    assert numbers((await other.post("/doctor/patients", data={"number": "1"})).text) == []
    await web.world.enrol(1, number="doctor-3", rpps="10000000003", verified=False)
    waiting = await web.as_account(await Account.get(subject="doctor-doctor-3"))
    for answer in (await waiting.post("/doctor/patients", data={"number": "1"}), await waiting.get("/doctor/patients")):
        assert numbers(answer.text) == []
        assert "a vérifié votre inscription" in answer.text


# --- what to do ------------------------------------------------------------------------------------------------------


async def test_a_register_is_asked_for_before_its_end_and_old_from_the_moment_the_gate_says_so(web: Web) -> None:
    w = web.world
    taken = w.clock.now()
    await w.register([patient("1"), patient("2"), patient("3")])
    days = (await Observatory.get(id="demo")).register_max_days
    shown, sent_again = {}, "Renvoyez-la avant le 12 juillet 2026 ; ensuite, rien ne part."
    for left in (timedelta(days=14, seconds=1), timedelta(days=14), timedelta(seconds=1), timedelta(0)):
        w.clock.advance_to(taken + timedelta(days=days) - left)
        verdict, _ = await explain(w.means, Asked("demo"), practice_id="practice-a", number="1")
        old = isinstance(verdict, Withheld) and "G26" in verdict.reasons
        shown[left] = (old, *to_do((await (await doctor(web)).get("/doctor")).text))
    assert list(shown.values()) == [
        (False,),
        (
            False,
            f"La liste de vos patients a {days - 14} jours. {sent_again}",
        ),
        (
            False,
            f"La liste de vos patients a {days} jours. {sent_again}",
        ),
        (True, f"La liste de vos patients a {days} jours : elle est trop ancienne, et rien ne part. Renvoyez-la."),
    ]


async def test_at_most_three_things_the_most_pressing_first_each_leading_to_where_it_is_done(web: Web) -> None:
    w = web.world
    await w.register([*(patient(n) for n in "123"), patient("5", email="")])
    given = {"observatory_id": "demo", "practice_id": "practice-a", "actor": "software:practice-a"}
    for number in "12":
        await report_handed_over(w.means, number=number, **given)
    w.wait(92)
    page = (await (await doctor(web)).get("/doctor")).text
    assert [words.split(" ")[0] for words in to_do(page)] == ["La", "2", "1"]
    assert {"/doctor/patients#waiting", "/doctor/patients?state=not_reachable"} <= set(Shown(page).links)
    listed = (await (await doctor(web)).get("/doctor/patients")).text
    action = re.search(r'action="(/doctor/notices/[\w-]+/confirm)"', listed)
    assert action
    assert 'id="waiting"' in listed
    assert (await (await doctor(web)).post(action[1])).status_code == 303
    assert "1 remise de notice attend" in to_do((await (await doctor(web)).get("/doctor")).text)[1]


async def test_without_a_register_it_is_asked_for_and_a_pause_is_ended_there(web: Web) -> None:
    await web.world.enrol(2, number="doctor-2", rpps="10000000002")
    browser = await web.as_account(await Account.get(subject="doctor-doctor-2"))
    assert to_do((await browser.get("/doctor")).text)[0].startswith("La liste de vos patients n’est pas arrivée.")
    await browser.post("/doctor/pause")
    page = (await browser.get("/doctor")).text
    assert to_do(page) == ["Vous êtes en pause : rien ne part de votre cabinet."]
    assert 'action="/doctor/resume"' in page
    await browser.post("/doctor/leave")
    assert to_do((await browser.get("/doctor")).text) == []


# --- what left -------------------------------------------------------------------------------------------------------


@ON_BOTH
async def test_what_left_names_the_study_and_the_day_and_masks_few_patients(web: Web) -> None:
    release_id = await web.sealed()
    browser = await doctor(web)
    page = plain((await browser.get("/doctor")).text)
    assert "Aucune donnée n’est partie." in page, "sealed is not handed over"
    assert "le 11 avril 2026 : moins de 11 enregistrements" in page
    team = await web.as_account(web.world.recipient)
    assert (await team.post(f"/recipient/releases/{release_id}/download")).status_code == 200
    page = plain((await browser.get("/doctor")).text)
    assert "Traitements au long cours, le 11 avril 2026 : moins de 11 de vos patients" in page


async def test_what_left_is_shown_to_who_left_and_not_to_who_was_never_verified(web: Web) -> None:
    await web.extract()
    await web.world.enrol(1, number="doctor-3", rpps="10000000003", verified=False)
    waiting = await web.as_account(await Account.get(subject="doctor-doctor-3"))
    assert "enregistrements" not in (await waiting.get("/doctor")).text
    browser = await doctor(web)
    await browser.post("/doctor/leave")
    assert "enregistrements" in (await browser.get("/doctor")).text


async def test_every_page_of_a_doctor_leads_to_where_she_leaves(web: Web) -> None:
    browser = await doctor(web)
    for path in ("/doctor", "/doctor/patients", "/doctor/agreement", "/doctor/leave"):
        assert "/doctor/leave" in Shown((await browser.get(path)).text).links
    leave = (await browser.get("/doctor/leave")).text
    acts = re.findall(r'action="/doctor/(\w+)">\s*<button class="([\w ]+)">', leave)
    assert acts == [("leave", "button"), ("pause", "button")], "the pause has the same weight"


async def test_after_a_locums_last_day_no_page_shows_her_the_practices_patients(web: Web) -> None:
    browser, today = await doctor(web), paris_day(web.world.clock.now())
    for closes_on, seen in ((today + timedelta(days=1), True), (today, False)):
        await Enrolment.all().update(closes_on=closes_on)
        page = plain((await browser.get("/doctor/patients")).text)
        found = plain((await browser.post("/doctor/patients", data={"number": "1"})).text)
        assert ([bool(numbers(page)), bool(numbers(found))], "dernier jour" in page) == ([seen, seen], not seen)
        assert 'name="said_on"' in (await browser.get("/doctor/papers")).text, "a no is heard even then"
