"""Patients are told once each; what becomes of a message decides what it counts for; no token is at rest."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kept import dump, one_entry, refused
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.context import TortoiseContext
from world import Mailbag, World, build, child, paris, patient, plain_letter, publish

from portal.demo.clock import PlayedClock
from portal.flow import campaign, govern, minors, notify
from portal.flow.decide import Asked, explain
from portal.flow.means import Means
from portal.flow.paper import make_codes, print_letters
from portal.outside.mail import Answer
from portal.outside.tokens import token_hash
from portal.records import overview
from portal.records.database import configuration
from portal.records.governance import NoticeText
from portal.records.notices import Notice, OutboxItem, ReturnsReading
from portal.records.people import Patient
from portal.rules.clearance import Withheld
from portal.rules.due import Why
from portal.rules.pace import Pace
from portal.rules.refusals import Refused
from portal.rules.waiting import ATTEMPTS, RETRY
from portal.rules.words import Addressee, NoticeChannel, NoticeState
from portal.service import one_round


@pytest.fixture
async def enrolled(world: World) -> World:
    """An active doctor and three adults and a child, nobody told yet."""
    await world.enrol()
    await world.register([patient("1"), patient("2"), patient("3"), child("4")])
    return world


async def reasons(world: World, number: str) -> tuple[str, ...]:
    verdict, _ = await explain(world.means, Asked("demo"), practice_id="practice-a", number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


async def notice_of(number: str) -> Notice:
    return await Notice.filter(patient_id=(await Patient.get(number=number)).id).order_by("-sent_at").first()


async def test_a_campaign_queues_one_notice_for_each_patient_and_addressee(enrolled: World) -> None:
    async with one_entry("campaign_started", ("practice", "practice-a")):
        done = await campaign.start_campaign(
            enrolled.means, observatory_id="demo", practice_id="practice-a", by=enrolled.operator
        )
    assert (done.queued, done.already_told, done.not_reachable) == (4, 0, 0)
    assert (await notice_of("4")).addressee == Addressee.PARENT
    assert await Notice.filter(state=NoticeState.QUEUED).count() == await OutboxItem.all().count() == 4


async def test_a_second_campaign_tells_nobody_twice(enrolled: World) -> None:
    await enrolled.tell()
    done = await enrolled.tell()
    assert (done.queued, done.already_told) == (0, 4)
    assert len(enrolled.post.sent) == 4


async def test_who_died_left_or_cannot_be_written_to_gets_none(enrolled: World) -> None:
    gone = patient("2", deceased_on=enrolled.clock.now().date())
    await enrolled.register([gone, patient("3", email=""), child("4", representative_email="")])
    done = await enrolled.tell()
    assert (done.queued, done.not_reachable) == (0, 2)
    assert await reasons(enrolled, "3") == ("G50",)


async def test_without_a_published_text_nobody_is_told(enrolled: World) -> None:
    text = await NoticeText.get(language="fr")
    await govern.withdraw_text(enrolled.means, text.id, by=enrolled.dpo)
    async with refused("no_text"):
        await enrolled.tell()


async def test_who_comes_of_age_is_told_herself_although_her_parents_were(enrolled: World) -> None:
    await enrolled.register([child("5", birth_date="2008-03-20", email="patient5@example.org")], partial=True)
    await enrolled.tell()
    enrolled.wait(40)
    await enrolled.read_returns()
    assert await reasons(enrolled, "5") == ("G54",)
    await enrolled.tell()
    assert (await notice_of("5")).addressee == Addressee.SELF
    enrolled.wait(40)
    await enrolled.read_returns()
    assert await reasons(enrolled, "5") == ()


async def test_a_changed_address_takes_validity_back_until_somebody_is_told_there(told: World) -> None:
    assert await reasons(told, "1") == ()
    await told.register([patient("1", email="moved@example.org")], partial=True)
    assert await reasons(told, "1") == ("G54",)
    assert await reasons(told, "2") == ()
    assert (await told.tell()).queued == 1
    told.wait(40)
    await told.read_returns()
    assert await reasons(told, "1") == ()


@pytest.mark.parametrize(("minute", "over"), [(59, True), (60, False)])
async def test_thirty_days_of_reflection_are_whole_days_in_paris(enrolled: World, minute: int, over: bool) -> None:
    """Sent at 23:59 it is over on the thirty-first midnight; sent a minute later, on the one after."""
    enrolled.clock.advance_to(paris(2026, 3, 5, 23, 0) + timedelta(minutes=minute))
    await enrolled.tell()
    enrolled.clock.advance_to(paris(2026, 4, 4, 23, 59))
    await enrolled.read_returns()
    assert await reasons(enrolled, "1") == ("G56",)
    enrolled.clock.advance_to(paris(2026, 4, 5, 0, 0))
    assert await reasons(enrolled, "1") == (() if over else ("G56",))


# --- sending -------------------------------------------------------------------------------------------------------


async def test_sending_enters_the_log_and_keeps_when_and_the_servers_answer(enrolled: World) -> None:
    await campaign.start_campaign(enrolled.means, observatory_id="demo", practice_id="practice-a", by=enrolled.operator)
    async with one_entry("notices_sent"):
        assert await notify.send_due(enrolled.means, enrolled.post, plain_letter) == 4
    told = await notice_of("1")
    assert (told.state, told.sent_at, told.server_answer) == (NoticeState.SENT, enrolled.clock.now(), "250")
    assert await notify.send_due(enrolled.means, enrolled.post, plain_letter) == 0


async def test_a_server_that_refuses_for_good_makes_a_bounce(enrolled: World) -> None:
    enrolled.post.refused.add("patient1@example.org")
    await enrolled.tell()
    enrolled.wait(40)
    await enrolled.read_returns()
    assert (await notice_of("1")).state == NoticeState.BOUNCED
    assert "G55" in await reasons(enrolled, "1")
    assert await reasons(enrolled, "2") == ()


async def test_a_server_that_is_busy_is_asked_again_later_and_later(enrolled: World) -> None:
    enrolled.post.busy.add("patient1@example.org")
    await enrolled.tell()
    for wait in RETRY:
        item = await OutboxItem.get(notice_id=(await notice_of("1")).id)
        assert item.due_at - enrolled.clock.now() == wait
        enrolled.clock.advance_to(item.due_at - timedelta(seconds=1))
        assert await notify.send_due(enrolled.means, enrolled.post, plain_letter) == 0
        enrolled.clock.advance_to(item.due_at)
        assert await notify.send_due(enrolled.means, enrolled.post, plain_letter) == 1
    assert "G55" in await reasons(enrolled, "1")
    assert len([to for _, to, _ in enrolled.post.sent if to == "patient1@example.org"]) == ATTEMPTS


async def test_what_no_server_took_waits_until_the_desk_tries_again(enrolled: World) -> None:
    enrolled.post.busy |= {"patient1@example.org", "patient2@example.org"}
    done = await enrolled.tell()
    for _ in range(8):
        enrolled.wait(1)
        await enrolled.send()
    tried = len(enrolled.post.sent)
    assert tried == 2 + 2 * ATTEMPTS
    [campaign] = await overview.campaigns(enrolled.clock.now())
    assert (campaign["queued"], campaign["sent"], campaign["stuck"]) == (2, 2, 2)
    assert [row["count"] for row in await overview.to_do(enrolled.clock.now().date()) if row["kind"] == "stuck"] == [2]
    enrolled.post.busy.remove("patient1@example.org")
    async with refused("nothing_stuck"):
        await notify.try_again(enrolled.means, done.campaign_id + 1, by=enrolled.operator)
    async with one_entry("sending_tried_again", ("campaign", str(done.campaign_id))):
        assert await notify.try_again(enrolled.means, done.campaign_id, by=enrolled.operator) == 2
    await enrolled.send()
    assert len(enrolled.post.sent) == tried + 2
    assert (await notice_of("1")).state == NoticeState.SENT
    assert (await OutboxItem.get(notice_id=(await notice_of("2")).id)).attempts == 1
    async with refused("nothing_stuck"):
        await notify.try_again(enrolled.means, done.campaign_id, by=enrolled.operator)
    [campaign] = await overview.campaigns(enrolled.clock.now())
    assert (campaign["sent"], campaign["stuck"]) == (3, 0)


async def test_a_message_that_is_tried_again_is_the_same(enrolled: World) -> None:
    """Under one reference with one link and one text, also when the first one arrived and only its answer was lost; a
    newer text that says as much changes nothing."""
    enrolled.post.busy.add("patient1@example.org")
    await enrolled.tell()
    enrolled.post.busy.clear()
    await publish(enrolled, "2027-01", objection="Vous pouvez dire non, et rien ne change.")
    enrolled.wait(1)
    await enrolled.send()
    first, second = (message for _, to, message in enrolled.post.sent if to == "patient1@example.org")
    undated = [re.sub(rb"(?m)^Date: .*$", b"", message) for message in (first, second)]
    assert undated[0] == undated[1]
    notice = await notice_of("1")
    assert notice.text_sha256 == (await NoticeText.get(id=notice.text_id)).sha256
    assert (await NoticeText.get(id=notice.text_id)).version != "2027-01"


async def test_nothing_is_sent_to_who_died_or_left_since_the_campaign(enrolled: World) -> None:
    await campaign.start_campaign(enrolled.means, observatory_id="demo", practice_id="practice-a", by=enrolled.operator)
    gone = patient("2", deceased_on=enrolled.clock.now().date())
    await enrolled.register([patient("1"), gone, child("4")])
    await enrolled.send()
    assert set(enrolled.links) == {"patient1@example.org", "parent4@example.org"}
    back = {"2": patient("2"), "3": patient("3")}
    await enrolled.register([patient("1"), *back.values(), child("4")])
    enrolled.wait(1)
    await enrolled.send()
    assert "patient3@example.org" in enrolled.links


async def test_parents_hear_nothing_of_a_minor_who_asked_to_be_told_alone_since_the_campaign(enrolled: World) -> None:
    await enrolled.register([child("5", birth_date="2010-03-20", email="minor5@example.org")], partial=True)
    await campaign.start_campaign(enrolled.means, observatory_id="demo", practice_id="practice-a", by=enrolled.operator)
    await minors.tell_alone(enrolled.means, practice_id="practice-a", number="5", by=enrolled.operator)
    await enrolled.send()
    assert "parent5@example.org" not in enrolled.links


async def test_a_notice_that_came_back_is_not_sent_again(enrolled: World) -> None:
    """The first one reached a server whose answer was lost; what it made of it came back meanwhile."""
    enrolled.post.busy.add("patient1@example.org")
    await enrolled.tell()
    enrolled.returns.bounced.append(str((await notice_of("1")).id))
    await enrolled.read_returns()
    tried = len(enrolled.post.sent)
    enrolled.wait(1)
    await enrolled.send()
    assert len(enrolled.post.sent) == tried


# --- pace ----------------------------------------------------------------------------------------------------------


async def test_one_domain_is_written_to_at_its_pace_and_holds_up_no_other(world: World) -> None:
    await world.enrol()
    few = [patient(str(n), email=f"p{n}@small.example") for n in (58, 59)]
    await world.register([*(patient(str(n), email=f"p{n}@Large.example") for n in range(1, 41)), *few])
    await campaign.start_campaign(world.means, observatory_id="demo", practice_id="practice-a", by=world.operator)
    pace, sent = Pace(10), []
    for _ in range(20):
        before = len(world.post.sent)
        while await notify.send_due(world.means, world.post, plain_letter, at_most=7, pace=pace):
            pass
        sent.append(Counter(to.rpartition("@")[2].lower() for _, to, _ in world.post.sent[before:]))
        world.clock.advance_to(world.clock.now() + timedelta(seconds=15))
    assert sent[0] == {"large.example": 5, "small.example": 2}
    assert sum(n["large.example"] for n in sent) == 40
    minutes = [sum(n["large.example"] for n in sent[start : start + 4]) for start in range(17)]
    assert max(minutes) <= 15
    assert sum(n["large.example"] for n in sent[:4]) >= 10
    assert len({to for _, to, _ in world.post.sent}) == len(world.post.sent) == 42


async def test_a_worker_that_dies_with_messages_in_hand_leaves_them_to_the_next(enrolled: World) -> None:
    class Stopped(Exception):
        pass

    class Dying(Mailbag):
        async def send(self, message: bytes, sender: str, recipient: str) -> Answer:
            raise Stopped

    await campaign.start_campaign(enrolled.means, observatory_id="demo", practice_id="practice-a", by=enrolled.operator)
    with pytest.raises(Stopped):
        await notify.send_due(enrolled.means, Dying(), plain_letter)
    assert await notify.send_due(enrolled.means, enrolled.post, plain_letter) == 0
    enrolled.clock.advance_to(enrolled.clock.now() + notify.CLAIM + timedelta(seconds=1))
    assert await notify.send_due(enrolled.means, enrolled.post, plain_letter) == 4


async def test_tokens_are_at_rest_only_as_hashes(enrolled: World) -> None:
    await enrolled.tell()
    kept = str(await dump())
    assert len(enrolled.links) == 4
    for token in enrolled.links.values():
        assert token not in kept
        assert token_hash(token).hex() in kept


async def test_no_address_or_name_is_at_rest_in_clear(enrolled: World) -> None:
    await enrolled.tell()
    kept = str(await dump())
    for text in ("patient1@", "parent4@", "Martin", "Bernard", "Camille", "Un Parent"):
        assert text not in kept


async def test_the_worker_s_rounds_keep_to_a_pace(enrolled: World) -> None:
    await campaign.start_campaign(enrolled.means, observatory_id="demo", practice_id="practice-a", by=enrolled.operator)
    await one_round(enrolled.means, enrolled.post, enrolled.returns, reading=False, pace=Pace(1))
    assert len(enrolled.post.sent) == 1


# --- what comes back -----------------------------------------------------------------------------------------------


async def test_silence_is_delivery_only_after_a_complete_reading(enrolled: World) -> None:
    await enrolled.tell()
    enrolled.wait(40)
    assert "G55" in await reasons(enrolled, "1")
    enrolled.returns.complete = False
    await enrolled.read_returns()
    assert "G55" in await reasons(enrolled, "1")
    enrolled.returns.complete = True
    async with one_entry("returns_read"):
        await enrolled.read_returns()
    assert await reasons(enrolled, "1") == ()
    assert await ReturnsReading.filter(complete=True).count() == 1


async def test_a_reading_counts_for_what_was_sent_seven_days_before_it(enrolled: World) -> None:
    await enrolled.tell()
    enrolled.wait(6.9)
    await enrolled.read_returns()
    enrolled.wait(40)
    assert await reasons(enrolled, "1") == ("G55",)
    await enrolled.read_returns()
    assert await reasons(enrolled, "1") == ()


async def test_a_late_bounce_takes_validity_back(enrolled: World) -> None:
    await enrolled.tell()
    enrolled.wait(40)
    await enrolled.read_returns()
    assert await reasons(enrolled, "1") == ()
    notice = await notice_of("1")
    enrolled.returns.bounced.append(str(notice.id))
    person = str((await Patient.get(number="1")).person_id)
    async with one_entry("returns_read", ("person", person)):
        assert await enrolled.read_returns() == 1
    assert await reasons(enrolled, "1") == ("G55",)
    assert await reasons(enrolled, "2") == ()
    assert enrolled.returns.bounced == []


async def test_a_bounce_that_overtakes_the_record_of_its_sending_is_not_lost(enrolled: World) -> None:
    """The answer of the return mailbox may be read before the batch that holds the message is recorded."""

    class Quick(Mailbag):
        async def send(self, message: bytes, sender: str, recipient: str) -> Answer:
            answer = await super().send(message, sender, recipient)
            if recipient == "patient1@example.org":
                enrolled.returns.bounced.append(str((await notice_of("1")).id))
                await enrolled.read_returns()
            return answer

    await campaign.start_campaign(enrolled.means, observatory_id="demo", practice_id="practice-a", by=enrolled.operator)
    await notify.send_due(enrolled.means, Quick(), plain_letter)
    enrolled.wait(40)
    await enrolled.read_returns()
    assert (await notice_of("1")).state == NoticeState.BOUNCED
    assert "G55" in await reasons(enrolled, "1")


async def test_a_return_that_names_no_notice_of_ours_changes_nothing(enrolled: World) -> None:
    await enrolled.tell()
    enrolled.returns.bounced += ["not-a-notice", "00000000-0000-0000-0000-000000000000"]
    assert await enrolled.read_returns() == 0
    assert await Notice.filter(state=NoticeState.SENT).count() == 4


# --- several workers -----------------------------------------------------------------------------------------------


@pytest.fixture
async def crowd(postgres_url: str, means: Means, clock: PlayedClock, tmp_path: Path) -> AsyncIterator[World]:
    """On PostgreSQL, with connections enough for several workers: sixty patients, a campaign started."""
    EXECUTOR_CACHE.clear()
    async with TortoiseContext() as context:
        await context.init(config=configuration(f"{postgres_url}?minsize=4&maxsize=12"))
        world = await build(means, clock, tmp_path)
        await world.enrol()
        await world.register([patient(str(n)) for n in range(1, 61)])
        await campaign.start_campaign(means, observatory_id="demo", practice_id="practice-a", by=world.operator)
        yield world


async def test_workers_at_once_send_everything_and_nothing_twice(crowd: World) -> None:
    async def work(_: Any) -> int:
        sent = 0
        while n := await notify.send_due(crowd.means, crowd.post, plain_letter, at_most=5):
            sent += n
        return sent

    assert sum(await asyncio.gather(*map(work, range(6)))) == 60
    addresses = [address for _, address, _ in crowd.post.sent]
    assert len(addresses) == len(set(addresses)) == 60


# --- campaigns: planned, stopped, resumed ----------------------------------------------------------------------------


async def test_a_plan_says_what_a_campaign_then_does_and_changes_nothing(enrolled: World) -> None:
    home = {"email": "", "address": "3 rue de la Paix", "postcode": "75002", "city": "Paris"}
    await enrolled.register([patient("5", **home), patient("6", email="")], partial=True)
    before = await dump()
    plan = await campaign.plan_campaign(enrolled.means, observatory_id="demo", practice_id="practice-a")
    assert await dump() == before
    assert plan.due == {
        (Why.NEW_PATIENT, NoticeChannel.EMAIL): 4,
        (Why.NEW_PATIENT, NoticeChannel.POST): 1,
        (Why.NEW_PATIENT, None): 1,
    }
    done = await enrolled.tell()
    assert (done.queued, done.already_told, done.not_reachable) == (plan.to_send, plan.told, plan.not_reachable)
    after = await campaign.plan_campaign(enrolled.means, observatory_id="demo", practice_id="practice-a")
    assert (after.to_send, after.told, after.not_reachable) == (0, 5, 1)


async def test_a_plan_says_why_each_is_due(enrolled: World) -> None:
    enrolled.post.refused.add("patient2@example.org")
    await enrolled.tell()
    enrolled.wait(1)
    moved = patient("1", email="moved@example.org")
    bounced = patient("2", address="3 rue de la Paix", postcode="75002", city="Paris")
    await enrolled.register([moved, bounced, patient("3"), child("4", representative_name="Autre Parent")])
    plan = await campaign.plan_campaign(enrolled.means, observatory_id="demo", practice_id="practice-a")
    assert plan.due == {
        (Why.NEW_ADDRESS, NoticeChannel.EMAIL): 1,
        (Why.CAME_BACK, NoticeChannel.POST): 1,
        (Why.OTHER_READER, NoticeChannel.EMAIL): 1,
    }
    assert plan.told == 1


async def test_a_stopped_campaign_sends_nothing_until_it_goes_on(enrolled: World) -> None:
    done = await enrolled.queue()
    async with one_entry("campaign_stopped", ("campaign", str(done.campaign_id))):
        await campaign.stop_campaign(enrolled.means, done.campaign_id, by=enrolled.operator)
    await enrolled.send()
    assert enrolled.post.sent == []
    with pytest.raises(Refused):
        await campaign.stop_campaign(enrolled.means, done.campaign_id, by=enrolled.operator)
    async with one_entry("campaign_resumed", ("campaign", str(done.campaign_id))):
        await campaign.resume_campaign(enrolled.means, done.campaign_id, by=enrolled.operator)
    await enrolled.send()
    assert len(enrolled.post.sent) == 4


async def test_a_stopped_campaign_prints_nothing(world: World) -> None:
    await world.enrol()
    await world.register([patient("1", email="", address="3 rue de la Paix", postcode="75002", city="Paris")])
    done = await world.queue()
    await make_codes(world.means)
    await campaign.stop_campaign(world.means, done.campaign_id, by=world.operator)
    async with refused("nothing_to_print"):
        await print_letters(world.means, observatory_id="demo", by=world.operator)
    await campaign.resume_campaign(world.means, done.campaign_id, by=world.operator)
    assert await print_letters(world.means, observatory_id="demo", by=world.operator)
