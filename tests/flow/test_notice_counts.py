"""What a notice needs beside its sending: a text in force, the evidence, a path that worked, rows taken after it."""

from datetime import timedelta
from typing import Any

import pytest
from kept import one_entry, refused
from line import Line, approved, record
from world import TEXTS, World, paris, patient, publish

from portal.flow import campaign, govern, hand_over, outage
from portal.flow import release as releases
from portal.flow.decide import Asked, explain
from portal.outside.tokens import link_token
from portal.records.database import connection, rows
from portal.records.governance import NoticeText
from portal.records.notices import Notice
from portal.records.people import Patient
from portal.rules.clearance import Withheld
from portal.rules.words import NoticeState

EXTRACTION, RELEASE = Asked("demo"), Asked("demo", "diabetes")


async def reasons(world: World, number: str = "1", asked: Asked = EXTRACTION) -> tuple[str, ...]:
    verdict, _ = await explain(world.means, asked, practice_id="practice-a", number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


async def later(world: World, days: float = 40) -> None:
    world.wait(days)
    await world.read_returns()


# --- G52: superseded by a material version ---------------------------------------------------------------------------


async def test_from_the_approval_of_a_material_version_older_notices_count_no_more(told: World) -> None:
    assert await reasons(told) == ()
    await publish(told, "2027-01", material=True)
    assert await reasons(told) == ("G52",)
    assert (await told.tell()).queued == 4, "everybody is told again"
    await later(told)
    assert await reasons(told) == ()


async def test_a_material_version_counts_in_every_language(told: World) -> None:
    """Who was told in English is told again, although only the French text is new."""
    await told.register([patient("1"), patient("2", language="en")], partial=True)
    await publish(told, "2027-01", material=True)
    assert {t.language: t.superseded_at is not None for t in await NoticeText.filter(version__not="2027-01")} == {
        "fr": True, "en": True,
    }  # fmt: skip


async def test_a_version_that_is_not_material_leaves_notices_valid_and_tells_nobody_twice(told: World) -> None:
    await publish(told, "2027-01")
    assert await reasons(told) == ()
    done = await told.tell()
    assert (done.queued, done.already_told) == (0, 4)


async def test_a_version_that_covers_more_is_due_although_the_older_one_still_counts(told: World) -> None:
    covers = (await NoticeText.get(language="fr")).body["covers"]
    await publish(told, "2027-01", covers__columns=[*covers["columns"], "sick_leave_days"])
    assert await reasons(told) == ()
    assert (await told.tell()).queued == 4


async def test_a_notice_superseded_while_its_period_runs_counts_for_nothing(told: World) -> None:
    await told.register([patient("9")], partial=True)
    await told.tell()
    told.wait(10)
    await publish(told, "2027-01", material=True)
    await later(told, 30)
    assert await reasons(told, "9") == ("G52",)


async def test_what_waits_in_the_outbox_with_an_older_text_is_not_sent(told: World) -> None:
    await told.register([patient("9")], partial=True)
    await campaign.start_campaign(told.means, observatory_id="demo", practice_id="practice-a", by=told.operator)
    await publish(told, "2027-01", material=True)
    before = len(told.post.sent)
    await told.send()
    assert len(told.post.sent) == before
    await told.tell()
    assert [address for _, address, _ in told.post.sent[before:]].count("patient9@example.org") == 1


async def test_a_text_approved_after_a_newer_material_one_is_superseded_from_the_start(told: World) -> None:
    await publish(told, "2027-02", material=True)
    older = await publish(told, "2027-01")
    assert (await NoticeText.get(id=older)).superseded_at is not None
    assert (await NoticeText.get(version="2027-02")).superseded_at is None


async def test_a_text_without_the_flag_keeps_the_hash_it_had_before_there_was_one(told: World) -> None:
    """Loading the same files again after an upgrade changes nothing."""
    for path in sorted(TEXTS.glob("notice-adult-*.toml")):
        assert await govern.load(told.means, govern.read_reviewed(path), actor=told.operator.actor) == []
        assert "material" not in (await NoticeText.get(language=path.stem[-2:])).body


# --- G57: the evidence ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lost",
    [
        "text_sha256 = NULL",
        "text_sha256 = 'another'",
        "sent_at = NULL",
        "sent_at = NULL, server_answer = NULL",
    ],
)
async def test_a_notice_without_its_evidence_counts_for_nothing(told: World, lost: str) -> None:
    """Which text, when, and what came back: a restored backup without the outbox, a row that was altered."""
    await rows(connection(), f"UPDATE notice SET {lost} WHERE patient_id = (SELECT min(id) FROM patient)")
    assert "G57" in await reasons(told)
    assert await reasons(told, "2") == ()


async def test_a_notice_that_does_not_say_where_it_went_counts_for_nothing(told: World) -> None:
    await rows(connection(), "UPDATE notice SET address_index = NULL WHERE patient_id = (SELECT min(id) FROM patient)")
    assert await reasons(told) == ("G54", "G57")


