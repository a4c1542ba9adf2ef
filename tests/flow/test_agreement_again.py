"""A newer agreement is signed where she stands; a locum gives her last day; a successor brings her own records only."""

from datetime import timedelta

from kept import one_entry, refused
from world import World, patient, signing

from portal.flow import enrol, hand_over, minors
from portal.flow.permit import doctor_spans, issue
from portal.records.accounts import Account
from portal.records.database import connection
from portal.records.enrolments import Enrolment, Signature, named_only
from portal.records.governance import AgreementText
from portal.rules.waiting import paris_day
from portal.rules.words import EnrolmentState as State


async def newer(world: World, version: str = "2026-09") -> AgreementText:
    old = await AgreementText.get(language="fr", version="2026-06")
    return await AgreementText.create(
        observatory_id="demo", version=version, language="fr", body={**old.body, "title": version}, sha256=version,
        grace_until=paris_day(world.clock.now()), entry_id=old.entry_id,
    )  # fmt: skip


async def test_a_newer_version_is_signed_where_she_stands_with_the_choices_that_she_made(world: World) -> None:
    account = await world.enrol(history=False)
    before, text = await Enrolment.get(), await newer(world)
    async with one_entry("agreement_signed", ("doctor", str(account.id)), ("practice", "practice-a")):
        await enrol.sign(world.means, account, before.id, signing(world, text, history=True))
    now = await Enrolment.get()
    assert (now.state, now.active_from, now.doctor_number) == (State.ACTIVE, before.active_from, "doctor-1")
    assert (now.agreement_id, now.includes_history) == (text.id, False)
    assert await Signature.all().order_by("entry_id").values_list("agreement_id", flat=True) == [
        before.agreement_id, text.id,
    ]  # fmt: skip
    async with refused("enrolment_step"):
        await enrol.sign(world.means, account, before.id, signing(world, text))


async def test_only_the_newest_version_is_signed(world: World) -> None:
    account = await world.enrol(verified=False)
    old = await AgreementText.get(language="fr")
    await newer(world)
    async with refused("other_agreement"):
        await enrol.sign(world.means, account, (await Enrolment.get()).id, signing(world, old))


async def test_who_has_not_signed_the_newer_version_does_not_sign_the_same_in_another_language(world: World) -> None:
    account = await world.enrol()
    english = await AgreementText.get(language="en")
    async with refused("enrolment_step"):
        await enrol.sign(world.means, account, (await Enrolment.get()).id, signing(world, english))


async def test_a_locum_gives_her_last_day_and_her_span_ends_with_it(world: World) -> None:
    account = await world.enrol(verified=False)
    one, text = await Enrolment.get(), await AgreementText.get(language="fr")
    today = paris_day(world.clock.now())
    async with refused("until"):
        await enrol.sign(world.means, account, one.id, signing(world, text, until=today - timedelta(days=1)))
    await enrol.sign(world.means, account, one.id, signing(world, text, until=today))
    await enrol.verify(world.means, one.id, doctor_number="doctor-1", by=world.operator)
    spans, _ = await doctor_spans(world.means, "demo", "practice-a")
    assert [span.recorded_until for span in spans] == [today]
    assert await named_only(connection(), world.clock.now(), "demo", "practice-a") == {"practice-a"}, (
        "what names nobody may be from later"
    )
    world.wait(1)
    assert await doctor_spans(world.means, "demo", "practice-a") == ([], [])
    assert (await Enrolment.get()).state == State.ACTIVE, "time closes without anything being written"


async def test_a_successor_takes_the_number_of_who_left_only_without_the_history(world: World) -> None:
    first = await world.enrol()
    await world.register([patient("1")])
    for history in (False, True):
        await world.enrol(number="doctor-2", history=history, verified=False)
        second = await Enrolment.get(account__subject="doctor-doctor-2")
        async with refused("number_taken"):
            await enrol.verify(world.means, second.id, doctor_number="doctor-1", by=world.operator)
    await enrol.leave(world.means, first, (await Enrolment.get(account_id=first.id)).id)
    async with refused("number_taken"):
        await enrol.verify(world.means, second.id, doctor_number="doctor-1", by=world.operator)
    await world.enrol(number="doctor-2", history=False, verified=False)
    await enrol.verify(world.means, second.id, doctor_number="doctor-1", by=world.operator)
    spans, accounts = await doctor_spans(world.means, "demo", "practice-a")
    assert [(span.doctor_id, span.recorded_from) for span in spans] == [("doctor-1", paris_day(world.clock.now()))]
    assert accounts == [(await Account.get(subject="doctor-doctor-2")).id], "and none of her predecessor's"


async def test_a_colleague_who_has_signed_the_newest_does_not_sign_for_her(world: World) -> None:
    lapsed = await world.enrol()
    signed = await world.enrol(number="doctor-2", rpps="10000000002")
    text = await newer(world)
    theirs = await Enrolment.get(account_id=signed.id)
    await enrol.sign(world.means, signed, theirs.id, signing(world, text))

    async def there() -> list[str]:
        return [span.doctor_id for span in (await doctor_spans(world.means, "demo", "practice-a"))[0]]

    assert await there() == ["doctor-1", "doctor-2"], "until the grace date is over"
    world.wait(1)
    assert await there() == ["doctor-2"]
    assert await named_only(connection(), world.clock.now(), "demo", "practice-a") == {"practice-a"}
    await world.register([patient("1")])
    async with refused("other_practice"):
        await issue(world.means, observatory_id="demo", practice_id="practice-a", by=lapsed, out=world.folder / "p")


async def test_after_her_last_day_a_locum_opens_nothing_and_is_given_no_list(world: World) -> None:
    account = await world.enrol()
    await world.register([patient("1")])
    reported = await hand_over.report_handed_over(
        world.means, observatory_id="demo", practice_id="practice-a", number="1", actor="software:x"
    )
    await Enrolment.all().update(closes_on=paris_day(world.clock.now()))
    async with refused("unknown_notice"):
        await hand_over.confirm_handed_over(world.means, reported, by=account)
    async with refused("other_practice"):
        await hand_over.prepare_hand_out(
            world.means, observatory_id="demo", practice_id="practice-a", number="1", by=account
        )
    async with refused("other_practice"):
        await issue(world.means, observatory_id="demo", practice_id="practice-a", by=account, out=world.folder / "p")
    async with refused("other_practice"):
        await minors.tell_alone(world.means, practice_id="practice-a", number="1", by=account)
