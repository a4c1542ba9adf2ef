"""The doctor's way: choose a practice, read, sign, be verified, look, leave in one click."""

import re

import httpx2
import pytest
from kept import dump
from whole_site import Shown, Web, doctor_person
from world import child, patient

from portal.records.accounts import Account
from portal.records.enrolments import Enrolment
from portal.records.governance import AgreementText
from portal.rules.words import Role


async def new_doctor(web: Web, *sites: str) -> httpx2.AsyncClient:
    web.persons["doctors"].append(doctor_person("new-doctor", *sites))
    browser, _ = await web.sign_in("doctor", "new-doctor")
    return browser


async def known_doctor(web: Web) -> httpx2.AsyncClient:
    """The doctor of Cabinet A, active since the beginning."""
    return await web.as_account(await Account.get(role=Role.DOCTOR, subject="doctor-doctor-1"))


async def signed(browser: httpx2.AsyncClient, path: str = "/doctor/agreement", **changes: str) -> httpx2.Response:
    shown = Shown((await browser.get(path)).text)
    return await browser.post(path, data={**shown.hidden, "read": "yes", **changes})


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
async def test_from_sign_in_to_active_and_out_again(web: Web) -> None:
    browser = await new_doctor(web, "750000002", "750000009")
    choice = (await browser.get("/doctor/enrol")).text
    assert choice.count('type="radio"') == 2
    assert "checked" not in choice

    chosen = await browser.post("/doctor/enrol", data={"site": "750000002"})
    assert chosen.headers["location"] == "/doctor/agreement"
    assert "Accord à signer" in (await browser.get("/doctor")).text
    assert (await signed(browser, read="")).status_code == 422
    assert (await signed(browser, history="yes")).headers["location"] == "/doctor/signed"
    assert "en attente de vérification" in (await browser.get("/doctor")).text

    operator = await web.as_account(web.world.operator)
    listed = (await operator.get("/desk/enrolments")).text
    action = re.search(r"/desk/enrolments/(\d+)/verify", listed)
    assert action
    for bad in ("", " ", "9" * 81):
        refused = await operator.post(action[0], data={"doctor_number": bad})
        assert refused.status_code == 422
        assert f'href="#doctor_number-{action[1]}"' in refused.text
    assert (await operator.post(action[0], data={"doctor_number": "doctor-9"})).status_code == 303
    enrolment = await Enrolment.get(id=int(action[1]))
    assert (enrolment.state, enrolment.doctor_number, enrolment.includes_history) == ("active", "doctor-9", True)

    assert "Actif" in (await browser.get("/doctor")).text
    assert (await browser.post("/doctor/pause")).headers["location"] == "/doctor"
    assert "En pause" in (await browser.get("/doctor")).text
    await browser.post("/doctor/resume")
    assert "Actif" in (await browser.get("/doctor")).text
    left = await browser.post("/doctor/leave")
    assert "Vous avez quitté l’observatoire." in (await browser.get(left.headers["location"])).text
    assert (await Enrolment.get(id=int(action[1]))).state == "left"
    assert "Participer de nouveau" in (await browser.get("/doctor")).text
    again = await browser.post("/doctor/enrol", data={"site": "750000002"})
    assert (await signed(browser, again.headers["location"])).status_code == 303
    assert (await Enrolment.get(id=int(action[1]))).state == "signed", "and is verified again"


async def test_a_text_that_changed_since_it_was_read_is_not_signed(web: Web) -> None:
    browser = await new_doctor(web, "750000002")
    await browser.post("/doctor/enrol", data={"site": "750000002"})
    other = (await AgreementText.exclude(language="fr").get()).sha256
    for changes in ({"sha256": other}, {"sha256": ""}, {"agreement": "999"}, {"agreement": "x"}):
        before = await dump()
        answer = await signed(browser, **changes)
        assert answer.status_code in (409, 422)
        assert "Le texte a changé" in answer.text
        assert await dump() == before


async def test_the_language_of_the_page_is_the_language_that_is_signed(web: Web) -> None:
    browser = await new_doctor(web, "750000002")
    await browser.post("/doctor/enrol", data={"site": "750000002"})
    shown = Shown((await browser.get("/doctor/agreement?lang=en")).text)
    await browser.post("/doctor/agreement?lang=en", data={**shown.hidden, "read": "yes"})
    enrolment = await Enrolment.get(practice_id="practice-b").select_related("agreement")
    assert enrolment.agreement is not None
    assert enrolment.agreement.language == "en"


async def test_only_a_site_that_the_identity_provider_named_can_be_chosen(web: Web) -> None:
    browser = await new_doctor(web, "750000002")
    for site in ("750000001", "", "750000002x"):
        assert (await browser.post("/doctor/enrol", data={"site": site})).status_code == 422
    assert not await Enrolment.exists(practice_id="practice-b")


async def test_a_doctor_at_two_sites_enrolled_at_one_works_there(web: Web) -> None:
    browser = await new_doctor(web, "750000009", "750000002")
    await browser.post("/doctor/enrol", data={"site": "750000002"})
    assert "Cabinet B" in (await browser.get("/doctor")).text
    assert (await signed(browser)).status_code == 303


async def test_patients_are_shown_by_state_and_never_why(web: Web) -> None:
    browser = await known_doctor(web)
    link = web.world.links["patient1@example.org"]
    await web.browser().post(f"/o/{link}/object", data={"scope": "everything"})
    page = (await browser.get("/doctor/patients")).text
    states = dict(re.findall(r'<th scope="row">(\d)</th><td>([^<]+)</td>', page))
    assert states == {"1": "Ne participe pas", "2": "Prévenu", "3": "Prévenu", "4": "Prévenu"}
    home = (await browser.get("/doctor")).text
    assert re.findall(r'class="n">(\d+)</td>', home) == ["3", "0", "0", "1", "4"]