async def test_sending_keeps_the_hash_of_the_text_that_was_in_fact_sent(told: World) -> None:
    text = await NoticeText.get(language="fr")
    assert {n.text_sha256 for n in await Notice.all()} == {text.sha256}


async def test_a_text_altered_in_the_database_leaves_no_evidence_of_what_was_approved(told: World) -> None:
    """What was sent was not the approved text: it is not even valid, and once mended the evidence still says so."""
    text = await NoticeText.get(language="fr")
    approved_body = text.body
    await NoticeText.filter(id=text.id).update(body={**approved_body, "title": "Autre chose"})
    await told.register([patient("9")], partial=True)
    await told.tell()
    await later(told)
    assert "G51" in await reasons(told, "9")
    await NoticeText.filter(id=text.id).update(body=approved_body)
    assert await reasons(told, "9") == ("G57",)
    assert await reasons(told) == ()


@pytest.mark.parametrize("state", [s for s in NoticeState if s not in (NoticeState.SENT, NoticeState.HANDED_OVER)])
async def test_every_other_state_is_no_delivery(told: World, state: NoticeState) -> None:
    await Notice.filter(patient_id=(await Patient.get(number="1")).id).update(state=state)
    assert await reasons(told) == ("G55",)


# --- delivery ---------------------------------------------------------------------------------------------------------


async def test_a_reader_of_bounces_that_stopped_for_ten_days_closes_whom_it_did_not_hear_about(world: World) -> None:
    """Sent on day 0; read on day 3, then not until day 13: only that reading counts the silence."""
    await world.enrol()
    await world.register([patient("1")])
    await world.tell()
    await later(world, 3)
    world.wait(9)
    assert "G55" in await reasons(world)
    world.wait(1)
    await world.read_returns()
    world.wait(20)
    assert await reasons(world) == ()


async def test_a_late_bounce_after_a_release_takes_the_person_out_of_the_next_look(told: World) -> None:
    line = Line(told)
    await line.open()
    await line.receive(await line.extract(record("1"), record("2"), record("3")))
    release = await approved(told)
    notice = await Notice.get(patient_id=(await Patient.get(number="1")).id)
    told.returns.bounced.append(str(notice.id))
    await told.read_returns()
    assert await reasons(told, asked=RELEASE) == ("G55",)
    assert await releases.seal(told.means, release, by=told.operator) == 2


async def test_a_hand_over_reported_by_software_waits_for_the_doctor(told: World) -> None:
    doctor = await told.enrol(1, number="doctor-9")
    await told.register([patient("9", email="")], partial=True)
    async with one_entry("notice_hand_over_reported"):
        notice = await hand_over.report_handed_over(
            told.means, observatory_id="demo", practice_id="practice-a", number="9", actor="software:practice-a"
        )
    await later(told)
    assert await reasons(told, "9") == ("G55",)
    async with refused("unknown_notice"):
        await hand_over.confirm_handed_over(told.means, notice, by=told.operator)
    async with one_entry("notice_hand_over_confirmed"):
        await hand_over.confirm_handed_over(told.means, notice, by=doctor)
    assert await reasons(told, "9") == ()
    async with refused("not_reported"):
        await hand_over.confirm_handed_over(told.means, notice, by=doctor)


async def test_what_a_doctor_prepared_or_undid_counts_from_when_she_has_handed_it_over(told: World) -> None:
    doctor = await told.enrol(1, number="doctor-9")
    await told.register([patient("9", email=""), patient("8", email="")], partial=True)
    here = {"observatory_id": "demo", "practice_id": "practice-a"}
    prepared = await hand_over.prepare_hand_out(told.means, **here, number="9", by=doctor)
    undone = await hand_over.report_handed_over(told.means, **here, number="8", actor="software:x")
    await hand_over.confirm_handed_over(told.means, undone, by=doctor)
    await hand_over.undo_handed_over(told.means, undone, by=doctor)
    await later(told)
    for notice, number in ((prepared, "9"), (undone, "8")):
        await hand_over.confirm_handed_over(told.means, notice, by=doctor)
        assert await reasons(told, number) == ("G56",)


async def test_a_doctors_own_hand_over_counts_and_its_link_works(told: World) -> None:
    doctor = await told.enrol(1, number="doctor-9")
    await told.register([patient("9", email="")], partial=True)
    async with one_entry("notice_handed_over"):
        notice = await hand_over.hand_over(
            told.means, observatory_id="demo", practice_id="practice-a", number="9", by=doctor
        )
    assert await reasons(told, "9") == ("G56",)
    await later(told)
    assert await reasons(told, "9") == ()
    await told.register([patient("9", email="new@example.org")], partial=True)
    assert await reasons(told, "9") == (), "in person, whatever her address is"
    assert (await told.tell()).queued == 0
    assert len(link_token(told.means.ring, str(notice))) == 43


