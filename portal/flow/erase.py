"""The observatory's own store is the first recipient of retractions: rows that may no longer be in it leave by a day.

As in `flow/retract.py` nothing needs to be told: who is in the store is compared with who may be there now. Then the
practice's file is written again without her rows, the new file counts from one commit on, and the old one is deleted.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from portal.flow.decide import Asked, snapshot, stand
from portal.flow.means import Means
from portal.flow.retract import ENDS_THE_BATCH, ERASED_WITHIN, ONLY_RESTS
from portal.gate.store import persons
from portal.outside.tokens import pseudonym
from portal.records.closed_in_store import persons_closed
from portal.records.database import Connection, NothingToDo, rows, transact, transact_or, write_many
from portal.records.enrolments import Enrolment
from portal.records.ledger import Touch, enter
from portal.records.store_overview import overdue
from portal.records.stored import File, Leaving, current_files, retracted, without_persons, write_present
from portal.rules.clearance import Withheld
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import EnrolmentState, StorePart


async def reconcile_store(means: Means) -> int:
    """Make every retraction of the store that is missing; returns how many. A second run makes none.

    Persons, and doctors who have left, are erased from the next round on. When the batch itself has ended – the
    observatory or its authorisation, which may be mended – the files stay until the day, and nothing leaves them
    meanwhile: every crossing decides again. Mended before the day, they stay.
    """
    await _take_stock(means)
    observatories = {file.observatory_id for file in await transact(current_files)}
    return sum([await _reconcile(means, observatory) for observatory in sorted(observatories)])


async def _reconcile(means: Means, observatory_id: str) -> int:
    missing, ended = await missing_in_store(means, observatory_id)
    if not ended:
        await _keep_files(means, observatory_id)
    return await _make(means, missing)


async def missing_in_store(means: Means, observatory_id: str) -> tuple[list[Leaving], bool]:
    """What is in the observatory's store, may not be there now, and has no retraction yet; and whether the batch has
    ended. Reads only. Refused G13 when the key is not the one that named the doctors of the store."""

    async def read(c: Connection) -> tuple[list[Leaving], bool]:
        await snapshot(c)
        files = [file for file in await current_files(c) if file.observatory_id == observatory_id]
        decision = await stand(means, c, Asked(observatory_id), cut=0)
        reasons = set(decision.verdict.reasons) if isinstance(decision.verdict, Withheld) else set()
        if "G13" in reasons:
            raise Refused("G13", "the pseudonym key is not the one of the store", where=observatory_id, status=503)
        found = await persons_closed(c, decision.thresholds, rests=ONLY_RESTS)
        found += await _doctors_gone(means, observatory_id, files)
        ended = bool(ENDS_THE_BATCH & reasons)
        if ended:
            found += [Leaving(f.extraction_id, f.practice_id, StorePart.FILE, "", at_once=False) for f in files]
        known = await retracted(c)
        return [one for one in found if (one.extraction_id, one.part, one.ref) not in known], ended

    return await transact(read)


async def _keep_files(means: Means, observatory_id: str) -> None:
    """The batch stands again: its files are not erased after all."""

    async def step(c: Connection) -> None:
        files = [f for f in await current_files(c) if f.observatory_id == observatory_id]
        known = await retracted(c)
        waiting = [f for f in files if (f.extraction_id, StorePart.FILE, "") in known]
        if not waiting:
            return
        touches: list[Touch] = [("extraction", file.practice_id) for file in waiting]
        await enter(c, "store_retractions_lifted", actor="system", at=await means.now(c), touches=touches)
        await write_many(
            c,
            "DELETE FROM store_retraction WHERE extraction_id = $1 AND part = 'file' AND change_id IS NULL",
            [(file.extraction_id,) for file in waiting],
        )

    await transact(step)


async def _doctors_gone(means: Means, observatory_id: str, files: Sequence[File]) -> list[Leaving]:
    """Doctors whose records a file holds and who have left since, also those who have joined again meanwhile."""
    stays = {
        (practice, account): since
        for practice, account, since in await Enrolment.filter(
            observatory_id=observatory_id, state__in=[EnrolmentState.ACTIVE, EnrolmentState.PAUSED]
        ).values_list("practice_id", "account_id", "active_from")
    }

    def stayed(file: File, account: int) -> bool:
        since = stays.get((file.practice_id, account))
        return since is not None and file.received_at is not None and since <= file.received_at

    family = f"observatory:{observatory_id}"
    return [
        Leaving(
            file.extraction_id,
            file.practice_id,
            StorePart.DOCTOR,
            pseudonym(means.ring, family, f"doctor:{account}".encode()).hex(),
        )
        for file in files
        for account in file.doctors
        if not stayed(file, account)
    ]


async def _take_stock(means: Means) -> None:
    """Files that came in before it was kept who is in them are opened, once. Whom nobody knows goes."""
    unknown = await transact(without_persons)
    for file in [f for f in await transact(current_files) if f.extraction_id in unknown]:
        path = means.store / file.practice_id / file.name
        if not path.is_file():
            continue
        names = (await asyncio.to_thread(persons, [path]))["pseudonym"].to_pylist()
        await _stock(means, file, names)


async def _stock(means: Means, file: File, names: list[str]) -> None:
    await transact(lambda c: _write_stock(means, c, file, names))


async def _write_stock(means: Means, c: Connection, file: File, names: list[str]) -> None:
    found = await rows(
        c,
        "SELECT person_id FROM patient WHERE practice_id = $1 UNION SELECT f.person_id FROM former_person f "
        "JOIN patient p ON p.id = f.patient_id WHERE p.practice_id = $1",
        file.practice_id,
    )
    known = {}
    for row in found:
        person = UUID(str(row["person_id"]))
        known[pseudonym(means.ring, f"observatory:{file.observatory_id}", person.bytes).hex()] = person
    if names and known.keys().isdisjoint(names):
        raise Refused("G13", "the pseudonym key is not the one of the store", where=file.observatory_id, status=503)
    await write_present(c, file.practice_id, file.sha256, [(known.get(name), name, None) for name in names])


async def _make(means: Means, found: Sequence[Leaving]) -> int:
    async def record(c: Connection) -> int:
        now = await means.now(c)
        practices = sorted({one.practice_id for one in found})
        entry = await enter(
            c, "store_retractions_made", actor="system", at=now, touches=[("extraction", p) for p in practices],
            summary=f"in {len(practices)} practices",
        )  # fmt: skip
        today = paris_day(now)
        due_on = today + ERASED_WITHIN
        await write_many(
            c,
            "INSERT INTO store_retraction (extraction_id, part, ref, erase_on, due_on, made_at, entry_id) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (extraction_id, part, ref) DO NOTHING",
            [(o.extraction_id, o.part, o.ref, today if o.at_once else due_on, due_on, now, entry) for o in found],
        )
        made = await rows(c, "SELECT count(*) AS n FROM store_retraction WHERE entry_id = $1", entry)
        if not made[0]["n"]:
            raise NothingToDo
        return int(made[0]["n"])

    return await transact_or(record, nothing=0) if found else 0


async def alarm_overdue(means: Means) -> int:
    """Say in the log, once each, which retractions of the store are past their day and not erased; the desk shows them
    until they are."""

    async def step(c: Connection) -> int:
        now = await means.now(c)
        late = await overdue(c, paris_day(now))
        if not late:
            return 0
        touches: list[Touch] = [("extraction", practice) for practice in sorted({p for _, p in late})]
        await enter(c, "store_retractions_overdue", actor="system", at=now, touches=touches)
        await write_many(
            c, "UPDATE store_retraction SET alarmed_at = $1 WHERE id = $2", [(now, number) for number, _ in late]
        )
        return len(late)

    return await transact(step)