async def test_nobody_sees_patients_before_being_verified_nor_after_leaving(web: Web) -> None:
    browser = await new_doctor(web, "750000001")
    await browser.post("/doctor/enrol", data={"site": "750000001"})
    await signed(browser)
    assert "a vérifié votre inscription" in (await browser.get("/doctor/patients")).text
    known = await known_doctor(web)
    assert "Prévenu" in (await known.get("/doctor/patients")).text
    await known.post("/doctor/leave")
    assert "Prévenu" not in (await known.get("/doctor/patients")).text


async def test_a_doctor_acts_for_her_own_enrolment_only(web: Web) -> None:
    browser = await new_doctor(web, "750000001")
    await browser.post("/doctor/enrol", data={"site": "750000001"})
    await browser.post("/doctor/leave")
    states = await Enrolment.all().order_by("id").values_list("state", flat=True)
    assert states == ["active", "left"]


async def test_who_is_not_reachable_is_counted(web: Web) -> None:
    await web.world.register([patient(n) for n in "123"] + [patient("5", email="")])
    page = (await (await known_doctor(web)).get("/doctor")).text
    assert "1 patient n’a pas pu être prévenu par message." in page


async def test_before_enrolling_every_page_leads_to_the_choice(web: Web) -> None:
    browser = await new_doctor(web, "750000002", "750000009")
    assert (await browser.get("/doctor/agreement")).headers["location"] == "/doctor/enrol"
    assert (await browser.get("/doctor/leave")).headers["location"] == "/doctor"
    for act in ("leave", "pause", "resume"):
        assert (await browser.post(f"/doctor/{act}")).status_code == 409


async def test_a_patient_tells_her_doctor_no(web: Web) -> None:
    browser = await known_doctor(web)
    assert "M’a dit non" in (await browser.get("/doctor/patients")).text
    answer = await browser.post("/doctor/patients/object", data={"number": "1"})
    assert answer.status_code == 303
    page = await browser.get(answer.headers["location"])
    assert "ses données ne partiront plus" in Shown(page.text).heading
    assert (await browser.get("/doctor/patients")).text.count("<td>Ne participe pas</td>") == 1
    link = web.world.links["patient1@example.org"]
    assert "dit à votre médecin" in (await web.browser().get(f"/o/{link}/receipt")).text
    assert (await browser.post("/doctor/patients/object", data={"number": "1", "said_on": "hier"})).status_code == 422
    assert (await browser.post("/doctor/patients/object", data={"number": "999"})).status_code == 404
    undone = await browser.post(f"{answer.headers['location']}/undo")
    assert "annulé" in Shown((await browser.get(undone.headers["location"])).text).heading


async def test_a_minor_of_sixteen_is_told_alone_when_she_asks_and_nobody_else_is(web: Web) -> None:
    sixteen = f"{web.world.clock.now().year - 16}-01-02"
    await web.world.register([patient("1"), child("4", given_names="Camille"), child("5", birth_date=sixteen)])
    browser = await known_doctor(web)
    page = (await browser.get("/doctor/patients")).text
    assert page.count("Prévenir le mineur seul") == 1
    for number in ("1", "4", "999"):
        assert (await browser.post("/doctor/patients/alone", data={"number": number})).status_code in (404, 422)
    assert (await browser.post("/doctor/patients/alone", data={"number": "5"})).status_code == 303
    page = (await browser.get("/doctor/patients")).text
    assert page.count("Prévenir de nouveau les parents") == 1
    assert "Prévenir le mineur seul" not in page
    assert (await browser.post("/doctor/patients/holders", data={"number": "5"})).status_code == 303
    assert (await browser.get("/doctor/patients")).text.count("Prévenir le mineur seul") == 1


async def test_a_patient_tells_her_doctor_later_that_she_takes_it_back(web: Web) -> None:
    browser = await known_doctor(web)
    where = (await browser.post("/doctor/patients/object", data={"number": "1"})).headers["location"]
    assert f"{where}/take-back" not in (await browser.get(where)).text, "today a wrong row is undone"
    web.world.wait(9)
    browser = await known_doctor(web)
    assert where in Shown((await browser.get("/doctor/patients")).text).links
    assert f"{where}/take-back" in (await browser.get(where)).text
    early = await browser.post(f"{where}/take-back", data={"said_on": "2026-01-01"})
    assert (early.status_code, "avant le non" in early.text) == (422, True)
    day = web.world.clock.now().date().isoformat()
    assert (await browser.post(f"{where}/take-back", data={"said_on": day})).status_code == 303
    assert "ce non est retiré" in Shown((await browser.get(where)).text).heading
    assert where not in Shown((await browser.get("/doctor/patients")).text).links
    assert (await browser.post(f"{where}/take-back", data={"said_on": day})).status_code == 409


async def test_the_dpo_takes_back_what_was_told_to_a_doctor(web: Web) -> None:
    browser = await known_doctor(web)
    where = (await browser.post("/doctor/patients/object", data={"number": "1"})).headers["location"]
    dpo = await web.as_account(web.world.dpo)
    assert 'action="/desk/objections/told"' in (await dpo.get("/desk/objections")).text
    given = {"practice": "practice-a", "number": "1", "channel": "paper", "said_on": ""}
    assert (await browser.post("/desk/objections/told", data=given)).status_code == 403
    assert (await dpo.post("/desk/objections/told", data=given | {"number": "2"})).status_code == 409
    assert (await dpo.post("/desk/objections/told", data=given)).status_code == 303
    assert "Ne participe pas" not in (await browser.get("/doctor/patients")).text
    assert "annulé" in Shown((await browser.get(where)).text).heading, "on the day itself it counts as undone"
