"""FHIR: programs send Consents. Each is a no that counts at once; a program takes back its own, and nobody else's."""

import asyncio
import copy
import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from consents import FHIR, INS, NIR, Resource, by_key, by_name, no, numbered, transaction
from kept import dump, kinds_since
from programs import API, doctor_of, on_file, program
from test_api import BOTH, standing
from whole_site import BASE, Web
from world import child, patient

from portal.flow import opt_out, programs, provisional, taken_back
from portal.flow.counters import count_objections
from portal.records.database import connection, rows
from portal.records.ledger import last_entry
from portal.records.objections import ProvisionalObjection
from portal.records.people import Patient
from portal.rules.scopes import ClientKind
from portal.rules.words import ObjectionChannel, Scope


async def usable(web: Web) -> list[str]:
    """Of the patients of Cabinet A, those whose data may be used."""
    own = await (await program(web)).signed_in()
    found = (await own.post(f"{API}/check", json={"patients": ["1", "2", "3"]})).json()["usable"]
    return [one["patient_id"] for one in found]


async def sends(client: httpx2.AsyncClient, *consents: Resource) -> list[dict[str, Any]]:
    """What a transaction of these was answered, entry by entry."""
    answer = await client.post("/fhir", json=transaction(*consents), headers=FHIR)
    assert answer.status_code == 200, answer.text
    return [one["response"] for one in answer.json()["entry"]]


async def statuses(client: httpx2.AsyncClient) -> list[str]:
    found = (await client.get("/fhir/Consent")).json()
    return [one["resource"]["status"] for one in found.get("entry", ())]


async def software(web: Web) -> httpx2.AsyncClient:
    return await (await program(web)).signed_in()


async def partner(web: Web) -> httpx2.AsyncClient:
    return await (await on_file(web, ClientKind.PARTNER)).signed_in()


# --- practice software -----------------------------------------------------------------------------------------------


@BOTH
async def test_a_transaction_of_practice_software_counts_at_once_each_under_its_own_entry(web: Web) -> None:
    own = await software(web)
    before = await last_entry(connection())
    said = await sends(own, no("a", numbered("1"), dateTime="2026-03-05"), no("b", numbered("3"), dateTime="2031"))
    assert await kinds_since(before) == ["objected", "objected"]
    assert [one["status"] for one in said] == ["201 Created"] * 2
    assert await standing("1") == await standing("3") == [("software", "everything")]
    assert await usable(web) == ["2"]
    read = await own.get(said[0]["location"])
    assert read.json()["dateTime"] == "2026-03-04T23:00:00Z", "the day began in Paris"
    assert read.headers["etag"] == said[0]["etag"]
    ahead = (await own.get(said[1]["location"])).json()
    assert ahead["dateTime"] == ahead["meta"]["lastUpdated"], "a day ahead is now"


@BOTH
async def test_a_transaction_with_one_consent_that_is_off_leaves_nothing(web: Web) -> None:
    own = await software(web)
    before = await dump()
    answer = await own.post("/fhir", json=transaction(no("a", numbered("1")), no("b", numbered("99"))), headers=FHIR)
    assert answer.status_code == 422
    assert [one["expression"] for one in answer.json()["issue"]] == [["Bundle.entry[1].resource.patient"]]
    assert {**await dump(), "client_token": []} == {**before, "client_token": []}


@BOTH
async def test_the_same_identifier_is_the_same_no_and_an_earlier_day_dates_it_back(web: Web) -> None:
    own = await software(web)
    (first,) = await sends(own, no("a", numbered("1"), dateTime="2026-03-20T10:00:00+01:00"))
    before = await last_entry(connection())
    (again,) = await sends(own, no("a", numbered("1"), dateTime="2027-03-20"))
    assert again == {**first, "status": "200 OK"}
    assert await last_entry(connection()) == before
    (earlier,) = await sends(own, no("a", numbered("1"), dateTime="2026-03-10"))
    assert (earlier["location"], earlier["etag"] != first["etag"]) == (first["location"], True)
    assert await kinds_since(before) == ["objection_dated_back"]
    read = await own.get(first["location"])
    assert (read.json()["dateTime"], read.headers["etag"]) == ("2026-03-09T23:00:00Z", earlier["etag"])
    assert len(await standing("1")) == 1


