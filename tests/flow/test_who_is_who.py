"""The DPO settles who somebody is; nothing that anybody has said is lifted by it."""

from dataclasses import replace
from uuid import UUID

import pytest
from kept import one_entry, refused
from line import Line, approved, in_release, record
from settling import (
    EVERYBODY,
    KEY,
    OF_B,
    OTHER_KEY,
    SEVEN,
    clash,
    doubt_of,
    hand_in,
    merge,
    person_of,
    reasons,
    row,
    says_no,
    stood_for_one,
)
from world import World, patient

from portal.flow import opt_out, release, retract, rights, taken_back, told_doctor, who_is_who
from portal.flow.changes import changes_since
from portal.flow.sequence import sequence
from portal.gate.register_row import RegisterRow
from portal.outside.tokens import pseudonym
from portal.records.accounts import Account
from portal.records.database import connection, rows
from portal.records.people import FormerPerson, IdentityDoubt, PersonToken
from portal.records.retractions import Retraction, open_lines
from portal.records.rights_requests import RightsRequest
from portal.rules.words import ObjectionChannel, RightsKind, Role, Sex

# --- one person ----------------------------------------------------------------------------------------------------


async def test_a_woman_who_married_is_the_same_person_and_what_she_was_told_still_counts(told: World) -> None:
    before = await person_of("1")
    await hand_in(told, patient("1", family_name="Zimmermann"))
    assert "G40" in await reasons(told, "1")
    one = await row("1")
    async with one_entry("doubt_settled", ("person", str(before)), ("patient", str(one.id))):
        await who_is_who.same_person(told.means, await doubt_of("1"), before, by=told.dpo)
    assert await person_of("1") == before
    assert await reasons(told, "1") == ()
    kinds = await PersonToken.filter(person_id=before).count()
    assert kinds == 4, "she is known by both names"
    await hand_in(told, patient("1", family_name="Zimmermann", phone="01 99 00 00 01"))
    assert await IdentityDoubt.filter(settled_at=None).count() == 0, "a new telephone number is no new doubt"


async def test_two_patients_of_one_key_become_one_person_going_on(two: World) -> None:
    await clash(two)
    first, second = await person_of("1"), await person_of("7", "practice-b")
    assert await reasons(two, "1") == ("G40",)
    await merge(two, "7", "practice-b", first)
    assert await person_of("7", "practice-b") == await person_of("1") == first
    assert await FormerPerson.filter(person_id=second).count() == 1
    assert await reasons(two, "1") == await reasons(two, "7", "practice-b") == ()
    assert await IdentityDoubt.filter(settled_at=None).count() == 0, "the other side of the clash is answered too"


async def test_objections_of_either_bind_the_one_they_become(two: World) -> None:
    await says_no(two, "seven")
    await clash(two)
    await merge(two, "7", "practice-b", await person_of("1"))
    assert await reasons(two, "1") == await reasons(two, "7", "practice-b") == ("G41",)


async def test_a_merge_lifts_nothing_and_each_link_lifts_its_own(two: World) -> None:
    await says_no(two, "seven")
    await says_no(two, "patient1")
    await clash(two)
    await merge(two, "7", "practice-b", await person_of("1"))
    assert await opt_out.withdraw(two.means, two.links["patient1@example.org"]) == 1
    assert await reasons(two, "1") == ("G41",)
    assert await opt_out.withdraw(two.means, two.links["seven@example.org"]) == 1
    assert await reasons(two, "1") == ()


async def test_a_third_bearer_of_the_key_keeps_everybody_in_doubt(two: World) -> None:
    await clash(two)
    await hand_in(two, patient("2", person_key=KEY))
    await merge(two, "7", "practice-b", await person_of("1"))
    assert "G40" in await reasons(two, "1")
    assert "G40" in await reasons(two, "2")


