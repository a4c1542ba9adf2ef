"""Explained: every rule of one patient with what was looked at, and the entries of the log that bear on it."""

from dataclasses import replace
from typing import Any

import pytest
from world import FAMILIES, GIVEN, World, child, patient

from portal.flow import enrol, minors, opt_out, outage, provisional, rights, who_is_who
from portal.flow.decide import Asked, explain
from portal.flow.provisional import Spoken
from portal.records.accounts import Account
from portal.records.bearing import ABOUT
from portal.records.database import connection, rows
from portal.records.enrolments import Enrolment
from portal.records.notices import Notice
from portal.records.people import IdentityDoubt
from portal.rules.clearance import rules_of
from portal.rules.facts import BatchFacts, PersonFacts
from portal.rules.words import ObjectionChannel, RightsKind, Scope

KEY = "ins:157049990786733"


async def kinds(world: World, code: str, number: str = "1", study: str | None = None) -> list[str]:
    """The kinds of the entries that bear on a rule, the oldest first."""
    _, lines = await explain(world.means, Asked("demo", study), practice_id="practice-a", number=number)
    (line,) = [line for line in lines if line.code == code]
    assert [entry.id for entry in line.entries] == sorted({entry.id for entry in line.entries})
    return [entry.kind for entry in line.entries]


async def says_no(world: World, who: str = "patient1") -> None:
    await opt_out.object_(world.means, world.links[f"{who}@example.org"], Scope.EVERYTHING)


async def test_what_is_asked_by_whom_and_how_she_was_told(told: World) -> None:
    assert await kinds(told, "G01") == ["observatory_approved"]
    assert await kinds(told, "G02") == ["authorisation_approved"]
    assert await kinds(told, "G05", study="diabetes") == ["study_approved"]
    enrolled = ["site_chosen", "agreement_signed", "enrolment_verified", "register_imported"]
    assert await kinds(told, "G20") == ["agreement_loaded", "agreement_loaded", *enrolled]
    assert await kinds(told, "G50") == ["notice_text_loaded", "notice_text_approved", "campaign_started"]
    for code in ("G40", "G41", "G45", "G46"):
        assert await kinds(told, code) == []


@pytest.mark.parametrize(
    ("what", "code", "entries"),
    [
        ("no", "G41", ["objected"]),
        ("no and back", "G41", ["objected", "objection_taken_back"]),
        ("bounce", "G55", ["returns_read"]),
        ("restriction", "G46", ["right_asked"]),
        ("doubt", "G40", ["register_imported"]),
        ("settled", "G40", ["register_imported", "doubt_settled"]),
        ("telephone", "G45", ["objected_without_token"]),
        ("namesake", "G45", ["objected"]),
        ("outage", "G56", ["outage_began"]),
        ("left", "G23", ["doctor_left"]),
    ],
)
async def test_what_happened_is_named_at_the_rule_that_it_bears_on(
    told: World, what: str, code: str, entries: list[str]
) -> None:
    before = await kinds(told, code)
    await HAPPENINGS[what](told)
    after = await kinds(told, code)
    assert [kind for kind in after if kind in entries and after.count(kind) > before.count(kind)] == entries
    assert await kinds(told, code, "2") == await kinds(told, code, "3"), "what is hers is named at her rules only"


async def _back(world: World) -> None:
    await says_no(world)
    await opt_out.withdraw(world.means, world.links["patient1@example.org"])


async def _bounce(world: World) -> None:
    notice = await Notice.get(patient__practice_id="practice-a", patient__number="1")
    world.returns.bounced.append(str(notice.id))
    await world.read_returns()


async def _restriction(world: World) -> None:
    await rights.open_request(
        world.means, practice_id="practice-a", number="1", kind=RightsKind.RESTRICTION, by=world.dpo
    )


async def _doubt(world: World) -> None:
    world.wait(0.1)
    await world.register([replace(patient("1"), family_name="Zola")], partial=True)


async def _settled(world: World) -> None:
    await _doubt(world)
    doubt = await IdentityDoubt.get(settled_at=None)
    await who_is_who.another_person(world.means, doubt.id, by=world.dpo)


async def _telephone(world: World) -> None:
    await provisional.record(
        world.means, Spoken(family_name=FAMILIES[1], given_names=GIVEN[0], birth="1960"), scope=Scope.EVERYTHING,
        channel=ObjectionChannel.PHONE, by=world.operator.actor,
    )  # fmt: skip


async def _namesake(world: World) -> None:
    """Somebody of the names and birth of patient 1 at another practice says no."""
    await world.enrol(2, number="doctor-2")
    twin = replace(patient("1"), patient_id="9", email="nine@example.org", doctor_id="doctor-2")
    await world.register([twin], "practice-b")
    await world.tell("practice-b")
    await says_no(world, "nine")


async def _outage(world: World) -> None:
    await outage.begin_outage(world.means, actor=world.operator.actor)


async def _left(world: World) -> None:
    enrolment = await Enrolment.get(practice_id="practice-a")
    await enrol.leave(world.means, await Account.get(id=enrolment.account_id), enrolment.id)


HAPPENINGS: dict[str, Any] = {
    "no": says_no, "no and back": _back, "bounce": _bounce, "restriction": _restriction, "doubt": _doubt,
    "settled": _settled, "telephone": _telephone, "namesake": _namesake, "outage": _outage, "left": _left,
}  # fmt: skip


async def test_a_register_in_which_she_is_not_any_more_is_named(told: World) -> None:
    told.wait(0.1)
    await told.register([patient("2"), patient("3"), child("4")])
    assert (await kinds(told, "G49"))[-1] == "register_imported"
    _, lines = await explain(told.means, Asked("demo"), practice_id="practice-a", number="1")
    newest = await rows(connection(), "SELECT MAX(entry_id) AS id FROM register_import")
    assert [line.entries[-1].id for line in lines if line.code == "G49"] == [newest[0]["id"]]


async def test_what_emptied_a_birth_and_what_concerns_another_source_only(told: World) -> None:
    await opt_out.object_(told.means, told.links["patient2@example.org"], Scope.STUDY, "diabetes")
    assert await kinds(told, "G41", "2") == []
    assert await kinds(told, "G43", "2", "diabetes") == ["objected"]
    await told.register([replace(patient("1"), birth_date="1906-05-17")], partial=True)
    doubt = await IdentityDoubt.get(settled_at=None)
    await who_is_who.wrong_entry(told.means, doubt.id, by=told.dpo)
    assert "doubt_settled" in await kinds(told, "G47")


async def test_a_minor_who_asked_to_be_told_alone_is_named_where_it_is_decided_who_speaks(told: World) -> None:
    await told.register([child("4", birth_date="2010-01-01")], partial=True)
    await minors.tell_alone(told.means, practice_id="practice-a", number="4", by=told.dpo)
    assert (await kinds(told, "G47", "4"))[-1] == "minor_asked_alone"


def test_every_fact_that_somebody_can_change_has_its_entries() -> None:
    named = {fact for facts in ABOUT for fact in facts} | {"doubt"}
    read = {fact for facts in (BatchFacts, PersonFacts) for rule in rules_of(facts) for fact in rule.reads}
    assert read - named == {"crossing", "system", "requester_entitled"}
