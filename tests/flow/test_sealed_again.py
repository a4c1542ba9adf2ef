"""A sealed release only shrinks: who closes leaves before the next download, under the same approval."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kept import dump, kinds_since, refused
from line import Line, approved, record
from world import World, child, patient

from portal.flow import enrol, govern, opt_out, retract, sealing
from portal.flow import release as flow
from portal.flow.look import Looked
from portal.gate.verify import verify_release
from portal.outside.tokens import pseudonym
from portal.records.behind_link import deliveries_of
from portal.records.database import connection, rows, transact_alone
from portal.records.enrolments import Enrolment
from portal.records.governance import Study
from portal.records.ledger import last_entry
from portal.records.people import Patient
from portal.records.releases import Delivery, Release, ReleasePerson
from portal.records.retractions import Retraction
from portal.rules.words import Scope, Sex

MEN = {"sex": "male"}
RECORDS = [record("1"), record("2"), record("5"), record("3", **MEN), record("6", **MEN)]
"""Three women and two men of one decade, so that k = 2 leaves no man alone."""


@pytest.fixture
async def sealed(world: World) -> tuple[World, str]:
    """A sealed release of five, not downloaded yet."""
    await world.enrol()
    men = [patient(number, sex=Sex.MALE) for number in ("3", "6")]
    await world.register([patient("1"), patient("2"), patient("5"), *men])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(*RECORDS))
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    return world, release_id


async def objects(world: World, number: str) -> None:
    await opt_out.object_(world.means, world.links[f"patient{number}@example.org"], Scope.EVERYTHING)


async def serve(world: World, release_id: str) -> Path:
    return await flow.serve(world.means, release_id, by=world.recipient)


async def named(world: World, *numbers: str) -> set[str]:
    people = await Patient.filter(number__in=numbers)
    return {pseudonym(world.means.ring, "study:diabetes", p.person_id.bytes).hex() for p in people}


async def delivered(number: str) -> int:
    """In how many releases that have left her own page says that she is."""
    return len(await deliveries_of(connection(), (await Patient.get(number=number)).person_id))


def in_folder(folder: Path) -> set[str]:
    """The pseudonyms in a handed-over folder, which is genuine."""
    tables = [pq.read_table(file, columns=["pseudonym"]) for file in sorted((folder / "records").iterdir())]
    return set(pa.concat_tables(tables)["pseudonym"].to_pylist())


def records_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "records").iterdir()}


async def taken_back(world: World) -> set[str]:
    await retract.reconcile(world.means)
    return {r.pseudonym for r in await Retraction.all()}


# --- who closes ----------------------------------------------------------------------------------------------------


async def test_who_closes_before_the_first_download_is_not_delivered_and_not_taken_back(
    sealed: tuple[World, str],
) -> None:
    world, release_id = sealed
    await objects(world, "1")
    before = await last_entry(connection())
    folder = await serve(world, release_id)
    assert await kinds_since(before) == ["release_sealed", "release_served"]
    verified = verify_release(folder, world.means.ring.public_key(), version=2)
    assert (verified.persons, verified.log_entry) == (4, (await Release.get(id=release_id)).entry_id)
    assert in_folder(folder) == await named(world, "2", "3", "5", "6")
    assert await taken_back(world) == set()
    assert [await delivered(number) for number in "12"] == [0, 1]


async def test_who_closes_between_two_downloads_is_gone_from_the_second_and_taken_back(
    sealed: tuple[World, str],
) -> None:
    world, release_id = sealed
    await serve(world, release_id)
    await objects(world, "1")
    assert in_folder(await serve(world, release_id)) == await named(world, "2", "3", "5", "6")
    assert await taken_back(world) == await named(world, "1")
    assert await retract.reconcile(world.means) == 0
    assert [d.version for d in await Delivery.all().order_by("version")] == [1, 2]
    assert await delivered("1") == 1


async def test_a_neighbour_whom_k_suppresses_leaves_and_is_never_taken_back(sealed: tuple[World, str]) -> None:
    world, release_id = sealed
    await serve(world, release_id)
    await objects(world, "3")
    folder = await serve(world, release_id)
    assert in_folder(folder) == await named(world, "1", "2", "5")
    assert verify_release(folder, world.means.ring.public_key()).k_min == 3
    assert await taken_back(world) == await named(world, "3"), "the other man still stands: he has said nothing"
    await objects(world, "6")
    assert await taken_back(world) == await named(world, "3", "6"), "he was in the first version, and has now closed"


async def test_nobody_who_left_comes_back(sealed: tuple[World, str]) -> None:
    world, release_id = sealed
    await objects(world, "1")
    await serve(world, release_id)
    await opt_out.withdraw(world.means, world.links["patient1@example.org"])
    assert in_folder(await serve(world, release_id)) == await named(world, "2", "3", "5", "6")
    assert (await Release.get(id=release_id)).version == 2


async def test_a_no_taken_back_between_two_downloads_takes_her_rows_out_and_back(sealed: tuple[World, str]) -> None:
    world, release_id = sealed
    await serve(world, release_id)
    await objects(world, "1")
    await opt_out.withdraw(world.means, world.links["patient1@example.org"])
    assert in_folder(await serve(world, release_id)) == await named(world, "2", "3", "5", "6")
    assert await taken_back(world) == await named(world, "1")


async def test_who_was_taken_back_is_in_no_later_version(sealed: tuple[World, str]) -> None:
    world, release_id = sealed
    await serve(world, release_id)
    member = await ReleasePerson.filter(release_id=release_id).order_by("id").first()
    assert member is not None
    await rows(
        connection(),
        "INSERT INTO retraction (release_id, person_id, practice_id, pseudonym, due_on, made_at, entry_id) "
        "VALUES ($1, $2, $3, $4, $5, $6, 1)",
        release_id, member.person_id, "practice-a", member.pseudonym, world.clock.now().date(), world.clock.now(),
    )  # fmt: skip
    assert member.pseudonym not in in_folder(await serve(world, release_id))


async def test_a_no_that_was_taken_back_while_the_release_was_written_again_still_takes_her_out(
    sealed: tuple[World, str],
) -> None:
    """She passes again when the new list is decided, but for later records only. The last woman is then alone."""
    world, release_id = sealed
    release = await Release.get(id=release_id)
    kept = await sealing.as_kept(release)
    await objects(world, "1")
    await opt_out.withdraw(world.means, world.links["patient1@example.org"])
    await objects(world, "2")
    (two,) = await named(world, "2")
    seen = Looked(frozenset(m for m, name in kept.members.items() if name == two), 0)
    draft = await sealing.with_fewer(world.means, release, kept, seen, version=2)
    assert set(draft.members.values()) == await named(world, "3", "6")


async def test_a_version_that_is_not_the_newest_any_more_is_not_entered_as_served(sealed: tuple[World, str]) -> None:
    world, release_id = sealed
    before = await Release.get(id=release_id)
    kept = await sealing.as_kept(before)
    await Release.filter(id=release_id).update(version=2)
    async with refused("G71"):
        await transact_alone(lambda c: flow._try_serve(world.means, c, before, kept, world.recipient))


async def test_an_eighteenth_birthday_after_the_seal_takes_a_minor_out_by_time_alone(world: World) -> None:
    await world.enrol()
    await world.register([patient("1"), patient("2"), child("4", birth_date="2008-06-01")])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(record("1"), record("2"), record("4")))
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    world.wait(51)
    assert world.clock.now().date().isoformat() >= "2026-06-01"
    assert in_folder(await serve(world, release_id)) == await named(world, "1", "2")


async def test_who_closes_at_one_practice_leaves_with_all_her_rows(world: World) -> None:
    """A row does not say which practice it comes from; she may be whole in the next release."""
    await world.enrol()
    await world.enrol(2, number="doctor-2", rpps="10000000002")
    key = "ins:157049990786733"
    await world.register([patient("1", person_key=key), patient("2"), patient("5")])
    await world.register([patient("1", person_key=key, doctor_id="doctor-2")], "practice-b")
    for practice in ("practice-a", "practice-b"):
        await world.tell(practice)
    world.wait(40)
    await world.read_returns()
    for practice, doctor, numbers in (("practice-a", "doctor-1", "125"), ("practice-b", "doctor-2", "1")):
        line = Line(world, practice)
        await line.open()
        await line.receive(await line.extract(*(record(n, doctor_id=doctor) for n in numbers)))
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    (one,) = await named(world, "1")
    folder = await serve(world, release_id)
    assert one in in_folder(folder)
    assert await ReleasePerson.filter(pseudonym=one).count() == 2
    await world.register([patient("2"), patient("5")])
    assert in_folder(await serve(world, release_id)) == await named(world, "2", "5")


async def test_a_doctor_who_leaves_after_a_delivery_is_still_known_to_have_been_in_it(
    sealed: tuple[World, str],
) -> None:
    """The later version does not hold her records any more; the one that left did."""
    world, release_id = sealed
    colleague = await world.enrol(number="doctor-2", rpps="10000000002")
    line = Line(world, turn=5)
    await line.open()
    await line.receive(await line.extract(*RECORDS, record("1", doctor_id="doctor-2", recorded_on="2025-09-01")))
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    await serve(world, release_id)
    await enrol.leave(world.means, colleague, (await Enrolment.get(account_id=colleague.id)).id)
    await serve(world, release_id)
    assert (await Release.get(id=release_id)).version == 2
    assert await taken_back(world) == await named(world, "1", "2", "3", "5", "6")


# --- what stays ----------------------------------------------------------------------------------------------------


async def test_only_the_file_that_holds_who_leaves_is_written_again_and_as_the_store_would_give_it(
    sealed: tuple[World, str],
) -> None:
    world, release_id = sealed
    first = records_of(await serve(world, release_id))
    await objects(world, "1")
    second = records_of(await serve(world, release_id))
    (one,) = await named(world, "1")
    assert [name for name in first if first[name] != second[name]] == [f"{one[0]}.parquet"]
    anew = await approved(world)
    await flow.seal(world.means, anew, by=world.operator)
    assert records_of(world.means.releases / anew) == second


async def test_a_later_version_stands_under_the_same_approval_and_counts_as_it_did(sealed: tuple[World, str]) -> None:
    """Counting the refused again would name the one who has just left."""
    world, release_id = sealed
    counts = (await serve(world, release_id) / "counts.csv").read_bytes()
    before = await Release.get(id=release_id)
    await objects(world, "3")
    folder = await serve(world, release_id)
    after = await Release.get(id=release_id)
    assert (folder / "counts.csv").read_bytes() == counts
    assert after.summary["refused"] == before.summary["refused"]
    same = ("approved_by", "approved_at", "list_sha256", "conditions_hash", "prepared_by")
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
    assert await ReleasePerson.filter(release_id=release_id).count() == 5, "the approved list stays whole"
    manifests = [json.loads((folder / "manifest.json").read_bytes())["version"], after.version]
    assert manifests == [2, 2]


async def test_a_download_by_which_nothing_has_closed_gives_the_same_version(sealed: tuple[World, str]) -> None:
    world, release_id = sealed
    first = {p.name: p.read_bytes() for p in (await serve(world, release_id)).rglob("*") if p.is_file()}
    again = {p.name: p.read_bytes() for p in (await serve(world, release_id)).rglob("*") if p.is_file()}
    assert first == again
    assert await Delivery.all().count() == 1


# --- what is refused -----------------------------------------------------------------------------------------------


async def _suspended(world: World) -> None:
    await govern.suspend_authorisation(world.means, "cnil-1", by=world.dpo)


async def _study_closed(world: World) -> None:
    await Study.filter(id="diabetes").update(closed_at=world.clock.now())


async def _contract_ended(world: World) -> None:
    world.wait(700)


@pytest.mark.parametrize("closes", [_suspended, _study_closed, _contract_ended], ids=lambda f: f.__name__)
async def test_when_the_batch_closes_nothing_is_sealed_again_or_served(
    sealed: tuple[World, str], closes: Callable[[World], Awaitable[None]]
) -> None:
    world, release_id = sealed
    assert await flow.may_be_served(world.means, "diabetes")
    await objects(world, "1")
    await closes(world)
    async with refused("G03", "G05", "G07"):
        await serve(world, release_id)
    assert not await flow.may_be_served(world.means, "diabetes")


async def test_nothing_is_served_when_too_few_stay(sealed: tuple[World, str]) -> None:
    world, release_id = sealed
    for number in ("1", "2", "3"):
        await objects(world, number)
    async with refused("G61"):
        await serve(world, release_id)


async def test_a_list_that_is_not_the_approved_one_is_not_served(sealed: tuple[World, str]) -> None:
    world, release_id = sealed
    member = await ReleasePerson.filter(release_id=release_id).order_by("id").first()
    assert member is not None
    await ReleasePerson.filter(id=member.id).update(pseudonym="0" * 32)
    async with refused("G72"):
        await serve(world, release_id)


async def test_a_kept_file_that_was_damaged_is_not_sealed_again(sealed: tuple[World, str]) -> None:
    world, release_id = sealed
    await objects(world, "1")
    file = next((world.means.drafts / release_id).rglob("records/*.age"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    async with refused("age_unreadable"):
        await serve(world, release_id)


# --- at rest -------------------------------------------------------------------------------------------------------


async def test_what_is_kept_between_preparing_and_closing_is_readable_to_nobody_else(
    sealed: tuple[World, str],
) -> None:
    world, release_id = sealed
    second = await approved(world)
    folders = (world.means.drafts, world.means.work)
    kept = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert {file.suffix for file in kept} == {".age"}
    assert len(kept) >= 2 * 16
    assert all(file.read_bytes().startswith(b"age-encryption.org/v1\n") for file in kept)
    assert list(world.means.work.iterdir()) == []
    await flow.withdraw(world.means, second, by=world.operator)
    assert [folder.name for folder in world.means.drafts.iterdir()] == [release_id]


async def test_only_the_newest_version_is_kept(sealed: tuple[World, str]) -> None:
    world, release_id = sealed
    for number in ("1", "2"):
        await objects(world, number)
        before = await dump()
        await serve(world, release_id)
        assert await dump() != before
    release = await Release.get(id=release_id)
    assert release.version == 3
    assert [f.name for f in (world.means.drafts / release_id).iterdir()] == [release.manifest_sha256]
    assert [f.name for f in world.means.releases.iterdir()] == [release_id]
