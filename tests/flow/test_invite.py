"""An invitation: its link serves whoever first signs in with it, once, for thirty days; only its hash is at rest."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy

import pytest
from kept import dump, one_entry, refused
from world import World, signing

from portal.flow import enrol, invite
from portal.flow.mail_doctor import send_to_doctors
from portal.flow.sign_in import sign_in_doctor
from portal.outside.identity import Identity, Site
from portal.outside.tokens import token_hash
from portal.records.accounts import Account
from portal.records.database import connection, rows
from portal.records.enrolment_overview import invitation, invitations_of, last_signature, open_invitations
from portal.records.enrolments import DoctorMail, Enrolment, Invitation
from portal.records.governance import AgreementText
from portal.records.schema import metadata
from portal.web.letters import render_to_doctor

SITE = Site("750000001", "", "", "Cabinet A", "10", "")
HERS = "dr.nouvelle@example.org"


async def doctor(world: World, name: str = "new") -> Account:
    identity = Identity(
        "https://id.example.org", name, "Dominique", "Exemple", None, "10000000001", "eidas1", frozenset(), (SITE,)
    )
    return (await sign_in_doctor(world.means, identity))[0]


async def invited(world: World, practice_id: str | None = "practice-a") -> str:
    """The token of the link that was mailed."""
    await invite.invite(
        world.means, email=f" {HERS} ", observatory_id="demo", practice_id=practice_id, by=world.operator
    )
    [(_, _, text, _)] = await mailed(world)
    return text.partition("/join/")[2].split()[0]


async def mailed(world: World) -> list[tuple[str, str, str, list[tuple[str, bytes]]]]:
    """(address, subject, text, files) of each message that a round hands over."""
    before = len(world.post.sent)
    while await send_to_doctors(world.means, world.post, render_to_doctor):
        pass
    found = []
    for _, address, content in world.post.sent[before:]:
        message = message_from_bytes(content, policy=policy.default)
        text = message.get_body(("plain",)).get_content().replace("\u00a0", " ").replace("\u202f", " ")
        files = [(str(a.get_filename()), a.get_content()) for a in message.iter_attachments()]
        found.append((address, str(message["Subject"]), text, files))
    return found


@asynccontextmanager
async def nothing_written() -> AsyncIterator[None]:
    before = await dump()
    yield
    assert await dump() == before


async def test_it_is_mailed_once_and_says_what_it_is_about(world: World) -> None:
    async with one_entry("doctor_invited"):
        await invite.invite(world.means, email=HERS, observatory_id="demo", practice_id="practice-a", by=world.operator)
    async with one_entry("doctors_mailed"):
        [(address, subject, text, files)] = await mailed(world)
    assert (address, subject, files) == (HERS, "Invitation à participer à un observatoire", [])
    assert "Participer : 2 minutes. Arrêter : un clic." in text
    assert "« Observatoire d’essai » pour le cabinet Cabinet A" in text
    token = text.partition(f"{world.means.base_url}/join/")[2].split()[0]
    assert len(token) == 43, "256 bit"
    assert await mailed(world) == []


async def test_the_token_is_nowhere_at_rest(world: World) -> None:
    token = await invited(world)
    kept = [
        value
        for name in metadata().tables
        for row in await rows(connection(), f"SELECT * FROM {name}")
        for value in row.values()
    ]
    assert token_hash(token).hex() in kept
    assert not any(token in str(value) for value in kept)


async def test_it_serves_the_first_who_signs_in_with_it_and_nobody_else(world: World) -> None:
    token, first, second = await invited(world), await doctor(world), await doctor(world, "other")
    async with one_entry("invitation_used", ("doctor", str(first.id))):
        assert await invite.use(world.means, first, token)
    for account in (second, first):
        async with nothing_written():
            assert not await invite.use(world.means, account, token)
    assert [row["finess"] for row in await invitations_of(first.id)] == ["750000001"]
    assert await invitations_of(second.id) == []
    assert await invitation(token_hash(token).hex(), world.clock.now()) is None


async def test_two_who_use_it_at_once_are_not_both_served(world: World) -> None:
    token = await invited(world)
    both = [await doctor(world, name) for name in ("one", "two")]
    assert sorted(await asyncio.gather(*(invite.use(world.means, each, token) for each in both))) == [False, True]


@pytest.mark.parametrize("over", ["late", "withdrawn", "unknown"])
async def test_one_that_is_over_serves_nobody_and_its_address_goes(world: World, over: str) -> None:
    token, account = await invited(world), await doctor(world)
    one = await Invitation.get()
    if over == "late":
        world.wait(30)
        async with one_entry("invitations_forgotten"):
            assert await invite.forget_over(world.means) == 1
    elif over == "withdrawn":
        async with one_entry("invitation_withdrawn"):
            await invite.withdraw(world.means, one.id, by=world.operator)
        async with refused("unknown_invitation"):
            await invite.withdraw(world.means, one.id, by=world.operator)
    else:
        token = token[::-1]
    async with nothing_written():
        assert not await invite.use(world.means, account, token)
        assert await invite.forget_over(world.means) == 0
    assert bool((await Invitation.get()).email) == (over == "unknown")
    assert bool(await open_invitations(world.clock.now())) == (over == "unknown")


async def test_one_withdrawn_before_its_mail_left_is_not_sent(world: World) -> None:
    one = await invite.invite(world.means, email=HERS, observatory_id="demo", practice_id=None, by=world.operator)
    await invite.withdraw(world.means, one, by=world.operator)
    assert await mailed(world) == []
    assert (await DoctorMail.get()).done_at is not None


@pytest.mark.parametrize(
    ("email", "practice_id", "code"),
    [("", None, "email"), ("no address", None, "email"), (HERS, "practice-z", "unknown_practice")],
    ids=["empty", "none", "practice"],
)
async def test_what_cannot_be_meant_is_refused(world: World, email: str, practice_id: str | None, code: str) -> None:
    async with refused(code):
        await invite.invite(world.means, email=email, observatory_id="demo", practice_id=practice_id, by=world.operator)


async def test_only_an_operator_invites(world: World) -> None:
    async with refused("other_role"):
        await invite.invite(world.means, email=HERS, observatory_id="demo", practice_id=None, by=world.dpo)


# --- what follows a signature ----------------------------------------------------------------------------------------


async def signed(world: World, email: str = HERS) -> Enrolment:
    text = await AgreementText.get(language="fr")
    account = await doctor(world)
    return await enrol.sign_for_site(
        world.means, account, SITE, signing(world, text, email=email), observatory_id="demo"
    )


async def test_one_step_chooses_the_only_site_and_signs(world: World) -> None:
    account, text = await doctor(world), await AgreementText.get(language="fr")
    async with one_entry("agreement_signed", ("doctor", str(account.id)), ("practice", "practice-a")):
        enrolment = await enrol.sign_for_site(world.means, account, SITE, signing(world, text), observatory_id="demo")
    assert (enrolment.state, enrolment.practice_id) == ("signed", "practice-a")


async def test_every_signature_is_kept_with_its_evidence_and_none_replaces_another(world: World) -> None:
    enrolment = await signed(world, email="")
    world.wait(1)
    await signed(world)
    kept = await rows(connection(), "SELECT * FROM signature ORDER BY entry_id")
    assert len(kept) == 2
    found = await last_signature(enrolment.id)
    assert found is not None
    assert (found["name"], found["rpps"]) == ("Dominique Exemple", "10000000001")
    assert (found["issuer"], found["subject"]) == ("https://id.example.org", "new")
    assert (found["acr"], found["amr"], found["signed_in_at"]) == ("eidas1", "hwk", world.clock.now())
    text = await AgreementText.get(language="fr")
    assert (found["sha256"], found["version"], found["language"]) == (text.sha256, text.version, "fr")
    assert found["signed_at"] == world.clock.now()


async def test_the_copy_goes_once_to_the_address_that_she_gave_and_to_no_other(world: World) -> None:
    await signed(world, email="")
    assert await mailed(world) == []
    await signed(world)
    [(address, subject, text, files)] = await mailed(world)
    assert (address, subject) == (HERS, "Copie de votre accord")
    assert "Rien ne part avant la vérification de votre numéro par l’exploitant." in text
    [(name, content)] = files
    assert (name, content[:5]) == ("agreement-2026-06.pdf", b"%PDF-")
    assert await mailed(world) == []


async def test_she_is_told_once_she_is_active(world: World) -> None:
    enrolment = await signed(world)
    await mailed(world)
    await enrol.verify(world.means, enrolment.id, doctor_number="doctor-1", by=world.operator)
    [(address, subject, text, files)] = await mailed(world)
    assert (address, subject, files) == (HERS, "Votre inscription est active", [])
    assert "La suite : informer vos patients." in text


async def test_she_who_left_before_the_mail_left_is_not_told_that_she_is_active(world: World) -> None:
    enrolment = await signed(world)
    await mailed(world)
    await enrol.verify(world.means, enrolment.id, doctor_number="doctor-1", by=world.operator)
    await enrol.leave(world.means, await doctor(world), enrolment.id)
    assert await mailed(world) == []


async def test_a_server_that_is_busy_is_asked_again_later(world: World) -> None:
    await signed(world)
    world.post.busy.add(HERS)
    assert len(await mailed(world)) == 1
    world.post.busy.clear()
    assert await mailed(world) == [], "not before its wait is over"
    world.wait(1)
    assert len(await mailed(world)) == 1


async def test_what_is_no_address_is_refused(world: World) -> None:
    await doctor(world)
    text, account = await AgreementText.get(language="fr"), await Account.get(subject="new")
    async with refused("email"):
        await enrol.sign_for_site(
            world.means, account, SITE, signing(world, text, email="no address"), observatory_id="demo"
        )
