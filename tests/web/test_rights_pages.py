"""A patient's other rights: asked for on her page with one press, and what the DPO hands out to who asks for access."""

import json
from io import BytesIO
from zipfile import ZipFile

import httpx2
import pytest
from kept import dump
from paper import words
from whole_site import Shown, Web
from world import patient

from portal.flow.paper import make_codes
from portal.outside.tokens import sent_letter_code
from portal.records.notices import Notice
from portal.records.rights_requests import RightsRequest

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


def link_of(web: Web, number: int = 1) -> str:
    return f"/o/{web.world.links[f'patient{number}@example.org']}"


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


async def archive(web: Web, request: RightsRequest) -> dict[str, bytes]:
    dpo = await web.as_account(web.world.dpo)
    answer = await dpo.post(f"/desk/requests/{request.id}/file")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    with ZipFile(BytesIO(answer.content)) as found:
        return {name.rpartition(".")[2]: found.read(name) for name in found.namelist()}


@ON_BOTH
async def test_each_right_is_one_press_without_a_reason_and_its_clock_is_shown(web: Web) -> None:
    browser, link = web.browser(), link_of(web)
    assert f"{link}/rights" in Shown((await browser.get(link)).text).links
    before = await dump()
    page = (await browser.get(f"{link}/rights")).text
    assert await dump() == before
    assert page.count("<form") == 4
    assert 'type="text"' not in page
    assert "textarea" not in page
    for kind in ("access", "rectification", "erasure", "restriction"):
        answer = await browser.post(f"{link}/rights", data={"kind": kind})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{link}/rights")
    page = plain((await browser.get(f"{link}/rights")).text)
    assert page.count("Réponse avant le 11 mai 2026.") == 4
    assert "<form" not in page
    listed = (await (await web.as_account(web.world.dpo)).get("/desk/requests")).text
    assert listed.count("par son lien") == 4
    assert "Demandes de droits" in (await (await web.as_account(web.world.dpo)).get("/desk")).text


@pytest.mark.parametrize("given", [{}, {"kind": "money"}])
async def test_what_is_no_right_and_a_dead_link_ask_for_nothing(web: Web, given: dict[str, str]) -> None:
    before = await dump()
    assert (await web.browser().post(f"{link_of(web)}/rights", data=given)).status_code == 422
    assert (await web.browser().post(f"/o/{'x' * 43}/rights", data={"kind": "access"})).status_code == 404
    assert (await web.browser().get(f"/o/{'x' * 43}/rights")).status_code == 404
    assert await dump() == before


async def test_english_readers_stay_in_english_and_a_parent_reads_for_whom_it_is(web: Web) -> None:
    browser, link = web.browser(), f"/o/{web.world.links['parent4@example.org']}"
    answer = await browser.post(f"{link}/rights?lang=en", data={"kind": "access"})
    page = (await browser.get(answer.headers["location"])).text
    assert "What you have asked for" in page
    assert "Camille" in page


@ON_BOTH
async def test_the_dpo_hands_out_a_paper_and_a_file_with_everything_of_hers(web: Web) -> None:
    await web.sealed()
    browser, link = web.browser(), link_of(web)
    await browser.post(f"{link}/object", data={"scope": "practice"})
    await browser.post(f"{link}/rights", data={"kind": "access"})
    request = await RightsRequest.get()
    found = await archive(web, request)
    assert set(found) == {"pdf", "json"}
    kept = json.loads(found["json"])
    assert kept["request"] == str(request.id)
    assert "pseudonymised personal data" in kept["what"]
    assert kept["kept"]["contacts"][0]["email"] == "patient1@example.org"
    assert [one["record"]["diagnosis"] for one in kept["records"]] == ["sct|44054006"]
    paper = plain(" ".join(words(found["pdf"])))
    for said in (
        "Ce que le portail garde sur vous",
        "Camille Bernard, patient1@example.org",
        "par e-mail, vous : partie, 2 mars 2026 à",
        "Aux données d’un cabinet (practice-a). Reçu : 11 avril 2026 à",
        "Accès, 11 avril 2026 à",
        "Nombre d’enregistrements : 1.",
        "maladies : 1",
        "Traitements au long cours : préparé, pas envoyé",
    ):
        assert said in paper, said
    assert "44054006" not in paper
    for other in ("patient2@example.org", "Thomas"):
        assert other not in paper + found["json"].decode()


async def test_it_is_made_by_the_dpo_alone_and_by_no_get(web: Web) -> None:
    await web.browser().post(f"{link_of(web)}/rights", data={"kind": "access"})
    where = f"/desk/requests/{(await RightsRequest.get()).id}/file"
    before = await dump()
    assert (await (await web.as_account(web.world.dpo)).get(where)).status_code == 405
    operator = await web.as_account(web.world.operator)
    assert (await operator.post(where)).status_code == 403
    assert "Faire le dossier" not in (await operator.get("/desk/requests")).text
    assert {k: v for k, v in (await dump()).items() if k not in SIGNED_IN} == {
        k: v for k, v in before.items() if k not in SIGNED_IN
    }
    dpo = await web.as_account(web.world.dpo)
    assert "Faire le dossier" in (await dpo.get("/desk/requests")).text
    await dpo.post(where.replace("/file", "/answer"), data={"state": "refused"})
    assert (await dpo.post(where)).status_code == 409
    assert "Faire le dossier" not in (await dpo.get("/desk/requests")).text


SIGNED_IN = {"session", "account", "log_entry", "log_touch", "log_salt"}


async def test_the_code_of_her_letter_says_for_whom_a_right_is_noted(web: Web) -> None:
    address = {"email": "", "address": "3 rue des Lilas", "postcode": "75011", "city": "Paris"}
    await web.world.register([patient("5", **address)], partial=True)
    await web.world.tell()
    await make_codes(web.world.means)
    notice = await Notice.get(channel="post")
    code = sent_letter_code(web.world.means.ring, str(notice.id), notice.token_hash)
    dpo = await web.as_account(web.world.dpo)
    noted: httpx2.Response = await dpo.post("/desk/requests", data={"kind": "access", "code": code})
    assert noted.status_code == 303
    assert (await RightsRequest.get()).patient_id == notice.patient_id
    assert (await dpo.post("/desk/requests", data={"kind": "access", "code": code[:-1]})).status_code == 422
