"""The practice's program against a live portal, over HTTP: whole runs, runs cut off anywhere, refusals for good."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from at_practice import PART, AtPractice, at_practice, many_records
from test_canaries import CANARIES, identifiers
from whole_site import served
from world import patient

from portal.flow import enrol, permit
from portal.flow.means import Means
from portal.outside.keys import KeyRing
from portal.records.database import connection, is_postgres, rows

BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test names its databases."""
    return str(request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url"))


@pytest.fixture
async def practice(database: str, means: Means, tmp_path: Path) -> AsyncIterator[AtPractice]:
    async with at_practice(means, tmp_path) as made:
        yield made


async def done(practice: AtPractice, *arguments: str) -> dict[str, Any]:
    """What a command that succeeds says, for machines."""
    ended = await practice.run(*arguments, "--json")
    assert ended.code == 0, ended.err
    said: dict[str, Any] = json.loads(ended.out)
    return said


def incoming(practice: AtPractice) -> list[Path]:
    return [path for path in practice.world.means.incoming.rglob("*") if path.is_file() and path.suffix != ".lock"]


@BOTH
async def test_one_run_does_it_all_and_leaves_nothing_here_but_its_log(practice: AtPractice) -> None:
    said = await done(practice, "run")
    assert [step["outcome"] for step in said.values()] == ["sent", "fetched", "extracted", "received"]
    assert (said["send"]["rows"], said["send"]["persons"], said["send"]["dropped"]) == (1200, 3, 0)
    assert len(practice.stored()) == 1200
    assert (practice.left_here(), incoming(practice)) == ([], [])
    assert [line.split()[1:3] for line in practice.log().splitlines()] == [
        ["register", "sent"], ["permit", "fetched"], ["extract", "extracted"], ["send", "received"],
    ]  # fmt: skip
    assert {path.stat().st_mode & 0o777 for path in (practice.work / "practice.log", practice.work)} == {0o600, 0o700}
    os.utime(practice.folder / "register.csv", (time.time() + 1, time.time() + 1))
    assert (await done(practice, "register"))["register"]["outcome"] == "sent", "written anew: it is still true"
    again = await practice.run("run")
    assert again.code == 0
    assert again.out.splitlines()[0] == "register: unchanged"
    assert len(practice.stored()) == 1200


@pytest.mark.parametrize(
    ("at", "acted"),
    [
        ("register", True), ("permits", True), ("extractions", False), ("extractions", True), ("part 1", False),
        ("part 4", False), ("part 4", True), ("part 6", True), ("receive", False),
    ],
    ids=lambda value: str(value),
)  # fmt: skip
async def test_killed_anywhere_the_next_run_finishes_it(practice: AtPractice, at: str, acted: bool) -> None:
    await practice.killed("run", at=at, acted=acted)
    arrived = sum(path.stat().st_size for path in incoming(practice) if path.suffix == ".parquet")
    said = await done(practice, "run")
    assert said["send"]["outcome"] == "received" or at == "receive"
    disturbed = practice.stored()
    assert (len(disturbed), practice.left_here(), incoming(practice)) == (1200, [], [])
    undisturbed = await done(practice, "run")
    assert practice.stored() == disturbed, "nothing was lost, nothing doubled"
    if arrived:
        assert said["send"]["bytes"] == undisturbed["send"]["bytes"] - arrived, "only what had not arrived was sent"


async def test_killed_when_everything_had_been_taken_in_the_next_run_says_so(practice: AtPractice) -> None:
    await practice.killed("run", at="receive", acted=True)
    stored = practice.stored()
    assert (await done(practice, "run"))["send"] == {"outcome": "already_received"}
    assert (practice.stored(), practice.left_here(), incoming(practice)) == (stored, [], [])


async def test_the_next_run_waits_for_a_portal_that_is_still_taking_it_in(practice: AtPractice) -> None:
    practice.configure(patience=30)
    await practice.killed("run", at="receive", waits=False)
    assert (await done(practice, "run"))["send"]["outcome"] in ("already_received", "received")
    assert (len(practice.stored()), practice.left_here(), incoming(practice)) == (1200, [], [])


async def test_killed_in_the_filter_the_next_run_begins_again(practice: AtPractice) -> None:
    practice.write_records(many_records(days=60_000))
    started = await practice.start("run")
    half = practice.work / ".extraction.part"
    while not half.exists():  # noqa: ASYNC110 - another process makes it, and sets no event here
        await asyncio.sleep(0.005)
    started.kill()
    await started.wait()
    assert half.exists(), "it was killed at work"
    practice.write_records(many_records())
    said = await done(practice, "run")
    assert (said["send"]["rows"], practice.left_here()) == (1200, [])


async def test_the_portal_goes_away_in_the_middle(database: str, means: Means, tmp_path: Path) -> None:
    """With patience the same run goes on; without, it fails in one line and the next one does. No part goes twice."""
    async with at_practice(means, tmp_path, start=False) as practice:
        reached = asyncio.Event()

        async def reach() -> None:
            reached.set()

        async with served(practice.web):
            await practice.lets_in()
            practice.configure(patience=60)
            practice.watched.after["part 3"] = reach
            running = await practice.start("run", "--json")
            await reached.wait()
        assert running.returncode is None
        await asyncio.sleep(0.5)
        reached.clear()
        async with served(practice.web):
            ended = await practice.end(running)
            assert ended.code == 0, ended.err
            sent = json.loads(ended.out)["send"]
            assert sum(practice.watched.parts) <= sent["bytes"] + 2 * PART
            stored = practice.stored()
            practice.configure(patience=0)
            practice.watched.parts.clear()
            practice.watched.after["part 3"] = reach
            running = await practice.start("run")
            await reached.wait()
        ended = await practice.end(running)
        assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
        assert "[portal_unreachable]" in ended.err
        assert practice.left_here() == ["extraction", "permit"]
        async with served(practice.web):
            assert (await done(practice, "run"))["send"]["outcome"] == "received"
        assert practice.stored() == stored


@BOTH
@pytest.mark.parametrize("at", ["part 3", "receive"])
async def test_a_doctor_who_leaves_while_it_runs_has_her_extraction_refused_on_arrival(
    practice: AtPractice, at: str
) -> None:
    async def leaves() -> None:
        await enrol.leave(practice.world.means, practice.doctor, practice.enrolment_id)

    practice.watched.before[at] = leaves
    ended = await practice.run("run", "--json")
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "the last one has left" in ended.err
    assert practice.watched.asked[-1] == at, "it did not try again"
    assert (practice.left_here(), list(practice.world.means.store.glob("*/*"))) == ([], [])
    assert practice.log().splitlines()[-1].endswith("send refused code=not_let_in")
    ended = await practice.run("run")
    assert (ended.code, "the last one has left" in ended.err) == (1, True)
    assert practice.watched.asked.count("permits") == 2


async def with_colleague(practice: AtPractice, *, verified: bool) -> Any:
    """A second doctor at the practice, active or not; patients 2 and 3 have records of hers too."""
    colleague = await practice.world.enrol(number="doctor-2", rpps="10000000002", verified=verified)
    practice.write_records([*many_records(), *many_records(("2", "3"), doctor_id="doctor-2", days=300)])
    return colleague


async def test_when_one_of_two_doctors_leaves_the_next_run_sends_what_is_the_others(practice: AtPractice) -> None:
    colleague = await with_colleague(practice, verified=True)
    hers = await enrol.Enrolment.get(account_id=colleague.id)

    async def leaves() -> None:
        await enrol.leave(practice.world.means, colleague, hers.id)

    practice.watched.before["receive"] = leaves
    ended = await practice.run("run")
    assert (ended.code, "[G23]" in ended.err, practice.left_here()) == (1, True, [])
    assert (await done(practice, "run"))["send"]["rows"] == 1200


async def test_an_extraction_left_over_that_is_good_for_nothing_any_more_is_made_anew(practice: AtPractice) -> None:
    colleague = await with_colleague(practice, verified=True)
    hers = await enrol.Enrolment.get(account_id=colleague.id)
    await practice.killed("run", at="part 3")
    await enrol.leave(practice.world.means, colleague, hers.id)
    said = await done(practice, "run")
    assert [said["send"]["outcome"], said["send"]["rows"]] == ["received", 1200]
    assert [line.split()[1:] for line in practice.log().splitlines() if "refused" in line] == [
        ["send", "refused", "code=G23"]
    ]


async def test_a_colleague_who_has_not_enrolled_has_no_record_in_it(practice: AtPractice) -> None:
    await with_colleague(practice, verified=False)
    for step in ("register", "permit", "extract"):
        said = await done(practice, step)
    assert said["extract"] == {
        "outcome": "extracted", "records_in": 1800, "passed": 1200, "not_in_permit": 0, "G34": 600,
    }  # fmt: skip
    (file,) = (practice.work / "extraction" / "records").iterdir()
    table = pq.read_table(file).to_pydict()
    assert (len(table["pseudonym"]), len(set(table["doctor_pseudonym"]))) == (1200, 1)
    assert (await done(practice, "send"))["send"]["rows"] == 1200
    assert len({row[2] for row in practice.stored()}) == 1


async def test_a_permit_that_another_program_fetched_meanwhile_ends_the_run(practice: AtPractice) -> None:
    world = practice.world

    async def another() -> None:
        await permit.issue(
            world.means, observatory_id="demo", practice_id="practice-a", by=world.operator, out=world.folder / "other"
        )

    practice.watched.before["part 2"] = another
    ended = await practice.run("run")
    assert (ended.code, ended.err.count("\n"), practice.left_here()) == (1, 1, [])
    assert "[permit_superseded]" in ended.err
    assert not list(world.means.store.glob("*/*"))


async def dump() -> dict[str, list[str]]:
    """Every table but the tokens, and the log without the entries of signing in."""
    c = connection()
    names = "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'" if is_postgres(c) else (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    )  # fmt: skip
    found = {}
    for table in sorted(row["name"] for row in await rows(c, names)):
        content = await rows(c, f"SELECT * FROM {table}")
        found[table] = sorted(str(row) for row in content if row.get("kind") != "program_signed_in")
    found.pop("client_token")
    return found


@BOTH
async def test_a_dry_run_changes_nothing(practice: AtPractice) -> None:
    before, files = await dump(), sorted(practice.world.means.data_dir.rglob("*"))
    said = await done(practice, "run", "--dry-run")
    assert said["dry_run"] == {
        "outcome": "checked", "register": "would_be_sent", "records": 1200, "patients": 3, "patients_who_pass_now": 3,
        "records_of_theirs": 1200,
    }  # fmt: skip
    after = await dump()
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"log_touch", "log_salt"}, "they stand beside the entry of signing in"
    assert sorted(practice.world.means.data_dir.rglob("*")) == files
    assert practice.watched.asked == ["token", "patients", "check"]
    assert sorted(path.name for path in practice.work.iterdir()) == ["lock", "practice.log"]


