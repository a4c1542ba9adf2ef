"""Whoever has authority over a minor, or represents an adult: all who are known must have been told, as of today."""

import csv
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from kept import dump, one_entry, refused
from world import World, child, paris, patient

from portal.flow import key_custody, minors, opt_out
from portal.flow.decide import Asked, explain
from portal.flow.register_rows import contact_binding
from portal.gate.holders import HOLDER_COLUMNS, Holder
from portal.outside.tokens import open_sealed
from portal.records.database import connection
from portal.records.people import Contact, Patient
from portal.rules.clearance import Cleared, Withheld
from portal.rules.refusals import RefusedFile
from portal.rules.waiting import midnight
from portal.rules.words import Addressee, Scope

EXTRACTION = Asked("demo")
MOTHER = {"representative_name": "Une Mère", "representative_email": "mother@example.org"}
FATHER = {
    "patient_id": "5", "rank": "2", "representative_name": "Un Père", "representative_email": "father@example.org",
    "representative_kind": "parent",
}  # fmt: skip


async def reasons(world: World, number: str = "5", asked: Asked = EXTRACTION) -> tuple[str, ...]:
    verdict, _ = await explain(world.means, asked, practice_id="practice-a", number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


async def holds_until(world: World, number: str = "5") -> datetime | None:
    verdict, _ = await explain(world.means, Asked("demo"), practice_id="practice-a", number=number)
    assert isinstance(verdict, Cleared)
    return verdict.holds_until


def holders(world: World, *lines: dict[str, str]) -> Path:
    path = world.folder / f"holders-{world.clock.now():%Y%m%d%H%M%S%f}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, HOLDER_COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
    return path


async def later(world: World, days: float = 40) -> None:
    """The mail was silent, reflection is over, the register is fresh."""
    world.wait(days)
    await world.read_returns()


@pytest.fixture
async def family(world: World) -> World:
    """A child with a mother in the register and a father in the second file, both told forty days ago."""
    await world.enrol()
    await world.register([child("5", **MOTHER)], holders=holders(world, FATHER))
    await world.tell()
    await later(world)
    return world


async def test_each_holder_has_a_notice_and_a_link_of_her_own(family: World) -> None:
    assert {address for _, address, _ in family.post.sent} == {"mother@example.org", "father@example.org"}
    assert len(set(family.links.values())) == 2
    assert await reasons(family) == ()


async def test_parents_disagree_and_one_cannot_lift_the_others_no(family: World) -> None:
    mother, father = family.links["mother@example.org"], family.links["father@example.org"]
    await opt_out.object_(family.means, mother, Scope.EVERYTHING)
    await opt_out.keep(family.means, father)
    assert await reasons(family) == ("G41",)
    assert await opt_out.withdraw(family.means, father) == 0
    assert [said.mine for said in (await opt_out.look(connection(), father)).in_force] == [False]
    assert await reasons(family) == ("G41",)
    await opt_out.object_(family.means, father, Scope.EVERYTHING)
    assert await opt_out.withdraw(family.means, mother) == 1
    assert await reasons(family) == ("G41",), "the father's own still stands"


async def test_one_told_of_two_holders_is_not_enough(family: World) -> None:
    father = {**FATHER, "representative_email": "moved@example.org"}
    await family.register([child("5", **MOTHER)], holders=holders(family, father))
    assert await reasons(family) == ("G54",), "told at an address that is no longer his"
    await family.tell()
    await later(family)
    assert await reasons(family) == ()


@pytest.mark.parametrize(("reason", "passes"), [("unknown_address", True), ("", False)])
async def test_one_is_enough_only_with_a_recorded_reason_why_the_other_cannot_be_told(
    world: World, reason: str, passes: bool
) -> None:
    await world.enrol()
    father = {**FATHER, "representative_email": "", "unreachable_reason": reason}
    await world.register([child("5", **MOTHER)], holders=holders(world, father))
    assert (await world.tell()).not_reachable == (0 if passes else 1)
    await later(world)
    assert (await reasons(world) == ()) == passes


async def test_when_none_can_be_reached_somebody_must_have_been_told_all_the_same(world: World) -> None:
    await world.enrol()
    lines = [
        {**MOTHER, "patient_id": "5", "rank": "1", "representative_kind": "parent", "unreachable_reason": "abroad"},
        {**FATHER, "unreachable_reason": "abroad"},
    ]
    await world.register([child("5", **MOTHER)], holders=holders(world, *lines))
    await later(world)
    assert await reasons(world) == ("G50",)
    await world.tell()
    await later(world)
    assert await reasons(world) == ()


async def test_a_reason_given_for_the_first_holder_stays_while_she_is_the_same(world: World) -> None:
    await world.enrol()
    first = {**MOTHER, "patient_id": "5", "rank": "1", "representative_kind": "parent", "unreachable_reason": "abroad"}
    await world.register([child("5", **MOTHER)], holders=holders(world, first, FATHER))
    await world.register([child("5", **MOTHER, phone="+33199000000")], partial=True)
    assert (await Contact.get(rank=1)).unreachable_reason == "abroad"
    await world.register([child("5", **{**MOTHER, "representative_name": "Une Autre"})], partial=True)
    assert (await Contact.get(rank=1)).unreachable_reason is None


async def test_a_register_without_the_second_file_keeps_the_holders_that_are_known(family: World) -> None:
    await family.register([child("5", **MOTHER, city="Lyon")])
    assert await Contact.filter(addressee=Addressee.PARENT).count() == 2
    await family.register([child("5", **MOTHER, city="Lyon")], holders=holders(family))
    assert await Contact.filter(addressee=Addressee.PARENT).count() == 1


async def test_parents_who_share_one_mailbox_are_told_each(world: World) -> None:
    await world.enrol()
    shared = {**FATHER, "representative_email": MOTHER["representative_email"]}
    await world.register([child("5", **MOTHER)], holders=holders(world, shared))
    assert (await world.tell()).queued == 2
    assert len(world.post.sent) == 2
    await later(world)
    assert await reasons(world) == ()


async def test_another_representative_at_the_same_address_is_told_herself(family: World) -> None:
    """The representative changes: the notice to the former one stops counting at once."""
    await family.register([child("5", **{**MOTHER, "representative_name": "Une Tutrice"})], partial=True)
    assert await reasons(family) == ("G54",)
    assert (await family.tell()).queued == 1
    await later(family)
    assert await reasons(family) == ()


async def test_an_adult_with_representation_is_told_through_the_representative(world: World) -> None:
    await world.enrol()
    mandated = patient("5", representative_kind=Addressee.MANDATE, **MOTHER)
    await world.register([mandated])
    await world.tell()
    await later(world)
    assert [address for _, address, _ in world.post.sent] == ["mother@example.org"]
    assert await reasons(world) == ()
    await world.register([patient("5")], partial=True)
    assert await reasons(world) == ("G54",), "she speaks for herself again, and was not told"


# --- fifteen to seventeen -------------------------------------------------------------------------------------------


@pytest.fixture
async def teenager(world: World) -> World:
    """Sixteen years old, her mother told; she has an address of her own."""
    await world.enrol()
    await world.register([child("5", birth_date="2010-01-20", email="patient5@example.org", **MOTHER)])
    await world.tell()
    await later(world)
    return world


async def test_a_minor_of_fifteen_who_asks_is_told_alone(teenager: World) -> None:
    assert await reasons(teenager) == ()
    one = await Patient.get(number="5")
    async with one_entry("minor_asked_alone", ("patient", str(one.id))):
        await minors.tell_alone(teenager.means, practice_id="practice-a", number="5", by=teenager.operator)
    assert await reasons(teenager) == ("G54",)
    await teenager.tell()
    assert teenager.post.sent[-1][1] == "patient5@example.org"
    await later(teenager)
    assert await reasons(teenager) == ()
    assert await holds_until(teenager) is not None, "the register"
    async with one_entry("minor_asked_alone_no_more", ("patient", str(one.id))):
        await minors.tell_holders_again(teenager.means, practice_id="practice-a", number="5", by=teenager.operator)
    assert await reasons(teenager) == (), "her mother had been told before"


@pytest.mark.parametrize("birth_date", ["2011-03-03", "1960-05-17", "", "2011"])
async def test_nobody_else_is_told_alone(world: World, birth_date: str) -> None:
    """Not the day before the fifteenth birthday, no adult, nobody whose age is unknown or not certain."""
    await world.enrol()
    await world.register([child("5", birth_date=birth_date, **MOTHER)])
    async with refused("not_fifteen_to_seventeen"):
        await minors.tell_alone(world.means, practice_id="practice-a", number="5", by=world.operator)


async def test_only_the_desk_or_a_doctor_of_the_practice_records_it(teenager: World) -> None:
    other = await teenager.enrol(2, number="doctor-2")
    async with refused("other_practice"):
        await minors.tell_alone(teenager.means, practice_id="practice-a", number="5", by=other)
    async with refused("other_practice"):
        await minors.tell_alone(teenager.means, practice_id="practice-a", number="5", by=teenager.recipient)
    async with refused("unknown_patient"):
        await minors.tell_alone(teenager.means, practice_id="practice-a", number="6", by=teenager.dpo)
    async with refused("not_alone"):
        await minors.tell_holders_again(teenager.means, practice_id="practice-a", number="5", by=teenager.dpo)


async def test_on_the_fifteenth_birthday_she_may_ask(world: World) -> None:
    await world.enrol()
    await world.register([child("5", birth_date="2011-03-02", **MOTHER)])
    await minors.tell_alone(world.means, practice_id="practice-a", number="5", by=world.operator)
    before = await dump()
    await minors.tell_alone(world.means, practice_id="practice-a", number="5", by=world.operator)
    assert before["minor_alone"] == (await dump())["minor_alone"], "twice is once"


async def test_a_corrected_birth_date_ends_it_until_she_is_fifteen(teenager: World) -> None:
    """She turns out to be thirteen: her mother decides again, until the fifteenth birthday, when her wish counts."""
    await minors.tell_alone(teenager.means, practice_id="practice-a", number="5", by=teenager.operator)
    assert await reasons(teenager) == ("G54",)
    await Patient.filter(number="5").update(teen_on="2026-05-01", adult_on="2029-05-01")
    assert await reasons(teenager) == ()
    assert await holds_until(teenager) == midnight(date(2026, 5, 1))


# --- birthdays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("birth_date", "eighteen"), [("2008-05-15", (2026, 5, 15)), ("2008", (2027, 1, 1))])
async def test_on_the_eighteenth_birthday_the_parents_notice_stops_counting(
    world: World, birth_date: str, eighteen: tuple[int, int, int]
) -> None:
    """Known by year alone: once the whole year of the birthday has passed."""
    birthday = paris(*eighteen, 0, 0)
    await world.enrol()
    young = child("5", birth_date=birth_date, email="patient5@example.org", **MOTHER)
    await world.register([young])
    await world.tell()
    world.clock.advance_to(birthday - timedelta(days=1))
    await world.read_returns()
    await world.register([young])
    assert await holds_until(world) == birthday
    world.clock.advance_to(birthday - timedelta(seconds=1))
    assert await reasons(world) == ()
    world.clock.advance_to(birthday)
    assert await reasons(world) == ("G54",)


async def test_who_was_born_on_29_february_came_of_age_on_1_march(world: World) -> None:
    """The day before the tests begin: she is told herself."""
    await world.enrol()
    await world.register([child("5", birth_date="2008-02-29", email="patient5@example.org", **MOTHER)])
    await world.tell()
    assert [address for _, address, _ in world.post.sent] == ["patient5@example.org"]
    await later(world)
    assert await reasons(world) == ()


async def test_a_guardian_told_before_the_birthday_is_still_the_right_one_after_it(world: World) -> None:
    await world.enrol()
    ward = child("5", birth_date="2008-05-15", representative_kind=Addressee.GUARDIAN, **MOTHER)
    await world.register([ward])
    await world.tell()
    await later(world)
    until = await holds_until(world)
    assert until is not None
    assert until > paris(2026, 5, 15), "only the register's age closes"
    world.clock.advance_to(paris(2026, 5, 15))
    assert await reasons(world) == ()


async def test_a_minor_told_alone_stays_told_when_she_comes_of_age(world: World) -> None:
    await world.enrol()
    await world.register([child("5", birth_date="2008-05-15", email="patient5@example.org", **MOTHER)])
    await minors.tell_alone(world.means, practice_id="practice-a", number="5", by=world.operator)
    await world.tell()
    await later(world)
    until = await holds_until(world)
    assert until is not None
    assert until > paris(2026, 5, 15)
    world.clock.advance_to(paris(2026, 5, 16))
    assert await reasons(world) == ()


# --- the second file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"rank": "0"}, "bad_rank"),
        ({"rank": "two"}, "bad_rank"),
        ({"rank": ""}, "missing_value"),
        ({"patient_id": "77"}, "unknown_patient"),
        ({"representative_kind": ""}, "missing_value"),
        ({"representative_kind": "self"}, "bad_representative_kind"),
        ({"representative_name": ""}, "missing_value"),
        ({"representative_name": "UNE  mère"}, "same_holder_twice"),
        ({"representative_email": "nowhere"}, "bad_email"),
        ({"rank": "1"}, "rank_one_differs"),
        ({"unreachable_reason": "does not answer"}, "bad_unreachable_reason"),
    ],
)
async def test_a_second_file_with_a_bad_row_is_refused_with_its_register(
    world: World, change: dict[str, str], code: str
) -> None:
    before = await dump()
    with pytest.raises(RefusedFile) as no:
        await world.register([child("5", **MOTHER)], holders=holders(world, {**FATHER, **change}))
    assert [problem.code for problem in no.value.problems] == [code]
    assert await dump() == before
    assert not any(value in str(no.value) for value in change.values() if len(value) > 3)


