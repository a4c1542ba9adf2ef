"""Who has no mailbox is told by post; a letter counts from the day it was posted, and not once it has come back."""

from datetime import timedelta

import pytest
from kept import dump, one_entry, refused
from paper import seen_codes, words
from world import World, child, patient

from portal.flow.decide import Asked, explain
from portal.flow.paper import (
    Printed,
    letters_posted,
    letters_returned,
    make_codes,
    print_file,
    print_letters,
)
from portal.outside.typeset import TypstPress
from portal.records.notices import Notice, OutboxItem
from portal.records.people import Patient
from portal.rules.clearance import Withheld
from portal.rules.postal import letter_number
from portal.rules.refusals import RefusedFile
from portal.rules.waiting import paris_day
from portal.rules.words import Addressee, NoticeChannel, NoticeState
from portal.web.print_file import compose_letters, compose_sheet
from portal.web.render import folder

HOME = {"email": "", "address": "3 rue de la Paix", "postcode": "75002", "city": "Paris"}


@pytest.fixture
async def by_post(world: World) -> World:
    """Two adults and a child's mother who can be written to by post only, and one with a mailbox too; codes made."""
    await world.enrol()
    mother = {"representative_email": "", "representative_address": "12 rue du Four, 69001 Lyon"}
    rows = [
        patient("1", **HOME),
        patient("2", **HOME),
        child("3", **mother),
        patient("4", **HOME | {"email": "d@example.org"}),
    ]
    await world.register(rows)
    await world.tell()
    assert await make_codes(world.means) == 3
    return world


async def printed(world: World, run: int) -> Printed:
    press = TypstPress(folder("templates") / "letter")
    return await print_file(
        world.means, press, compose_letters(world.means.base_url), compose_sheet, run, by=world.operator
    )


async def run_of(world: World) -> int:
    return await print_letters(world.means, observatory_id="demo", by=world.operator)


