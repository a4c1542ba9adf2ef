"""FHIR: objections read and searched as Consents; every resource that is served is valid R4."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from consents import FHIR, NIR, by_name, no, numbered, transaction
from fhir_checks import invalid, ours
from programs import doctor_of, on_file, program
from test_api import BOTH
from whole_site import BASE, Web
from world import patient

from portal.flow import enrol, hatch, opt_out, programs, told_doctor
from portal.records.canaries import CANARY
from portal.records.database import connection, rows
from portal.records.enrolments import Enrolment
from portal.records.people import Patient
from portal.rules.scopes import ClientKind
from portal.rules.waiting import paris_day
from portal.rules.words import Scope

OWN_NUMBER = f"{BASE}/fhir/sid/practice-a/patient"


async def says_no(web: Web, number: str, scope: Scope = Scope.EVERYTHING, study: str = "") -> None:
    await opt_out.object_(web.world.means, web.world.links[f"patient{number}@example.org"], scope, study)


@BOTH
async def test_an_objection_is_an_active_consent_that_denies_and_taken_back_an_inactive_one(web: Web) -> None:
    await says_no(web, "2")
    own = await (await program(web)).signed_in()
    (entry,) = (await own.get("/fhir/Consent")).json()["entry"]
    found = entry["resource"]
    assert (found["status"], found["provision"]) == ("active", {"type": "deny"})
    assert found["patient"] == {"type": "Patient", "identifier": {"system": OWN_NUMBER, "value": "2"}}
    assert found["performer"] == [found["patient"]]
    assert found["policy"][0]["uri"].startswith(f"{BASE}/fhir/sid/notice-text/")
    assert found["dateTime"] == web.world.clock.now().isoformat().replace("+00:00", "Z")
    read = await own.get(f"/fhir/Consent/{found['id']}")
    assert (read.status_code, read.headers["content-type"], read.json()) == (200, "application/fhir+json", found)
    assert read.headers["etag"] == f'W/"{found["meta"]["versionId"]}"'
    web.world.wait(1)
    await opt_out.withdraw(web.world.means, web.world.links["patient2@example.org"])
    own = await (await program(web)).signed_in()
    again = (await own.get(f"/fhir/Consent/{found['id']}")).json()
    assert again["status"] == "inactive"
    assert again["dateTime"] == found["dateTime"]
    assert again["meta"]["lastUpdated"] > found["meta"]["lastUpdated"]
    assert again["meta"]["versionId"] != found["meta"]["versionId"]


@BOTH
async def test_every_resource_that_is_served_is_valid(web: Web) -> None:
    link = web.world.links
    await opt_out.object_(web.world.means, link["parent4@example.org"], Scope.OBSERVATORY)
    for number, scope in (("1", Scope.EVERYTHING), ("2", Scope.PRACTICE)):
        await says_no(web, number, scope)
    await opt_out.withdraw(web.world.means, link["patient1@example.org"])
    own, sender = await (await program(web)).signed_in(), await (await on_file(web, ClientKind.PARTNER)).signed_in()
    sent = await own.post("/fhir", json=transaction(no("a", numbered("3"))), headers=FHIR)
    passed_on = await sender.post("/fhir", json=transaction(no("b", by_name())), headers=FHIR)
    bundle = (await own.get("/fhir/Consent")).json()
    assert len(bundle["entry"]) == 4
    served = [
        (await web.program().get("/fhir/metadata")).json(),
        bundle,
        *(one["resource"] for one in bundle["entry"]),
        (await own.get("/fhir/Consent?_count=1")).json(),
        (await own.get("/fhir/Consent?_lastUpdated=lt2020-01-01")).json(),
        (await sender.get("/fhir/Consent")).json(),
        sent.json(),
        passed_on.json(),
        (await sender.post("/fhir/Consent", json=no("c", by_name()), headers=FHIR)).json(),
        (await own.get("/fhir/Consent/unknown")).json(),
        (await own.get("/fhir/Consent?given=Camille")).json(),
        (await web.program().get("/fhir/Consent")).json(),
        (await own.post("/fhir", json={}, headers=FHIR)).json(),
        (await own.delete("/fhir/Consent")).json(),
        (await own.get("/fhir/Patient")).json(),
    ]
    kinds = {"CapabilityStatement", "Bundle", "Consent", "OperationOutcome"}
    assert {one["resourceType"] for one in served} == kinds
    assert invalid(*served) == []


def test_what_is_no_valid_resource_is_seen() -> None:
    good = no(
        "a", numbered("1"), identifier=None, patient={"type": "Patient"}, policyRule=None, policy=[{"uri": "x:y"}]
    )
    assert ours(good) == []
    assert any("status" in fault for fault in invalid({**good, "status": "unknown"}))
    for change in (
        {"provision": {"type": "permit"}}, {"category": []}, {"policy": None, "performer": [{"type": "Observation"}]},
        {"patient": {"type": "Observation"}}, {"modifierExtension": [{"url": "x:y"}]}, {"dateTime": "2026-02-31x"},
        {"patient": {"type": "Patient", "reference": "Patient/1"}},
    ):  # fmt: skip
        assert ours({**good, **change}), change


async def test_nobody_is_named_and_no_illness_is_told(web: Web) -> None:
    await says_no(web, "1")
    await says_no(web, "3", Scope.STUDY, "diabetes")
    own = await (await program(web)).signed_in()
    text = (await own.get("/fhir/Consent")).text
    assert "Bernard" not in text
    assert "1960" not in text
    assert "diabetes" not in text
    assert [one["resource"]["patient"]["identifier"]["value"] for one in json.loads(text)["entry"]] == ["1"]


@BOTH
async def test_the_canary_is_in_no_answer(web: Web) -> None:
    assert await hatch.hatch(web.world.means)
    bird = await Patient.get(practice_id=CANARY)
    await told_doctor.object_by_software(web.world.means, practice_id=CANARY, number=bird.number, actor="software:1")
    made = await program(web)
    entry = (await rows(connection(), "SELECT max(id) AS id FROM log_entry"))[0]["id"]
    doctor = await doctor_of(web)
    await connection().execute_script(
        "INSERT INTO client_practice (client_id, practice_id, account_id, began_at, entry_id) "
        f"VALUES ('{made.id}', '{CANARY}', {doctor.id}, '2026-03-02 09:00:00+00:00', {entry})"
    )
    assert await Enrolment.exists(practice_id=CANARY, state="active")
    own = await made.signed_in()
    assert "entry" not in (await own.get("/fhir/Consent")).json()
    sent = no("a", {"patient": {"identifier": {"system": f"{BASE}/fhir/sid/~canary/patient", "value": bird.number}}})
    assert (await own.post("/fhir/Consent", json=sent, headers=FHIR)).status_code == 422


@BOTH
async def test_a_practice_sees_a_no_that_was_said_elsewhere_and_binds_its_patient(web: Web) -> None:
    elsewhere = await doctor_of(web, 2)
    await web.world.register([patient("1", person_key=NIR)], partial=True)
    same = replace(patient("1", person_key=NIR, email="elsewhere@example.org"), patient_id="77")
    await web.world.register([same], "practice-b")
    await says_no(web, "1")
    made = await program(web)
    await programs.let_act(web.world.means, made.id, "practice-b", by=elsewhere)
    own = await made.signed_in()
    found = [one["resource"] for one in (await own.get("/fhir/Consent")).json()["entry"]]
    assert [one["patient"]["identifier"]["value"] for one in found] == ["1", "77"]
    assert len({one["id"] for one in found}) == 2
    of_b = await own.get("/fhir/Consent", params={"patient:identifier": f"{BASE}/fhir/sid/practice-b/patient|77"})
    assert [one["resource"] for one in of_b.json()["entry"]] == found[1:]
    await programs.end(web.world.means, made.id, "practice-a", by=await doctor_of(web))
    assert [one["resource"] for one in (await own.get("/fhir/Consent")).json()["entry"]] == found[1:]


@BOTH
async def test_what_is_searched_for_is_found_page_by_page(web: Web) -> None:
    for number in ("1", "2", "3"):
        await says_no(web, number)
        web.world.wait(1)
    await opt_out.withdraw(web.world.means, web.world.links["patient2@example.org"])
    changed = web.world.clock.now().isoformat()
    own = await (await program(web)).signed_in()

    async def numbers(**asked: str) -> list[str]:
        answer = await own.get("/fhir/Consent", params=asked)
        assert answer.status_code == 200, answer.text
        return [one["resource"]["patient"]["identifier"]["value"] for one in answer.json().get("entry", ())]

    assert await numbers() == ["1", "2", "3"]
    assert await numbers(status="active") == ["1", "3"]
    assert await numbers(status="inactive") == ["2"]
    assert await numbers(**{"patient.identifier": f"{OWN_NUMBER}|3", "_format": "json"}) == ["3"]
    assert await numbers(**{"patient:identifier": f"{OWN_NUMBER}|99"}) == []
    assert await numbers(_lastUpdated=f"ge{changed}") == ["2"]
    assert await numbers(_lastUpdated=f"gt{changed}") == []
    day = (web.world.clock.now()).date().isoformat()
    assert await numbers(_lastUpdated=day) == ["2"]
    assert await numbers(_lastUpdated=f"lt{day}") == ["1", "3"]
    first = (await own.get("/fhir/Consent?_count=2&status=active,inactive")).json()
    (following,) = (link["url"] for link in first["link"] if link["relation"] == "next")
    second = (await own.get(following)).json()
    shown = [one["resource"]["patient"]["identifier"]["value"] for one in first["entry"] + second["entry"]]
    assert shown == ["1", "2", "3"]
    assert [link["relation"] for link in second["link"]] == ["self"]


@pytest.mark.parametrize(
    "asked",
    ["given=zq7", "zq7=1", "patient=zq7", "status=zq7", "_count=0", "_count=zq7", "_lastUpdated=zq7", "_format=zq7",
     "patient:identifier=zq7", "status=active&status=zq7", "_lastUpdated=ge2026-02-31"],
)  # fmt: skip
async def test_a_search_that_is_not_understood_is_refused_and_not_repeated(web: Web, asked: str) -> None:
    own = await (await program(web)).signed_in()
    answer = await own.get(f"/fhir/Consent?{asked}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/fhir+json")
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert "zq7" not in answer.text


@BOTH
async def test_what_is_anothers_is_not_there(web: Web) -> None:
    await says_no(web, "2")
    own = await (await program(web)).signed_in()
    elsewhere = await doctor_of(web, 2)
    stranger = await on_file(web, ClientKind.SOFTWARE)
    await programs.let_act(web.world.means, stranger.id, "practice-b", by=elsewhere)
    other, sender = await stranger.signed_in(), await (await on_file(web, ClientKind.PARTNER)).signed_in()
    passed_on = (await sender.post("/fhir/Consent", json=no("b", by_name()), headers=FHIR)).headers["location"]
    (entry,) = (await own.get("/fhir/Consent")).json()["entry"]
    own_id = entry["resource"]["id"]
    assert (await own.get(f"/fhir/Consent/{own_id}")).status_code == 200
    assert (await sender.get(passed_on)).status_code == 200
    for seen_by, address in (
        (other, f"/fhir/Consent/{own_id}"), (sender, f"/fhir/Consent/{own_id}"), (own, passed_on), (other, passed_on),
        (own, f"/fhir/Consent/{own_id}0"), (own, f"/fhir/Consent/0{own_id}"), (own, "/fhir/Consent/x.1"),
    ):  # fmt: skip
        assert (await seen_by.get(address)).status_code == 404, address
    assert "entry" not in (await other.get("/fhir/Consent")).json()
    doctor = await doctor_of(web)
    today = paris_day(web.world.clock.now())
    for last_day, status in ((today + timedelta(days=1), 200), (today, 404), (None, 200)):
        await Enrolment.filter(account_id=doctor.id).update(closes_on=last_day)
        assert (await own.get(f"/fhir/Consent/{own_id}")).status_code == status, "a locum's last day"
    await enrol.leave(web.world.means, doctor, (await Enrolment.get(account_id=doctor.id)).id)
    assert (await own.get(f"/fhir/Consent/{own_id}")).status_code == 404


async def test_everybody_may_ask_what_this_server_does_and_how_to_sign_in(web: Web) -> None:
    said = (await web.program().get("/fhir/metadata")).json()
    assert said["fhirVersion"] == "4.0.1"
    (rest,) = said["rest"]
    assert [one["code"] for one in rest["resource"][0]["interaction"]] == ["read", "search-type", "create"]
    assert rest["interaction"] == [{"code": "transaction"}]
    smart = (await web.program().get("/fhir/.well-known/smart-configuration")).json()
    assert smart["token_endpoint"] == programs.token_address(web.world.means)
    assert smart["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384", "Ed25519"]
    assert {"system/Consent.rs", "system/Consent.c"} <= set(smart["scopes_supported"])
