"""The desk and the study team: two persons for every release, and a download that is the release and no other."""

import io
import re
import tarfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from whole_site import Web, site
from world import TEXTS, patient

from portal.flow import govern
from portal.flow import release as flow
from portal.flow.decide import Asked, explain
from portal.flow.sign_in import add_staff
from portal.outside.tokens import pseudonym
from portal.records.accounts import Account
from portal.records.enrolments import Enrolment
from portal.records.notices import OutboxItem
from portal.records.people import Patient
from portal.records.releases import Release
from portal.rules.clearance import Withheld
from portal.rules.waiting import ATTEMPTS, paris_day
from portal.rules.words import Role

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


def files_of(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {}
        for entry in tar:
            assert (entry.uid, entry.gid, entry.uname, entry.mtime) == (0, 0, "", 0)
            file = tar.extractfile(entry)
            assert file
            found[entry.name] = file.read()
        return found


def kept(folder: Path) -> dict[str, bytes]:
    return {f"{folder.name}/{p.relative_to(folder)}": p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@ON_BOTH
async def test_an_operator_prepares_a_dpo_approves_and_the_study_team_downloads(web: Web) -> None:
    await web.extract()
    operator, dpo = await web.as_account(web.world.operator), await web.as_account(web.world.dpo)
    prepared = await operator.post("/desk/releases", data={"study": "diabetes"})
    where = prepared.headers["location"]
    assert "Il faut une seconde personne" not in (await operator.get(where)).text
    assert f'{where}/approve"' not in (await operator.get(where)).text
    assert (await operator.post(f"{where}/approve")).status_code == 403
    assert (await operator.post(f"{where}/seal")).status_code == 409, "not approved yet"

    assert f'{where}/approve"' in (await dpo.get(where)).text
    assert "Livraisons à approuver" in (await dpo.get("/desk")).text
    assert (await dpo.post(f"{where}/approve")).headers["location"] == where
    assert (await dpo.post(f"{where}/approve")).status_code == 409, "once"
    assert f'{where}/seal"' in (await operator.get(where)).text
    assert (await operator.post(f"{where}/seal")).headers["location"] == where
    page = (await operator.get(where)).text
    assert re.findall(r"<li>(Préparée|Approuvée|Scellée),", page) == ["Préparée", "Approuvée", "Scellée"]
    assert "moins de\u00a011" in page

    recipient = await web.as_account(web.world.recipient)
    release_id = where.rpartition("/")[2]
    assert release_id in (await recipient.get("/recipient")).text
    handed = await recipient.post(f"/recipient/releases/{release_id}/download")
    assert handed.headers["content-disposition"] == f'attachment; filename="{release_id}.tar"'
    assert int(handed.headers["content-length"]) == len(handed.content)
    assert files_of(handed.content) == kept(web.world.means.releases / release_id)
    again = await recipient.post(f"/recipient/releases/{release_id}/download")
    assert again.content == handed.content
    assert "Téléchargée" in (await operator.get(where)).text


async def test_one_human_with_two_accounts_does_not_approve_her_own(web: Web) -> None:
    w = web.world
    release_id = await web.prepared()
    both = await add_staff(w.means, email="both@example.org", role=Role.DPO, study_id=None, actor="system:test")
    await Account.filter(id=both.id).update(issuer=w.operator.issuer, subject=w.operator.subject)
    await Account.filter(id=w.operator.id).update(closed_at=w.clock.now())
    browser = await web.as_account(await Account.get(id=both.id))
    page = (await browser.get(f"/desk/releases/{release_id}")).text
    assert "Il faut une seconde personne" in page
    assert "/approve" not in page
    assert (await browser.post(f"/desk/releases/{release_id}/approve")).status_code == 403
    assert (await Release.get(id=release_id)).state == "prepared"


async def test_a_release_of_another_study_is_not_handed_over(web: Web) -> None:
    release_id = await web.sealed()
    w = web.world
    other = await add_staff(
        w.means, email="other@example.org", role=Role.RECIPIENT, study_id="other", actor="system:test"
    )
    await Account.filter(id=other.id).update(issuer="https://id.example.org", subject="other")
    browser = await web.as_account(await Account.get(id=other.id))
    assert release_id not in (await browser.get("/recipient")).text
    assert (await browser.post(f"/recipient/releases/{release_id}/download")).status_code == 403


async def test_a_no_after_the_seal_is_in_no_download(web: Web) -> None:
    release_id = await web.sealed()
    browser, link = await web.as_account(web.world.recipient), web.world.links["patient1@example.org"]
    first = await browser.post(f"/recipient/releases/{release_id}/download")
    assert "Version 1," in (await browser.get("/recipient")).text
    await web.browser().post(f"/o/{link}/object", data={"scope": "everything"})
    second = await browser.post(f"/recipient/releases/{release_id}/download")
    (person,) = await Patient.filter(number="1")
    named = pseudonym(web.world.means.ring, "study:diabetes", person.person_id.bytes).hex()
    assert [named in pseudonyms(answer.content) for answer in (first, second)] == [True, False]
    assert "Version 2," in (await browser.get("/recipient")).text


async def test_a_closed_study_offers_no_download(web: Web) -> None:
    release_id = await web.sealed()
    browser = await web.as_account(web.world.recipient)
    offered = f"/recipient/releases/{release_id}/download"
    assert offered in (await browser.get("/recipient")).text
    await govern.suspend_authorisation(web.world.means, "cnil-1", by=web.world.dpo)
    page = (await browser.get("/recipient")).text
    assert offered not in page
    assert "Cette livraison est fermée" in page
    assert (await browser.post(offered)).status_code == 409


async def test_the_desk_says_when_a_recipient_has_no_key_and_does_not_seal(web: Web) -> None:
    w = web.world
    release_id = await web.prepared()
    await flow.approve(w.means, release_id, by=w.dpo, second_factor=True)
    strict = replace(w.means, releases_in_plain=False)
    async with site(replace(w, means=strict)) as in_earnest:
        desk = await in_earnest.as_account(w.operator)
        page = (await desk.get(f"/desk/releases/{release_id}")).text
        assert "n’a pas de clé de chiffrement" in page
        assert f"/desk/releases/{release_id}/seal" not in page
        refused = await desk.post(f"/desk/releases/{release_id}/seal")
        assert (refused.status_code, (await Release.get(id=release_id)).state) == (409, "approved")


def pseudonyms(archive: bytes) -> set[str]:
    """Everybody in a downloaded release of plain records."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = [tar.extractfile(m) for m in tar.getmembers() if m.name.endswith(".parquet")]
        tables = [pq.read_table(io.BytesIO(file.read()), columns=["pseudonym"]) for file in files if file]
    return {name for table in tables for name in table["pseudonym"].to_pylist()}


async def test_a_text_is_approved_by_another_than_its_author(web: Web) -> None:
    w = web.world
    draft = govern.read_reviewed(TEXTS / "notice-adult-fr.toml")
    newer = draft.model_copy(update={"text": tuple(t.model_copy(update={"version": "2026-07"}) for t in draft.text)})
    [text_id] = await govern.load(w.means, newer, actor=w.dpo.actor)
    dpo = await web.as_account(w.dpo)
    page = (await dpo.get("/desk/texts")).text
    assert "Une autre personne doit approuver." in page
    assert "Votre droit" in page or "Vous avez le droit de dire non" in page
    refused = await dpo.post(f"/desk/texts/{text_id}/approve")
    assert refused.status_code == 403
    assert "approuvé par une autre personne" in refused.text
    second = await add_staff(w.means, email="second@example.org", role=Role.DPO, study_id=None, actor="system:test")
    await Account.filter(id=second.id).update(issuer="https://id.example.org", subject="second")
    other = await web.as_account(await Account.get(id=second.id))
    assert "Approuver et publier" in (await other.get("/desk/texts")).text
    assert (await other.post(f"/desk/texts/{text_id}/approve")).headers["location"] == "/desk/texts"
    assert (await other.post(f"/desk/texts/{text_id}/approve")).status_code == 409


@ON_BOTH
async def test_the_desk_sees_how_hard_each_notice_is_to_read(web: Web) -> None:
    """Beside the bar of its reader; one that is over it is loaded all the same, and says so."""
    w = web.world
    easy = govern.read_reviewed(TEXTS / "notice-easy-fr.toml")
    hard = easy.text[0].model_copy(update={"title": "Trop long", "objection": "Et vous " * 6 + "pouvez dire non."})
    assert govern.too_hard(easy) == []
    await govern.load(w.means, easy.model_copy(update={"text": (hard,)}), actor=w.operator.actor)
    pages = (await (await web.as_account(w.dpo)).get("/desk/texts")).text.split("<article")
    [over] = [p for p in pages if "Trop long" in p]
    assert "Mots de la plus longue phrase\u00a0: 15, au plus 12" in over
    assert "Notice 2026-06 (fr) en facile à lire" in over
    assert "Plus difficile à lire que prévu" in over
    [adult] = [p for p in pages if "Notice d’information" in p and "(fr) pour un adulte" in p]
    assert re.search("LIX\u00a0: [0-9,]+, au plus 45", adult)
    assert "Plus difficile à lire que prévu" not in adult


@ON_BOTH
async def test_the_desk_counts_what_happened(web: Web) -> None:
    await web.sealed()
    operator = await web.as_account(web.world.operator)
    home = (await operator.get("/desk")).text
    line = home.partition('id="line"')[2]
    counts = dict(re.findall(r'<dt>([^<]+)</dt><dd class="num">([^<]+)</dd>', line))
    assert counts == {
        "Médecins actifs": "1", "Patients": "4", "Notices envoyées": "4", "Notices remises": "4",
        "Personnes qui ont dit non": "moins de\u00a011", "Enregistrements reçus": "3", "Enregistrements livrés": "3",
    }  # fmt: skip
    campaigns = (await operator.get("/desk/campaigns")).text
    assert re.findall(r'class="n">(\d+)</td>', campaigns) == ["0", "4", "4", "0"]
    for path in ("/desk/enrolments", "/desk/texts", "/desk/studies", "/desk/releases", "/desk/log"):
        assert (await operator.get(path)).status_code == 200
    public = (await web.browser().get("/transparency")).text
    assert "moins de\u00a011 personnes, moins de\u00a011 enregistrements" in public


async def test_a_campaign_is_started_for_a_practice_of_the_list(web: Web) -> None:
    operator = await web.as_account(web.world.operator)
    assert "practice-a" in (await operator.get("/desk/campaigns")).text
    assert "practice-b" not in (await operator.get("/desk/campaigns")).text
    for given in ({"practice": "practice-b", "observatory": "demo"}, {"practice": "practice-a"}, {}):
        assert (await operator.post("/desk/campaigns", data=given)).status_code == 422
        assert (await operator.get("/desk/campaigns/plan", params=given)).status_code == 422
    plan = await operator.get("/desk/campaigns/plan", params={"practice": "practice-a", "observatory": "demo"})
    assert "Déjà prévenus</dt><dd>4</dd>" in re.sub(r"\s*<p>|</p>\s*", "", plan.text)
    assert "Rien à envoyer." in plan.text
    started = await operator.post("/desk/campaigns", data={"practice": "practice-a", "observatory": "demo"})
    assert started.headers["location"] == "/desk/campaigns"
    assert (await operator.get("/desk/campaigns")).text.count('<th scope="row">Cabinet A</th>') == 2


async def test_a_campaign_is_stopped_and_resumed(web: Web) -> None:
    await web.world.register([patient("5")], partial=True)
    done = await web.world.queue()
    operator = await web.as_account(web.world.operator)
    assert "Arrêter" in (await operator.get("/desk/campaigns")).text
    assert (await operator.post(f"/desk/campaigns/{done.campaign_id}/stop")).status_code == 303
    assert "Arrêtée" in (await operator.get("/desk/campaigns")).text
    assert (await operator.post(f"/desk/campaigns/{done.campaign_id}/stop")).status_code == 404
    assert (await operator.post(f"/desk/campaigns/{done.campaign_id}/resume")).status_code == 303
    assert (await operator.post(f"/desk/campaigns/{2**63}/resume")).status_code == 404


@ON_BOTH
async def test_messages_that_no_server_took_are_tried_again_from_the_desk(web: Web) -> None:
    operator, dpo = await web.as_account(web.world.operator), await web.as_account(web.world.dpo)
    assert "ne partent pas" not in (await operator.get("/desk/campaigns")).text
    await OutboxItem.filter(id=1).update(attempts=ATTEMPTS, done_at=None)
    assert "Messages qui ne partent pas" in (await dpo.get("/desk")).text
    page = (await operator.get("/desk/campaigns")).text
    [action] = re.findall(r"/desk/campaigns/\d+/again", page)
    assert action not in (await dpo.get("/desk/campaigns")).text
    assert (await dpo.post(action)).status_code == 403
    assert (await operator.post("/desk/campaigns/999/again")).status_code == 404
    assert (await operator.post(f"/desk/campaigns/{10**19}/again")).status_code == 404
    done = await operator.post(action)
    assert (done.status_code, done.headers["location"]) == (303, "/desk/campaigns")
    assert "ne partent pas" not in (await operator.get("/desk/campaigns")).text
    assert (await operator.post(action)).status_code == 404


async def test_the_numbers_of_the_register_are_offered_to_whoever_verifies(web: Web) -> None:
    await Enrolment.all().update(state="signed")
    page = (await (await web.as_account(web.world.operator)).get("/desk/enrolments")).text
    assert '<option value="doctor-1">' in page
    assert "<form" in page
    dpo = (await (await web.as_account(web.world.dpo)).get("/desk/enrolments")).text
    assert "/verify" not in dpo


async def test_the_log_is_read_fifty_entries_at_a_time(web: Web) -> None:
    for number in range(60):
        await add_staff(
            web.world.means, email=f"a{number}@example.org", role=Role.AUDITOR, study_id=None, actor="system:test"
        )
    operator = await web.as_account(web.world.operator)
    newest = (await operator.get("/desk/log")).text.partition('aria-label="Journal"')[2]
    shown = [int(n) for n in re.findall(r'<th scope="row" class="n">(\d+)</th>', newest)]
    assert len(shown) == 50
    assert shown == sorted(shown, reverse=True)
    older = re.search(r"/desk/log\?before=\d+", newest)
    assert older
    below = re.findall(r'<th scope="row" class="n">(\d+)</th>', (await operator.get(older[0])).text)
    assert int(below[0]) == shown[-1] - 1
    assert "a1@example.org" not in newest
    assert (await operator.get("/desk/log?before=nonsense")).status_code == 200
    assert (await operator.get("/desk/log?before=99999999999999999999")).status_code == 200


async def test_ids_that_do_not_exist_are_not_found(web: Web) -> None:
    operator = await web.as_account(web.world.operator)
    assert (await operator.get("/desk/releases/unknown")).status_code == 404
    assert (await operator.get("/desk/releases/%00")).status_code == 404
    assert (await operator.post("/desk/releases", data={"study": "unknown"})).status_code == 404
    assert (await operator.post("/desk/releases", data={"study": "a\0b"})).status_code == 400
    for number in ("77", "9" * 18, "9" * 30):
        answer = await operator.post(f"/desk/enrolments/{number}/verify", data={"doctor_number": "1"})
        assert answer.status_code == 404, number


async def test_an_outage_is_recorded_stops_the_clock_and_ends(web: Web) -> None:
    desk = await web.as_account(web.world.operator)
    assert "Aucune panne" in (await desk.get("/desk/outages")).text
    assert (await desk.post("/desk/outages", data={"since": "hier"})).status_code == 422
    ahead = paris_day(web.world.clock.now()) + timedelta(days=3)
    assert (await desk.post("/desk/outages", data={"since": ahead.isoformat()})).status_code == 422
    since = paris_day(web.world.clock.now()) - timedelta(days=45)
    assert (await desk.post("/desk/outages", data={"since": since.isoformat()})).status_code == 303
    verdict, _ = await explain(web.world.means, Asked("demo"), practice_id="practice-a", number="1")
    assert isinstance(verdict, Withheld)
    assert verdict.reasons == ("G56",), "the days since she was told do not count"
    assert "Pannes\u00a0: les patients ne peuvent pas dire non" in (await desk.get("/desk")).text
    action = re.search(r"/desk/outages/\d+/end", (await desk.get("/desk/outages")).text)
    assert action
    assert (await desk.post(action[0])).status_code == 303
    assert (await desk.post(action[0])).status_code == 404
    assert "Finie" in (await desk.get("/desk/outages")).text
