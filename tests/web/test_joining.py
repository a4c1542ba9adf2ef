"""The doctor's way in over the pages: an invitation's link, sign-in, agreement, signature, its copy; and the desk."""

import re
from dataclasses import replace
from datetime import date

import httpx2
import pytest
from answering import serving
from kept import dump
from paper import words
from whole_site import Shown, Web, doctor_person

from portal.flow.mail_doctor import send_to_doctors
from portal.outside.directory import AnnuaireSante
from portal.records.accounts import Account
from portal.records.enrolments import Enrolment, Invitation, Signature
from portal.records.governance import AgreementText
from portal.web.letters import render_to_doctor

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
HERS = "dr.nouvelle@example.org"


async def invited(web: Web, practice: str = "") -> str:
    """The address of the link that was mailed, after an operator invited at the desk."""
    operator = await web.as_account(web.world.operator)
    answer = await operator.post("/desk/invitations", data={"email": HERS, "practice": practice})
    assert answer.status_code == 303
    before = len(web.world.post.sent)
    await send_to_doctors(web.world.means, web.world.post, render_to_doctor)
    text = web.world.post.sent[before][2].decode()
    found = re.search(r"/join/([\w=\r\n-]+)", text)
    assert found
    return "/join/" + re.sub(r"=\r\n", "", found[1]).split()[0][:43]


async def come(web: Web, path: str, *sites: str) -> tuple[httpx2.AsyncClient, httpx2.Response]:
    """A doctor opens the page, and signs in from it."""
    web.persons["doctors"].append(doctor_person("new-doctor", *sites))
    browser = web.browser()
    shown = Shown((await browser.get(path)).text)
    begun = await browser.get(next(link for link in shown.links if link.startswith("/login/doctor")))
    chosen = await browser.post(begun.headers["location"], data={"sub": "new-doctor"})
    return browser, await browser.get(chosen.headers["location"])


@ON_BOTH
async def test_from_the_mail_to_the_signature(web: Web) -> None:
    path = await invited(web)
    page = (await web.browser().get(path)).text
    assert Shown(page).heading == "Participer\u00a0: 2 minutes. Arrêter\u00a0: un clic."
    assert "Se connecter avec Pro Santé Connect" in page
    assert HERS not in page
    browser, back = await come(web, path, "750000002")
    assert back.headers["location"] == "/doctor/agreement"
    agreement = (await browser.get("/doctor/agreement")).text
    assert "Votre cabinet\u00a0: Cabinet 750000002" in agreement
    assert f'value="{HERS}"' in agreement
    assert not await Enrolment.exists(practice_id="practice-b"), "reading signs nothing and chooses nothing"
    given = {**Shown(agreement).hidden, "read": "yes", "email": HERS}
    signed = await browser.post("/doctor/agreement", data=given)
    assert signed.headers["location"] == "/doctor/signed"
    kept = (await browser.get("/doctor/signed")).text
    signature = await Signature.get(enrolment__practice_id="practice-b")
    assert "Rien ne part avant la vérification." in kept
    for said in ("Dominique Exemple · RPPS 99700000013", "niveau eidas1", signature.agreement_sha256, "Cabinet B"):
        assert said in kept
    copy = await browser.post("/doctor/signed/copy")
    assert copy.headers["content-type"] == "application/pdf"
    text = " ".join(words(copy.content)).replace("\u00a0", " ").replace("\u202f", " ")
    for said in (
        "Copie de l’accord signé, version 2026-06",
        "RPPS 99700000013",
        "niveau eidas1",
        "Si cet accord change",
    ):
        assert said in text
    assert signature.agreement_sha256 in re.sub(r"\s", "", text)


@ON_BOTH
async def test_reading_an_invitation_changes_nothing(web: Web) -> None:
    path = await invited(web)
    before = await dump()
    for address in (path, "/join", "/join/" + "x" * 43, "/join/é"):
        for method in ("GET", "HEAD"):
            await web.browser().request(method, address)
    assert await dump() == before


async def test_a_link_that_is_used_over_or_unknown_gets_one_answer_and_leaves_a_way(web: Web) -> None:
    path = await invited(web)
    await come(web, path, "750000002")
    late = await invited(web)
    web.world.wait(30)
    pages = [await web.browser().get(each) for each in (path, late, "/join/" + "x" * 43)]
    assert {page.status_code for page in pages} == {404}
    assert len({page.text for page in pages}) == 1
    assert "/login/doctor?join=open" in Shown(pages[0].text).links


