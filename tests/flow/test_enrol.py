"""A doctor enrols step by step, and every step that is not allowed is refused and leaves nothing."""

from collections.abc import Awaitable, Callable

import pytest
from kept import dump, one_entry, refused
from world import World, patient, signing

from portal.flow import enrol, suspend
from portal.flow.permit import doctor_spans
from portal.flow.sign_in import sign_in_doctor
from portal.outside.identity import Identity, Site
from portal.records.accounts import Account
from portal.records.database import connection
from portal.records.enrolments import ENROLLED, Enrolment, named_only
from portal.records.governance import AgreementText
from portal.records.people import Practice
from portal.rules.enrolment import ALLOWED, STEPS
from portal.rules.refusals import Refused
from portal.rules.words import EnrolmentState as State
from portal.rules.words import Suspended

SITE = Site("750000001", "", "", "Cabinet A", "10", "")


async def doctor(world: World, number: str = "1") -> Account:
    identity = Identity(
        "https://id.example.org", f"doctor-{number}", "Dominique", number, None, "10000000001", "eidas1",
        frozenset(), (SITE,),
    )  # fmt: skip
    return (await sign_in_doctor(world.means, identity))[0]


async def sign(world: World, account: Account, enrolment: Enrolment, sha256: str = "") -> Enrolment:
    text = await AgreementText.get(language="fr")
    return await enrol.sign(
        world.means, account, enrolment.id, signing(world, text, **({"sha256": sha256} if sha256 else {}))
    )


async def test_a_doctor_signs_in_chooses_signs_and_is_active_once_verified(world: World) -> None:
    account = await doctor(world)
    async with one_entry("site_chosen", ("doctor", str(account.id)), ("practice", "practice-a")):
        enrolment = await enrol.choose_site(world.means, account, SITE, observatory_id="demo")
    assert enrolment.state == State.IDENTIFIED
    async with one_entry("agreement_signed", ("doctor", str(account.id)), ("practice", "practice-a")):
        signed = await sign(world, account, enrolment)
    assert signed.state == State.SIGNED
    assert signed.agreement_sha256 == (await AgreementText.get(language="fr")).sha256
    async with one_entry("enrolment_verified", ("doctor", str(account.id)), ("practice", "practice-a")):
        await enrol.verify(world.means, enrolment.id, doctor_number=" doctor-1 ", by=world.operator)
    active = await Enrolment.get(id=enrolment.id)
    assert (active.state, active.doctor_number, active.active_from) == (State.ACTIVE, "doctor-1", world.clock.now())


async def test_choosing_the_same_site_again_finds_the_same_enrolment(world: World) -> None:
    account = await doctor(world)
    first = await enrol.choose_site(world.means, account, SITE, observatory_id="demo")
    assert (await enrol.choose_site(world.means, account, SITE, observatory_id="demo")).id == first.id
    assert await Enrolment.all().count() == 1


async def test_a_site_that_nobody_has_on_file_is_put_on_file(world: World) -> None:
    site = Site("2A0000009", "", "", "Cabinet C", "10", "")
    await enrol.choose_site(world.means, await doctor(world), site, observatory_id="demo")
    assert (await Practice.get(finess="2A0000009")).name == "Cabinet C"


async def test_a_site_without_a_number_is_refused(world: World) -> None:
    account = await doctor(world)
    async with refused("site_without_number"):
        await enrol.choose_site(world.means, account, Site("", "", "", "?", "10", ""), observatory_id="demo")


async def test_another_text_than_the_one_read_cannot_be_signed(world: World) -> None:
    account = await doctor(world)
    enrolment = await enrol.choose_site(world.means, account, SITE, observatory_id="demo")
    async with refused("other_agreement"):
        await sign(world, account, enrolment, sha256="0" * 64)


