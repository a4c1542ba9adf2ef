"""Keys are bound, rotated and deleted: what the old ones made still opens, leads and verifies, or is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kept import dump, one_entry, refused
from line import Line, approved, record
from world import World, patient, plain_letter

from portal.flow import campaign, key_custody, notify, opt_out, provisional, retract
from portal.flow import release as flow
from portal.flow.audit import verify_log
from portal.flow.behind_link import open_link
from portal.flow.key_custody import SEALED
from portal.flow.register_rows import contact_binding
from portal.flow.sequence import sequence
from portal.gate.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from portal.gate.signature import sign
from portal.gate.verify import KIND, verify_release
from portal.outside.keys import KeyRing, read_public_key, read_public_keys
from portal.outside.tokens import open_sealed, seal
from portal.records.database import connection, rows
from portal.records.key_bindings import KeyBinding
from portal.records.people import Contact, Patient
from portal.records.releases import Release, ReleasePerson
from portal.records.retractions import Retraction
from portal.records.schema import metadata
from portal.records.tree import LogCheckpoint
from portal.rules.refusals import Refused
from portal.rules.words import ObjectionChannel, Scope

RECORDS = tuple(record(number) for number in ("1", "2", "3"))


@pytest.fixture
async def stored(told: World) -> Line:
    line = Line(told)
    await line.open()
    await line.receive(await line.extract(*RECORDS))
    return line


@pytest.fixture
async def delivered(stored: Line) -> tuple[World, str]:
    world = stored.world
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    await flow.serve(world.means, release_id, by=world.recipient)
    return world, release_id


def exchange(ring: KeyRing, family: str) -> None:
    """Somebody puts another key in the place of a key, by hand."""
    ring.delete(family)
    ring.create(family)


# --- a key is its study's ------------------------------------------------------------------------------------------


async def test_a_key_is_bound_at_its_first_use(stored: Line) -> None:
    means = stored.world.means
    assert {b.family for b in await KeyBinding.all()} == {"observatory:demo"}
    await flow.prepare(means, "diabetes", by=stored.world.operator)
    bound = {b.family: b.fingerprint for b in await KeyBinding.all()}
    assert bound == {family: means.ring.fingerprint(family) for family in ("observatory:demo", "study:diabetes")}


@pytest.mark.parametrize("unbound", [False, True])
async def test_a_release_under_another_key_than_the_studys_is_refused(
    delivered: tuple[World, str], unbound: bool
) -> None:
    """Also when the releases were made by a version that bound no key: their pseudonyms say which it was."""
    world, release_id = delivered
    second = await approved(world)
    if unbound:
        await KeyBinding.all().delete()
    exchange(world.means.ring, "study:diabetes")
    async with refused("G13"):
        await flow.prepare(world.means, "diabetes", by=world.operator)
    async with refused("G13"):
        await flow.seal(world.means, second, by=world.operator)
    async with refused("G13"):
        await flow.serve(world.means, release_id, by=world.recipient)


@pytest.mark.parametrize("unbound", [False, True])
async def test_a_permit_under_another_key_than_the_observatorys_is_refused(stored: Line, unbound: bool) -> None:
    if unbound:
        await KeyBinding.all().delete()
    exchange(stored.world.means.ring, "observatory:demo")
    async with refused("G13"):
        await stored.extract(*RECORDS)


# --- deleted for good ----------------------------------------------------------------------------------------------


async def test_a_deleted_study_key_unlinks_the_study_for_good(delivered: tuple[World, str]) -> None:
    world, release_id = delivered
    open_release = await approved(world)
    before = {p.pseudonym for p in await ReleasePerson.all()}
    async with one_entry("study_key_deleted", ("study", "diabetes")):
        await key_custody.delete_study_key(world.means, "diabetes", actor=world.operator.actor)
    assert not world.means.ring.exists("study:diabetes")
    kept = json.dumps(await dump())
    assert not any(name in kept for name in before), "no pseudonym stands beside a person"
    files = [world.means.releases / release_id, world.means.drafts / release_id, world.means.drafts / open_release]
    assert not any(folder.exists() for folder in files), "nor in a file that is kept of a release"
    assert (await Release.get(id=open_release)).state == "withdrawn"
    world.means.ring.create("study:diabetes")
    async with refused("G13"):
        await flow.prepare(world.means, "diabetes", by=world.operator)
    async with refused("G13"):
        await flow.serve(world.means, release_id, by=world.recipient)
    async with refused("G13"):
        await key_custody.rotate(world.means, "study:diabetes", actor=world.operator.actor)
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.EVERYTHING)
    assert await retract.reconcile(world.means) == 0, "what cannot be linked cannot be taken back"


async def test_a_key_is_not_deleted_while_its_recipient_has_rows_to_delete(delivered: tuple[World, str]) -> None:
    world, release_id = delivered
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.EVERYTHING)
    await retract.reconcile(world.means)
    async with refused("retractions_open"):
        await key_custody.delete_study_key(world.means, "diabetes", actor="operator:1")
    await retract.acknowledge(world.means, release_id, up_to=2**60, by=world.recipient)
    await key_custody.delete_study_key(world.means, "diabetes", actor="operator:1")
    assert {r.pseudonym for r in await Retraction.all()} == {""}


async def test_a_deletion_killed_after_its_commit_is_finished_by_the_same_call(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    kept = (world.means.ring.folder / "study~diabetes.key").read_bytes()
    await key_custody.delete_study_key(world.means, "diabetes", actor="operator:1")
    (world.means.ring.folder / "study~diabetes.key").write_bytes(kept)
    (world.means.ring.folder / "study~diabetes.key").chmod(0o600)
    async with refused("G13"):
        await flow.prepare(world.means, "diabetes", by=world.operator)
    before = await dump()
    await key_custody.delete_study_key(world.means, "diabetes", actor="operator:1")
    assert await dump() == before
    assert not world.means.ring.exists("study:diabetes")
    async with refused("unknown_study"):
        await key_custody.delete_study_key(world.means, "another", actor="operator:1")


# --- pseudonyms are not rotated once somebody has them -------------------------------------------------------------


async def test_pseudonyms_that_somebody_has_are_not_rotated(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    for family in ("study:diabetes", "observatory:demo"):
        key = world.means.ring.bytes_of(family)
        async with refused("key_in_use"):
            await key_custody.rotate(world.means, family, actor="operator:1")
        assert world.means.ring.bytes_of(family) == key
    for family in ("matching", "blind"):
        async with refused("key_kept"):
            await key_custody.rotate(world.means, family, actor="operator:1")


async def test_a_study_of_which_nothing_was_delivered_takes_another_key(stored: Line) -> None:
    world = stored.world
    prepared = await flow.prepare(world.means, "diabetes", by=world.operator)
    async with refused("key_in_use"):
        await key_custody.rotate(world.means, "study:diabetes", actor="operator:1")
    await flow.withdraw(world.means, prepared, by=world.operator)
    old = world.means.ring.fingerprint("study:diabetes")
    async with one_entry("key_rotated", ("key", "study:diabetes")):
        await key_custody.rotate(world.means, "study:diabetes", actor="operator:1")
    assert world.means.ring.fingerprint("study:diabetes") != old
    assert world.means.ring.former("study:diabetes") == []
    assert await flow.prepare(world.means, "diabetes", by=world.operator)


# --- contacts ------------------------------------------------------------------------------------------------------


async def _all_open(world: World) -> None:
    for contact in await Contact.all().select_related("patient"):
        bound_to = contact_binding(
            contact.patient.practice_id, contact.patient.number, str(contact.addressee), contact.rank
        )
        assert json.loads(open_sealed(world.means.ring, bytes(contact.sealed), bound_to))


async def test_contacts_are_sealed_again_and_the_former_key_is_then_forgotten(told: World) -> None:
    """In batches of two, interrupted after the first: both keys open, and it goes on."""
    world, means = told, told.means
    total = await Contact.all().count()
    assert total > 4
    await key_custody.rotate(means, "contacts", actor="operator:1")
    assert await key_custody.sealed_with_former(means) == total
    async with one_entry("contacts_resealed", ("key", "contacts")):
        last, done = await key_custody.reseal(means, at_once=2)
    assert done == 2
    await _all_open(world)
    async with refused("key_in_use"):
        await key_custody.forget(means, "contacts", actor="operator:1")
    await world.register([patient("9")], partial=True)
    assert await key_custody.sealed_with_former(means) == total - 2, "what comes in is sealed with the new key"
    while done:
        last, done = await key_custody.reseal(means, after=last, at_once=2)
    before = await dump()
    assert await key_custody.reseal(means) == (0, 0)
    assert await dump() == before
    assert await key_custody.forget(means, "contacts", actor="operator:1") == 1
    await _all_open(world)


async def test_what_was_said_without_a_token_is_sealed_again_before_the_former_key_is_forgotten(told: World) -> None:
    means = told.means
    spoken = provisional.Spoken(family_name="Durand", given_names="Alix", answer_to="by letter")
    said = await provisional.record(
        means, spoken, scope=Scope.EVERYTHING, channel=ObjectionChannel.PAPER, by=told.operator.actor
    )
    await key_custody.rotate(means, "contacts", actor="operator:1")
    last = 0
    while (await Contact.filter(id__gt=last).count()) and (batch := await key_custody.reseal(means, after=last))[1]:
        last = batch[0]
    assert await key_custody.sealed_with_former(means) == 1
    async with refused("key_in_use"):
        await key_custody.forget(means, "contacts", actor="operator:1")
    assert (await key_custody.reseal(means, after=last)) == (last, 1)
    assert await key_custody.reseal(means, after=last) == (0, 0)
    assert await key_custody.forget(means, "contacts", actor="operator:1") == 1
    assert await provisional.read_sealed(means, said.id, by=told.dpo) == spoken


async def test_a_contact_that_changes_while_it_is_sealed_again_keeps_the_change(told: World) -> None:
    await key_custody.rotate(told.means, "contacts", actor="operator:1")
    row = await Patient.get(practice_id="practice-a", number="1")
    contact = await Contact.get(patient_id=row.id, addressee="self")
    await told.register([patient("1", email="new@example.org")], partial=True)
    await key_custody._put(connection(), [(b"sealed again", contact.id, bytes(contact.sealed))])
    while (await key_custody.reseal(told.means))[1]:
        pass
    contact = await Contact.get(patient_id=row.id, addressee="self")
    opened = open_sealed(told.means.ring, bytes(contact.sealed), contact_binding("practice-a", "1", "self", 0))
    assert json.loads(opened)["email"] == "new@example.org"


def test_every_sealed_column_is_sealed_again() -> None:
    columns = {f"{table.name}.{c.name}" for table in metadata().sorted_tables for c in table.columns}
    assert {
        name for name in columns if "sealed" in name and name not in {"release.sealed_at", "release.sealed_by"}
    } == (SEALED)


# --- links ---------------------------------------------------------------------------------------------------------


async def test_links_go_on_working_and_a_message_sent_after_the_rotation_holds_its_own_link(told: World) -> None:
    world = told
    old = world.links["patient1@example.org"]
    await world.register([patient(n) for n in ("1", "2", "3", "7")], partial=True)
    await campaign.start_campaign(world.means, observatory_id="demo", practice_id="practice-a", by=world.operator)
    await key_custody.rotate(world.means, "links", actor="operator:1")
    await world.send()
    await open_link(world.means, old)
    await open_link(world.means, world.links["patient7@example.org"])
    await world.register([patient("8")], partial=True)
    await world.tell()
    await open_link(world.means, world.links["patient8@example.org"])


async def test_a_link_whose_key_is_lost_is_not_sent_as_another(told: World) -> None:
    await told.register([patient("7")], partial=True)
    await campaign.start_campaign(told.means, observatory_id="demo", practice_id="practice-a", by=told.operator)
    exchange(told.means.ring, "links")
    sent = len(told.post.sent)
    with pytest.raises(Refused) as no:
        await notify.send_due(told.means, told.post, plain_letter)
    assert no.value.code == "link_key_missing"
    assert len(told.post.sent) == sent


# --- signing -------------------------------------------------------------------------------------------------------


async def test_what_was_signed_before_a_rotation_still_verifies_and_names_its_key(
    delivered: tuple[World, str], tmp_path: Path
) -> None:
    world, release_id = delivered
    folder, ring = world.means.releases / release_id, world.means.ring
    ring.export_public(tmp_path / "old.pub")
    await key_custody.rotate(world.means, "signing", actor="operator:1")
    await sequence(world.means)
    ring.export_public(tmp_path / "new.pub")
    assert verify_release(folder, read_public_key(tmp_path / "old.pub")).signed_by == 0
    assert verify_release(folder, read_public_keys(tmp_path / "new.pub")).signed_by == 1
    with pytest.raises(Refused, match="manifest_signature"):
        verify_release(folder, read_public_key(tmp_path / "new.pub"))
    held = await verify_log(read_public_keys(tmp_path / "new.pub"))
    assert held.checkpoints >= 2
    newest = await LogCheckpoint.all().order_by("-size").first()
    assert newest is not None
    assert read_checkpoint(newest.note, ring.public_key()).size == newest.size

    third = await approved(world)
    await flow.seal(world.means, third, by=world.operator)
    assert verify_release(world.means.releases / third, read_public_key(tmp_path / "new.pub")).signed_by == 0


async def test_a_release_approved_before_a_rotation_is_sealed_after_it(stored: Line) -> None:
    """Its manifest is signed by the former key, the checkpoint of its proof by the new one."""
    world = stored.world
    release_id = await approved(world)
    await key_custody.rotate(world.means, "signing", actor="operator:1")
    await flow.seal(world.means, release_id, by=world.operator)
    assert verify_release(world.means.releases / release_id, world.means.ring.public_keys()).signed_by == 1


@pytest.mark.shows("R9")
async def test_a_log_that_a_replaced_key_signs_later_is_detected(
    delivered: tuple[World, str], record_property: Callable[[str, object], None]
) -> None:
    """Whoever steals the old key after the rotation cannot write a checkpoint that counts."""
    world, _ = delivered
    ring = world.means.ring
    old = ring.signing_key()
    await sequence(world.means)
    tried = 0
    for _ in range(3):
        await key_custody.rotate(world.means, "signing", actor="operator:1")
        await sequence(world.means)
    keys = ring.public_keys()
    assert len(keys) == 4
    await verify_log(keys)
    later = await LogCheckpoint.all().order_by("-size").limit(2)
    for row in later:
        said = read_checkpoint(row.note, keys)
        forged = write_checkpoint(Checkpoint(said.origin, said.size, said.root), old)
        with pytest.raises(Refused, match="log_checkpoint"):
            await verify_log(keys, kept=forged)
        await rows(connection(), "UPDATE log_checkpoint SET note = $1 WHERE size = $2", forged, row.size)
        with pytest.raises(Refused, match="log_checkpoint"):
            await verify_log(keys)
        await rows(connection(), "UPDATE log_checkpoint SET note = $1 WHERE size = $2", row.note, row.size)
        tried += 2
    await verify_log(keys)
    stranger = write_checkpoint(Checkpoint(said.origin, said.size, said.root), Ed25519PrivateKey.generate())
    with pytest.raises(Refused, match="log_checkpoint"):
        await verify_log(keys, kept=stranger)
    record_property("trials", tried + 1)


async def test_what_is_kept_of_a_release_opens_after_its_key_was_replaced(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    await key_custody.rotate(world.means, "releases", actor="operator:1")
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.EVERYTHING)
    assert await flow.seal(world.means, release_id, by=world.operator) == 2
    await key_custody.rotate(world.means, "signing", actor="operator:1")
    folder = await flow.serve(world.means, release_id, by=world.recipient)
    assert verify_release(folder, world.means.ring.public_keys()).persons == 2


@pytest.mark.shows("R9")
async def test_a_release_that_a_replaced_key_signs_is_refused_by_who_pins_the_new_one(
    delivered: tuple[World, str],
) -> None:
    world, release_id = delivered
    folder, old = world.means.releases / release_id, world.means.ring.signing_key()
    await key_custody.rotate(world.means, "signing", actor="operator:1")
    second = await approved(world)
    await flow.seal(world.means, second, by=world.operator)
    folder = world.means.releases / second
    content = (folder / "manifest.json").read_bytes()
    (folder / "manifest.jws").write_bytes(sign(KIND, content, old))
    with pytest.raises(Refused, match="manifest_signature"):
        verify_release(folder, world.means.ring.public_key())


async def test_the_signer_of_a_sealed_value_is_found_by_its_id(told: World) -> None:
    """Values of before keys had ids are opened with whichever key fits."""
    ring = told.means.ring
    old = seal(ring, b"somebody", "here")
    ring.rotate("contacts")
    assert open_sealed(ring, old, "here") == open_sealed(ring, seal(ring, b"somebody", "here"), "here") == b"somebody"
    ring.forget("contacts")
    with pytest.raises(Refused, match="sealed_damaged"):
        open_sealed(ring, old, "here")