async def test_who_is_not_asked_about_is_no_answer(two: World) -> None:
    await clash(two)
    doubt = await doubt_of("7", "practice-b")
    async with refused("not_asked"):
        await who_is_who.same_person(two.means, doubt, await person_of("2"), by=two.dpo)
    async with refused("not_asked"):
        await who_is_who.same_person(two.means, doubt, await person_of("7", "practice-b"), by=two.dpo)
    async with refused("unknown_doubt"):
        await who_is_who.another_person(two.means, 999_999, by=two.dpo)


async def test_only_a_dpo_settles_and_only_once(two: World) -> None:
    await clash(two)
    doubt = await doubt_of("7", "practice-b")
    for settle in (who_is_who.another_person, who_is_who.wrong_entry):
        async with refused("not_dpo"):
            await settle(two.means, doubt, by=two.operator)
    async with refused("not_dpo"):
        await who_is_who.part(two.means, "practice-a", "1", by=two.operator)
    await who_is_who.another_person(two.means, doubt, by=two.dpo)
    settled = await IdentityDoubt.get(id=doubt)
    assert (settled.settled_at, settled.settled_by) == (two.clock.now(), two.dpo.actor)
    async with refused("doubt_settled"):
        await who_is_who.another_person(two.means, doubt, by=two.dpo)


# --- another person ------------------------------------------------------------------------------------------------


async def test_a_number_given_to_somebody_else_does_not_pass_by_what_its_former_bearer_was_told(told: World) -> None:
    """Even when both can be written to at the same address, as in a family."""
    another = patient("1", family_name="Lefort", given_names="Lou", birth_date="1991-01-02")
    await hand_in(told, another)
    await who_is_who.another_person(told.means, await doubt_of("1"), by=told.dpo)
    assert await reasons(told, "1") == ("G50",)
    another = replace(another, email="another@example.org")
    await hand_in(told, another)
    await told.tell()
    told.wait(40)
    await told.read_returns()
    await told.register([another, *EVERYBODY[1:]])
    assert await reasons(told, "1") == ()


async def test_the_no_of_a_numbers_former_bearer_still_binds_her_where_else_she_is(two: World) -> None:
    await clash(two)
    await merge(two, "7", "practice-b", await person_of("1"))
    await hand_in(two, patient("1", family_name="Lefort", given_names="Lou", birth_date="1991-01-02"))
    await who_is_who.another_person(two.means, await doubt_of("1"), by=two.dpo)
    assert await reasons(two, "7", "practice-b") == ()
    await says_no(two, "seven")
    assert await reasons(two, "7", "practice-b") == ("G41",)


async def test_two_who_bear_one_key_and_stay_apart_are_doubted_beside_a_no(two: World) -> None:
    await clash(two)
    for number, practice in (("1", "practice-a"), ("7", "practice-b")):
        await who_is_who.another_person(two.means, await doubt_of(number, practice), by=two.dpo)
    assert await reasons(two, "1") == await reasons(two, "7", "practice-b") == ()
    await says_no(two, "seven")
    assert await reasons(two, "1") == ("G45",)


async def test_who_may_be_a_bearer_of_an_objectors_key_is_doubted_until_it_is_settled_whose_it_is(two: World) -> None:
    """Patient 12 has the names and the birth of patient 2, and no key; patient 7, of other names, says no."""
    await hand_in(two, patient("12", given_names=patient("2").given_names))
    await hand_in(two, patient("2", person_key=KEY))
    seven = replace(patient("1"), patient_id="7", email="seven@example.org", doctor_id="doctor-2", person_key=KEY)
    await hand_in(two, seven, practice_id="practice-b")
    await says_no(two, "seven")
    assert "G45" in await reasons(two, "12")
    assert "G45" not in await reasons(two, "7", "practice-b"), "she is not somebody who may be herself"
    await who_is_who.another_person(two.means, await doubt_of("2"), by=two.dpo)
    assert "G45" in await reasons(two, "12"), "of the objector herself it is not settled yet"
    await who_is_who.another_person(two.means, await doubt_of("7", "practice-b"), by=two.dpo)
    assert "G45" not in await reasons(two, "12")