async def test_an_invitation_to_a_practice_leads_to_it_also_with_several_sites(web: Web) -> None:
    browser, back = await come(web, await invited(web, "practice-b"), "750000001", "750000009")
    assert back.headers["location"] == "/doctor/agreement?site=750000002"
    shown = (await browser.get(back.headers["location"])).text
    assert "Votre cabinet\u00a0: Cabinet B" in shown
    await browser.post("/doctor/agreement", data={**Shown(shown).hidden, "read": "yes"})
    assert (await Enrolment.get(practice_id="practice-b")).state == "signed"
    assert (await Invitation.get()).used_at is not None


async def test_a_site_that_is_neither_hers_nor_in_an_invitation_is_refused(web: Web) -> None:
    browser, _ = await come(web, "/join", "750000001")
    assert (await browser.get("/doctor/agreement?site=750000002")).status_code == 404
    shown = Shown((await browser.get("/doctor/agreement")).text)
    before = await dump()
    answer = await browser.post("/doctor/agreement", data={**shown.hidden, "read": "yes", "site": "750000002"})
    assert answer.status_code == 404
    assert await dump() == before


@pytest.mark.parametrize(
    ("field", "said"), [("email", "pas d’arobase"), ("until", "2020-01-01"), ("until", "demain")],
    ids=["email", "past", "no day"],
)  # fmt: skip
async def test_what_is_wrong_is_asked_again_and_nothing_typed_is_lost(web: Web, field: str, said: str) -> None:
    browser, _ = await come(web, "/join", "750000002")
    shown = Shown((await browser.get("/doctor/agreement")).text)
    answer = await browser.post(
        "/doctor/agreement", data={**shown.hidden, "read": "yes", "history": "yes", field: said}
    )
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert f'value="{said}"' in answer.text
    assert answer.text.count(" checked") == 2
    assert not await Signature.exists(enrolment__practice_id="practice-b")


async def test_applying_by_oneself_begins_on_the_home_page(web: Web) -> None:
    assert "/join" in Shown((await web.browser().get("/")).text).links
    _, back = await come(web, "/join", "750000002")
    assert back.headers["location"] == "/doctor/agreement"


async def test_a_doctor_sees_and_acts_at_the_practice_that_the_address_names(web: Web) -> None:
    web.persons["doctors"].append(doctor_person("new-doctor", "750000001", "750000002"))
    browser, _ = await web.sign_in("doctor", "new-doctor")
    for site in ("750000001", "750000002"):
        chosen = await browser.post("/doctor/enrol", data={"site": site})
        shown = Shown((await browser.get(chosen.headers["location"])).text)
        await browser.post(chosen.headers["location"], data={**shown.hidden, "read": "yes"})
    first, second = await Enrolment.filter(account__subject="new-doctor").order_by("id")
    page = (await browser.get("/doctor")).text
    assert {f"/doctor?at={first.id}", f"/doctor?at={second.id}"} <= set(Shown(page).links)
    assert f"/doctor/leave?at={second.id}" in Shown(page).links, "every link of the page keeps its practice"
    for act in ("leave", "pause"):
        before = await dump()
        assert (await browser.post(f"/doctor/{act}")).status_code == 409, "another window may have opened another one"
        assert await dump() == before
    left = await browser.post(f"/doctor/leave?at={first.id}")
    assert left.headers["location"] == f"/doctor/leave?at={first.id}"
    states = await Enrolment.filter(account__subject="new-doctor").order_by("id").values_list("state", flat=True)
    assert states == ["left", "signed"]
    others = await Enrolment.get(account__subject="doctor-doctor-1")
    for at in (others.id, 0, 10**30, "x", ""):
        for address in ("/doctor", "/doctor/patients", "/doctor/agreement", "/doctor/leave"):
            assert (await browser.get(f"{address}?at={at}")).status_code == 404, (address, at)
        assert (await browser.post(f"/doctor/leave?at={at}")).status_code == 404


@ON_BOTH
async def test_an_operator_suspends_with_a_reason_and_lifts(web: Web) -> None:
    operator = await web.as_account(web.world.operator)
    dpo = await web.as_account(web.world.dpo)
    one = await Enrolment.get()
    here = f"/desk/enrolments/{one.id}"
    assert (await operator.post(f"{here}/suspend", data={"reason": "because"})).status_code == 422
    assert (await dpo.post(f"{here}/suspend", data={"reason": "inquiry"})).status_code == 403
    assert (await operator.post(f"{here}/suspend", data={"reason": "not_here"})).status_code == 303
    assert (await Enrolment.get()).state == "suspended"
    page = (await operator.get("/desk/enrolments")).text
    assert "n’exerce pas dans ce cabinet" in page
    assert f"{here}/lift" in page
    assert f"{here}/lift" not in (await dpo.get("/desk/enrolments")).text
    assert (await operator.post(f"{here}/lift")).status_code == 303
    assert (await Enrolment.get()).state == "active"