async def test_the_same_rank_twice_is_refused(world: World) -> None:
    with pytest.raises(RefusedFile) as no:
        await world.register(
            [child("5", **MOTHER)], holders=holders(world, FATHER, {**FATHER, "representative_name": "X"})
        )
    assert [problem.code for problem in no.value.problems] == ["duplicate_rank"]


async def test_no_name_or_address_of_a_holder_is_at_rest_in_clear(family: World) -> None:
    kept = str(await dump())
    for text in ("Un Père", "father@", "mother@"):
        assert text not in kept


def test_a_holder_does_not_show_herself_in_a_traceback() -> None:
    one = Holder("5", 2, Addressee.PARENT, "Un Père", "father@example.org", "")
    assert all(
        str(value) not in repr(one) for value in asdict(one).values() if isinstance(value, str) and len(value) > 2
    )


async def test_a_further_holders_address_is_sealed_again_with_a_new_key(family: World) -> None:
    """A contact is bound to its rank too."""
    await key_custody.rotate(family.means, "contacts", actor="operator:1")
    total = await Contact.all().count()
    assert (await key_custody.reseal(family.means))[1] == total
    assert await key_custody.forget(family.means, "contacts", actor="operator:1") == 1
    father = await Contact.get(rank=2)
    opened = open_sealed(family.means.ring, bytes(father.sealed), contact_binding("practice-a", "5", "parent", 2))
    assert b"father@example.org" in opened
