"""The desk: a no without a link, doubts and requests. Operators see numbers; names open for the DPO, one at a time."""

import re
from datetime import timedelta

import pytest
from whole_site import Web
from world import FAMILIES, GIVEN, patient

from portal.flow.decide import Asked, explain
from portal.records.database import connection
from portal.records.ledger import last_entry
from portal.records.objections import ProvisionalObjection
from portal.records.people import IdentityDoubt, Patient
from portal.records.rights_requests import RightsRequest
from portal.rules.clearance import Withheld
from portal.rules.waiting import paris_day

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
SAID = {
    "family_name": FAMILIES[1], "given_names": GIVEN[0], "birth": "1960-05-17", "answer_to": "12 rue des Lilas",
    "channel": "phone", "scope": "everything",
}  # fmt: skip


async def reasons(web: Web, number: str) -> tuple[str, ...]:
    verdict, _ = await explain(web.world.means, Asked("demo"), practice_id="practice-a", number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


async def id_of(number: str) -> int:
    return (await Patient.get(practice_id="practice-a", number=number)).id


@ON_BOTH
async def test_an_operator_records_a_call_and_the_dpo_binds_it_to_its_person(web: Web) -> None:
    operator, dpo = await web.as_account(web.world.operator), await web.as_account(web.world.dpo)
    recorded = await operator.post("/desk/objections", data=SAID)
    assert recorded.headers["location"] == "/desk/objections"
    assert await reasons(web, "1") == ("G45",)
    no = await ProvisionalObjection.get()
    listed = (await operator.get("/desk/objections")).text
    assert "À régler" in listed
    assert "Patients possibles" not in listed, "who answers the telephone does not learn who is a patient"
    assert "/open" not in listed
    assert (await operator.post(f"/desk/objections/{no.id}/open")).status_code == 403
    assert "Refus à rattacher" in (await dpo.get("/desk")).text

    before = await last_entry(connection())
    opened = (await dpo.post(f"/desk/objections/{no.id}/open")).text
    assert "12 rue des Lilas" in opened
    assert f"{FAMILIES[1]} {GIVEN[0]}" in opened
    assert await last_entry(connection()) == before + 2, "the note and the patients' names were read"
    chosen = {f"patient-{await id_of('1')}": "1", "outcome": "bound"}
    settled = await dpo.post(f"/desk/objections/{no.id}/settle", data=chosen)
    assert settled.headers["location"] == "/desk/objections"
    assert await reasons(web, "1") == ("G41",)
    assert (await dpo.post(f"/desk/objections/{no.id}/settle", data=chosen)).status_code == 409


async def test_the_answer_is_the_same_whether_or_not_somebody_is_a_patient(web: Web) -> None:
    operator = await web.as_account(web.world.operator)
    known = await operator.post("/desk/objections", data=SAID)
    stranger = await operator.post("/desk/objections", data={**SAID, "family_name": "Zorglub"})
    assert (known.status_code, known.headers["location"], known.text) == (
        stranger.status_code, stranger.headers["location"], stranger.text,
    )  # fmt: skip
    rows = re.findall(r"<tr>.*?</tr>", (await operator.get("/desk/objections")).text, re.DOTALL)[1:]
    assert len(rows) == 2
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"given_names": ""}, "family_name"), ({"birth": "hier"}, "birth"), ({"person_key": "ins:1"}, "person_key"),
     ({"received": "16/04/2026"}, "received")],
)  # fmt: skip
async def test_what_is_missing_is_asked_for_beside_its_field_and_nothing_typed_is_lost(
    web: Web, change: dict[str, str], field: str
) -> None:
    operator = await web.as_account(web.world.operator)
    answer = await operator.post("/desk/objections", data=SAID | change)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert f'id="{field}-error"' in answer.text
    assert "12 rue des Lilas" in answer.text
    assert await ProvisionalObjection.all().count() == 0


async def test_a_patient_whom_nobody_thought_of_is_named_by_practice_and_number(web: Web) -> None:
    dpo = await web.as_account(web.world.dpo)
    await dpo.post("/desk/objections", data={**SAID, "family_name": "Zorglub"})
    no = await ProvisionalObjection.get()
    where = f"/desk/objections/{no.id}/settle"
    assert (await dpo.post(where, data={"outcome": "bound"})).status_code == 422
    assert (await dpo.post(where, data={"outcome": "perhaps"})).status_code == 422
    nobody = {"outcome": "bound", "practice": "practice-a", "number": "99"}
    assert (await dpo.post(where, data=nobody)).status_code == 422
    assert (await dpo.post(where, data={**nobody, "number": "2"})).status_code == 303
    assert await reasons(web, "2") == ("G41",)


@pytest.mark.parametrize("outcome", ["not_here", "no_authority"])
async def test_a_no_that_means_nobody_here_is_settled_so(web: Web, outcome: str) -> None:
    dpo = await web.as_account(web.world.dpo)
    await dpo.post("/desk/objections", data=SAID)
    no = await ProvisionalObjection.get()
    (shown,) = re.findall(r'name="shown" value="([0-9,]*)"', (await dpo.post(f"/desk/objections/{no.id}/open")).text)
    assert shown == str((await Patient.get(practice_id="practice-a", number="1")).id)
    await dpo.post(f"/desk/objections/{no.id}/settle", data={"outcome": outcome, "shown": shown})
    assert await reasons(web, "1") == ()
    assert (await ProvisionalObjection.get()).settled_by == web.world.dpo.actor


