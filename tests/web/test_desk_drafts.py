"""Drafts, authorisations and studies at the desk: a second person reads the difference, and only she approves."""

import html
import re

import pytest
from whole_site import Web
from world import reviewed

from portal.flow import govern
from portal.flow.sign_in import add_staff
from portal.records.accounts import Account
from portal.records.governance import Authorisation, Study
from portal.rules.reviewed import ReviewedFile
from portal.rules.words import Role

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
GIVEN = reviewed().authorisation[0].conditions.model_dump(mode="json")


def shown(page: str) -> str:
    """The text of a page."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))


async def load(web: Web, file: ReviewedFile) -> None:
    await govern.load(web.world.means, file, actor=web.world.operator.actor)


def changed_study() -> ReviewedFile:
    conditions = reviewed().study[0].conditions.model_dump(mode="json")
    conditions["retention_months"] = 24
    conditions["columns"]["diagnosis"]["codes"] = ["sct|44054006"]
    return ReviewedFile(study=reviewed(study__conditions=conditions, study__title="Un autre titre").study)


@ON_BOTH
async def test_a_dpo_reads_the_difference_and_approves(web: Web) -> None:
    await load(web, changed_study())
    operator, dpo = await web.as_account(web.world.operator), await web.as_account(web.world.dpo)
    assert "Fichiers à approuver" in (await dpo.get("/desk")).text
    page = (await operator.get("/desk/drafts")).text
    assert "Une autre personne doit approuver." in page
    assert "/approve" not in page
    page = (await dpo.get("/desk/drafts")).text
    for said in ("Un autre titre", "Aujourd’hui : Traitements au long cours", "Conservation (mois) 24",
                 "sct|59621000", "Retiré de la liste", "remet à zéro le temps d’affichage"):  # fmt: skip
        assert said in shown(page), said
    assert "sct|44054006" not in page, "what does not change is not shown"
    (action,) = re.findall(r'"(/desk/drafts/\d+/approve)"', page)
    assert (await operator.post(action)).status_code == 403
    assert (await dpo.post(action)).headers["location"] == "/desk/drafts"
    assert (await Study.get(id="diabetes")).title == "Un autre titre"
    assert (await dpo.post(action)).status_code == 409
    assert "Rien n’attend." in (await dpo.get("/desk/drafts")).text
    english = shown((await dpo.get("/desk/drafts?lang=en")).text)
    assert "Nothing is waiting." in english


async def test_a_dpo_refuses_and_what_counts_goes_on_counting(web: Web) -> None:
    await load(web, changed_study())
    dpo = await web.as_account(web.world.dpo)
    (action,) = re.findall(r'"(/desk/drafts/\d+/refuse)"', (await dpo.get("/desk/drafts")).text)
    assert (await dpo.post(action)).headers["location"] == "/desk/drafts"
    assert (await Study.get(id="diabetes")).title == "Traitements au long cours"
    assert (await dpo.post(action)).status_code == 409


async def test_one_human_with_two_accounts_is_offered_no_approval(web: Web) -> None:
    w = web.world
    await load(web, changed_study())
    both = await add_staff(w.means, email="both@example.org", role=Role.DPO, study_id=None, actor="system:test")
    await Account.filter(id=both.id).update(issuer=w.operator.issuer, subject=w.operator.subject)
    await Account.filter(id=w.operator.id).update(closed_at=w.clock.now())
    browser = await web.as_account(await Account.get(id=both.id))
    page = (await browser.get("/desk/drafts")).text
    assert "Une autre personne doit approuver." in page
    assert "/approve" not in page
    (refuse,) = re.findall(r'"(/desk/drafts/\d+/refuse)"', page)
    refused = await browser.post(refuse.replace("refuse", "approve"))
    assert refused.status_code == 403
    assert "Qui a chargé un fichier" in refused.text


async def test_what_cannot_be_approved_says_why_and_offers_no_button(web: Web) -> None:
    await load(web, changed_study())
    narrower = reviewed(authorisation__conditions={**GIVEN, "k": 5, "purposes": ["drug_safety"]})
    dpo = await web.as_account(web.world.dpo)
    await load(web, ReviewedFile(authorisation=narrower.authorisation))
    page = (await dpo.get("/desk/drafts")).text
    assert "Ces études demanderaient alors plus que ce qui est donné" in shown(page)
    first, second = re.findall(r'"(/desk/drafts/\d+/approve)"', page)
    await dpo.post(first)
    page = (await dpo.get("/desk/drafts")).text
    assert "Ne peut pas être approuvé" in shown(page)
    assert "Plus petit groupe permis (k) – G12" in shown(page)
    assert "But – G06" in shown(page)
    assert "/approve" not in page
    assert (await dpo.post(second)).status_code == 422
    english = shown((await dpo.get("/desk/drafts?lang=en")).text)
    assert "Smallest allowed group" in english or "(k) – G12" in english


async def test_what_nobody_in_person_loaded_says_so(web: Web) -> None:
    await govern.load(web.world.means, changed_study(), actor="system:cli")
    dpo = await web.as_account(web.world.dpo)
    page = (await dpo.get("/desk/drafts")).text
    assert "On ne sait pas qui l’a chargé." in page
    assert "/approve" not in page


async def test_studies_and_authorisations_are_told_in_words(web: Web) -> None:
    operator = await web.as_account(web.world.operator)
    page = shown((await operator.get("/desk/studies")).text)
    for said in ("Recherche en santé publique", "année de naissance, à la décennie", "maladies, telle quelle – 2 codes",
                 "Mission d’intérêt public", "Promotion de produits de santé", "Recherche publique"):  # fmt: skip
        assert said in page, said
    english = shown((await operator.get("/desk/studies?lang=en")).text)
    for said in ("Public health research", "year of birth, by decade", "Task in the public interest", "Insurance"):
        assert said in english, said
    for raw in ("public_health_research", "year_of_birth", "public_task", "decade", "public_research"):
        assert raw not in page
        assert raw not in english.replace("by decade", "")


@ON_BOTH
async def test_a_study_is_closed_and_an_authorisation_suspended_at_once_by_one_person(web: Web) -> None:
    operator = await web.as_account(web.world.operator)
    assert (await operator.post("/desk/studies/diabetes/close")).headers["location"] == "/desk/studies"
    assert (await Study.get(id="diabetes")).closed_at is not None
    assert "Close" in shown((await operator.get("/desk/studies")).text)
    assert (await operator.post("/desk/studies/diabetes/close")).status_code == 404
    assert (await operator.post("/desk/authorisations/cnil-1/suspend")).headers["location"] == "/desk/studies"
    assert (await Authorisation.get(id="cnil-1")).suspended_at is not None
    page = (await operator.get("/desk/studies")).text
    assert "Suspendue" in page
    assert "/suspend" not in page


async def test_drafts_that_do_not_exist_are_not_found(web: Web) -> None:
    dpo = await web.as_account(web.world.dpo)
    for number in ("77", "9" * 18, "9" * 30):
        for act in ("approve", "refuse"):
            assert (await dpo.post(f"/desk/drafts/{number}/{act}")).status_code == 404


async def test_the_public_page_shows_no_draft(web: Web) -> None:
    await load(web, changed_study())
    page = (await web.browser().get("/transparency")).text
    assert "Un autre titre" not in page
    assert "Conservation (mois)" in page