@BOTH
async def test_inactive_takes_back_its_own_no_and_nobody_elses(web: Web) -> None:
    own, other = await software(web), await software(web)
    await sends(own, no("a", numbered("1")), no("b", numbered("1")))
    await sends(other, no("a", numbered("1")))
    await own.post(f"{API}/objections", json={"items": [{"patient_id": "1"}]})
    await opt_out.object_(web.world.means, web.world.links["patient1@example.org"], Scope.EVERYTHING)
    (taken,) = await sends(own, no("a", numbered("1"), status="inactive"))
    assert (await own.get(taken["location"])).json()["status"] == "inactive"
    assert sorted(await standing("1")) == [("link", "everything"), *[("software", "everything")] * 3]
    before = await last_entry(connection())
    assert await sends(own, no("a", numbered("1"), status="inactive")) == [taken]
    assert await last_entry(connection()) == before
    await sends(own, no("b", numbered("1"), status="inactive"))
    await sends(other, no("a", numbered("1"), status="inactive"))
    await opt_out.withdraw(web.world.means, web.world.links["patient1@example.org"])
    assert await standing("1") == [("software", "everything")], "what the doctor was told is taken back by her patient"
    assert await usable(web) == ["2", "3"]


@BOTH
async def test_taken_back_and_said_again_it_stands_anew(web: Web) -> None:
    own = await software(web)
    await sends(own, no("a", numbered("1")))
    for _ in range(20):
        await sends(own, no("a", numbered("1"), status="inactive"))
        await sends(own, no("a", numbered("1")))
    assert await standing("1") == [("software", "everything")]
    assert sorted(await statuses(own)) == ["active", *["inactive"] * 20]


@BOTH
async def test_what_the_patient_took_back_is_not_raised_by_the_next_run(web: Web) -> None:
    own = await software(web)
    await sends(own, no("a", numbered("1")))
    await taken_back.told(
        web.world.means, practice_id="practice-a", number="1", said_on=None, channel=ObjectionChannel.PAPER,
        by=web.world.dpo,
    )  # fmt: skip
    await sends(own, no("a", numbered("1")))
    assert await standing("1") == []


async def test_a_no_dated_in_another_age_is_heard_or_refused_with_its_place(web: Web) -> None:
    own = await software(web)
    answer = await own.post("/fhir/Consent", json=no("a", numbered("1"), dateTime="0001-01-01"), headers=FHIR)
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (422, ["Consent.dateTime"])
    told = {"items": [{"patient_id": "2", "said_on": "0001-01-01"}, {"patient_id": "3", "said_on": "9999-12-31"}]}
    assert (await own.post(f"{API}/objections", json=told)).json()["not_done"] == []


@BOTH
async def test_a_no_that_she_says_after_taking_one_back_counts_under_the_same_identifier(web: Web) -> None:
    made = await program(web)
    await sends(await made.signed_in(), no("a", numbered("1")))
    web.world.wait(1)
    await taken_back.told(
        web.world.means, practice_id="practice-a", number="1", said_on=None, channel=ObjectionChannel.PAPER,
        by=web.world.dpo,
    )  # fmt: skip
    assert await standing("1") == []
    later = (web.world.clock.now() + timedelta(days=2)).isoformat()
    web.world.wait(3)
    own = await made.signed_in()
    await sends(own, no("a", numbered("1")))
    assert await standing("1") == [], "the same again says nothing new"
    before = await last_entry(connection())
    await sends(own, no("a", numbered("1"), dateTime=later))
    assert await kinds_since(before) == ["objected"]
    assert await standing("1") == [("software", "everything")]
    assert await usable(web) == ["2", "3"]


@BOTH
async def test_the_same_consent_sent_ten_times_at_once_is_one_no(web: Web) -> None:
    own = await software(web)
    body = no("a", numbered("1"))
    answers = await asyncio.gather(*(own.post("/fhir/Consent", json=body, headers=FHIR) for _ in range(10)))
    assert {one.status_code for one in answers} <= {200, 201, 409}
    assert sum(one.status_code == 201 for one in answers) == 1
    assert await standing("1") == [("software", "everything")]


