"""The patient says no: at once, once, for good, and hers alone to take back."""

import asyncio
from dataclasses import replace

import pytest
from kept import dump, one_entry, refused
from world import World, child, patient

from portal.flow import opt_out
from portal.flow.decide import Asked, explain, stand
from portal.flow.permit import passing
from portal.records.database import connection, transact
from portal.records.ledger import last_entry, take_cut
from portal.records.notices import Notice
from portal.records.objections import Objection
from portal.records.people import Patient
from portal.rules.clearance import Withheld
from portal.rules.waiting import paris_day
from portal.rules.words import Scope

KEY = "ins:157049990786733"
EXTRACTION = Asked("demo")


async def reasons(
    world: World, number: str, practice_id: str = "practice-a", *, asked: Asked = EXTRACTION
) -> tuple[str, ...]:
    verdict, _ = await explain(world.means, asked, practice_id=practice_id, number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


@pytest.fixture
def link(told: World) -> str:
    return told.links["patient1@example.org"]


async def test_a_no_is_entered_and_names_the_person_and_the_patient(told: World, link: str) -> None:
    one = await Patient.get(number="1")
    async with one_entry("objected", ("person", str(one.person_id)), ("patient", str(one.id))):
        said = await opt_out.object_(told.means, link, Scope.EVERYTHING)
    assert (said.scope, said.received_at, said.entry_id) == (
        Scope.EVERYTHING, told.clock.now(), await last_entry(connection()),
    )  # fmt: skip
    assert await reasons(told, "1") == ("G41",)


async def test_looking_writes_nothing(told: World, link: str) -> None:
    before = await dump()
    for _ in range(3):
        await opt_out.look(connection(), link)
    assert await dump() == before


async def test_the_same_no_again_finds_the_first_one(told: World, link: str) -> None:
    first = await opt_out.object_(told.means, link, Scope.EVERYTHING)
    told.wait(1)
    again = await opt_out.object_(told.means, link, Scope.EVERYTHING)
    assert (again.id, again.received_at) == (first.id, first.received_at)
    assert await Objection.all().count() == 1


async def test_twice_at_once_is_once(told: World, link: str) -> None:
    said = await asyncio.gather(*(opt_out.object_(told.means, link, Scope.EVERYTHING) for _ in range(8)))
    assert len({s.id for s in said}) == 1
    assert await Objection.all().count() == 1


async def test_taken_back_and_made_again_twenty_times(told: World, link: str) -> None:
    for turn in range(20):
        await opt_out.object_(told.means, link, Scope.EVERYTHING)
        assert await reasons(told, "1") == ("G41",)
        assert await opt_out.withdraw(told.means, link) == 1
        assert await reasons(told, "1") == ()
        assert await Objection.all().count() == turn + 1
    shown = await opt_out.look(connection(), link)
    assert (len(shown.said), len(shown.in_force)) == (20, 0)


async def test_the_link_shows_what_was_said(told: World, link: str) -> None:
    assert (await opt_out.look(connection(), link)).said == ()
    await opt_out.object_(told.means, link, Scope.OBSERVATORY)
    await opt_out.object_(told.means, link, Scope.EVERYTHING)
    shown = await opt_out.look(connection(), link)
    assert [s.scope for s in shown.in_force] == [Scope.EVERYTHING, Scope.OBSERVATORY]
    assert all(s.mine for s in shown.said)
    assert shown.answered_at == told.clock.now()


async def test_keeping_notes_the_answer_and_gates_nothing(told: World, link: str) -> None:
    notice = (await opt_out.look(connection(), link)).notice_id
    async with one_entry("answered", ("notice", str(notice))):
        await opt_out.keep(told.means, link)
    assert (await Notice.get(id=notice)).answered_at == told.clock.now()
    assert await Objection.all().count() == 0
    assert await reasons(told, "1") == ()


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "é" * 43])
async def test_a_link_that_leads_nowhere_is_refused_by_every_step(told: World, token: str) -> None:
    for step in (
        lambda: opt_out.look(connection(), token),
        lambda: opt_out.object_(told.means, token, Scope.EVERYTHING),
        lambda: opt_out.keep(told.means, token),
        lambda: opt_out.withdraw(told.means, token),
    ):
        async with refused("dead_link"):
            await step()


@pytest.mark.parametrize("study", ["", "unknown", "practice-a"])
async def test_a_study_that_is_not_on_the_observatorys_page_is_refused(told: World, link: str, study: str) -> None:
    async with refused("scope"):
        await opt_out.object_(told.means, link, Scope.STUDY, study)


async def test_a_no_to_one_study_withholds_from_that_study_only(told: World, link: str) -> None:
    said = await opt_out.object_(told.means, link, Scope.STUDY, "diabetes")
    assert (said.scope, said.scope_ref) == (Scope.STUDY, "diabetes")
    assert await reasons(told, "1", asked=Asked("demo", "diabetes")) == ("G43",)
    assert await reasons(told, "1") == ()
    assert await reasons(told, "2", asked=Asked("demo", "diabetes")) == ()