async def test_what_is_wrong_with_an_invitation_is_asked_again(web: Web) -> None:
    operator = await web.as_account(web.world.operator)
    answer = await operator.post("/desk/invitations", data={"email": "no address", "practice": "practice-b"})
    assert (answer.status_code, 'href="#email"' in answer.text) == (422, True)
    assert 'value="no address"' in answer.text
    assert '<option value="practice-b" selected>' in answer.text
    await operator.post("/desk/invitations", data={"email": HERS})
    page = (await operator.get("/desk/enrolments")).text
    assert HERS in page
    withdraw = re.search(r"/desk/invitations/[\w-]+/withdraw", page)
    assert withdraw
    assert (await operator.post(withdraw[0])).status_code == 303
    assert HERS not in (await operator.get("/desk/enrolments")).text
    assert (await operator.post(withdraw[0])).status_code == 404


async def test_a_newer_agreement_is_shown_with_its_difference_and_signed_in_one_click(web: Web) -> None:
    old = await AgreementText.get(language="fr")
    sections = [{**s, "text": s["text"].replace("en un clic", "en deux clics")} for s in old.body["sections"]]
    summary = [*old.body["summary"][:-1], "Vous partez en deux clics, sans délai ni raison."]
    await AgreementText.create(
        observatory_id="demo", version="2026-09", language="fr", sha256="f" * 64, grace_until=date(2026, 12, 31),
        body={**old.body, "summary": summary, "sections": sections}, entry_id=old.entry_id,
    )  # fmt: skip
    browser = await web.as_account(await Account.get(subject="doctor-doctor-1"))
    home = (await browser.get("/doctor")).text
    assert "L’accord change\u00a0: version 2026-09" in home
    assert "plus rien ne part après le 31\u00a0décembre 2026" in home
    page = (await browser.get("/doctor/agreement")).text
    assert "<del>[retiré] un clic,</del>" in page
    assert "<ins>[ajouté] deux clics,</ins>" in page
    assert 'type="checkbox"' not in page
    signed = await browser.post("/doctor/agreement", data=Shown(page).hidden)
    assert signed.headers["location"] == "/doctor/signed"
    enrolment = await Enrolment.get().select_related("agreement")
    assert (enrolment.state, enrolment.agreement and enrolment.agreement.version) == ("active", "2026-09")
    assert "L’accord change" not in (await browser.get("/doctor")).text


@pytest.mark.parametrize("serves", [True, False], ids=["answers", "is gone"])
async def test_an_operator_looks_a_doctor_up_and_verifies_whatever_it_says(web: Web, serves: bool) -> None:
    web.persons["doctors"].append(doctor_person("new-doctor", "750000002"))
    browser, _ = await web.sign_in("doctor", "new-doctor")
    shown = Shown((await browser.get("/doctor/agreement")).text)
    await browser.post("/doctor/agreement", data={**shown.hidden, "read": "yes"})
    one = await Enrolment.get(practice_id="practice-b")
    operator, look_up = await web.as_account(web.world.operator), f"/desk/enrolments/{one.id}/look-up"
    page = (await operator.get("/desk/enrolments")).text
    assert look_up not in page
    assert (await operator.post(look_up)).status_code == 409
    with serving(b'{"resourceType": "Bundle"}') as (base, asked):
        there = AnnuaireSante(base if serves else "http://127.0.0.1:9", "key")
        web.app.state.portal = replace(web.app.state.portal, directory=there)
        assert look_up in (await operator.get("/desk/enrolments")).text
        assert asked == [], "reading asks nobody"
        assert (await operator.post(look_up)).status_code == 303
        assert len(asked) == int(serves)
    page = (await operator.get("/desk/enrolments")).text
    assert ("Pas dans l’annuaire." if serves else "L’annuaire n’a pas répondu.") in page
    verified = await operator.post(f"/desk/enrolments/{one.id}/verify", data={"doctor_number": "doctor-9"})
    assert verified.status_code == 303
    assert (await Enrolment.get(id=one.id)).state == "active", "a warning is no wall"