async def test_who_may_be_an_objector_by_a_row_that_stood_for_both_is_doubted_until_it_is_settled(two: World) -> None:
    """Patient 2 is patient 8 of practice-b too, whose row then comes with the key of patient 3; who says no."""
    here, seven = patient("2", person_key=KEY), {"patient_id": "8", "doctor_id": "doctor-2"}
    await hand_in(two, here, patient("3", person_key=OTHER_KEY))
    await two.register([replace(here, **seven, email="eight@example.org")], "practice-b")
    await hand_in(two, replace(patient("3", person_key=OTHER_KEY), **seven), practice_id="practice-b")
    assert await reasons(two, "2") == ()
    await says_no(two, "patient3")
    assert await reasons(two, "2") == ("G45",)


# --- a wrong entry -------------------------------------------------------------------------------------------------


async def test_a_row_mistyped_stands_for_the_same_person_and_waits_until_it_is_mended(told: World) -> None:
    before = await person_of("1")
    await hand_in(told, patient("1", birth_date="1906-05-17"))
    await who_is_who.wrong_entry(told.means, await doubt_of("1"), by=told.dpo)
    assert await person_of("1") == before
    assert "G47" in await reasons(told, "1"), "how old she is stands nowhere now"
    await hand_in(told, patient("1"))
    assert await person_of("1") == before
    assert await reasons(told, "1") == ()


async def test_a_key_mistyped_is_taken_from_the_row_and_both_are_clear(two: World) -> None:
    await clash(two)
    await who_is_who.wrong_entry(two.means, await doubt_of("7", "practice-b"), by=two.dpo)
    assert await person_of("7", "practice-b") != await person_of("1")
    assert await reasons(two, "1") == await reasons(two, "7", "practice-b") == ()
    assert await PersonToken.filter(kind="key:ins").count() == 1
    seven = replace(patient("1"), patient_id="7", email="other@example.org", doctor_id="doctor-2", person_key=KEY)
    await hand_in(two, seven, practice_id="practice-b")
    assert "G40" in await reasons(two, "7", "practice-b"), "the same mistake again is the same doubt again"


async def test_who_comes_back_to_life_is_doubted_until_a_dpo_says_that_she_never_died(told: World) -> None:
    died = patient("1", deceased_on=told.clock.now().date())
    await hand_in(told, died)
    assert "G48" in await reasons(told, "1")
    await hand_in(told, patient("1"))
    assert await reasons(told, "1") == ("G40",)
    for settle in (who_is_who.another_person,):
        async with refused("not_asked"):
            await settle(told.means, await doubt_of("1"), by=told.dpo)
    await who_is_who.wrong_entry(told.means, await doubt_of("1"), by=told.dpo)
    assert await reasons(told, "1") == ()


async def test_who_comes_back_to_life_at_one_practice_is_doubted_at_the_other(two: World) -> None:
    await clash(two)
    await merge(two, "7", "practice-b", await person_of("1"))
    await hand_in(two, patient("1", person_key=KEY, deceased_on=two.clock.now().date()))
    assert "G48" in await reasons(two, "7", "practice-b")
    await hand_in(two, patient("1", person_key=KEY))
    assert await reasons(two, "7", "practice-b") == ("G40",)


async def test_a_number_given_on_after_a_death_revives_nobody_elsewhere(two: World) -> None:
    await clash(two)
    await merge(two, "7", "practice-b", await person_of("1"))
    await hand_in(two, patient("1", person_key=KEY, deceased_on=two.clock.now().date()))
    await hand_in(two, patient("1", family_name="Lefort", given_names="Lou", birth_date="1991-01-02"))
    await who_is_who.another_person(two.means, await doubt_of("1"), by=two.dpo)
    assert "G48" in await reasons(two, "7", "practice-b")
    assert "G48" not in await reasons(two, "1")


