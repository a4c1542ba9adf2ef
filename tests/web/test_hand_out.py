"""A notice handed out at the practice, as the doctor does it: shown or printed, confirmed, undone the same day."""

import re

import pytest
from kept import dump, one_entry
from paper import seen_codes, words
from whole_site import Shown, Web
from world import child, patient

from portal.flow import opt_out
from portal.flow.decide import Asked, explain
from portal.flow.hand_over import report_handed_over
from portal.records.accounts import Account
from portal.records.notices import Notice
from portal.rules.clearance import Withheld
from portal.rules.words import NoticeChannel, NoticeState, Scope

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


async def doctor(web: Web) -> Account:
    return await Account.get(role="doctor")


async def handed(web: Web) -> Notice:
    return await Notice.get(channel=NoticeChannel.HAND)


async def reasons(web: Web, number: str) -> tuple[str, ...]:
    verdict, _ = await explain(web.world.means, Asked("demo"), practice_id="practice-a", number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


@ON_BOTH
async def test_a_notice_is_handed_out_confirmed_and_counts(web: Web) -> None:
    await web.world.register([patient("5", email="")], partial=True)
    browser = await web.as_account(await doctor(web))
    assert "Remettre la notice" in (await browser.get("/doctor/patients")).text
    async with one_entry("notice_hand_over_reported"):
        answer = await browser.post("/doctor/patients/hand-over", data={"number": "5"})
    assert answer.status_code == 303
    page = await browser.get(answer.headers["location"])
    assert Shown(page.text).heading == "Remettre la notice"
    assert "<path" in page.text
    again = await browser.post("/doctor/patients/hand-over", data={"number": "5"})
    assert again.headers["location"] == answer.headers["location"], "pressed twice it is one notice"
    assert "G55" in await reasons(web, "5")
    assert f'href="{answer.headers["location"]}"' in (await browser.get("/doctor/patients")).text
    notice = await handed(web)
    assert (await browser.post(f"/doctor/notices/{notice.id}/confirm")).status_code == 303
    assert "Remise notée" in (await browser.get(answer.headers["location"])).text
    assert "G55" not in await reasons(web, "5")
    assert "G56" in await reasons(web, "5"), "the reflection period has just begun"


async def test_the_printed_notice_leads_to_her_page_by_square_and_by_code(web: Web) -> None:
    browser = await web.as_account(await doctor(web))
    at = (await browser.post("/doctor/patients/hand-over", data={"number": "1"})).headers["location"]
    pdf = await browser.post(f"{at}/print")
    assert pdf.headers["content-type"] == "application/pdf"
    codes = seen_codes(pdf.content)
    assert [page for page in codes if page] == [{"QRCode": codes[0]["QRCode"]}]
    path = codes[0]["QRCode"].removeprefix(web.settings.base_url)
    assert (await web.browser().get(path)).status_code == 200
    code = re.search(r"Votre code ((?:\w{5} ){2}\w{4})", words(pdf.content)[0])
    assert code
    answer = await web.browser().post("/code", data={"code": code[1]})
    assert answer.headers["location"] == path


async def test_a_hand_over_by_mistake_is_undone_the_same_day_only(web: Web) -> None:
    browser = await web.as_account(await doctor(web))
    at = (await browser.post("/doctor/patients/hand-over", data={"number": "1"})).headers["location"]
    await browser.post(f"{at}/confirm")
    async with one_entry("notice_hand_over_undone"):
        assert (await browser.post(f"{at}/undo")).status_code == 303
    assert (await handed(web)).state == NoticeState.REPORTED
    await browser.post(f"{at}/confirm")
    web.world.wait(1)
    before = await dump()
    assert (await browser.post(f"{at}/undo")).status_code in (401, 303, 409)
    browser = await web.as_account(await doctor(web))
    before = await dump()
    assert (await browser.post(f"{at}/undo")).status_code == 409
    assert await dump() == before


async def test_a_childs_notice_goes_to_her_mother_by_name(web: Web) -> None:
    browser = await web.as_account(await doctor(web))
    at = (await browser.post("/doctor/patients/hand-over", data={"number": "4"})).headers["location"]
    assert "À Un Parent, pour le patient 4" in (await browser.get(at)).text
    assert (await handed(web)).addressee == "parent"


async def test_what_the_software_reported_waits_on_the_doctors_list(web: Web) -> None:
    given = {"observatory_id": "demo", "practice_id": "practice-a", "number": "2"}
    notice = await report_handed_over(web.world.means, **given, actor="software:practice-a")
    browser = await web.as_account(await doctor(web))
    page = await browser.get("/doctor/patients")
    assert "Remises à confirmer" in page.text
    assert (await browser.get(f"/doctor/notices/{notice}")).status_code == 200


@pytest.mark.parametrize("number", ["", "77", "' OR 1=1"])
async def test_nobody_is_handed_a_notice_about_a_patient_who_is_not_there(web: Web, number: str) -> None:
    browser = await web.as_account(await doctor(web))
    before = await dump()
    assert (await browser.post("/doctor/patients/hand-over", data={"number": number})).status_code == 404
    assert await dump() == before


async def test_another_practices_notice_is_not_shown_printed_or_confirmed(web: Web) -> None:
    browser = await web.as_account(await doctor(web))
    at = (await browser.post("/doctor/patients/hand-over", data={"number": "1"})).headers["location"]
    other = await web.as_account(await web.world.enrol(2, number="doctor-2", rpps="10000000002"))
    before = await dump()
    assert (await other.get(at)).status_code == 404
    for act in ("print", "confirm", "undo"):
        assert (await other.post(f"{at}/{act}")).status_code == 404
    mailed = await Notice.filter(channel="email").first()
    assert (await browser.get(f"/doctor/notices/{mailed.id}")).status_code == 404
    assert await dump() == before


async def test_a_second_holder_is_handed_hers_after_the_first(web: Web) -> None:
    await web.world.register([child("6")], partial=True)
    browser = await web.as_account(await doctor(web))
    first = (await browser.post("/doctor/patients/hand-over", data={"number": "6"})).headers["location"]
    await browser.post(f"{first}/confirm")
    again = (await browser.post("/doctor/patients/hand-over", data={"number": "6"})).headers["location"]
    assert again != first, "with one holder, another copy for her"


@ON_BOTH
async def test_a_doctor_learns_nothing_from_a_link_that_is_the_patients_alone(web: Web) -> None:
    browser = await web.as_account(await doctor(web))
    at = (await browser.post("/doctor/patients/hand-over", data={"number": "1"})).headers["location"]
    other = (await browser.post("/doctor/patients/hand-over", data={"number": "2"})).headers["location"]
    await browser.post(f"{other}/confirm")
    assert (await browser.post(f"{other}/print")).status_code == 409, "handed over"
    assert (await browser.post(f"{at}/print")).status_code == 200
    await opt_out.object_(web.world.means, web.world.links["patient1@example.org"], Scope.EVERYTHING)
    page = await browser.get(at)
    assert (page.status_code, "<path" in page.text, "C’est remis" in page.text) == (200, False, True)
    assert "n’est plus montrée ici" in page.text
    assert (await browser.post(f"{at}/print")).status_code == 409
    assert (await browser.post("/doctor/patients/hand-over", data={"number": "1"})).status_code == 409
