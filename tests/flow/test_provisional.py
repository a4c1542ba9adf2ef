"""A no said without a token closes whoever may be meant, at once and later, until the DPO has settled it."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from kept import dump, one_entry, refused
from line import Line, approved, record
from world import FAMILIES, GIVEN, World, child, patient

from portal.flow import opt_out, provisional, release, retract, who_is_who
from portal.flow.decide import Asked, explain
from portal.flow.provisional import Spoken
from portal.records.database import connection
from portal.records.identity_overview import incidents
from portal.records.identity_overview import provisional as listed
from portal.records.objections import Objection, ProvisionalObjection, ProvisionalToken
from portal.records.people import IdentityDoubt, Patient
from portal.records.releases import ReleasePerson
from portal.records.retractions import open_lines
from portal.rules.clearance import Withheld
from portal.rules.waiting import midnight, month_after, paris_day
from portal.rules.words import ObjectionChannel, Scope

KEY, OTHER_KEY = "ins:157049990786733", "ins:269054958815780"
ONE = Spoken(family_name=FAMILIES[1], given_names=GIVEN[0], birth="1960-05-17", answer_to="12 rue des Lilas")
"""What the first patient of `told` says on the telephone."""


async def reasons(world: World, number: str, practice_id: str = "practice-a") -> tuple[str, ...]:
    verdict, _ = await explain(world.means, Asked("demo"), practice_id=practice_id, number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


async def say(world: World, spoken: Spoken = ONE, **options: object) -> provisional.Recorded:
    given = {"scope": Scope.EVERYTHING, "channel": ObjectionChannel.PHONE, "by": world.operator.actor} | options
    return await provisional.record(world.means, spoken, **given)


async def row(number: str, practice_id: str = "practice-a") -> Patient:
    return await Patient.get(practice_id=practice_id, number=number)


# --- it blocks -----------------------------------------------------------------------------------------------------


async def test_a_no_on_the_telephone_closes_whoever_it_may_mean_and_nobody_else(told: World) -> None:
    async with one_entry("objected_without_token"):
        await say(told)
    assert await reasons(told, "1") == ("G45",)
    assert await reasons(told, "2") == await reasons(told, "3") == ()


@pytest.mark.parametrize(
    "spoken",
    [
        Spoken(family_name="MARTIN", birth_name="BERNARD", given_names="camille anne", birth="1960"),
        Spoken(family_name="Bernart", given_names="Camille", birth="1960-05-17"),
        Spoken(family_name="Bernard", given_names="Camille"),
    ],
    ids=["a year and two names", "misheard", "no birth at all"],
)
async def test_half_of_what_there_is_to_know_is_enough(told: World, spoken: Spoken) -> None:
    await say(told, spoken)
    assert await reasons(told, "1") == ("G45",)
    assert await reasons(told, "2") == ()


async def test_another_year_or_name_means_somebody_else(told: World) -> None:
    await say(told, Spoken(family_name="Bernard", given_names="Camille", birth="1961"))
    await say(told, Spoken(family_name="Bernard", given_names="Louise", birth="1960"))
    assert await reasons(told, "1") == ()


async def test_a_key_finds_its_bearer_under_any_name_and_frees_who_bears_another(told: World) -> None:
    await told.register([patient("1", person_key=KEY), patient("2", person_key=OTHER_KEY)], partial=True)
    await say(told, Spoken(family_name="Thomas", given_names="Camille", birth="1960-05-17", person_key=KEY))
    assert await reasons(told, "1") == ("G45",)
    assert await reasons(told, "2") == ()


async def test_by_a_key_alone_whoever_may_be_its_bearer_is_held_back_too(told: World) -> None:
    """Patient 12 has the names and the birth of patient 1, and no key: she may be the one who said no."""
    await told.register([patient("1", person_key=KEY), patient("12", family_name=FAMILIES[1], given_names=GIVEN[0])],
                        partial=True)  # fmt: skip
    assert await reasons(told, "12") == ("G50",)
    await say(told, Spoken(person_key=KEY))
    assert await reasons(told, "1") == ("G45",)
    assert "G45" in await reasons(told, "12")


async def test_who_may_be_whom_it_may_mean_is_held_back_too(told: World) -> None:
    """Said under her married name; one practice knows both of her names, the other her birth name only."""
    await told.register([patient("1", birth_name="Zola")], partial=True)
    await told.register([patient("7", family_name="Zola", given_names=GIVEN[0])], "practice-b")
    assert "G45" not in await reasons(told, "7", "practice-b")
    said = await say(told)
    assert "G45" in await reasons(told, "7", "practice-b")
    await provisional.not_here(told.means, said.id, by=told.dpo)
    assert await reasons(told, "1") == ()
    assert "G45" not in await reasons(told, "7", "practice-b")


async def test_who_may_be_whom_her_row_has_become_is_held_back_until_that_is_settled(told: World) -> None:
    """Patient 1 has another name since; who bears it elsewhere may be the one who telephoned under the old one."""
    await told.register([patient("7", family_name="Zola", given_names=GIVEN[0])], "practice-b")
    told.wait(0.1)
    await told.register([patient("1", family_name="Zola")], partial=True)
    await say(told)
    assert "G45" in await reasons(told, "7", "practice-b")
    doubt = await IdentityDoubt.get(patient_id=(await row("1")).id)
    await who_is_who.another_person(told.means, doubt.id, by=told.dpo)
    assert "G45" not in await reasons(told, "7", "practice-b")


async def test_who_comes_in_later_is_closed_too(told: World) -> None:
    await say(told, Spoken(family_name="Leroy", given_names="Camille", birth="1960-05-17"))
    await told.register([patient("5", family_name="Le Roy", given_names="Camille")], partial=True)
    assert "G45" in await reasons(told, "5")


async def test_a_no_for_one_study_leaves_the_observatory_open(told: World) -> None:
    await say(told, scope=Scope.STUDY, scope_ref="diabetes")
    assert await reasons(told, "1") == ()
    verdict, _ = await explain(told.means, Asked("demo", "diabetes"), practice_id="practice-a", number="1")
    assert isinstance(verdict, Withheld)


async def test_nothing_of_what_was_said_is_kept_in_clear(told: World) -> None:
    said = await say(told, Spoken("Zorglub", "", "Camille", "1960-05-17", KEY, "12 rue des Lilas"))
    everything = str(await dump())
    for plain in ("Zorglub", "ZORGLUB", "Lilas", "157049990786733"):
        assert plain not in everything
    async with one_entry("contact_read"):
        assert (await provisional.read_sealed(told.means, said.id, by=told.dpo)).family_name == "Zorglub"
    async with refused("not_dpo"):
        await provisional.read_sealed(told.means, said.id, by=told.operator)


async def test_the_answer_is_the_same_for_a_patient_and_for_a_stranger(told: World) -> None:
    known = await say(told)
    stranger = await say(told, Spoken(family_name="Zorglub", given_names="Camille", birth="1960"))
    assert (known.received_at, known.due_on) == (stranger.received_at, stranger.due_on)


async def test_what_cannot_be_matched_or_is_none_is_asked_again(told: World) -> None:
    for spoken, code in (
        (Spoken(family_name="Bernard"), "nothing_to_match"),
        (Spoken(given_names="Camille", birth="1960"), "nothing_to_match"),
        (Spoken(family_name="Bernard", given_names="Camille", birth="hier"), "birth"),
        (Spoken(person_key="ins:157049990786734"), "person_key"),
    ):
        async with refused(code):
            await say(told, spoken)
    for options in ({"scope": Scope.STUDY}, {"scope": Scope.STUDY, "scope_ref": "?"}, {"scope_ref": "demo"}):
        async with refused("scope"):
            await say(told, **options)
    async with refused("channel"):
        await say(told, channel=ObjectionChannel.LINK)


# --- when it was received ------------------------------------------------------------------------------------------


async def test_a_letter_counts_from_the_day_it_was_stamped(told: World) -> None:
    stamped = paris_day(told.clock.now()) - timedelta(days=12)
    said = await say(told, channel=ObjectionChannel.PAPER, received=stamped)
    assert (said.received_at, said.due_on) == (midnight(stamped), month_after(stamped))


async def test_a_date_that_lies_ahead_is_now_and_is_never_refused(told: World) -> None:
    said = await say(told, received=paris_day(told.clock.now()) + timedelta(days=90))
    assert said.received_at == told.clock.now()
    assert await reasons(told, "1") == ("G45",)


def test_a_month_is_a_month_of_the_calendar() -> None:
    for day, due in (((2026, 1, 31), (2026, 2, 28)), ((2028, 1, 31), (2028, 2, 29)), ((2026, 12, 15), (2027, 1, 15))):
        assert month_after(date(*day)) == date(*due)


async def test_one_that_waits_longer_than_a_month_is_late(told: World) -> None:
    said = await say(told)
    today = paris_day(told.clock.now())
    assert [(r["id"], r["waits"], r["late"]) for r in await listed(today)] == [(str(said.id), True, False)]
    assert (await listed(said.due_on))[0]["late"] is False
    assert (await listed(said.due_on + timedelta(days=1)))[0]["late"] is True
    await provisional.not_here(told.means, said.id, by=told.dpo)
    assert (await listed(said.due_on + timedelta(days=1)))[0]["late"] is False


# --- it is settled -------------------------------------------------------------------------------------------------


async def test_bound_to_its_person_it_is_an_ordinary_objection_with_the_day_it_was_received(told: World) -> None:
    said = await say(told, received=paris_day(told.clock.now()) - timedelta(days=3))
    entry = (await ProvisionalObjection.get(id=said.id)).entry_id
    one = await row("1")
    async with one_entry("objection_settled", ("person", str(one.person_id)), ("patient", str(one.id))):
        (made,) = await provisional.bind(told.means, said.id, [one.id], by=told.dpo)
    no = await Objection.get(id=made)
    assert (no.received_at, no.entry_id, no.person_id) == (said.received_at, entry, one.person_id)
    assert await reasons(told, "1") == ("G41",)
    assert await ProvisionalToken.all().count() == 0
    shown = await opt_out.look(connection(), told.links["patient1@example.org"])
    assert (shown.state, [s.mine for s in shown.said]) == ("no_everything", [False])
    assert await opt_out.withdraw(told.means, told.links["patient1@example.org"]) == 0
    assert await reasons(told, "1") == ("G41",), "her link lifts what was said through it, nothing else"


async def test_bound_it_follows_the_person_to_every_practice(told: World) -> None:
    await told.register([patient("1", person_key=KEY)], partial=True)
    await told.register([patient("7", person_key=KEY, family_name="Bernard", given_names="Camille")], "practice-b")
    said = await say(told)
    await provisional.bind(told.means, said.id, [(await row("1")).id], by=told.dpo)
    assert "G41" in await reasons(told, "7", "practice-b")


async def test_bound_to_one_of_two_namesakes_the_other_is_doubted_while_a_key_is_missing(told: World) -> None:
    await told.register([patient("9", family_name="Bernard", given_names="Camille")], partial=True)
    said = await say(told)
    await provisional.bind(told.means, said.id, [(await row("1")).id], by=told.dpo)
    assert "G45" in await reasons(told, "9")
    keys = [patient("9", family_name="Bernard", given_names="Camille", person_key=KEY)]
    await told.register([*keys, patient("1", person_key=OTHER_KEY)], partial=True)
    assert "G45" not in await reasons(told, "9")


async def test_not_a_patient_here_frees_those_looked_at_and_stands_against_who_comes_in_later(told: World) -> None:
    said = await say(told)
    async with one_entry("objection_settled"):
        assert await provisional.not_here(told.means, said.id, by=told.dpo) == 1
    assert await reasons(told, "1") == ()
    kept = await ProvisionalObjection.get(id=said.id)
    assert (kept.outcome, kept.settled_at, kept.settled_by) == ("not_here", told.clock.now(), told.dpo.actor)
    assert [r["waits"] for r in await listed(paris_day(told.clock.now()))] == [False]
    await told.register([patient("9", family_name="Bernard", given_names="Camille")], partial=True)
    assert "G45" in await reasons(told, "9")
    assert await reasons(told, "1") == ()
    assert [(r["waits"], r["meant"]) for r in await listed(paris_day(told.clock.now()))] == [(True, 1)]
    await provisional.bind(told.means, said.id, [(await row("9")).id], by=told.dpo)
    assert "G41" in await reasons(told, "9")


async def test_who_was_cleared_and_becomes_known_by_the_key_that_was_said_is_meant_again(told: World) -> None:
    said = await say(told, replace(ONE, person_key=KEY))
    await provisional.not_here(told.means, said.id, by=told.dpo)
    await told.register([patient("1")], partial=True)
    assert await reasons(told, "1") == ()
    await told.register([patient("1", person_key=KEY)], partial=True)
    assert await reasons(told, "1") == ("G45",)


async def test_a_merge_into_somebody_cleared_lifts_nothing(told: World) -> None:
    """9 is cleared; 15, the true one, comes in later and is meant; both get one key, and are taken for one."""
    nine, true = (patient(number, family_name=FAMILIES[5], given_names=GIVEN[0]) for number in ("9", "15"))
    said = await say(told, Spoken(family_name=FAMILIES[5], given_names=GIVEN[0], birth="1960-05-17"))
    await told.register([nine], partial=True)
    await provisional.not_here(told.means, said.id, by=told.dpo)
    assert "G45" not in await reasons(told, "9")
    await told.register([true], partial=True)
    assert "G45" in await reasons(told, "15")
    await told.register([replace(one, person_key=OTHER_KEY) for one in (nine, true)], partial=True)
    doubt = await IdentityDoubt.get(patient_id=(await row("15")).id, settled_at=None)
    await who_is_who.same_person(told.means, doubt.id, (await row("9")).person_id, by=told.dpo)
    assert "G45" in await reasons(told, "15")


async def test_nobody_is_cleared_who_was_not_looked_at(told: World) -> None:
    said = await say(told, Spoken(family_name=FAMILIES[5], given_names=GIVEN[0], birth="1960-05-17"))
    await told.register([patient("5")], partial=True)
    async with refused("others_meant"):
        await provisional.not_here(told.means, said.id, by=told.dpo, shown=[(await row("1")).id])
    assert "G45" in await reasons(told, "5")
    assert await provisional.not_here(told.means, said.id, by=told.dpo, shown=[(await row("5")).id]) == 1


@pytest.mark.parametrize(
    ("more", "elsewhere"),
    [
        ({"person_key": KEY}, {"family_name": "Zola", "given_names": "Rose", "person_key": KEY}),
        ({"birth_name": "Zola"}, {"family_name": "Zola", "given_names": GIVEN[0]}),
    ],
    ids=["the key", "the other name"],
)
async def test_bound_it_still_closes_who_is_known_elsewhere_by_what_was_said(
    told: World, more: dict[str, str], elsewhere: dict[str, str]
) -> None:
    said = await say(told, replace(ONE, **more))
    await provisional.bind(told.means, said.id, [(await row("1")).id], by=told.dpo)
    await told.register([patient("7", **elsewhere)], "practice-b")
    assert {"G41", "G45"} & set(await reasons(told, "7", "practice-b"))


async def test_bound_without_a_birth_she_is_not_met_in_every_year(told: World) -> None:
    said = await say(told, replace(ONE, birth=""))
    await provisional.bind(told.means, said.id, [(await row("1")).id], by=told.dpo)
    namesake = patient("7", family_name=FAMILIES[1], given_names=GIVEN[0], birth_date="1985-01-01")
    await told.register([namesake], "practice-b")
    assert not {"G41", "G45"} & set(await reasons(told, "7", "practice-b"))


async def test_said_by_somebody_without_authority_it_stands_no_longer(told: World) -> None:
    said = await say(told)
    await provisional.no_authority(told.means, said.id, by=told.dpo)
    assert await reasons(told, "1") == ()
    await told.register([patient("9", family_name="Bernard", given_names="Camille")], partial=True)
    assert "G45" not in await reasons(told, "9")


async def test_only_a_dpo_settles_and_only_once_and_only_for_patients_there_are(told: World) -> None:
    said = await say(told)
    one = (await row("1")).id
    for settle in (provisional.not_here, provisional.no_authority):
        async with refused("not_dpo"):
            await settle(told.means, said.id, by=told.operator)
    async with refused("not_dpo"):
        await provisional.bind(told.means, said.id, [one], by=told.operator)
    for nobody in ([], [one, 999_999]):
        async with refused("unknown_patient"):
            await provisional.bind(told.means, said.id, nobody, by=told.dpo)
    await provisional.bind(told.means, said.id, [one], by=told.dpo)
    async with refused("objection_settled"):
        await provisional.no_authority(told.means, said.id, by=told.dpo)
    async with refused("objection_settled"):
        await provisional.bind(told.means, said.id, [one], by=told.dpo)


# --- and releases --------------------------------------------------------------------------------------------------


@pytest.fixture
async def line(told: World) -> Line:
    made = Line(told)
    await made.open()
    await made.receive(await made.extract(*(record(str(n)) for n in (1, 2, 3))))
    return made


async def test_a_no_on_the_telephone_between_approval_and_seal_takes_the_record_out(told: World, line: Line) -> None:
    release_id = await approved(told)
    await say(told)
    assert await release.seal(told.means, release_id, by=told.operator) == 2


async def test_a_no_on_the_telephone_after_the_seal_is_not_in_the_download(told: World, line: Line) -> None:
    release_id = await approved(told)
    await release.seal(told.means, release_id, by=told.operator)
    await say(told)
    await release.serve(told.means, release_id, by=told.recipient)
    one = (await row("1")).person_id
    assert (await ReleasePerson.get(release_id=release_id, person_id=one)).left_version is not None
    assert await retract.missing(told.means, "diabetes") == [], "what never left is not taken back"


async def test_a_paper_objection_dated_before_a_release_is_an_incident_with_retractions(
    told: World, line: Line
) -> None:
    stamped = paris_day(told.clock.now()) - timedelta(days=1)
    release_id = await approved(told)
    await release.seal(told.means, release_id, by=told.operator)
    await release.serve(told.means, release_id, by=told.recipient)
    told.wait(5)
    later = await say(told, Spoken(family_name=FAMILIES[2], given_names=GIVEN[0], birth="1960"))
    await provisional.bind(told.means, later.id, [(await row("2")).id], by=told.dpo)
    await retract.reconcile(told.means)
    assert await incidents() == [], "said after the release: a retraction, no incident"
    assert len(await open_lines("diabetes")) == 1

    said = await say(told, channel=ObjectionChannel.PAPER, received=stamped)
    await provisional.bind(told.means, said.id, [(await row("1")).id], by=told.dpo)
    await retract.reconcile(told.means)
    (incident,) = await incidents()
    assert (incident["release_id"], incident["persons"], incident["deleted"]) == (release_id, 1, False)
    assert incident["received_at"] == midnight(stamped) < incident["served_at"]
    assert len(await open_lines("diabetes")) == 2


async def test_a_child_is_meant_as_anybody_else(told: World) -> None:
    await told.register([child("4", family_name="Petit", given_names="Lou")], partial=True)
    await say(told, Spoken(family_name="Petit", given_names="Lou", birth="2019"))
    assert "G45" in await reasons(told, "4")


# --- by the public form --------------------------------------------------------------------------------------------


async def test_who_fills_in_the_form_closes_whom_it_may_mean(told: World) -> None:
    said = await say(told, channel=ObjectionChannel.FORM, by=provisional.PUBLIC)
    assert await reasons(told, "1") == ("G45",)
    assert await provisional.recorded(said.id) == said
    await provisional.bind(told.means, said.id, [(await row("1")).id], by=told.dpo)
    assert (await provisional.recorded(said.id)).settled_at == told.clock.now()
    assert await reasons(told, "1") == ("G41",)


@pytest.mark.parametrize("channel", [c for c in ObjectionChannel if c is not ObjectionChannel.FORM])
async def test_the_form_is_the_only_channel_without_somebody_who_records(
    told: World, channel: ObjectionChannel
) -> None:
    async with refused("channel"):
        await say(told, channel=channel, by=provisional.PUBLIC)
    async with refused("channel"):
        await say(told, channel=ObjectionChannel.FORM, by=told.operator.actor)