async def test_a_permit_that_the_pinned_key_did_not_sign_is_refused(practice: AtPractice) -> None:
    other = KeyRing(practice.folder / "other")
    other.create("signing")
    other.export_public(practice.folder / "portal.pub")
    ended = await practice.run("run")
    assert (ended.code, "[permit_signature]" in ended.err, practice.left_here()) == (1, True, [])
    assert "extractions" not in practice.watched.asked


async def test_a_second_run_at_once_does_nothing(practice: AtPractice) -> None:
    reached, go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        reached.set()
        await go.wait()

    practice.watched.before["part 2"] = hold
    first = await practice.start("run")
    await reached.wait()
    asked = len(practice.watched.asked)
    second = await practice.run("run")
    assert (second.code, second.err.count("\n"), "[run_under_way]" in second.err) == (1, 1, True)
    assert len(practice.watched.asked) == asked
    go.set()
    assert (await practice.end(first)).code == 0
    assert len(practice.stored()) == 1200


@pytest.mark.shows("R11")
async def test_no_name_number_or_value_stands_in_the_log_or_in_what_is_said(practice: AtPractice) -> None:
    people = [patient(number, **identifiers(int(number))) for number in ("1", "2", "3")]
    practice.write_register(people)
    ends = [await practice.run("run"), await practice.run("run", "--dry-run", "--json")]
    practice.write_register([*people, patient("4", **identifiers(4) | {"birth_date": CANARIES[40]})])
    ends.append(await practice.run("run"))
    practice.write_register(people)
    practice.write_records([*many_records(days=2), *many_records(days=1, recorded_on=CANARIES[41])])
    ends.append(await practice.run("run"))
    assert [end.code for end in ends] == [0, 0, 1, 1]
    assert "line 5, column birth_date" in ends[2].err
    said = practice.log() + "".join(end.out + end.err for end in ends)
    assert [canary for canary in CANARIES if canary in said] == []
    assert practice.left_here() == []