# --- parted again --------------------------------------------------------------------------------------------------


async def test_a_wrong_merge_is_undone_and_objections_bind_both_sides(two: World) -> None:
    await clash(two)
    await merge(two, "7", "practice-b", await person_of("1"))
    await says_no(two, "patient1")
    shared = await person_of("1")
    async with one_entry("persons_parted", ("person", str(shared))):
        new = await who_is_who.part(two.means, "practice-b", "7", by=two.dpo)
    assert await person_of("7", "practice-b") == new != shared
    assert "G41" in await reasons(two, "1")
    assert "G41" in await reasons(two, "7", "practice-b")
    await opt_out.withdraw(two.means, two.links["patient1@example.org"])
    assert await reasons(two, "7", "practice-b") == (), "taken back by who had said it, it is taken back for both"


async def test_a_birth_known_by_its_year_is_doubted_beside_a_no_though_a_wrong_merge_lends_it_a_date(
    told: World,
) -> None:
    """Patient 1 is patient 7 of another practice, by her year of birth alone, and was taken for patient 2 there."""
    await told.enrol(2, number="doctor-2")
    seven = replace(
        patient("1"), patient_id="7", birth_date=patient("1").birth_date[:4], email="seven@example.org",
        doctor_id="doctor-2",
    )  # fmt: skip
    await told.register([seven], "practice-b")
    await hand_in(told, patient("2", person_key=KEY))
    await hand_in(told, replace(seven, person_key=KEY), practice_id="practice-b")
    await merge(told, "7", "practice-b", await person_of("2"))
    assert await person_of("7", "practice-b") == await person_of("2") != await person_of("1")
    assert "G45" not in await reasons(told, "7", "practice-b")
    await says_no(told, "patient1")
    assert "G45" in await reasons(told, "7", "practice-b")


async def test_a_birth_mistyped_later_lends_no_date_to_the_year_known_before(told: World) -> None:
    """She says no at one practice, and comes to another that knows her birth, and no key."""
    await hand_in(told, patient("9", birth_date="1957", person_key=KEY))
    await told.tell("practice-a")
    before = await person_of("9")
    await hand_in(told, patient("9", birth_date="1939-01-01", person_key=KEY))
    await merge(told, "9", "practice-a", before)
    await says_no(told, "patient9")
    await told.enrol(2, number="doctor-2")
    elsewhere = patient("9", birth_date="1957-05-17", email="seven@example.org", doctor_id="doctor-2")
    await told.register([replace(elsewhere, patient_id="7")], "practice-b")
    assert await person_of("7", "practice-b") != before == await person_of("9")
    assert "G45" in await reasons(told, "7", "practice-b")


async def test_what_is_said_after_the_parting_binds_one_side_only(two: World) -> None:
    await hand_in(two, patient("1", person_key=KEY))
    seven = patient("7", family_name="Bernard", given_names="Camille", birth_date="1960-05-17", doctor_id="doctor-2",
                    email="seven@example.org")  # fmt: skip
    await hand_in(two, replace(seven, person_key=KEY), practice_id="practice-b")
    await merge(two, "7", "practice-b", await person_of("1"))
    await who_is_who.part(two.means, "practice-b", "7", by=two.dpo)
    await says_no(two, "patient1")
    assert "G41" in await reasons(two, "1")
    assert await reasons(two, "7", "practice-b") == ("G45",), "one key, two persons: doubt, and no objection of hers"


async def test_who_stands_alone_cannot_be_parted(told: World) -> None:
    async with refused("nothing_to_part"):
        await who_is_who.part(told.means, "practice-a", "1", by=told.dpo)
    async with refused("unknown_patient"):
        await who_is_who.part(told.means, "practice-a", "99", by=told.dpo)


# --- what was delivered --------------------------------------------------------------------------------------------


