"""A race of objections against seals, run against any way of sealing: right and wrong designs lose differently."""

import asyncio
import hashlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from world import World

from portal.flow import opt_out
from portal.flow.assemble import Draft
from portal.flow.basis import bound_conditions
from portal.flow.decide import Asked, ground_of, snapshot, stand
from portal.flow.look import Looked, Member
from portal.flow.permit import passing
from portal.flow.release import _try_serve
from portal.flow.sealing import as_kept, list_sha256
from portal.outside.tokens import pseudonym
from portal.records.database import Connection, connection, rows, transact, transact_alone, write_many
from portal.records.governance import Study
from portal.records.ledger import enter, take_cut
from portal.records.objections import Objection
from portal.records.releases import Release
from portal.rules.words import ObjectionChannel, ReleaseState, Scope

ASKED = Asked("demo", "diabetes")
RELEASES = 6
"""So many releases of everybody who passes are decided and sealed while everybody's objections come in."""

Seal = Callable[[World, Release, Draft], Awaitable[Looked]]
"""One attempt at a seal: who has closed, or nobody and the sealed entry."""

Cut = Callable[[], Awaitable[int]]


@dataclass
class Outcome:
    """`taken_out`: objections that a second look saw, after the decision and before the seal."""

    objections: int = 0
    sealed: int = 0
    taken_out: int = 0
    leaks: int = 0
    served: int = 0
    held_back: int = 0
    served_although_closed: int = 0


async def race(
    world: World,
    seal: Seal,
    *,
    rounds: int,
    cut: Cut = take_cut,
    until_leak: bool = False,
    close_enough: Callable[[Outcome], bool] = lambda _: True,
    seed: int = 1,
) -> Outcome:
    """Rounds in which all links object while releases are sealed; after each, what was sealed is held to the log.

    `close_enough`: on a machine where the two seldom met, it goes on until they have, four times the rounds at most.
    """
    chance, outcome = random.Random(seed), Outcome()
    began = time.perf_counter()
    await _seal_one(world, seal, cut, "warm-up", outcome)
    span = 2 * RELEASES * (time.perf_counter() - began)
    for number in range(4 * rounds):
        if number >= rounds and close_enough(outcome):
            break
        began = time.perf_counter()
        await asyncio.gather(
            *(
                _object(world, link, chance.uniform(0, span), linger=chance.choice((0.0, span / 20)))
                for link in world.links.values()
            ),
            *(
                _seal_later(world, seal, cut, f"release-{number}-{n}", outcome, chance.uniform(0, span / 2))
                for n in range(RELEASES)
            ),
        )
        span = (span + time.perf_counter() - began) / 2
        await _compare(world, outcome, number)
        if until_leak and outcome.leaks:
            break
        await transact(lambda c: rows(c, "DELETE FROM objection"))
    return outcome


async def _object(world: World, link: str, wait: float, *, linger: float) -> None:
    """Say no through a link; with `linger`, over a slow line: its entry is written a while before it commits."""
    await asyncio.sleep(wait)
    if not linger:
        await opt_out.object_(world.means, link, Scope.EVERYTHING)
        return
    behind = await opt_out.look(connection(), link)

    async def step(c: Connection) -> None:
        now = await world.means.now(c)
        entry = await enter(c, "objected", actor="patient", at=now, touches=[("person", str(behind.person_id))])
        await asyncio.sleep(linger)
        await Objection.create(
            id=uuid4(), person_id=behind.person_id, patient_id=behind.patient_id, notice_id=behind.notice_id,
            scope=Scope.EVERYTHING, channel=ObjectionChannel.LINK, actor="self", received_at=now, entry_id=entry,
        )  # fmt: skip

    await transact(step)


async def _seal_later(world: World, seal: Seal, cut: Cut, release_id: str, outcome: Outcome, wait: float) -> None:
    await asyncio.sleep(wait)
    await _seal_one(world, seal, cut, release_id, outcome)


