"""What belongs to somebody: its owner gets an answer, everybody else the answer of what is not there."""

from dataclasses import dataclass
from uuid import uuid4

import httpx2
import pytest
from kept import dump
from whole_site import Web
from world import patient

from portal.flow import enrol
from portal.flow.sign_in import add_staff
from portal.records.accounts import Account
from portal.records.enrolments import Enrolment
from portal.rules.words import Role
from portal.web.routes import DOCTORS, PAGES, RECIPIENTS, Page

OWNED = [p for p in PAGES if "{id" in p.path and p.who in (DOCTORS, RECIPIENTS) and "/software/" not in p.path]
"""A program on file is nobody's: whom a doctor lets in is tried in test_programs_in.py."""

OF_DOCTORS = [p for p in OWNED if p.who is DOCTORS]
STRANGERS = ("other-practice", "not-verified", "nowhere-enrolled")
BY_NUMBER = ("object", "alone", "holders", "hand-over")


@dataclass
class There:
    """One notice being handed out and one no told to a doctor, both at Cabinet A, and who may look."""

    web: Web
    notice: str
    objection: str

    async def ask(self, browser: httpx2.AsyncClient, page: Page, *, wanted: str = "") -> httpx2.Response:
        kept = self.notice if "/notices/" in page.path else self.objection
        return await browser.request(page.method, page.path.replace("{id}", wanted or kept))


async def owner() -> Account:
    return await Account.get(role=Role.DOCTOR, subject="doctor-doctor-1")


async def stranger(web: Web, kind: str) -> Account:
    w = web.world
    if kind == "other-practice":
        return await w.enrol(2, number="doctor-2", rpps="10000000002")
    if kind == "not-verified":
        return await w.enrol(1, number="doctor-3", rpps="10000000003", verified=False)
    account = await w.enrol(2, number="doctor-4", rpps="10000000004")
    await Enrolment.filter(account_id=account.id).delete()
    return account


def last(answer: httpx2.Response) -> str:
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].rpartition("/")[2]


@pytest.fixture
async def there(web: Web) -> There:
    browser = await web.as_account(await owner())
    notice = last(await browser.post("/doctor/patients/hand-over", data={"number": "1"}))
    objection = last(await browser.post("/doctor/patients/object", data={"number": "2"}))
    return There(web, notice, objection)


def test_every_page_of_something_owned_has_its_cells() -> None:
    assert {p.path.split("/")[2] for p in OWNED} == {"notices", "objections", "releases"}
    assert len(OF_DOCTORS) == 7
    numbered = {p.path for p in PAGES if p.who is DOCTORS and p.method == "POST" and "/patients/" in p.path}
    assert numbered == {f"/doctor/patients/{each}" for each in BY_NUMBER}


@pytest.mark.shows("R12")
@pytest.mark.parametrize("kind", STRANGERS)
@pytest.mark.parametrize("page", OF_DOCTORS, ids=lambda p: f"{p.method}-{p.path}")
async def test_what_is_anothers_is_not_there(there: There, page: Page, kind: str) -> None:
    mine, hers = await there.web.as_account(await owner()), await there.web.as_account(await stranger(there.web, kind))
    for confirmed in (False, True):
        if confirmed:
            assert (await mine.post(f"/doctor/notices/{there.notice}/confirm")).status_code == 303
        before = await dump()
        foreign, unknown = await there.ask(hers, page), await there.ask(hers, page, wanted=str(uuid4()))
        assert (foreign.status_code, foreign.text) == (404, unknown.text)
        assert await dump() == before


@pytest.mark.shows("R12")
@pytest.mark.parametrize("page", OF_DOCTORS, ids=lambda p: f"{p.method}-{p.path}")
async def test_what_is_her_own_is_there_for_her_and_to_see_for_a_colleague(there: There, page: Page) -> None:
    mine = await there.web.as_account(await owner())
    if page.path == "/doctor/notices/{id}/undo":
        await mine.post(f"/doctor/notices/{there.notice}/confirm")
    assert (await there.ask(mine, page)).status_code in (200, 303)
    if page.method == "GET":
        colleague = await there.web.world.enrol(1, number="doctor-5", rpps="10000000005")
        assert (await there.ask(await there.web.as_account(colleague), page)).status_code == 200


@pytest.mark.shows("R12")
@pytest.mark.parametrize("act", BY_NUMBER)
async def test_a_number_of_another_practice_is_no_patient(web: Web, act: str) -> None:
    await web.world.enrol(2, number="doctor-2", rpps="10000000002")
    await web.world.register([patient("77", birth_date="2010-03-01")], "practice-b")
    browser = await web.as_account(await owner())
    before = await dump()
    foreign, unknown = [
        await browser.post(f"/doctor/patients/{act}", data={"number": number}) for number in ("77", "78")
    ]
    assert (foreign.status_code, foreign.text) == (404, unknown.text)
    assert await dump() == before


@pytest.mark.shows("R12")
async def test_who_left_a_practice_hands_out_nothing_there(there: There) -> None:
    account = await owner()
    enrolment = await Enrolment.get(account_id=account.id)
    await enrol.leave(there.web.world.means, account, enrolment.id)
    gone = await there.web.as_account(account)
    for page in (p for p in OF_DOCTORS if "/notices/" in p.path):
        assert (await there.ask(gone, page)).status_code == 404, page.path


@pytest.mark.shows("R12")
async def test_a_release_of_another_study_is_handed_to_nobody_else(web: Web) -> None:
    """That it exists is no secret, since studies and their releases are listed in public; so the answer is G09."""
    sealed = await web.sealed()
    other = await add_staff(
        web.world.means, email="other@example.org", role=Role.RECIPIENT, study_id="another", actor="system:test"
    )
    await Account.filter(id=other.id).update(issuer="https://id.example.org", subject="other")
    browser = await web.as_account(await Account.get(id=other.id))
    before = await dump()
    answer = await browser.post(f"/recipient/releases/{sealed}/download")
    assert answer.status_code == 403
    assert sealed not in (await browser.get("/recipient")).text
    assert await dump() == before