async def test_what_was_delivered_is_taken_back_under_the_pseudonym_as_delivered(two: World) -> None:
    line = Line(two, "practice-b")
    await line.open()
    seven = record("7", doctor_id="doctor-2")
    await line.receive(await line.extract(seven))
    other = Line(two)
    await other.open()
    await other.receive(await other.extract(record("1"), record("2"), record("3")))
    release_id = await approved(two)
    await release.seal(two.means, release_id, by=two.operator)
    await release.serve(two.means, release_id, by=two.recipient)
    before = await person_of("7", "practice-b")
    await clash(two)
    await merge(two, "7", "practice-b", await person_of("1"))
    await says_no(two, "patient1")
    await retract.reconcile(two.means)
    named = {name for _, name, _ in await open_lines("diabetes")}
    assert pseudonym(two.means.ring, "study:diabetes", before.bytes).hex() in named
    assert pseudonym(two.means.ring, "study:diabetes", (await person_of("1")).bytes).hex() in named


async def test_a_merge_between_approval_and_seal_takes_the_objectors_rows_out(two: World) -> None:
    other = Line(two)
    await other.open()
    await other.receive(await other.extract(record("1"), record("2"), record("3")))
    await hand_in(two, patient("1", person_key=KEY))
    seven = replace(patient("7", person_key=OTHER_KEY), doctor_id="doctor-2", email="seven@example.org")
    await hand_in(two, seven, practice_id="practice-b")
    await says_no(two, "seven")
    release_id = await approved(two)
    await hand_in(two, replace(seven, person_key=KEY), practice_id="practice-b")
    assert await release.seal(two.means, release_id, by=two.operator) == 2


# --- nothing that is settled lifts or loses a no ---------------------------------------------------------------------


@pytest.fixture
async def one_who_told_her_doctor(two: World) -> tuple[World, Account, UUID]:
    """Patient 1, also 7 of practice-b, told her doctor no; her number is given to somebody else."""
    await clash(two)
    await merge(two, "7", "practice-b", await person_of("1"))
    doctor = (await Account.filter(role=Role.DOCTOR).order_by("id"))[0]
    no = await told_doctor.object_for(two.means, practice_id="practice-a", number="1", by=doctor)
    two.wait(0.1)
    await hand_in(two, patient("1", family_name="Lefort", given_names="Lou", birth_date="1991-01-02"))
    await who_is_who.another_person(two.means, await doubt_of("1"), by=two.dpo)
    assert await reasons(two, "7", "practice-b") == ("G41",)
    return two, doctor, no


async def test_who_has_the_number_now_does_not_take_back_at_the_desk_what_its_former_bearer_said(
    one_who_told_her_doctor: tuple[World, Account, UUID],
) -> None:
    world, _, _ = one_who_told_her_doctor
    async with refused("nothing_stands"):
        await taken_back.told(
            world.means, practice_id="practice-a", number="1", said_on=None, channel=ObjectionChannel.PAPER,
            by=world.dpo,
        )  # fmt: skip
    assert await reasons(world, "7", "practice-b") == ("G41",)


async def test_nor_with_the_doctor_to_whom_both_said_no(
    one_who_told_her_doctor: tuple[World, Account, UUID],
) -> None:
    world, doctor, no = one_who_told_her_doctor
    second = await told_doctor.object_for(world.means, practice_id="practice-a", number="1", by=doctor)
    assert second != no
    await told_doctor.take_back_told(world.means, second, said_on=None, by=doctor)
    async with refused("not_told_her"):
        await told_doctor.take_back_told(world.means, no, said_on=None, by=doctor)
    assert await reasons(world, "7", "practice-b") == ("G41",)