async def test_nobody_is_cleared_whom_the_page_did_not_show(web: Web) -> None:
    dpo = await web.as_account(web.world.dpo)
    await dpo.post("/desk/objections", data=SAID)
    no = await ProvisionalObjection.get()
    for shown in ("", "999999", "x"):
        answer = await dpo.post(f"/desk/objections/{no.id}/settle", data={"outcome": "not_here", "shown": shown})
        assert (answer.status_code, "entre-temps" in answer.text) == (409, True)
    assert await reasons(web, "1") == ("G45",)


async def test_a_no_that_waits_longer_than_a_month_is_shown_as_late(web: Web) -> None:
    stamped = paris_day(web.world.clock.now()) - timedelta(days=40)
    dpo = await web.as_account(web.world.dpo)
    await dpo.post("/desk/objections", data={**SAID, "received": stamped.isoformat()})
    assert "En retard" in (await dpo.get("/desk/objections")).text
    assert "Refus à rattacher, en retard" in (await dpo.get("/desk")).text


@ON_BOTH
async def test_a_dpo_settles_a_doubt_and_parts_nobody_who_stands_alone(web: Web) -> None:
    await web.world.register([patient("1", family_name="Zimmermann")], partial=True)
    operator, dpo = await web.as_account(web.world.operator), await web.as_account(web.world.dpo)
    assert "identifiant a changé" in (await operator.get("/desk/doubts")).text
    doubt = await IdentityDoubt.get()
    assert (await operator.post(f"/desk/doubts/{doubt.id}/open")).status_code == 403
    opened = (await dpo.post(f"/desk/doubts/{doubt.id}/open")).text
    assert f"Zimmermann {GIVEN[0]}" in opened
    person = re.search(r'name="person" value="([0-9a-f-]{36})"', opened)
    assert person
    where = f"/desk/doubts/{doubt.id}/settle"
    for given in ({}, {"outcome": "same"}, {"outcome": "same", "person": "x"}):
        assert (await dpo.post(where, data=given)).status_code == 422
    assert (await dpo.post(where, data={"outcome": "same", "person": person[1]})).status_code == 303
    assert await reasons(web, "1") == ()
    assert (await dpo.post(where, data={"outcome": "apart"})).status_code == 404
    alone = {"practice": "practice-a", "number": "1"}
    assert (await dpo.post("/desk/doubts/part", data=alone)).status_code == 409


@ON_BOTH
async def test_a_dpo_opens_and_answers_a_request(web: Web) -> None:
    operator, dpo = await web.as_account(web.world.operator), await web.as_account(web.world.dpo)
    asked = {"kind": "erasure", "practice": "practice-a", "number": "1"}
    assert (await operator.post("/desk/requests", data=asked)).status_code == 403
    assert (await dpo.post("/desk/requests", data=asked)).headers["location"] == "/desk/requests"
    assert await reasons(web, "1") == ("G46",)
    assert "Demandes de droits" in (await dpo.get("/desk")).text
    request = await RightsRequest.get()
    page = (await dpo.get("/desk/requests")).text
    assert re.findall(r'name="state" value="(\w+)"', page) == ["granted", "refused", "taken_back"]
    assert "<form" not in (await operator.get("/desk/requests")).text.split("<main")[1]
    where = f"/desk/requests/{request.id}/answer"
    assert (await dpo.post(where, data={"state": "perhaps"})).status_code == 422
    assert (await dpo.post(where, data={"state": "granted"})).status_code == 303
    assert (await dpo.post(where, data={"state": "ended"})).status_code == 409
    assert await reasons(web, "1") == ("G46",)
    for wrong in ({"kind": "memory"}, {"received": "hier"}):
        assert (await dpo.post("/desk/requests", data=asked | wrong)).status_code == 422


@ON_BOTH
async def test_the_dpo_takes_back_on_paper_what_was_said_on_paper(web: Web) -> None:
    dpo, operator = await web.as_account(web.world.dpo), await web.as_account(web.world.operator)
    await operator.post("/desk/objections", data={**SAID, "channel": "paper"})
    no = await ProvisionalObjection.get()
    where, chosen = f"/desk/objections/{no.id}/take-back", {f"patient-{await id_of('1')}": "1"}
    assert (await operator.post(where, data={"channel": "paper"})).status_code == 403
    assert (await dpo.post(where, data={"channel": "paper"})).status_code == 409, "whose it is was not said"
    assert (await dpo.post(where, data={"channel": "nonsense", **chosen})).status_code == 422
    assert await reasons(web, "1") == ("G45",)
    assert f'formaction="{where}"' in (await dpo.post(f"/desk/objections/{no.id}/open")).text
    assert (await dpo.post(where, data={"channel": "paper", **chosen})).status_code == 303
    assert await reasons(web, "1") == ()
    assert "Retiré" in (await dpo.get("/desk/objections")).text
    assert (await dpo.post(where, data={"channel": "paper"})).status_code == 409


@ON_BOTH
async def test_a_bound_one_opens_again_to_be_taken_back(web: Web) -> None:
    dpo = await web.as_account(web.world.dpo)
    await dpo.post("/desk/objections", data=SAID)
    no = await ProvisionalObjection.get()
    await dpo.post(f"/desk/objections/{no.id}/settle", data={f"patient-{await id_of('1')}": "1", "outcome": "bound"})
    assert f"/desk/objections/{no.id}/open" in (await dpo.get("/desk/objections")).text
    opened = (await dpo.post(f"/desk/objections/{no.id}/open")).text
    where = f"/desk/objections/{no.id}/take-back"
    assert f'action="{where}"' in opened
    early = await dpo.post(where, data={"channel": "phone", "said_on": "2026-01-01"})
    assert "avant le non" in early.text
    assert (await dpo.post(where, data={"channel": "phone", "said_on": ""})).status_code == 303
    assert await reasons(web, "1") == ()
    assert f"/desk/objections/{no.id}/open" not in (await dpo.get("/desk/objections")).text
