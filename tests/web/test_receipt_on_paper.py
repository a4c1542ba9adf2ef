"""The receipt of a no as a PDF: what its page says, to be read without a screen."""

import re

import pypdfium2
import pytest
from kept import dump
from paper import words
from whole_site import Web

from portal.flow.sequence import sequence

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


def link_of(web: Web, number: int = 1) -> str:
    return f"/o/{web.world.links[f'patient{number}@example.org']}"


async def paper(web: Web, path: str) -> str:
    """The one page of a receipt, in one line."""
    answer = await web.browser().get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    [page] = words(answer.content)
    return page.replace("\u00a0", " ").replace("\u202f", " ")


@ON_BOTH
async def test_what_the_receipt_says_stands_on_one_page_and_asking_for_it_changes_nothing(web: Web) -> None:
    browser, link = web.browser(), link_of(web)
    await browser.post(f"{link}/object", data={"scope": "everything"})
    assert "Son empreinte n’est pas encore là." in await paper(web, f"{link}/receipt.pdf")
    await sequence(web.world.means)
    shown = await browser.get(f"{link}/receipt")
    [reference] = set(re.findall(r"[0-9A-F]{4}-[0-9A-F]{4}", shown.text))
    [leaf] = re.findall(r"\b[0-9a-f]{64}\b", shown.text)
    assert f"{link}/receipt.pdf?of=" in shown.text
    before = await dump()
    page = await paper(web, f"{link}/receipt.pdf")
    assert await dump() == before
    for said in (
        "Preuve de votre réponse : vous avez dit non.",
        "Tout : tous les observatoires, toutes les études.",
        "par votre lien",
        f"Référence : {reference}",
        "Appliqué depuis : 11 avril 2026 à",
        "Aucune donnée n’est partie au 11 avril 2026.",
        "Les chiffres déjà publiés restent.",
        leaf,
        "portal receipt verify",
        "dpo@example.org",
    ):
        assert said in page
    for name in ("Bernard", "Camille", "patient1@example.org", link):
        assert name not in page
    same = [(await browser.get(f"{link}/receipt.pdf")).content for _ in range(2)]
    assert same[0] == same[1]


async def test_it_is_a_tagged_file_that_names_its_reference_and_its_language(web: Web) -> None:
    browser, link = web.browser(), link_of(web)
    await browser.post(f"{link}/object", data={"scope": "diabetes"})
    answer = await browser.get(f"{link}/receipt.pdf?lang=en")
    assert re.search(r'filename="receipt-[0-9A-F]{4}-[0-9A-F]{4}\.pdf"', answer.headers["content-disposition"])
    assert pypdfium2.PdfDocument(answer.content).is_tagged()
    assert b"pdfaid:part>2<" in answer.content
    assert b"pdfuaid:part>1<" in answer.content
    [page] = words(answer.content)
    assert "Proof of your answer: you said no." in page
    assert "The study “Traitements au long cours" in page


async def test_each_no_has_its_paper_and_one_taken_back_says_so(web: Web) -> None:
    browser, link = web.browser(), link_of(web)
    first = (await browser.post(f"{link}/object", data={"scope": "practice"})).headers["location"]
    await browser.post(f"{link}/object", data={"scope": "everything"})
    assert "Les données de ce cabinet : Cabinet A" in await paper(web, first.replace("/receipt?", "/receipt.pdf?"))
    assert "Tout : tous les observatoires" in await paper(web, f"{link}/receipt.pdf")
    await browser.post(f"{link}/withdraw")
    back = await paper(web, f"{link}/receipt.pdf")
    assert "votre non est retiré." in back
    assert "Retiré : 11 avril 2026" in back
    assert "déjà parti" not in back


async def test_a_delivered_study_is_named_with_the_day_by_which_it_is_deleted(web: Web) -> None:
    release_id = await web.sealed()
    recipient = await web.as_account(web.world.recipient)
    await recipient.post(f"/recipient/releases/{release_id}/download")
    link = link_of(web)
    await web.browser().post(f"{link}/object", data={"scope": "observatory"})
    page = await paper(web, f"{link}/receipt.pdf")
    assert "Traitements au long cours" in page
    assert "À effacer avant le 11 mai 2026" in page


async def test_a_parents_paper_does_not_name_the_child(web: Web) -> None:
    link = f"/o/{web.world.links['parent4@example.org']}"
    await web.browser().post(f"{link}/object", data={"scope": "everything"})
    page = await paper(web, f"{link}/receipt.pdf")
    assert "pour la personne que vous représentez" in page
    assert "Camille" not in page


@pytest.mark.parametrize("token", ["x" * 43, "%F0%9F%98%80", "a%27b"])
async def test_a_dead_link_and_an_unsaid_no_have_no_paper(web: Web, token: str) -> None:
    for link in (f"/o/{token}", link_of(web)):
        answer = await web.browser().get(f"{link}/receipt.pdf")
        assert (answer.status_code, b"%PDF" in answer.content) == (404, False)