async def test_nobody_becomes_again_who_was_merged_and_whom_no_objection_reaches_any_more(two: World) -> None:
    was = await person_of("7", "practice-b")
    await clash(two)
    await merge(two, "7", "practice-b", await person_of("1"))
    await says_no(two, "patient1")
    married = patient("7", family_name="Zola", given_names="Rose", doctor_id="doctor-2", email="seven@example.org")
    await hand_in(two, married, practice_id="practice-b")
    async with refused("not_asked"):
        await merge(two, "7", "practice-b", was)
    await merge(two, "7", "practice-b", await person_of("1"))
    assert await reasons(two, "7", "practice-b") == ("G41",)


async def test_a_no_said_through_a_row_that_left_binds_whom_its_person_is_merged_into(two: World) -> None:
    """It is bound by nothing else: the row that it was said through is somebody else's now."""
    await stood_for_one(two)
    await says_no(two, "seven")
    await hand_in(two, replace(SEVEN, family_name="Lefort", birth_date="1991-01-02"), practice_id="practice-b")
    await who_is_who.another_person(two.means, await doubt_of("7", "practice-b"), by=two.dpo)
    await hand_in(two, patient("2", person_key=KEY))
    await merge(two, "1", "practice-a", await person_of("2"))
    assert await person_of("1") == await person_of("2")
    assert await reasons(two, "1") == await reasons(two, "2") == ("G41",)


async def test_what_was_asked_through_a_row_that_left_holds_for_who_is_merged_and_parted_again(two: World) -> None:
    await stood_for_one(two)
    await rights.ask(two.means, two.links["seven@example.org"], RightsKind.RESTRICTION)
    await hand_in(two, replace(SEVEN, family_name="Lefort", birth_date="1991-01-02"), practice_id="practice-b")
    await who_is_who.another_person(two.means, await doubt_of("7", "practice-b"), by=two.dpo)
    await hand_in(two, patient("2", person_key=KEY))
    await merge(two, "1", "practice-a", await person_of("2"))
    assert await reasons(two, "2") == ("G46",)
    new = await who_is_who.part(two.means, "practice-a", "1", by=two.dpo)
    assert [request.kind for request in await RightsRequest.filter(person_id=new)] == ["restriction"]
    assert await reasons(two, "1") == await reasons(two, "2") == ("G46",)


async def test_a_death_known_by_a_row_that_left_is_one_of_whom_its_person_is_merged_into(two: World) -> None:
    await stood_for_one(two)
    seven = replace(patient("1"), patient_id="7", email="seven@example.org", person_key=KEY, sex=Sex.FEMALE, **OF_B)
    await hand_in(two, replace(seven, deceased_on=two.clock.now().date()), practice_id="practice-b")
    await hand_in(two, replace(SEVEN, family_name="Lefort", birth_date="1991-01-02"), practice_id="practice-b")
    await who_is_who.another_person(two.means, await doubt_of("7", "practice-b"), by=two.dpo)
    dead = await reasons(two, "1")
    await hand_in(two, patient("2", person_key=KEY))
    await merge(two, "1", "practice-a", await person_of("2"))
    assert await reasons(two, "2") == dead == ("G48",)


async def test_a_no_that_binds_who_was_parted_binds_whom_she_is_merged_into(two: World) -> None:
    await stood_for_one(two)
    await says_no(two, "patient1")
    await who_is_who.part(two.means, "practice-b", "7", by=two.dpo)
    await hand_in(two, patient("2", person_key=KEY))
    await merge(two, "7", "practice-b", await person_of("2"))
    assert await reasons(two, "7", "practice-b") == await reasons(two, "2") == ("G40", "G41")


async def test_a_wrong_entry_goes_back_to_whom_its_former_person_has_become(two: World) -> None:
    await stood_for_one(two)
    married = patient("7", family_name="Zola", given_names="Rose", doctor_id="doctor-2", email="seven@example.org")
    await hand_in(two, married, practice_id="practice-b")
    await hand_in(two, patient("2", person_key=KEY))
    await merge(two, "1", "practice-a", await person_of("2"))
    await who_is_who.wrong_entry(two.means, await doubt_of("7", "practice-b"), by=two.dpo)
    assert await person_of("7", "practice-b") == await person_of("2")