async def test_an_identifier_names_one_patient_and_nothing_is_taken_back_that_was_never_sent(web: Web) -> None:
    own = await software(web)
    await sends(own, no("a", numbered("1")))
    for wrong, code in (
        (no("a", numbered("2")), "other_patient"), (no("a", numbered("2"), status="inactive"), "other_patient"),
        (no("z", numbered("1"), status="inactive"), "nothing_stands"),
        (no("y", numbered("1", "practice-b")), "unknown_patient"),
    ):  # fmt: skip
        answer = await own.post("/fhir/Consent", json=wrong, headers=FHIR)
        assert (answer.status_code, answer.json()["issue"][0]["diagnostics"]) == (422, code)
    assert await standing("1") == [("software", "everything")]


@BOTH
async def test_a_program_names_only_patients_of_practices_that_let_it_act(web: Web) -> None:
    elsewhere = await on_file(web, ClientKind.SOFTWARE)
    await programs.let_act(web.world.means, elsewhere.id, "practice-b", by=await doctor_of(web, 2))
    stranger, made = await elsewhere.signed_in(), await program(web)
    own = await made.signed_in()
    said = await sends(own, no("a", numbered("1")))
    await programs.end(web.world.means, made.id, "practice-a", by=await doctor_of(web))
    for client in (stranger, own):
        for status in ("active", "inactive"):
            answer = await client.post("/fhir/Consent", json=no("a", numbered("1"), status=status), headers=FHIR)
            assert (answer.status_code, answer.json()["issue"][0]["diagnostics"]) == (422, "unknown_patient")
    assert await standing("1") == [("software", "everything")]
    assert (await own.get(said[0]["location"])).status_code == 404


async def test_a_consent_may_be_put_under_its_own_identifier_and_under_no_other(web: Web) -> None:
    own = await software(web)
    bundle = transaction(no("a", numbered("1")))
    ours = "https://partner.example.org/consents|a"
    asked = bundle["entry"][0]["request"]
    asked.update(method="PUT", url=f"Consent?identifier={ours}")
    assert (await own.post("/fhir", json=bundle, headers=FHIR)).status_code == 200
    asked.update(method="POST", url="Consent", ifNoneExist=f"identifier={ours.replace('|', '%7C')}")
    assert (await own.post("/fhir", json=bundle, headers=FHIR)).json()["entry"][0]["response"]["status"] == "200 OK"
    for changes in ({"url": "Patient"}, {"ifNoneExist": "identifier=x|y"}, {"method": "PUT"}, {"method": "DELETE"}):
        wrong = copy.deepcopy(bundle)
        wrong["entry"][0]["request"].update(changes)
        answer = await own.post("/fhir", json=wrong, headers=FHIR)
        assert answer.status_code == 422
        assert answer.json()["issue"][0]["expression"][0].startswith("Bundle.entry[0].request")
    assert (await own.get("/fhir/Consent", params={"identifier": ours})).json()["entry"]
    assert "entry" not in (await own.get("/fhir/Consent", params={"identifier": f"{ours}b"})).json()


# --- a partner -------------------------------------------------------------------------------------------------------


@BOTH
async def test_a_partners_no_closes_whom_it_may_mean_and_says_nothing_of_who_is_a_patient(web: Web) -> None:
    sender = await partner(web)
    before = await last_entry(connection())
    said = await sends(
        sender, no("a", by_name()), no("b", by_name("Nemo", "Nadir", "1950-01-01")), no("c", by_key(NIR))
    )
    assert await kinds_since(before) == ["objected_without_token"] * 3
    assert [set(one) for one in said] == [{"status", "location", "etag", "lastModified"}] * 3
    assert {one["status"] for one in said} == {"201 Created"}
    assert await usable(web) == ["2", "3"]
    shown = [(await sender.get(one["location"])).json() for one in said]
    for one in shown:
        one.pop("id")
        one.pop("meta")
    assert shown[0] == shown[1] == shown[2]
    assert "patient" not in shown[0]
    kept = await ProvisionalObjection.all()
    assert {(one.channel, one.scope, one.outcome) for one in kept} == {("partner", "everything", None)}


