"""A doctor prepares her practice's extraction permit and downloads it; nobody else's."""

import tempfile
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import httpx2
import pyarrow.parquet as pq
import pytest
from kept import dump, one_entry, refused
from whole_site import Web

from portal.flow import permit
from portal.gate.permit import read_permit
from portal.records.accounts import Account
from portal.records.releases import Permit
from portal.rules.words import Crossing

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


async def browser_of(web: Web, subject: str = "doctor-doctor-1") -> httpx2.AsyncClient:
    return await web.as_account(await Account.get(role="doctor", subject=subject))


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def states(browser: httpx2.AsyncClient) -> list[str]:
    """What the list says of each permit, the newest first."""
    page = plain((await browser.get("/doctor/permits")).text)
    rows = page.partition("<tbody>")[2].split("</tr>")[:-1]
    return [" ".join(row.rpartition("<td>")[2].partition("</td>")[0].split()) for row in rows]


@ON_BOTH
async def test_the_permit_is_a_file_that_the_filter_reads_and_holds_only_who_passes(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = web.world
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))  # to see at the end that nothing is left there
    await web.browser().post(f"/o/{w.links['patient1@example.org']}/object", data={"scope": "everything"})
    browser = await browser_of(web)
    async with one_entry("permit_issued"):
        answer = await browser.post("/doctor/permits")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["content-disposition"] == 'attachment; filename="permit-1.zip"'
    with ZipFile(BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["permit/allowed.parquet", "permit/permit.jws"]
        archive.extractall(tmp_path)
    read = read_permit(tmp_path / "permit", w.means.ring.public_key(), w.clock.now(), crossing=Crossing.EXTRACTION)
    assert read.terms.practices == ("practice-a",)
    assert sorted(pq.read_table(read.allowed_path)["patient_id"].to_pylist()) == ["2", "3", "4"]
    assert left_in(tmp_path / "tmp") == [], "nothing of it stays in clear"


async def test_the_list_says_which_permit_is_still_accepted(web: Web) -> None:
    browser = await browser_of(web)
    before = await dump()
    assert await states(browser) == []
    assert await dump() == before
    await browser.post("/doctor/permits")
    assert [s.startswith('<span class="state ok">Valable</span> jusqu’au 12 avril') for s in await states(browser)] == [
        True
    ]
    await browser.post("/doctor/permits")
    assert (await states(browser))[1] == "Remplacée par une plus récente"
    await web.extract()
    assert (await states(browser))[0].startswith("Utilisée : envoi reçu le 11 avril")
    await browser.post("/doctor/permits")
    web.world.wait(1)
    assert (await states(await browser_of(web)))[0].startswith("Expirée depuis le 12 avril")


@ON_BOTH
async def test_a_doctor_gets_her_own_practices_permit_only(web: Web) -> None:
    """The practice is her enrolment's; what the form says besides is not read. The step itself refuses any other."""
    w = web.world
    other = await w.enrol(2, number="doctor-2", rpps="10000000002")
    await (await browser_of(web, "doctor-doctor-2")).post("/doctor/permits", data={"practice_id": "practice-a"})
    assert await Permit.all().values_list("practice_id", flat=True) == ["practice-b"]
    async with refused("other_practice"):
        await permit.issue(
            w.means, observatory_id="demo", practice_id="practice-a", by=other, out=w.folder / "not-hers"
        )
    assert not (w.folder / "not-hers").exists()


@pytest.mark.parametrize("state", ["paused", "left", "signed", "newcomer"])
async def test_without_an_active_enrolment_there_is_no_permit(web: Web, state: str) -> None:
    subject, w = "doctor-doctor-1", web.world
    if state in ("signed", "newcomer"):
        subject = "doctor-doctor-3"
        await w.enrol(1, number="doctor-3", rpps="10000000003", verified=False)
    browser = await browser_of(web, subject)
    if state == "newcomer":
        account = await Account.get(subject=subject)
        await Account.filter(id=account.id).update(subject="nobody")
        browser = await web.as_account(account)
    if state in ("paused", "left"):
        await browser.post(f"/doctor/{state.replace('paused', 'pause').replace('left', 'leave')}")
    before = await dump()
    assert 'action="/doctor/permits"' not in (await browser.get("/doctor/permits")).text
    assert (await browser.post("/doctor/permits")).status_code == (409 if state == "newcomer" else 403)
    assert await dump() == before


async def test_what_the_gate_refuses_for_everybody_is_told_with_its_reason(web: Web) -> None:
    web.world.wait(900)
    answer = await (await browser_of(web)).post("/doctor/permits")
    assert (answer.status_code, "G03" in answer.text) == (409, True)