async def _seal_one(world: World, seal: Seal, cut: Cut, release_id: str, outcome: Outcome) -> None:
    """As flow/release.py does it, without the files: decide on a cut, look, take out who has closed, look again."""
    at, listed = await _decide(world, cut)
    await _put_approved(world, release_id, at, listed)
    while True:
        release = await Release.get(id=release_id)
        kept = await as_kept(release)
        members = kept.members
        looked = await seal(world, release, kept)
        if not looked.closed:
            return
        outcome.taken_out += len(looked.closed)
        at, passing_now = await _decide(world, cut)
        await _shrink(world, release_id, at, (members.keys() - looked.closed) & passing_now)


async def _decide(world: World, cut: Cut) -> tuple[int, set[Member]]:
    at = await cut()

    async def read(c: Connection) -> set[Member]:
        await snapshot(c)
        return {p.member for p in await passing(c, await stand(world.means, c, ASKED, cut=at))}

    return at, await transact(read)


async def _put_approved(world: World, release_id: str, cut: int, listed: set[Member]) -> None:
    study = await Study.get(id=ASKED.study_id)

    async def step(c: Connection) -> None:
        now = await world.means.now(c)
        entry = await enter(c, "release_approved", actor="dpo:2", at=now, touches=[("release", release_id)])
        await Release.create(
            id=release_id, study_id=study.id, state=ReleaseState.APPROVED, cut=cut, list_sha256=_list(world, listed),
            conditions_hash=bound_conditions(await ground_of(world.means, c, ASKED)),
            manifest_sha256=hashlib.sha256(release_id.encode()).hexdigest(),
            summary={"basis": {"files": [], "spans": [], "unnamed": []}},
            prepared_at=now, prepared_by="operator:1", approved_at=now, approved_by="dpo:2", approver_subject="2",
            entry_id=entry,
        )  # fmt: skip
        await _write(world, c, release_id, listed)

    await transact(step)


async def _shrink(world: World, release_id: str, cut: int, staying: set[Member]) -> None:
    async def step(c: Connection) -> None:
        await rows(c, "DELETE FROM release_person WHERE release_id = $1", release_id)
        await _write(world, c, release_id, staying)
        await Release.filter(id=release_id).update(cut=cut, list_sha256=_list(world, staying))

    await transact(step)


def _name(world: World, member: Member) -> str:
    return pseudonym(world.means.ring, f"study:{ASKED.study_id}", member.person_id.bytes).hex()


def _list(world: World, members: set[Member]) -> str:
    return list_sha256(_name(world, m) for m in members)


async def _write(world: World, c: Connection, release_id: str, members: set[Member]) -> None:
    await write_many(
        c,
        "INSERT INTO release_person (release_id, person_id, practice_id, pseudonym, holds_until) "
        "VALUES ($1, $2, $3, $4, $5)",
        [(release_id, m.person_id, m.practice_id, _name(world, m), m.holds_until) for m in members],
    )


async def _compare(world: World, outcome: Outcome, number: int) -> None:
    """What was sealed in a round against what was said in it, by the places in the log alone."""
    objections = await rows(connection(), "SELECT person_id, entry_id FROM objection")
    said = {UUID(str(o["person_id"])): int(o["entry_id"]) for o in objections}
    outcome.objections += len(said)
    for release in await Release.filter(id__startswith=f"release-{number}-", state=ReleaseState.SEALED):
        kept = await as_kept(release)
        objectors = [said[m.person_id] for m in kept.members if m.person_id in said]
        outcome.sealed += 1
        outcome.leaks += sum(entry < release.entry_id for entry in objectors)
        looked = await transact_alone(lambda c, r=release, k=kept: _try_serve(world.means, c, r, k, world.recipient))
        outcome.served += looked.stands
        outcome.held_back += not looked.stands
        outcome.served_although_closed += looked.stands and bool(objectors)
