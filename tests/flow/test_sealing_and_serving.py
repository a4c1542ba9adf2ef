"""Between the approval of a release and its download, and after: who closes is gone."""

import asyncio
import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from kept import dump, kinds_since, one_entry, refused
from line import RECORDS, Line, approved, in_release, named, objects, record
from world import World, build, child, patient

from portal.demo.clock import PlayedClock
from portal.flow import enrol, govern, opt_out, sealing
from portal.flow import release as flow
from portal.flow.audit import verify_log
from portal.flow.means import Means
from portal.flow.sequence import checkpoint, sequence
from portal.gate.verify import verify_release
from portal.records.accounts import Account
from portal.records.database import connection, transact_alone
from portal.records.enrolments import Enrolment
from portal.records.ledger import last_entry
from portal.records.releases import Release, ReleasePerson
from portal.rules.refusals import Refused
from portal.rules.words import ReleaseState


async def built(means: Means, clock: PlayedClock, folder: Path, **changes: Any) -> World:
    world = await build(means, clock, folder, **changes)
    await world.enrol()
    await world.register([patient("1"), patient("2"), patient("3"), child("4")])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    return world


async def test_who_objects_between_approval_and_seal_is_gone_and_k_is_measured_again(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    assert (await Release.get(id=release_id)).summary["persons"] == 3
    await objects(world, "1")
    assert await flow.seal(world.means, release_id, by=world.operator) == 2
    release = await Release.get(id=release_id)
    assert (release.summary["persons"], release.summary["k_min"]) == (2, 2)
    assert set(in_release(world, release_id)) == {await named(world, "2"), await named(world, "3")}
    kept = await ReleasePerson.filter(release_id=release_id, left_version=None).values_list("pseudonym", flat=True)
    assert set(kept) == set(in_release(world, release_id))
    folder = await flow.serve(world.means, release_id, by=world.recipient)
    assert verify_release(folder, world.means.ring.public_key()).persons == 2


async def test_nothing_is_sealed_when_k_cannot_be_reached_with_those_who_stay(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    await objects(world, "1")
    await objects(world, "2")
    async with refused("G61"):
        await flow.seal(world.means, release_id, by=world.operator)
    assert not (world.means.releases / release_id).exists()


async def test_a_late_bounce_between_approval_and_seal_takes_its_rows_out(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    notice = (await opt_out.look(connection(), world.links["patient1@example.org"])).notice_id
    world.returns.bounced.append(str(notice))
    await world.read_returns()
    await flow.seal(world.means, release_id, by=world.operator)
    assert await named(world, "1") not in in_release(world, release_id)


async def test_taking_a_no_back_before_the_seal_does_not_bring_older_rows_back(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    await objects(world, "1")
    await opt_out.withdraw(world.means, world.links["patient1@example.org"])
    await flow.seal(world.means, release_id, by=world.operator)
    assert await named(world, "1") not in in_release(world, release_id)


async def test_a_register_of_another_practice_that_casts_doubt_on_somebody_takes_her_out(line: Line) -> None:
    """The import's entry names its own practice only; the look must reach whoever shares a key with it."""
    world, key = line.world, "ins:157049990786733"
    await world.register([patient("1", person_key=key)], partial=True)
    await line.receive(await line.extract(*RECORDS))
    release_id = await approved(world)
    await world.register([patient("7", person_key=key, birth_date="1961-01-01")], "practice-b")
    await flow.seal(world.means, release_id, by=world.operator)
    assert await named(world, "1") not in in_release(world, release_id)
    assert await named(world, "2") in in_release(world, release_id)


async def test_a_death_that_another_practice_knows_of_takes_a_person_out(line: Line) -> None:
    world, key = line.world, "ins:157049990786733"
    await world.register([patient("1", person_key=key)], partial=True)
    await line.receive(await line.extract(*RECORDS))
    release_id = await approved(world)
    day = world.clock.now().date()
    await world.register([patient("7", person_key=key, deceased_on=day)], "practice-b")
    await flow.seal(world.means, release_id, by=world.operator)
    assert await named(world, "1") not in in_release(world, release_id)
    assert await named(world, "2") in in_release(world, release_id)


async def test_a_doctor_who_leaves_before_the_seal_closes_all_of_it(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    enrolment = await Enrolment.get().select_related("account")
    await enrol.leave(world.means, enrolment.account, enrolment.id)
    async with refused("G61"):
        await flow.seal(world.means, release_id, by=world.operator)


@pytest.fixture
async def shared(line: Line) -> tuple[Line, Account]:
    """Two doctors of one practice, both active, and a store with records of both; the second doctor is handed back."""
    colleague = await line.world.enrol(number="doctor-2", rpps="10000000002")
    await line.receive(await line.extract(*RECORDS, record("2", recorded_on="2025-09-01", doctor_id="doctor-2")))
    return line, colleague


async def test_a_doctor_who_leaves_before_the_seal_takes_her_records_out_though_a_colleague_stays(
    shared: tuple[Line, Account],
) -> None:
    line, colleague = shared
    release_id = await approved(line.world)
    assert (await Release.get(id=release_id)).summary["rows"] == 5
    await enrol.leave(line.world.means, colleague, (await Enrolment.get(account_id=colleague.id)).id)
    await flow.seal(line.world.means, release_id, by=line.world.operator)
    assert (await Release.get(id=release_id)).summary["rows"] == 4


async def test_a_sealed_release_is_served_without_the_records_of_a_doctor_who_has_left(
    shared: tuple[Line, Account],
) -> None:
    line, colleague = shared
    release_id = await approved(line.world)
    await flow.seal(line.world.means, release_id, by=line.world.operator)
    await enrol.leave(line.world.means, colleague, (await Enrolment.get(account_id=colleague.id)).id)
    folder = await flow.serve(line.world.means, release_id, by=line.world.recipient)
    verified = verify_release(folder, line.world.means.ring.public_key())
    assert (verified.version, verified.rows, verified.persons) == (2, 4, 3)


async def test_a_release_is_not_served_when_records_of_a_doctor_who_left_cannot_be_told_any_more(
    shared: tuple[Line, Account],
) -> None:
    """Whose each row is stands in the store only, and the store holds another extraction by now."""
    line, colleague = shared
    release_id = await approved(line.world)
    await flow.seal(line.world.means, release_id, by=line.world.operator)
    await line.receive(await line.extract(*RECORDS))
    await enrol.leave(line.world.means, colleague, (await Enrolment.get(account_id=colleague.id)).id)
    async with refused("G72"):
        await flow.serve(line.world.means, release_id, by=line.world.recipient)


async def test_an_authorisation_that_ends_between_prepare_and_seal_seals_nothing(
    database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    """It ends at midnight in Paris: the last minute still seals, the first of the next day does not."""

    world = await built(means, clock, tmp_path, authorisation__valid_until=date(2026, 4, 11))
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(*RECORDS))
    release_id = await approved(world)
    world.clock.advance_to(world.clock.now().replace(hour=22, minute=0))  # 0:00 in Paris on the 12th
    async with refused("G03"):
        await flow.seal(means, release_id, by=world.operator)
    assert (await Release.get(id=release_id)).state == ReleaseState.APPROVED
    assert not (means.releases / release_id).exists()


async def test_a_download_is_one_entry_and_once_somebody_has_closed_it_is_sealed_again_before(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    async with one_entry("release_served", ("release", release_id)):
        await flow.serve(world.means, release_id, by=world.recipient)
    await objects(world, "3")
    before = await last_entry(connection())
    await flow.serve(world.means, release_id, by=world.recipient)
    assert await kinds_since(before) == ["release_sealed", "release_served"]
    assert await named(world, "3") not in in_release(world, release_id)


async def test_a_sealed_release_is_not_served_to_others_or_after_the_authorisation_was_suspended(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    for by in (world.operator, world.dpo):
        async with refused("G09"):
            await flow.serve(world.means, release_id, by=by)
    await govern.suspend_authorisation(world.means, "cnil-1", by=world.dpo)
    async with refused("G03"):
        await flow.serve(world.means, release_id, by=world.recipient)


async def test_a_member_who_comes_of_age_closes_by_time_alone(line: Line) -> None:
    world = line.world
    await world.register([patient("1"), patient("2"), patient("3"), child("5", birth_date="2008-06-01")])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    await line.receive(await line.extract(*RECORDS, record("5", year_of_birth=1960)))
    release_id = await approved(world)
    assert await named(world, "5") in [p.pseudonym for p in await ReleasePerson.filter(release_id=release_id)]
    world.wait(12)
    assert world.clock.now().date().isoformat() >= "2026-06-01"
    await flow.seal(world.means, release_id, by=world.operator)
    assert await named(world, "5") not in in_release(world, release_id)


async def test_a_release_that_was_sealed_but_not_put_in_its_place_is_put_there_when_asked_for(stored: Line) -> None:
    """The machine stopped between the commit of the seal and the rename."""
    world = stored.world
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    shutil.rmtree(world.means.releases / release_id)
    folder = await flow.serve(world.means, release_id, by=world.recipient)
    verified = verify_release(folder, world.means.ring.public_key())
    assert verified.log_entry == (await Release.get(id=release_id)).entry_id


async def test_a_release_carries_the_proof_that_its_seal_stands_in_the_log(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    await flow.seal(world.means, release_id, by=world.operator)
    folder, key = world.means.releases / release_id, world.means.ring.public_key()
    at_the_seal = await checkpoint()
    proof = json.loads((folder / "proof.json").read_text())
    assert proof["checkpoint"] == at_the_seal
    assert verify_release(folder, key, checkpoint=at_the_seal).log_entry == proof["log_entry"]
    await world.register([patient("9")])
    assert await sequence(world.means) > 0
    with pytest.raises(Refused, match="checkpoint_way"):
        verify_release(folder, key, checkpoint=await checkpoint())
    assert verify_release(folder, key, checkpoint=await checkpoint(since=proof["size"])).log_entry
    assert (await verify_log(key, kept=at_the_seal)).waiting == 0


async def test_a_seal_that_cannot_be_placed_yet_has_no_folder_and_gets_it_when_asked_for(stored: Line) -> None:
    """The signing key was no good for a moment after the commit: the folder has no name without its proof."""
    world = stored.world
    release_id = await approved(world)
    key = world.means.ring.folder / "signing.key"
    good = key.read_bytes()
    key.write_bytes(b"no key")
    with pytest.raises(Refused, match="key_damaged"):
        await flow.seal(world.means, release_id, by=world.operator)
    assert not (world.means.releases / release_id).exists()
    key.write_bytes(good)
    folder = await flow.serve(world.means, release_id, by=world.recipient)
    assert verify_release(folder, world.means.ring.public_key()).log_entry is not None


async def test_a_release_is_sealed_once_however_many_try(stored: Line) -> None:
    world = stored.world
    release_id = await approved(world)
    done = await asyncio.gather(
        *(flow.seal(world.means, release_id, by=world.operator) for _ in range(3)), return_exceptions=True
    )
    assert sum(isinstance(result, int) for result in done) == 1
    assert all(isinstance(result, Refused) for result in done if not isinstance(result, int))


async def test_a_sealed_release_is_never_written_again_by_a_seal_that_came_late(stored: Line) -> None:
    """Two operators seal; one is done, somebody objects, and the other one finds her closed."""
    world = stored.world
    release_id = await approved(world)
    before = await Release.get(id=release_id)
    kept = await sealing.as_kept(before)
    await flow.seal(world.means, release_id, by=world.operator)
    await flow.serve(world.means, release_id, by=world.recipient)
    written = await dump()
    with pytest.raises(Refused, match="G71"):
        await transact_alone(
            lambda c: sealing.try_seal(world.means, c, before, kept, instead_of=kept, actor=world.operator.actor)
        )
    assert await dump() == written


async def test_only_a_release_that_is_not_sealed_can_be_withdrawn(stored: Line) -> None:
    world = stored.world
    first, second = await approved(world), await approved(world)
    async with one_entry("release_withdrawn", ("release", first)):
        await flow.withdraw(world.means, first, by=world.operator)
    async with refused("release_state"):
        await flow.seal(world.means, first, by=world.operator)
    await flow.seal(world.means, second, by=world.operator)
    async with refused("release_state"):
        await flow.withdraw(world.means, second, by=world.operator)


async def test_an_altered_file_of_the_store_stops_every_release(stored: Line) -> None:
    world = stored.world
    file = next((world.means.store / "practice-a").glob("*.parquet"))
    file.write_bytes(file.read_bytes() + b"\0")
    async with refused("G00"):
        await flow.prepare(world.means, "diabetes", by=world.operator)


async def test_an_unknown_study_or_release_is_refused(stored: Line) -> None:
    world = stored.world
    async with refused("G05"):
        await flow.prepare(world.means, "nothing", by=world.operator)
    for step in (
        lambda: flow.seal(world.means, "nothing", by=world.operator),
        lambda: flow.serve(world.means, "nothing", by=world.recipient),
        lambda: flow.approve(world.means, "nothing", by=world.dpo, second_factor=True),
    ):
        async with refused("unknown_release"):
            await step()