async def test_a_hand_over_to_the_wrong_addressee_or_by_a_stranger_is_refused(told: World) -> None:
    doctor = await told.enrol(2, number="doctor-2")
    given: dict[str, Any] = {"observatory_id": "demo", "practice_id": "practice-a"}
    async with refused("other_practice"):
        await hand_over.hand_over(told.means, **given, number="1", by=doctor)
    async with refused("wrong_addressee"):
        await hand_over.report_handed_over(told.means, **given, number="4", actor="software:practice-a")
    async with refused("wrong_addressee"):
        await hand_over.report_handed_over(told.means, **given, number="77", actor="software:practice-a")


# --- G58: rows taken before she was told ----------------------------------------------------------------------------


async def test_rows_taken_before_the_notice_that_counts_do_not_pass_to_a_study(told: World) -> None:
    line = Line(told)
    await line.open()
    await line.receive(await line.extract(record("1"), record("2"), record("3")))
    assert await reasons(told, asked=RELEASE) == ()
    await told.register([patient("1", email="moved@example.org")], partial=True)
    await told.tell()
    await later(told)
    assert await reasons(told, asked=EXTRACTION) == ()
    assert await reasons(told, asked=RELEASE) == ("G58",)
    assert await reasons(told, "2", asked=RELEASE) == ()
    await line.receive(await line.extract(record("1"), record("2"), record("3")))
    assert await reasons(told, asked=RELEASE) == ()


async def test_such_rows_leave_a_release_that_is_prepared_and_come_back_with_the_next_extraction(told: World) -> None:
    line = Line(told)
    await line.open()
    await line.receive(await line.extract(record("1"), record("2"), record("3")))
    await told.register([patient("1", email="moved@example.org")], partial=True)
    await told.tell()
    await later(told)
    release = await approved(told)
    assert await releases.seal(told.means, release, by=told.operator) == 2
    await line.receive(await line.extract(record("1"), record("2"), record("3")))
    assert await releases.seal(told.means, await approved(told), by=told.operator) == 3


# --- outages of the path --------------------------------------------------------------------------------------------


@pytest.fixture
async def running(world: World) -> World:
    """Told on 2 March: the thirty days run through 1 April."""
    await world.enrol()
    await world.register([patient("1")])
    await world.tell()
    return world


async def test_an_outage_lengthens_a_running_period_by_its_own_length(running: World) -> None:
    running.clock.advance_to(paris(2026, 3, 10, 9))
    async with one_entry("outage_began"):
        number = await outage.begin_outage(running.means, actor="system:worker")
    running.clock.advance_to(paris(2026, 3, 12, 18))
    async with one_entry("outage_ended"):
        await outage.end_outage(running.means, number, actor="system:worker")
    for day, over in ((2, False), (4, False), (5, True)):
        running.clock.advance_to(paris(2026, 4, day, 0, 0))
        await running.read_returns()
        assert ("G56" not in await reasons(running)) == over, f"three days are lost: over on 5 April, asked on {day}"


async def test_an_outage_before_or_after_the_period_lengthens_nothing(running: World) -> None:
    number = await outage.begin_outage(running.means, actor="operator:1", began_at=paris(2026, 2, 1))
    await outage.end_outage(running.means, number, actor="operator:1")
    running.clock.advance_to(paris(2026, 4, 2, 0, 0))
    await running.read_returns()
    assert await reasons(running) == ()
    await outage.begin_outage(running.means, actor="operator:1")
    running.wait(1)
    assert await reasons(running) == (), "her period was over before the path failed"


async def test_while_an_outage_is_open_no_period_ends(running: World) -> None:
    running.clock.advance_to(paris(2026, 4, 1, 23, 0))
    number = await outage.begin_outage(running.means, actor="operator:1")
    for _ in range(3):
        running.wait(30)
        await running.read_returns()
        await running.register([patient("1")])
        assert await reasons(running) == ("G56",)
    await outage.end_outage(running.means, number, actor="operator:1")
    running.wait(1)
    assert await reasons(running) == ("G56",)
    running.wait(1)
    assert await reasons(running) == ()


async def test_an_outage_found_late_closes_who_was_already_in_a_list(told: World) -> None:
    """The entry names nobody, so the second look asks about everybody."""
    line = Line(told)
    await line.open()
    await line.receive(await line.extract(record("1"), record("2"), record("3")))
    release = await approved(told)
    number = await outage.begin_outage(told.means, actor="operator:1", began_at=told.clock.now() - timedelta(days=20))
    assert await reasons(told, asked=RELEASE) == ("G56",)
    async with refused("no_outage"):
        await outage.end_outage(told.means, number + 1, actor="operator:1")
    async with refused("in_future"):
        await outage.begin_outage(told.means, actor="operator:1", began_at=told.clock.now() + timedelta(seconds=1))
    async with refused("G61"):
        await releases.seal(told.means, release, by=told.operator)