@BOTH
async def test_once_it_is_bound_the_partners_inactive_lifts_that_and_nothing_else(web: Web) -> None:
    sender, other = await partner(web), await partner(web)
    await sends(sender, no("a", by_name()))
    await sends(other, no("a", by_name()))
    await opt_out.object_(web.world.means, web.world.links["patient1@example.org"], Scope.OBSERVATORY)
    her = (await Patient.get(practice_id="practice-a", number="1")).id
    for one in await ProvisionalObjection.all():
        await provisional.bind(web.world.means, one.id, [her], by=web.world.dpo)
    assert sorted(await standing("1")) == [("link", "observatory"), *[("partner", "everything")] * 2]
    assert await statuses(sender) == ["active"]
    await sends(sender, no("a", by_name(), status="inactive"))
    assert sorted(await standing("1")) == [("link", "observatory"), ("partner", "everything")]
    assert (await statuses(sender), await statuses(other)) == (["inactive"], ["active"])
    assert await usable(web) == ["2", "3"]
    (again,) = await sends(sender, no("a", by_name()))
    assert again["status"] == "200 OK"
    assert await statuses(sender) == ["active"]
    assert len(await ProvisionalObjection.filter(outcome=None)) == 1, "it is settled anew"


@BOTH
async def test_taken_back_before_it_is_settled_it_closes_until_then(web: Web) -> None:
    sender = await partner(web)
    await sends(sender, no("a", by_name(), dateTime="2026-03-05"))
    await sends(sender, no("a", by_name(), status="inactive"))
    assert await statuses(sender) == ["inactive"]
    assert await usable(web) == ["2", "3"]
    her = (await Patient.get(practice_id="practice-a", number="1")).id
    (objection,) = await provisional.bind(
        web.world.means, (await ProvisionalObjection.get()).id, [her], by=web.world.dpo
    )
    assert await standing("1") == []
    found = await rows(connection(), "SELECT withdrawn_at FROM objection WHERE id = $1", objection)
    assert found[0]["withdrawn_at"] is not None, "it has stood: what was written until now stays out"


@BOTH
async def test_taken_back_and_sent_again_before_it_is_settled_it_stands(web: Web) -> None:
    sender = await partner(web)
    await sends(sender, no("a", by_name()))
    await sends(sender, no("a", by_name(), status="inactive"))
    before = await last_entry(connection())
    await sends(sender, no("a", by_name()))
    assert await kinds_since(before) == ["objection_said_again"]
    her = (await Patient.get(practice_id="practice-a", number="1")).id
    await provisional.bind(web.world.means, (await ProvisionalObjection.get()).id, [her], by=web.world.dpo)
    assert await standing("1") == [("partner", "everything")]


@BOTH
async def test_a_partners_no_is_counted_in_a_channel_of_its_own(web: Web) -> None:
    sender, own = await partner(web), await software(web)
    await sends(sender, no("a", by_name()), no("b", by_name("Nemo", "Nadir")))
    await sends(sender, no("a", by_name(), dateTime="2026-03-05"))
    await sends(own, no("a", numbered("3")))
    counted = {one.channel: one for one in await count_objections(web.world.means, silence_factor=3)}
    for channel, n in (("partner", 2), ("software", 1)):
        assert (counted[channel].received, counted[channel].committed, counted[channel].withheld) == (n, n, n)


@BOTH
async def test_what_a_partner_passed_on_is_not_taken_back_as_told_to_the_doctor(web: Web) -> None:
    await sends(await partner(web), no("a", by_name()))
    her = (await Patient.get(practice_id="practice-a", number="1")).id
    await provisional.bind(web.world.means, (await ProvisionalObjection.get()).id, [her], by=web.world.dpo)
    answer = await (await web.as_account(web.world.dpo)).post(
        "/desk/objections/told", data={"practice": "practice-a", "number": "1", "channel": "paper"}
    )
    assert answer.status_code == 409
    assert await standing("1") == [("partner", "everything")]