@pytest.mark.parametrize("into", ["whom it was", "whom it became"])
async def test_a_change_is_answered_when_another_row_says_that_both_are_one(two: World, into: str) -> None:
    """Patient 7 of practice-b comes to stand for another, of the same key; the clash is settled before the change."""
    was = await stood_for_one(two)
    seven = patient("7", given_names="Inconnue", person_key=KEY, doctor_id="doctor-2", email="seven@example.org")
    await hand_in(two, seven, practice_id="practice-b")
    became = await person_of("7", "practice-b")
    assert became != was
    if into == "whom it became":
        await merge(two, "1", "practice-a", became)
    else:
        clash_of_seven = await IdentityDoubt.filter(reason="key_clash", settled_at=None).order_by("-id").first()
        assert clash_of_seven is not None
        assert clash_of_seven.patient_id == (await row("7", "practice-b")).id
        await who_is_who.same_person(two.means, clash_of_seven.id, was, by=two.dpo)
    assert await person_of("7", "practice-b") == await person_of("1")
    assert await IdentityDoubt.filter(settled_at=None).count() == 0
    assert await reasons(two, "1") == ()


async def test_of_two_changes_that_which_a_merge_says_nothing_of_is_still_asked(two: World) -> None:
    await stood_for_one(two)
    seven = patient("7", given_names="Inconnue", person_key=KEY, doctor_id="doctor-2", email="seven@example.org")
    await hand_in(two, seven, practice_id="practice-b")
    await hand_in(two, replace(seven, given_names="Lou"), practice_id="practice-b")
    last = await IdentityDoubt.filter(reason="identity_changed").order_by("-id").first()
    await merge(two, "1", "practice-a", await person_of("7", "practice-b"))
    assert await IdentityDoubt.filter(reason="identity_changed", settled_at=None).all() == [last]


async def test_a_change_that_a_merge_says_nothing_of_is_still_asked(two: World) -> None:
    await stood_for_one(two)
    await hand_in(two, replace(SEVEN, family_name="Lefort", person_key=None), practice_id="practice-b")
    await hand_in(two, patient("2", person_key=KEY))
    await merge(two, "1", "practice-a", await person_of("2"))
    assert await IdentityDoubt.filter(settled_at=None).values_list("reason", flat=True) == ["identity_changed"]


async def test_a_wrong_entry_goes_back_to_whom_the_row_stood_for_last(told: World) -> None:
    before, married = await person_of("1"), patient("1", family_name="Zola")
    await hand_in(told, married)
    await who_is_who.same_person(told.means, await doubt_of("1"), before, by=told.dpo)
    await hand_in(told, replace(married, birth_date="1906-05-17"))
    await who_is_who.wrong_entry(told.means, await doubt_of("1"), by=told.dpo)
    assert await person_of("1") == before


async def test_what_was_called_a_wrong_entry_is_asked_again_when_the_register_says_it_again(told: World) -> None:
    changed = patient("1", birth_date="1961-05-17")
    await hand_in(told, changed)
    await who_is_who.wrong_entry(told.means, await doubt_of("1"), by=told.dpo)
    await hand_in(told, changed)
    assert await IdentityDoubt.filter(settled_at=None).count() == 1


# --- between preparation and seal ------------------------------------------------------------------------------------

EIGHT = replace(patient("19"), patient_id="8", email="eight@example.org", person_key=KEY, **OF_B)
NINE = replace(patient("15"), patient_id="9", email="nine@example.org", **OF_B)


