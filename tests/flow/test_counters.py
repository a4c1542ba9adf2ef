"""Objections by channel: received = committed = withheld, each from its own evidence; and channels that fall silent."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta

import pytest
from joserfc.jwk import OKPKey
from kept import one_entry
from world import World

from portal.flow import consent_feed, opt_out, programs, provisional, told_doctor
from portal.flow.counters import Counted, count_objections, count_when_due
from portal.flow.provisional import PUBLIC, Spoken
from portal.records import path_overview
from portal.records.accounts import Account
from portal.records.canaries import ChannelCount
from portal.records.database import connection, rows
from portal.records.ledger import LogEntry, last_entry
from portal.rules.scopes import Access, ClientKind
from portal.rules.words import ObjectionChannel, Role, Scope

Say = Callable[[World], Awaitable[object]]


async def count(world: World) -> dict[str, tuple[int, int, int]]:
    async with one_entry("objections_counted", ("canary", "counts")):
        counted = await count_objections(world.means, silence_factor=3)
    return {
        one.channel: (one.received, one.committed, one.withheld) for one in counted if one.received or one.committed
    }


async def by_link(world: World, number: str = "1", scope: Scope = Scope.EVERYTHING, study: str = "") -> None:
    await opt_out.object_(world.means, world.links[f"patient{number}@example.org"], scope, study)


def without_link(channel: ObjectionChannel, given_names: str = "Camille", family_name: str = "Bernard") -> Say:
    async def said(world: World) -> None:
        by = PUBLIC if channel is ObjectionChannel.FORM else world.operator.actor
        spoken = Spoken(family_name=family_name, given_names=given_names, birth="1960")
        await provisional.record(world.means, spoken, scope=Scope.EVERYTHING, channel=channel, by=by)

    return said


async def by_doctor(world: World) -> None:
    doctor = await Account.get(role=Role.DOCTOR)
    await told_doctor.object_for(world.means, practice_id="practice-a", number="1", by=doctor)


async def by_software(world: World) -> None:
    await told_doctor.object_by_software(world.means, practice_id="practice-a", number="1", actor="software:1")


async def by_partner(world: World) -> None:
    keys = {"keys": [OKPKey.generate_key("Ed25519").as_dict(private=False)]}
    client = await programs.put_on_file(
        world.means, kind=ClientKind.PARTNER, name="Partenaire", keys=keys, by=world.operator
    )
    partner = programs.Program(client, ClientKind.PARTNER, f"software:{client}", frozenset({Access.CONSENT_WRITE}))
    spoken = Spoken(family_name="Bernard", given_names="Camille", birth="1960")
    await consent_feed.take_in(world.means, partner, [consent_feed.Sent("Consent", "urn:x|1", True, None, spoken)])


WAYS: dict[ObjectionChannel, Say] = {
    ObjectionChannel.LINK: by_link,
    ObjectionChannel.PAPER: without_link(ObjectionChannel.PAPER),
    ObjectionChannel.PHONE: without_link(ObjectionChannel.PHONE),
    ObjectionChannel.DOCTOR: by_doctor,
    ObjectionChannel.FORM: without_link(ObjectionChannel.FORM),
    ObjectionChannel.SOFTWARE: by_software,
    ObjectionChannel.PARTNER: by_partner,
}


def test_every_channel_is_tried() -> None:
    assert set(WAYS) == set(ObjectionChannel)


@pytest.mark.parametrize("channel", WAYS, ids=str)
async def test_an_objection_of_each_channel_is_counted_three_times(told: World, channel: ObjectionChannel) -> None:
    assert await count(told) == {}
    await WAYS[channel](told)
    assert await count(told) == {channel: (1, 1, 1)}
    await WAYS[channel](told)
    assert await count(told) == {channel: (2, 2, 2)}, "said again it is received again"


@pytest.mark.parametrize("channel", [ObjectionChannel.PAPER, ObjectionChannel.PHONE], ids=str)
async def test_a_code_that_came_on_paper_or_by_telephone_is_counted_there(
    told: World, channel: ObjectionChannel
) -> None:
    brought = opt_out.Brought(channel, None, told.operator.actor)
    for times in (1, 2):
        await opt_out.object_(told.means, told.links["patient1@example.org"], Scope.EVERYTHING, brought=brought)
        assert await count(told) == {channel: (times, times, times)}


@pytest.mark.parametrize("scope", Scope, ids=str)
async def test_every_scope_is_held_against_the_gate(told: World, scope: Scope) -> None:
    await by_link(told, "1", scope, "diabetes" if scope is Scope.STUDY else "")
    assert await count(told) == {"link": (1, 1, 1)}
    await rows(connection(), "UPDATE verdict SET bits = 0")
    assert await count(told) == {"link": (1, 1, 0)}, "the gate does not heed it"


@pytest.mark.parametrize("channel", WAYS, ids=str)
async def test_a_gate_that_does_not_heed_a_channel_is_seen(told: World, channel: ObjectionChannel) -> None:
    await WAYS[channel](told)
    await rows(connection(), "UPDATE verdict SET bits = 0")
    assert await count(told) == {channel: (1, 1, 0)}


@pytest.mark.parametrize("channel", WAYS, ids=str)
async def test_an_objection_that_is_lost_after_it_was_received_is_seen(told: World, channel: ObjectionChannel) -> None:
    await WAYS[channel](told)
    for table in ("sent_consent", "provisional_token", "provisional_objection", "objection"):
        await rows(connection(), f"DELETE FROM {table}")
    assert await count(told) == {channel: (1, 0, 0)}
    found = await path_overview.to_do(told.clock.now())
    assert [(row["kind"], row["count"]) for row in found] == [("channels_differ", 1)]
    assert (await LogEntry.get(id=await last_entry(connection()))).summary == "7 channels, 1 differ, 0 silent"


async def test_an_objection_of_which_the_log_knows_nothing_is_seen(told: World) -> None:
    await by_link(told)
    await rows(connection(), "UPDATE objection SET channel = 'phone'")
    assert await count(told) == {"link": (1, 0, 0), "phone": (0, 1, 1)}


async def test_what_was_taken_back_or_settled_is_no_loss(told: World) -> None:
    await by_link(told)
    await opt_out.withdraw(told.means, told.links["patient1@example.org"])
    for channel, settle in (
        (ObjectionChannel.PAPER, "bind"),
        (ObjectionChannel.PHONE, "not_here"),
        (ObjectionChannel.FORM, "none"),
    ):
        await WAYS[channel](told)
        no = (await rows(connection(), "SELECT id FROM provisional_objection WHERE channel = $1", channel))[0]["id"]
        patient_id = (await rows(connection(), "SELECT id FROM patient WHERE number = '1'"))[0]["id"]
        match settle:
            case "bind":
                await provisional.bind(told.means, no, [patient_id], by=told.dpo)
            case "not_here":
                await provisional.not_here(told.means, no, by=told.dpo)
            case _:
                await provisional.no_authority(told.means, no, by=told.dpo)
    assert await count(told) == {"link": (1, 1, 1), "paper": (1, 1, 1), "phone": (1, 1, 1), "form": (1, 1, 1)}
    await rows(connection(), "UPDATE verdict SET bits = 0")
    assert await count(told) == {"link": (1, 1, 1), "paper": (1, 1, 0), "phone": (1, 1, 1), "form": (1, 1, 1)}


async def test_an_objection_that_means_nobody_here_is_no_loss(told: World) -> None:
    await without_link(ObjectionChannel.FORM, family_name="Inconnu")(told)
    assert await count(told) == {"form": (1, 1, 1)}


async def test_once_an_hour(told: World) -> None:
    assert len(await count_when_due(told.means, silence_factor=3)) == len(ObjectionChannel)
    told.clock.advance_to(told.clock.now() + timedelta(minutes=59))
    assert await count_when_due(told.means, silence_factor=3) == []
    told.clock.advance_to(told.clock.now() + timedelta(minutes=1))
    assert await count_when_due(told.means, silence_factor=3) != []
    assert await ChannelCount.all().count() == len(ObjectionChannel)


async def test_a_channel_that_falls_silent_raises_an_alarm_until_it_is_heard(told: World) -> None:
    for _ in range(10):
        await by_doctor(told)
        told.wait(1)
    told.wait(2)
    assert await silent(told) == {}
    told.wait(1)
    assert set(await silent(told)) == {"doctor"}
    told.wait(900)
    assert set(await silent(told)) == {"doctor"}, "three years are not forgotten"
    alarms = {row["kind"] for row in await path_overview.to_do(told.clock.now())}
    assert alarms == {"channels_silent"}
    await by_doctor(told)
    assert await silent(told) == {}


async def silent(world: World) -> dict[str, date]:
    counted: list[Counted] = await count_objections(world.means, silence_factor=3)
    return {one.channel: one.silent_since for one in counted if one.silent_since}