async def test_nobody_signs_pauses_or_leaves_for_a_colleague(world: World) -> None:
    account, colleague = await doctor(world), await doctor(world, "2")
    enrolment = await enrol.choose_site(world.means, account, SITE, observatory_id="demo")
    for step in (
        lambda: sign(world, colleague, enrolment),
        lambda: enrol.leave(world.means, colleague, enrolment.id),
        lambda: enrol.pause(world.means, colleague, enrolment.id),
    ):
        async with refused("unknown_enrolment"):
            await step()


@pytest.mark.parametrize("number", ["", "   ", "x" * 81])
async def test_verifying_needs_the_number_that_the_practice_software_uses(world: World, number: str) -> None:
    account = await doctor(world)
    enrolment = await enrol.choose_site(world.means, account, SITE, observatory_id="demo")
    await sign(world, account, enrolment)
    async with refused("doctor_number"):
        await enrol.verify(world.means, enrolment.id, doctor_number=number, by=world.operator)


async def test_leaving_takes_one_call_from_any_state(world: World) -> None:
    account = await world.enrol()
    enrolment = await Enrolment.get()
    async with one_entry("doctor_left", ("doctor", str(account.id)), ("practice", "practice-a")):
        await enrol.leave(world.means, account, enrolment.id)
    left = await Enrolment.get()
    assert (left.state, left.ended_at) == (State.LEFT, world.clock.now())


async def test_who_left_may_sign_again_and_is_verified_again(world: World) -> None:
    account = await world.enrol()
    await enrol.leave(world.means, account, (await Enrolment.get()).id)
    await world.enrol()
    again = await Enrolment.get()
    assert (again.state, again.ended_at) == (State.ACTIVE, None)


async def test_every_step_from_every_state_is_allowed_by_the_table_or_refused_without_a_trace(world: World) -> None:
    account = await world.enrol()
    enrolment = await Enrolment.get()
    means, by, one = world.means, world.operator, enrolment.id
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "agreement_signed": lambda: sign(world, account, enrolment),
        "enrolment_verified": lambda: enrol.verify(means, one, doctor_number="doctor-1", by=by),
        "doctor_paused": lambda: enrol.pause(means, account, one),
        "doctor_resumed": lambda: enrol.resume(means, account, one),
        "enrolment_suspended": lambda: suspend.suspend(means, one, reason=Suspended.INQUIRY, by=by),
        "suspension_lifted": lambda: suspend.lift(means, one, by=by),
        "doctor_left": lambda: enrol.leave(means, account, one),
    }
    again = {("doctor_paused", State.PAUSED), ("doctor_resumed", State.ACTIVE), ("doctor_left", State.LEFT)}
    for before in ENROLLED:
        for kind, step in steps.items():
            to = {after for state, name, after in STEPS if (state, name) == (before, kind)}
            if kind == "agreement_signed" and before in enrol.STAYS:
                to = set()  # the same version: there is nothing to sign
            await Enrolment.filter(id=one).update(state=before, before_suspension=State.ACTIVE)
            written = await dump()
            try:
                await step()
                happened = True
            except Refused:
                happened = False
                assert await dump() == written, f"{kind} from {before} left something"
            assert happened == bool(to or (kind, before) in again), f"{kind} from {before}"
            assert (await Enrolment.get()).state in (to or {before})


async def test_the_table_of_transitions_names_every_state() -> None:
    assert set(ALLOWED) == set(State)
    assert {to for reached in ALLOWED.values() for to in reached} == set(State) - {State.INVITED}


async def test_only_the_colleague_who_enrolled_counts_as_active(world: World) -> None:
    """The doctor enrols, not the site: a colleague named in the register keeps unnamed records out (G34)."""
    await world.enrol()
    await world.register([patient("1"), patient("2", doctor_id="doctor-2")])
    spans, _ = await doctor_spans(world.means, "demo", "practice-a")
    assert [span.doctor_id for span in spans] == ["doctor-1"]
    assert await named_only(connection(), world.clock.now(), "demo", "practice-a") == {"practice-a"}
    await world.enrol(number="doctor-2")
    assert await named_only(connection(), world.clock.now(), "demo") == set()