async def told_and_approved(two: World, *of_b: RegisterRow) -> str:
    """These patients of practice-b are told; a release with 8 and 9 of them, prepared and approved."""
    await hand_in(two, *of_b, practice_id="practice-b")
    await two.tell("practice-b")
    two.wait(40)
    await two.read_returns()
    await two.register(EVERYBODY)
    await two.register(list(of_b), "practice-b")
    if SEVEN in of_b:
        await says_no(two, "seven")
    assert await reasons(two, "8", "practice-b") == ()
    a, b = Line(two), Line(two, "practice-b")
    await a.open()
    await b.open()
    await a.receive(await a.extract(record("1"), record("3")))
    await b.receive(await b.extract(*(record(number, doctor_id="doctor-2") for number in ("8", "9"))))
    return await approved(two)


async def test_whom_a_clash_of_keys_has_made_a_possible_match_leaves_though_nothing_leads_to_her_any_more(
    two: World,
) -> None:
    """7, a namesake of 8 with another key, said no. The key of 8 comes with a patient of another practice, by mistake:
    from then on it tells her apart from nobody."""
    await hand_in(two, SEVEN, practice_id="practice-b")
    await who_is_who.another_person(two.means, await doubt_of("7", "practice-b"), by=two.dpo)
    release_id = await told_and_approved(two, SEVEN, EIGHT, NINE)
    since = await next_place(two)
    await hand_in(two, patient("2", person_key=KEY))
    await who_is_who.wrong_entry(two.means, await doubt_of("2"), by=two.dpo)
    assert await reasons(two, "8", "practice-b") == ("G45",)
    await refused_to_eight(two, release_id, since)


async def test_whom_a_register_of_another_practice_has_put_in_doubt_leaves_though_its_entry_was_wrong(
    two: World,
) -> None:
    release_id = await told_and_approved(two, EIGHT, NINE)
    since = await next_place(two)
    await hand_in(two, patient("2", person_key=KEY, birth_date="1971-01-01"))
    changed = await IdentityDoubt.get(patient_id=(await row("2")).id, settled_at=None, reason="identity_changed")
    await who_is_who.wrong_entry(two.means, changed.id, by=two.dpo)
    assert await reasons(two, "8", "practice-b") == ("G40",)
    await refused_to_eight(two, release_id, since)


async def test_what_is_older_than_a_no_taken_back_does_not_leave_for_whom_she_turns_out_to_be(two: World) -> None:
    """Patient 7 said no and took it back before the release was prepared; then she turns out to be patient 1."""
    await says_no(two, "seven")
    assert await opt_out.withdraw(two.means, two.links["seven@example.org"]) == 1
    line = Line(two)
    await line.open()
    await line.receive(await line.extract(record("1"), record("2"), record("3")))
    first, second = await approved(two), await approved(two)
    await release.seal(two.means, first, by=two.operator)
    await release.serve(two.means, first, by=two.recipient)
    one = await person_of("1")
    await clash(two)
    await merge(two, "7", "practice-b", one)
    assert await reasons(two, "1") == ()
    await retract.reconcile(two.means)
    assert [retraction.person_id for retraction in await Retraction.all()] == [one]
    await release.seal(two.means, second, by=two.operator)
    await release.serve(two.means, second, by=two.recipient)
    name = pseudonym(two.means.ring, "study:diabetes", one.bytes).hex()
    assert (name in in_release(two, first), name in in_release(two, second)) == (True, False)


async def next_place(world: World) -> int:
    await sequence(world.means)
    found = await rows(connection(), "SELECT max(place) + 1 AS n FROM log_place")
    return int(found[0]["n"])


async def refused_to_eight(world: World, release_id: str, since: int) -> None:
    """She is not in what is sealed, and her practice is told to look at her again."""
    await release.seal(world.means, release_id, by=world.operator)
    await sequence(world.means)
    told_again = {number for change in (await changes_since("practice-b", since)).changes for number in change.numbers}
    await release.serve(world.means, release_id, by=world.recipient)
    name = pseudonym(world.means.ring, "study:diabetes", (await person_of("8", "practice-b")).bytes).hex()
    assert ("8" in told_again, name in in_release(world, release_id)) == (True, False)