async def test_a_no_to_one_practice_as_a_source_leaves_her_other_practice_alone(told: World, link: str) -> None:
    await told.register([patient("1", person_key=KEY)], partial=True)
    await told.enrol(2, number="doctor-2")
    await told.register([patient("7", person_key=KEY, email="seven@example.org")], "practice-b")
    await told.tell("practice-b")
    told.wait(40)
    await told.read_returns()
    await opt_out.object_(told.means, link, Scope.PRACTICE)
    assert await reasons(told, "1") == ("G44",)
    assert await reasons(told, "7", "practice-b") == ()
    await opt_out.withdraw(told.means, link)

    async def listed(c):
        return await passing(c, await stand(told.means, c, Asked("demo"), cut=0))

    first_days = {p.number: p.recorded_from for p in await transact(listed)}
    assert first_days["1"] is not None
    assert first_days["7"] is None


async def test_taking_back_a_narrow_no_never_lifts_a_wider_one(told: World, link: str) -> None:
    """And the other way round: the narrow no stands when the wide one is taken back alone."""
    release = Asked("demo", "diabetes")
    await opt_out.object_(told.means, link, Scope.STUDY, "diabetes")
    await opt_out.object_(told.means, link, Scope.EVERYTHING)
    assert await opt_out.withdraw(told.means, link, Scope.STUDY, "diabetes") == 1
    assert await reasons(told, "1", asked=release) == ("G41",)
    assert await opt_out.withdraw(told.means, link, Scope.OBSERVATORY) == 0
    assert await reasons(told, "1", asked=release) == ("G41",)
    await opt_out.object_(told.means, link, Scope.STUDY, "diabetes")
    assert await opt_out.withdraw(told.means, link, Scope.EVERYTHING) == 1
    assert await reasons(told, "1", asked=release) == ("G43",)
    assert (await opt_out.look(connection(), link)).state == "no_part"


async def test_one_parents_no_is_not_the_childs_to_lift(told: World) -> None:
    """A later adult, told by her own link, sees her parent's no and cannot lift it; the parent's link can."""
    parents = told.links["parent4@example.org"]
    await opt_out.object_(told.means, parents, Scope.EVERYTHING)
    await told.register([child("4", birth_date="2008-01-01", email="patient4@example.org")], partial=True)
    await Patient.filter(number="4").update(person_id=(await Objection.get()).person_id)
    await told.tell()
    own = told.links["patient4@example.org"]
    shown = await opt_out.look(connection(), own)
    assert [s.mine for s in shown.in_force] == [False]
    assert await opt_out.withdraw(told.means, own) == 0
    assert len((await opt_out.look(connection(), own)).in_force) == 1
    assert await opt_out.withdraw(told.means, parents) == 1


async def test_a_no_follows_the_person_to_every_practice(told: World) -> None:
    await told.register([patient("1", person_key=KEY)], partial=True)
    await told.enrol(2, number="doctor-2")
    await told.register([patient("7", person_key=KEY, email="seven@example.org")], "practice-b")
    await told.tell("practice-b")
    told.wait(40)
    await told.read_returns()
    assert await reasons(told, "7", "practice-b") == ()
    await opt_out.object_(told.means, told.links["patient1@example.org"], Scope.EVERYTHING)
    assert await reasons(told, "7", "practice-b") == ("G41",)
    assert await opt_out.withdraw(told.means, told.links["seven@example.org"]) == 0
    assert await reasons(told, "7", "practice-b") == ("G41",)


async def test_a_narrower_yes_never_lifts_a_wider_no(told: World, link: str) -> None:
    await opt_out.object_(told.means, link, Scope.EVERYTHING)
    await opt_out.object_(told.means, link, Scope.OBSERVATORY)
    await Objection.filter(scope=Scope.OBSERVATORY).delete()
    assert await reasons(told, "1") == ("G41",)


async def test_after_taking_it_back_only_records_dated_later_pass(told: World, link: str) -> None:
    await opt_out.object_(told.means, link, Scope.EVERYTHING)
    async with one_entry("objection_taken_back"):
        await opt_out.withdraw(told.means, link)

    async def listed(c):
        return await passing(c, await stand(told.means, c, Asked("demo"), cut=0))

    first_days = {p.number: p.recorded_from for p in await transact(listed)}
    assert (first_days["1"] - paris_day(told.clock.now())).days == 1
    assert first_days["2"] is None


async def test_a_cut_never_misses_an_objection_that_was_entered_below_it(told: World, link: str) -> None:
    said, cut = await asyncio.gather(opt_out.object_(told.means, link, Scope.EVERYTHING), take_cut())
    assert said.entry_id > cut or await Objection.filter(id=said.id).exists()


async def test_a_twin_without_a_key_is_withheld_beside_an_objector(told: World, link: str) -> None:
    await told.register([replace(patient("1"), patient_id="9", email="twin@example.org")], partial=True)
    await told.tell()
    await opt_out.object_(told.means, link, Scope.EVERYTHING)
    assert "G45" in await reasons(told, "9")
