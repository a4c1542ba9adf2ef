"""The interface for practice software, over HTTP: each call does what its doctor could do, for her practice only."""

import io
import zipfile
from dataclasses import replace

import pytest
from programs import API, doctor_of, program
from whole_site import Web
from world import patient

from portal.flow import told_doctor
from portal.flow.sequence import sequence
from portal.gate.register import write_register_csv
from portal.records.database import connection, rows
from portal.records.people import Patient

BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


async def standing(number: str) -> list[tuple[str, str]]:
    found = await rows(
        connection(),
        "SELECT o.channel, o.scope FROM objection o JOIN patient p ON p.id = o.patient_id "
        "WHERE p.number = $1 AND o.withdrawn_at IS NULL",
        number,
    )
    return [(row["channel"], row["scope"]) for row in found]


@BOTH
async def test_a_register_is_taken_in_and_a_bad_one_refused_with_every_place(web: Web) -> None:
    own = await (await program(web)).signed_in()
    path = web.world.folder / "register.csv"
    write_register_csv([patient("1"), patient("2"), patient("3"), patient("5")], path)
    sent = path.read_bytes()
    web.world.wait(1)
    own = await (await program(web)).signed_in()
    answer = await own.put(f"{API}/register?partial=true", content=sent, headers={"Content-Type": "text/csv"})
    assert (answer.status_code, answer.json()) == (
        200, {"rows": 4, "new": 1, "changed": 0, "left": 0, "doubts": 0},
    )  # fmt: skip
    bad = sent.replace(b"1960-05-17", b"1960-05-77", 2)
    answer = await own.put(f"{API}/register", content=bad, headers={"Content-Type": "text/csv"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [p["where"] for p in answer.json()["problems"]] == ["line 2, column birth_date", "line 3, column birth_date"]
    assert "1960-05-77" not in answer.text
    assert await Patient.filter(practice_id="practice-a").count() == 5


@BOTH
async def test_a_no_told_to_the_doctor_counts_at_once_and_the_check_no_longer_names_her(web: Web) -> None:
    own = await (await program(web)).signed_in()
    before = (await own.post(f"{API}/check", json={"patients": ["1", "2", "3", "nobody"]})).json()
    assert [p["patient_id"] for p in before["usable"]] == ["1", "2", "3"]
    told = await own.post(f"{API}/objections", json={"items": [{"patient_id": "2"}, {"patient_id": "77"}]})
    assert told.status_code == 200
    assert [n["patient_id"] for n in told.json()["noted"]] == ["2"]
    assert [(n["item"], n["code"]) for n in told.json()["not_done"]] == [(1, "unknown_patient")]
    assert await standing("2") == [("software", "everything")]
    after = (await own.post(f"{API}/check", json={"patients": ["1", "2", "3"]})).json()
    assert [p["patient_id"] for p in after["usable"]] == ["1", "3"]
    assert "2" not in [n for p in after["usable"] for n in p.values()]


async def test_one_item_a_line_is_the_same(web: Web) -> None:
    own = await (await program(web)).signed_in()
    lines = '{"patient_id": "1", "said_on": "2026-03-05"}\n{"patient_id": "3"}\n'
    headers = {"Content-Type": "application/x-ndjson"}
    told = await own.post(f"{API}/objections", content=lines, headers=headers)
    assert [n["patient_id"] for n in told.json()["noted"]] == ["1", "3"]
    wrong = await own.post(f"{API}/objections", content='{"patient_id": "1"}\n{"patient": "x"}\n', headers=headers)
    assert wrong.status_code == 422
    assert {p["where"] for p in wrong.json()["problems"]} == {"line 2", "line 2.patient_id"}
    number = await own.post(f"{API}/objections", json={"items": [{"patient_id": "1", "said_on": 0}]})
    assert number.status_code == 422, "a number is no day"


@BOTH
async def test_the_same_request_under_one_key_is_acted_on_once(web: Web) -> None:
    own = await (await program(web)).signed_in()
    key = {"Idempotency-Key": "a-key-of-mine"}
    body = {"items": [{"patient_id": "1"}]}
    first = await own.post(f"{API}/hand-outs", json=body, headers=key)
    again = await own.post(f"{API}/hand-outs", json=body, headers=key)
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    other = await own.post(f"{API}/hand-outs", json={"items": [{"patient_id": "2"}]}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "other_request")
    found = await rows(connection(), "SELECT count(*) AS n FROM notice WHERE state = 'reported'")
    assert found[0]["n"] == 1


@BOTH
async def test_what_was_not_done_is_tried_again_under_the_same_key_and_what_was_done_stands_once(web: Web) -> None:
    own = await (await program(web)).signed_in()
    for path, done, new in (("hand-outs", "reported", "5"), ("objections", "noted", "6")):
        body, key = {"items": [{"patient_id": "1"}, {"patient_id": new}]}, {"Idempotency-Key": f"a-key-for-{path}"}
        first = (await own.post(f"{API}/{path}", json=body, headers=key)).json()
        assert ([n["item"] for n in first["not_done"]], len(first[done])) == ([1], 1)
        await web.world.register([patient(new)], partial=True)
        again = (await own.post(f"{API}/{path}", json=body, headers=key)).json()
        assert (again["not_done"], again[done][0], len(again[done])) == ([], first[done][0], 2)
    assert await standing("1") == await standing("6") == [("software", "everything")]
    found = await rows(connection(), "SELECT count(*) AS n FROM notice WHERE state = 'reported'")
    assert found[0]["n"] == 2, "reported again, it is the same"


async def test_a_reported_hand_out_waits_for_the_doctor_and_a_burst_is_flagged(web: Web) -> None:
    own = await (await program(web)).signed_in()
    await web.world.register([patient(str(n)) for n in range(1, 70)], partial=True)
    one = (await own.post(f"{API}/hand-outs", json={"items": [{"patient_id": "9"}]})).json()
    assert (len(one["reported"]), one["flagged"]) == (1, False)
    many = {"items": [{"patient_id": str(n)} for n in range(9, 70)]}
    assert (await own.post(f"{API}/hand-outs", json=many)).json()["flagged"]
    doctor = await web.as_account(await doctor_of(web))
    assert "Remises à confirmer" in (await doctor.get("/doctor/patients")).text
    usable = (await own.post(f"{API}/check", json={"patients": ["9"]})).json()["usable"]
    assert usable == []


@BOTH
async def test_a_permit_is_fetched_and_names_only_those_who_pass(web: Web) -> None:
    own = await (await program(web)).signed_in()
    answer = await own.post(f"{API}/permits")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert sorted(archive.namelist()) == ["allowed.parquet", "permit.jws"]


@BOTH
async def test_the_patients_and_the_changes_are_paged_and_say_never_why(web: Web) -> None:
    made = await program(web)
    own = await made.signed_in()
    first = (await own.get(f"{API}/patients?limit=3")).json()
    rest = (await own.get(f"{API}/patients?limit=3&after={first['next']}")).json()
    assert [p["patient_id"] for p in first["patients"] + rest["patients"]] == ["1", "2", "3", "4"]
    assert rest["next"] is None
    await sequence(web.world.means)
    seen = (await own.get(f"{API}/changes")).json()
    assert seen["changes"]
    await own.post(f"{API}/objections", json={"items": [{"patient_id": "2"}]})
    assert (await own.get(f"{API}/changes?since={seen['next']}")).json()["changes"] == []
    await sequence(web.world.means)
    new = (await own.get(f"{API}/changes?since={seen['next']}")).json()
    assert [(c["about"], c["patients"]) for c in new["changes"]] == [("patients", ["2"])]
    assert set(new["changes"][0]) == {"at", "about", "patients"}


@BOTH
async def test_whoever_may_be_the_same_person_as_one_who_says_no_elsewhere_is_named(web: Web) -> None:
    own = await (await program(web)).signed_in()
    twin = patient("9", family_name=patient("1").family_name)
    await web.world.register([twin], "practice-b")
    hers = await doctor_of(web, 2)
    await sequence(web.world.means)
    seen = (await own.get(f"{API}/changes")).json()["next"]
    await told_doctor.object_for(web.world.means, practice_id="practice-b", number="9", by=hers)
    assert [p["patient_id"] for p in (await own.post(f"{API}/check", json={"patients": ["1"]})).json()["usable"]] == []
    await sequence(web.world.means)
    new = (await own.get(f"{API}/changes?since={seen}")).json()["changes"]
    assert [(c["about"], c["patients"]) for c in new] == [("patients", ["1"])]


@BOTH
async def test_who_may_be_whom_the_row_of_one_who_says_no_has_become_is_named(web: Web) -> None:
    """Patient 2 is patient 9 of practice-b, until that row has the names of patient 1 and no key any more."""
    made, key, world = await program(web), "ins:157049990786733", web.world
    await world.register([patient("2", person_key=key)], partial=True)
    await world.register([replace(patient("2"), patient_id="9", person_key=key, doctor_id="doctor-2")], "practice-b")
    world.wait(0.1)
    await world.register([replace(patient("1"), patient_id="9", doctor_id="doctor-2")], "practice-b")
    own, hers = await made.signed_in(), await doctor_of(web, 1)
    await sequence(world.means)
    seen = (await own.get(f"{API}/changes")).json()["next"]
    await told_doctor.object_for(world.means, practice_id="practice-a", number="2", by=hers)
    assert (await own.post(f"{API}/check", json={"patients": ["1"]})).json()["usable"] == []
    await sequence(world.means)
    new = (await own.get(f"{API}/changes?since={seen}")).json()["changes"]
    assert [(c["about"], c["patients"]) for c in new] == [("patients", ["1", "2"])]


@BOTH
async def test_who_may_be_a_bearer_of_the_key_of_one_who_says_no_elsewhere_is_named(web: Web) -> None:
    """Patient 12 has the names and the birth of patient 2, whose key came with patient 9 of practice-b too."""
    own = await (await program(web)).signed_in()
    key, world = "ins:157049990786733", web.world
    await world.register([patient("12", given_names=patient("2").given_names)], partial=True)
    await world.register([patient("2", person_key=key)], partial=True)
    await world.register([patient("9")], "practice-b")
    await world.register([patient("9", person_key=key)], "practice-b", partial=True)
    hers = await doctor_of(web, 2)
    await sequence(world.means)
    seen = (await own.get(f"{API}/changes")).json()["next"]
    await told_doctor.object_for(world.means, practice_id="practice-b", number="9", by=hers)
    await sequence(world.means)
    new = (await own.get(f"{API}/changes?since={seen}")).json()["changes"]
    assert [(c["about"], c["patients"]) for c in new] == [("patients", ["12", "2"])]