async def test_a_child_is_named_as_anybody_and_a_key_that_is_none_is_refused(web: Web) -> None:
    sender = await partner(web)
    await web.world.register([child("9", given_names="Lou")], partial=True)
    family = child("9").family_name
    await sends(sender, no("a", by_name(family, "Lou", "2019-03")))
    for about in (by_key("260057512345600"), by_key("zq7"), numbered("1")):
        answer = await sender.post("/fhir/Consent", json=no("b", about), headers=FHIR)
        assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (422, ["Consent.patient"])
        assert "zq7" not in answer.text


async def test_both_kinds_of_programs_say_whom_in_their_own_way_only(web: Web) -> None:
    answer = await (await software(web)).post("/fhir/Consent", json=no("a", by_name()), headers=FHIR)
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (422, ["Consent.patient"])
    assert f"{BASE}/fhir/sid/PRACTICE/patient" in answer.text


# --- what is refused -------------------------------------------------------------------------------------------------

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
PERSON = by_name()["contained"][0]


def coding(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


REFUSED: dict[str, tuple[Resource, str]] = {
    "permit": ({"provision": {"type": "permit"}}, "provision.type"),
    "no provision": ({"provision": None}, "provision"),
    "only for a time": ({"provision": {"type": "deny", "period": {"start": "2026-01-01"}}}, "provision"),
    "a permit inside": ({"provision": {"type": "deny", "provision": [{"type": "permit"}]}}, "provision"),
    "a draft": ({"status": "draft"}, "status"),
    "an unknown status": ({"status": "zq7"}, "status"),
    "no status": ({"status": None}, "status"),
    "treatment": ({"scope": coding(f"{TERMINOLOGY}/consentscope", "treatment")}, "scope"),
    "two scopes": (
        {"scope": {"coding": [{"system": f"{TERMINOLOGY}/consentscope", "code": c} for c in ("research", "adr")]}},
        "scope",
    ),
    "another system's scope": ({"scope": coding("https://example.org/zq7", "research")}, "scope"),
    "no category": ({"category": []}, "category"),
    "an unknown category": ({"category": [coding("http://loinc.org", "zq7")]}, "category[0]"),
    "another rule": ({"policyRule": coding(f"{TERMINOLOGY}/v3-ActCode", "OPTIN")}, "policyRule"),
    "ppc-1": ({"policyRule": None}, "policy"),
    "a modifier": ({"modifierExtension": [{"url": "https://example.org/zq7", "valueBoolean": True}]}, ""),
    "an extension": ({"extension": [{"url": "https://example.org/zq7", "valueBoolean": True}]}, ""),
    "implicit rules": ({"implicitRules": "https://example.org/zq7"}, ""),
    "an unknown element": ({"zq7": 1}, ""),
    "no identifier": ({"identifier": None}, "identifier"),
    "an identifier without a system": ({"identifier": [{"value": "zq7"}]}, "identifier[0].system"),
    "no patient": ({"patient": None}, "patient"),
    "a patient's address here": ({"patient": {"reference": "Patient/1"}}, "patient"),
    "an observation": ({"patient": {"type": "Observation", **numbered("1")["patient"]}}, "patient.type"),
    "an organisation objects": ({"performer": [{"type": "Organization"}]}, "performer[0].type"),
    "31 February": ({"dateTime": "2026-02-31"}, "dateTime"),
    "a moment without a zone": ({"dateTime": "2026-03-05T10:00:00"}, "dateTime"),
    "the year 0": ({"dateTime": "0000"}, "dateTime"),
    "another resource": ({"resourceType": "Patient"}, "resourceType"),
}
REFUSED_OF_A_PARTNER: dict[str, tuple[Resource, str]] = {
    "no birth": ({"contained": [{**PERSON, "birthDate": None}]}, "contained[0].birthDate"),
    "a birth that is none": ({"contained": [{**PERSON, "birthDate": "1960-13"}]}, "contained[0].birthDate"),
    "no given name": ({"contained": [{**PERSON, "name": [{"family": "zq7"}]}]}, "contained[0].name[0].given"),
    "a name without a letter": ({"contained": [{**PERSON, "name": [{"family": "7", "given": ["7"]}]}]}, "patient"),
    "two persons": ({"contained": [PERSON, PERSON]}, "contained"),
    "nobody contained": ({"contained": None}, "patient"),
    "another reference": ({"patient": {"reference": "#zq7"}}, "patient"),
    "another's number": (
        {"contained": None, "patient": {"identifier": {"system": "urn:zq7", "value": NIR}}},
        "patient",
    ),
    "two keys": (
        {
            "patient": {"reference": "#p", "identifier": {"system": INS, "value": NIR}},
            "contained": [{**PERSON, "identifier": [{"system": INS, "value": "zq7"}]}],
        },
        "patient",
    ),
}


@pytest.mark.shows("R8")
@pytest.mark.parametrize("off", [*REFUSED, *REFUSED_OF_A_PARTNER])
async def test_whatever_is_off_is_refused_with_its_place_and_not_repeated(web: Web, off: str) -> None:
    of_partner = off in REFUSED_OF_A_PARTNER
    changes, place = {**REFUSED, **REFUSED_OF_A_PARTNER}[off]
    client = await (partner(web) if of_partner else software(web))
    good = no("a", by_name() if of_partner else numbered("1"))
    wrong = {name: value for name, value in {**good, **changes}.items() if value is not None}
    before = await dump()
    answer = await client.post(
        "/fhir", json=transaction(no("b", by_name() if of_partner else numbered("2")), wrong), headers=FHIR
    )
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/fhir+json")
    expected = "Bundle.entry[1].resource" + (f".{place}" if place else "")
    assert expected in [one["expression"][0] for one in answer.json()["issue"]]
    assert "zq7" not in answer.text
    assert await dump() == before


@pytest.mark.shows("R8")
@pytest.mark.parametrize(
    ("bundle", "place"),
    [
        ({"resourceType": "Bundle", "type": "batch"}, "Bundle.type"),
        ({"resourceType": "Bundle", "type": "transaction"}, "Bundle.entry"),
        ({"resourceType": "Bundle", "type": "transaction", "entry": []}, "Bundle.entry"),
        ({"resourceType": "Consent"}, "Bundle.resourceType"),
        ({**transaction(no("a", numbered("1"))), "zq7": 1}, "Bundle"),
        (transaction(no("a", numbered("1")), no("a", numbered("2"))), "Bundle.entry[1].resource.identifier"),
        ([], "Bundle"),
    ],
    ids=["batch", "no entry", "empty", "no bundle", "unknown element", "identifier twice", "a list"],
)
async def test_a_bundle_that_is_none_is_refused(web: Web, bundle: Any, place: str) -> None:
    own = await software(web)
    answer = await own.post("/fhir", json=bundle, headers=FHIR)
    assert answer.status_code == 422
    assert place in [one["expression"][0] for one in answer.json()["issue"]]
    assert "zq7" not in answer.text
    assert await standing("1") == []


async def test_bytes_that_are_no_resource_are_refused(web: Web) -> None:
    own = await software(web)
    for content in (b"", b"\xff\xfe", b"{", b"[" * 5000, json.dumps(no("a\0", numbered("1"))).encode()):
        answer = await own.post("/fhir/Consent", content=content, headers=FHIR)
        assert answer.status_code == 422, content[:10]
    xml = await own.post("/fhir/Consent", content=b"<Consent/>", headers={"Content-Type": "application/fhir+xml"})
    assert xml.status_code == 415
    many = transaction(*(no(str(n), numbered("1")) for n in range(501)))
    assert (await own.post("/fhir", json=many, headers=FHIR)).status_code == 422
    large = await own.post("/fhir", content=b" " * (2 * 2**20 + 1), headers=FHIR)
    assert (large.status_code, large.json()["issue"][0]["code"]) == (413, "too-long")


async def test_five_hundred_consents_come_in_at_once(web: Web) -> None:
    await web.world.register([patient(str(n)) for n in range(1, 501)])
    own = await software(web)
    said = await sends(own, *(no(str(n), numbered(str(n)), performer=[{"type": "Patient"}]) for n in range(1, 501)))
    assert len({one["location"] for one in said}) == 500
    assert len((await own.get("/fhir/Consent?_count=500")).json()["entry"]) == 500