async def reasons(world: World, number: str) -> tuple[str, ...]:
    verdict, _ = await explain(world.means, Asked("demo"), practice_id="practice-a", number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


async def notice_of(number: str, **more: object) -> Notice:
    return await Notice.get(patient_id=(await Patient.get(number=number)).id, **more)


async def test_who_has_a_mailbox_gets_mail_and_who_has_none_a_letter(by_post: World) -> None:
    assert [(await notice_of(number)).channel for number in "1234"] == ["post", "post", "post", "email"]
    assert (await notice_of("3")).addressee == Addressee.PARENT
    assert await OutboxItem.all().count() == 1


async def test_a_household_gets_a_letter_for_each_person(by_post: World) -> None:
    run = await run_of(by_post)
    job = await printed(by_post, run)
    text = " ".join(words(job.file))
    assert "Camille Bernard" in text
    assert "Camille Thomas" in text


async def test_the_print_file_leads_to_each_patients_page(by_post: World) -> None:
    run = await run_of(by_post)
    job = await printed(by_post, run)
    codes = seen_codes(job.file)
    links = [page["QRCode"] for page in codes if "QRCode" in page]
    numbers = [page["DataMatrix"] for page in codes if "DataMatrix" in page]
    assert job.letters == len(links) == len(set(links)) == 3
    assert all(link.startswith(by_post.means.base_url + "/o/") for link in links)
    assert numbers == [letter_number(run, place) for place in (1, 2, 3)]


async def test_the_file_of_a_run_can_be_made_again_and_is_the_same(by_post: World) -> None:
    run = await run_of(by_post)
    first, second = await printed(by_post, run), await printed(by_post, run)
    assert (first.file, first.sheet) == (second.file, second.sheet)


async def test_a_letter_is_in_one_run_only(by_post: World) -> None:
    async with one_entry("letters_printed", ("outbox", "print")):
        await run_of(by_post)
    before = await dump()
    async with refused("nothing_to_print"):
        await run_of(by_post)
    assert await dump() == before


async def test_a_letter_without_its_code_waits(world: World) -> None:
    await world.enrol()
    await world.register([patient("1", **HOME)])
    await world.tell()
    async with refused("nothing_to_print"):
        await run_of(world)


async def test_a_printed_letter_counts_for_nothing_until_it_is_posted(by_post: World) -> None:
    await run_of(by_post)
    by_post.wait(60)
    await letters_returned(by_post.means, [], complete=True, by=by_post.operator)
    assert "G55" in await reasons(by_post, "1")


async def test_a_posted_letter_counts_after_fourteen_silent_days_and_the_reflection_period(by_post: World) -> None:
    run = await run_of(by_post)
    async with one_entry("letters_posted", ("outbox", "post")):
        day = paris_day(by_post.clock.now())
        assert await letters_posted(by_post.means, run, posted_on=day, by=by_post.operator) == 3
    by_post.wait(13.9)
    await letters_returned(by_post.means, [], complete=True, by=by_post.operator)
    assert await reasons(by_post, "1") == ("G55", "G56")
    by_post.wait(0.2)
    assert "G55" in await reasons(by_post, "1"), "silence is no delivery before the returns have been read"
    await letters_returned(by_post.means, [], complete=False, by=by_post.operator)
    assert "G55" in await reasons(by_post, "1"), "a reading that was not complete proves no silence"
    await letters_returned(by_post.means, [], complete=True, by=by_post.operator)
    assert await reasons(by_post, "1") == ("G56",)
    by_post.wait(17)
    await by_post.register([patient("1", **HOME)], partial=True)
    await by_post.register([patient("1", **HOME), patient("2", **HOME)])
    assert await reasons(by_post, "1") == ()


async def test_mail_that_was_read_proves_nothing_about_letters(by_post: World) -> None:
    run = await run_of(by_post)
    await letters_posted(by_post.means, run, posted_on=paris_day(by_post.clock.now()), by=by_post.operator)
    by_post.wait(40)
    await by_post.read_returns()
    assert "G55" in await reasons(by_post, "1")


async def test_a_letter_that_came_back_counts_no_longer(by_post: World) -> None:
    run = await run_of(by_post)
    await letters_posted(by_post.means, run, posted_on=paris_day(by_post.clock.now()), by=by_post.operator)
    by_post.wait(45)
    person = str((await Patient.get(number="1")).person_id)
    async with one_entry("letters_returned", ("person", person)):
        back = await letters_returned(
            by_post.means, [letter_number(run, 1), "", letter_number(run, 1)], complete=True, by=by_post.operator
        )
    assert back == 1
    assert (await notice_of("1")).state == NoticeState.RETURNED
    assert "G55" in await reasons(by_post, "1")
    assert "G55" not in await reasons(by_post, "2")
    assert await letters_returned(by_post.means, [letter_number(run, 1)], complete=True, by=by_post.operator) == 0


async def test_a_list_with_a_wrong_number_is_refused_whole_and_says_where(by_post: World) -> None:
    run = await run_of(by_post)
    await letters_posted(by_post.means, run, posted_on=paris_day(by_post.clock.now()), by=by_post.operator)
    right = letter_number(run, 1)
    wrong = right[:-1] + str((int(right[-1]) + 1) % 10)
    before = await dump()
    for line, code in ((wrong, "letter_number"), (letter_number(run, 9), "unknown_letter")):
        with pytest.raises(RefusedFile) as no:
            await letters_returned(by_post.means, [right, line], complete=True, by=by_post.operator)
        assert [(problem.code, problem.where) for problem in no.value.problems] == [(code, "line 2")]
    assert await dump() == before


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_day_of_posting_before_the_printing_or_in_the_future_is_refused(by_post: World, days: int) -> None:
    run = await run_of(by_post)
    before = await dump()
    async with refused("posted_on"):
        day = paris_day(by_post.clock.now()) + timedelta(days=days)
        await letters_posted(by_post.means, run, posted_on=day, by=by_post.operator)
    assert await dump() == before


async def test_a_posted_run_is_neither_posted_nor_printed_again(by_post: World) -> None:
    run, today = await run_of(by_post), paris_day(by_post.clock.now())
    await letters_posted(by_post.means, run, posted_on=today, by=by_post.operator)
    async with refused("no_open_run"):
        await letters_posted(by_post.means, run, posted_on=today, by=by_post.operator)
    async with refused("no_open_run"):
        await printed(by_post, run)


async def test_who_died_or_moved_after_the_campaign_gets_no_letter(by_post: World) -> None:
    moved = HOME | {"address": "9 rue Neuve"}
    died = patient("1", **HOME, deceased_on=paris_day(by_post.clock.now()))
    await by_post.register([died, patient("2", **moved)])
    async with refused("nothing_to_print"):
        await run_of(by_post)


async def test_a_bounce_sends_a_letter_and_a_returned_letter_nothing_more(world: World) -> None:
    await world.enrol()
    await world.register([patient("1", **HOME | {"email": "gone@example.org"})])
    world.post.refused.add("gone@example.org")
    await world.tell()
    again = await world.tell()
    assert (again.queued, again.already_told, again.not_reachable) == (1, 0, 0)
    await make_codes(world.means)
    run = await run_of(world)
    await letters_posted(world.means, run, posted_on=paris_day(world.clock.now()), by=world.operator)
    assert (await world.tell()).already_told == 1
    world.wait(20)
    await letters_returned(world.means, [letter_number(run, 1)], complete=True, by=world.operator)
    last = await world.tell()
    assert (last.queued, last.already_told, last.not_reachable) == (0, 0, 1)
    assert await Notice.filter(channel=NoticeChannel.POST).count() == 1
