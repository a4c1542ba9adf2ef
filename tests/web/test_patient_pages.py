"""The patient's pages as she meets them: her no, its receipt, her changing her mind; and what never happens."""

import asyncio
import re
from pathlib import Path

import httpx2
import pytest
from kept import dump
from whole_site import BASE, Shown, Web
from world import load_texts

from portal.flow import govern
from portal.flow.sequence import sequence
from portal.gate.receipt import verify_receipt
from portal.outside.keys import read_public_keys
from portal.records.database import connection, rows

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


def link_of(web: Web, number: int = 1) -> str:
    return f"/o/{web.world.links[f'patient{number}@example.org']}"


async def objections() -> list[dict[str, object]]:
    return await rows(connection(), "SELECT scope, withdrawn_at FROM objection")


@ON_BOTH
async def test_a_patient_says_no_has_a_receipt_and_takes_it_back(web: Web) -> None:
    browser, link = web.browser(), link_of(web)
    page = await browser.get(link)
    assert page.status_code == 200
    assert "Vous n’avez pas répondu." in page.text
    assert "2\u00a0avril 2026" in page.text, "told on 2 March: thirty days run through 1 April"
    assert "Dominique doctor-1 (Cabinet A)" in page.text

    answer = await browser.post(f"{link}/object", data={"scope": "everything"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{link}/receipt")
    receipt = await browser.get(f"{link}/receipt")
    reference = re.search(r"[0-9A-F]{4}-[0-9A-F]{4}", receipt.text)
    assert reference
    assert "vos données ne partiront plus." in Shown(receipt.text).heading
    assert "déjà enregistré" not in receipt.text

    again = await browser.post(f"{link}/object", data={"scope": "everything"})
    assert again.headers["location"] == f"{link}/receipt?again=1"
    assert "déjà enregistré" in (await browser.get(again.headers["location"])).text
    assert len(await objections()) == 1

    page = await browser.get(link)
    assert "Vous avez dit non." in Shown(page.text).heading
    assert reference[0] in page.text
    assert f"{link}/withdraw" in Shown(page.text).links

    assert (await browser.get(f"{link}/withdraw")).status_code == 200
    back = await browser.post(f"{link}/withdraw")
    assert back.headers["location"] == f"{link}/receipt"
    assert "votre non est retiré" in (await browser.get(f"{link}/receipt")).text
    assert "Vous avez retiré votre non" in (await browser.get(link)).text
    assert (await browser.get(f"{link}/withdraw")).headers["location"] == link
    assert (await browser.post(f"{link}/withdraw")).headers["location"] == link, "nothing left to take back"


async def test_who_was_never_delivered_reads_that_nothing_has_left(web: Web) -> None:
    page = await web.browser().get(f"{link_of(web)}/uses")
    assert page.status_code == 200
    assert "Aucune donnée n’est partie au" in page.text
    assert "L’étude les utilise." not in page.text


async def test_a_part_is_chosen_and_none_chosen_is_asked_again(web: Web) -> None:
    browser, link = web.browser(), link_of(web)
    before = await dump()
    for given in ({}, {"scope": "nonsense"}, {"scope": "study"}):
        asked = await browser.post(f"{link}/object", data=given)
        assert asked.status_code == 422
        assert f'href="{link}/part?lang=en"' in asked.text
    assert await dump() == before
    await browser.post(f"{link}/object", data={"scope": "observatory"})
    assert "dit non à cet observatoire" in Shown((await browser.get(link)).text).heading
    await browser.post(f"{link}/object", data={"scope": "everything"})
    assert "Ce non vaut pour tout" in (await browser.get(link)).text


async def test_a_no_to_one_study_or_this_practice_names_it_on_receipt_and_history(web: Web) -> None:
    browser, link = web.browser(), link_of(web)
    part = (await browser.get(f"{link}/part")).text
    assert 'value="diabetes"' in part
    assert 'value="practice"' in part
    answer = await browser.post(f"{link}/object", data={"scope": "diabetes"})
    receipt = await browser.get(answer.headers["location"])
    assert "ne serviront plus à cette étude" in Shown(receipt.text).heading
    assert "Traitements au long cours" in receipt.text
    answer = await browser.post(f"{link}/object", data={"scope": "practice"})
    receipt = await browser.get(answer.headers["location"])
    assert "ne partiront plus de ce cabinet" in Shown(receipt.text).heading
    page = await browser.get(link)
    assert "dit non à une partie" in Shown(page.text).heading
    assert page.text.count("Traitements au long cours") == 2, "in the note and in the history"
    assert 'value="diabetes"' not in (await browser.get(f"{link}/part")).text, "covered already"

    assert "Retirer seulement" in (await browser.get(f"{link}/withdraw")).text
    assert (await browser.post(f"{link}/withdraw", data={"scope": "diabetes"})).headers["location"] == link
    assert {o["scope"]: bool(o["withdrawn_at"]) for o in await objections()} == {"study": True, "practice": False}
    assert (await browser.post(f"{link}/withdraw", data={"scope": "nonsense"})).status_code == 422


async def test_a_yes_is_noted_and_never_lifts_a_no(web: Web) -> None:
    browser, link = web.browser(), link_of(web)
    assert (await browser.get(f"{link}/kept")).headers["location"] == link
    assert (await browser.post(f"{link}/keep")).headers["location"] == f"{link}/kept"
    assert "Ce n’est pas un consentement." in (await browser.get(f"{link}/kept")).text
    assert "Vous avez répondu oui" in (await browser.get(link)).text
    await browser.post(f"{link}/object", data={"scope": "everything"})
    await browser.post(f"{link}/keep")
    assert (await browser.get(f"{link}/kept")).headers["location"] == link
    assert "Vous avez dit non." in (await browser.get(link)).text


@ON_BOTH
async def test_two_clicks_at_once_are_one_no(web: Web) -> None:
    link = link_of(web)
    answers = await asyncio.gather(
        *(web.browser().post(f"{link}/object", data={"scope": "everything"}) for _ in range(4))
    )
    assert {a.headers["location"].partition("?")[0] for a in answers} == {f"{link}/receipt"}
    browser = web.browser()
    assert "Vous avez dit non." in (await browser.get(link)).text
    await browser.post(f"{link}/withdraw")
    assert all(o["withdrawn_at"] for o in await objections())


async def test_a_parent_reads_the_childs_name_and_both_weigh_the_same(web: Web) -> None:
    browser = web.browser()
    page = (await browser.get(f"/o/{web.world.links['parent4@example.org']}")).text
    assert "Les données de santé de Camille peuvent servir" in Shown(page).heading
    buttons = re.findall(r"<button class=\"answer\"[^>]*>", page)
    assert len(buttons) == 2
    assert len({re.sub(r'formaction="[^"]*"', "", b) for b in buttons}) == 1, "the same element but for where it goes"


async def test_the_page_is_in_the_notices_language_until_another_is_chosen(web: Web) -> None:
    browser, link = web.browser(**{"Accept-Language": "en"}), link_of(web)
    assert '<html lang="fr">' in (await browser.get(link)).text
    english = (await browser.get(f"{link}?lang=en")).text
    assert '<html lang="en">' in english
    assert f"{link}/part?lang=en" in Shown(english).links
    answer = await browser.post(f"{link}/object?lang=en", data={"scope": "everything"})
    assert answer.headers["location"] == f"{link}/receipt?lang=en"
    assert '<html lang="fr">' in (await browser.get(f"{link}?lang=xx")).text


@pytest.mark.parametrize("rest", ["", "/part", "/receipt", "/kept", "/withdraw", "/read/easy"])
@pytest.mark.parametrize("token", ["x" * 43, "%F0%9F%98%80", "a%27b", "a" * 3000])
async def test_a_dead_link_gives_another_way_and_tells_nothing(web: Web, rest: str, token: str) -> None:
    answer = await web.browser().get(f"/o/{token}{rest}")
    assert answer.status_code == 404
    assert "Ce lien ne mène à rien." in answer.text
    assert "01 99 00 00 00" in answer.text
    assert token not in answer.text


async def test_posts_to_a_dead_link_write_nothing(web: Web) -> None:
    before = await dump()
    for act in ("object", "keep", "withdraw"):
        answer = await web.browser().post(f"/o/{'x' * 43}/{act}", data={"scope": "everything"})
        assert answer.status_code == 404
    assert await dump() == before


async def test_no_cookie_is_ever_set_and_a_session_is_not_looked_at(web: Web) -> None:
    link = link_of(web)
    answers: list[httpx2.Response] = []
    for browser in (web.browser(), await web.as_account(web.world.operator)):
        for rest in ("", "/part", "/receipt", "/kept", "/withdraw", "/read/easy"):
            answers.append(await browser.get(link + rest))
            answers.append(await browser.head(link + rest))
        for act in ("object", "keep", "withdraw"):
            answers.append(await browser.post(f"{link}/{act}", data={"scope": "everything"}))
    assert not [a for a in answers if "set-cookie" in a.headers]
    assert not [a for a in answers if "/logout" in a.text]


async def test_what_was_served_is_told_with_a_day_to_delete_it_by(web: Web) -> None:
    browser, link = web.browser(), link_of(web)
    release_id = await web.sealed()
    recipient = await web.as_account(web.world.recipient)
    assert (await recipient.post(f"/recipient/releases/{release_id}/download")).status_code == 200
    await browser.post(f"{link}/object", data={"scope": "observatory"})
    receipt = (await browser.get(f"{link}/receipt")).text
    assert "Traitements au long cours" in receipt
    assert "À effacer avant le 11\u00a0mai 2026" in receipt
    nothing = (await browser.get(f"/o/{web.world.links['parent4@example.org']}/receipt")).headers["location"]
    assert nothing.startswith("/o/")


async def test_the_page_says_who_to_reach_and_never_where_it_was_asked_from(web: Web) -> None:
    answer = await web.browser().get(link_of(web), headers={"Host": "evil.example"})
    assert "dpo@example.org" in answer.text
    assert "evil.example" not in answer.text
    assert BASE not in answer.text


async def test_the_receipt_is_kept_as_a_file_that_verifies_without_the_portal(web: Web, tmp_path: Path) -> None:
    browser, link = web.browser(), link_of(web)
    assert (await browser.get(f"{link}/receipt.json")).status_code == 404, "nothing was said"
    await browser.post(f"{link}/object", data={"scope": "everything"})
    pinned = tmp_path / "portal.pub"
    pinned.write_bytes((await browser.get("/log/key")).content)
    early = verify_receipt((await browser.get(f"{link}/receipt.json")).content, read_public_keys(pinned))
    assert not early.proved
    await sequence(web.world.means)
    file = await browser.get(f"{link}/receipt.json")
    found = verify_receipt(file.content, read_public_keys(pinned))
    assert found.proved
    assert found.terms["scope"] == {"kind": "everything", "ref": ""}
    assert found.terms["taken_back_at"] is None
    for name in ("Bernard", "Camille", "patient1@example.org"):
        assert name not in file.text
    await browser.post(f"{link}/withdraw")
    assert verify_receipt((await browser.get(f"{link}/receipt.json")).content, read_public_keys(pinned)).terms[
        "taken_back_at"
    ]


@ON_BOTH
async def test_the_notice_is_read_in_other_words_and_both_answers_stand_there(web: Web) -> None:
    browser, link = web.browser(), link_of(web)
    assert f"{link}/read/easy" not in (await browser.get(link)).text, "offered only when it is there"
    assert (await browser.get(f"{link}/read/easy")).status_code == 404
    await load_texts(web.world, "notice-[ect]*")
    assert f"{link}/read/easy" in Shown((await browser.get(link)).text).links
    before = await dump()
    easy = await browser.get(f"{link}/read/easy")
    assert Shown(easy.text).heading == "Vos données de santé. Vous pouvez dire non."
    assert "Vous n’avez pas à dire pourquoi." in easy.text
    assert 'class="page easy"' in easy.text
    assert "Dominique doctor-1 (Cabinet A)" in easy.text
    assert link in Shown(easy.text).links
    assert re.findall(r'<button class="answer" formaction="([^"]+)"', easy.text) == [f"{link}/object", f"{link}/keep"]
    english = await browser.get(f"{link}/read/easy?lang=en")
    assert Shown(english.text).heading == "Your health data. You can say no."
    assert f"{link}?lang=en" in Shown(english.text).links
    assert await dump() == before
    await browser.post(f"{link}/object", data={"scope": "everything"})
    after = (await browser.get(f"{link}/read/easy")).text
    assert "<button" not in after
    assert f"{link}/receipt" in Shown(after).links


async def test_a_parent_is_offered_the_texts_for_her_child_and_nobody_else_is(web: Web) -> None:
    await load_texts(web.world, "notice-[ect]*")
    browser, link, parents = web.browser(), link_of(web), f"/o/{web.world.links['parent4@example.org']}"

    async def offered(of: str) -> set[str]:
        return {path.rpartition("/")[2] for path in Shown((await browser.get(of)).text).links if "/read/" in path}

    assert await offered(parents) == {"easy", "child", "teenager"}
    assert await offered(link) == {"easy"}
    assert "Ils voient un numéro, pas ton nom." in (await browser.get(f"{parents}/read/child")).text
    for nobody in ("adult", "nobody", "EASY", "%00", "%F0%9F%98%80", "a%27b"):
        answer = await browser.get(f"{parents}/read/{nobody}")
        assert (answer.status_code, "Cette page n’existe pas." in answer.text) == (404, True), nobody
    await govern.withdraw_text(web.world.means, "demo-child-fr-2026-06", by=web.world.dpo)
    assert await offered(parents) == {"easy", "teenager"}
    assert (await browser.get(f"{parents}/read/child")).status_code == 404


async def test_a_minor_told_alone_is_offered_the_teenagers_text(web: Web) -> None:
    await load_texts(web.world, "notice-teenager-*")
    await rows(connection(), "UPDATE patient SET birth_date = '2010-01-01' WHERE number = '1'")
    assert f"{link_of(web)}/read/teenager" in Shown((await web.browser().get(link_of(web))).text).links
