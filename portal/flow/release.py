"""A release: prepared from the store, approved by another person, sealed with a second look, served with another.

A prepared release only shrinks: whoever closes loses her rows, k is measured again, nobody is added.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from portal.flow.assemble import Draft, assemble, kept_at, opened
from portal.flow.basis import Basis, basis_of, bound_conditions
from portal.flow.decide import Asked, stand
from portal.flow.key_custody import bind_key, refuse_foreign_key
from portal.flow.look import Looked
from portal.flow.means import Means
from portal.flow.sealing import (
    as_kept,
    is_unchanged,
    list_sha256,
    look_at,
    reader_of,
    refuse_changed_conditions,
    try_seal,
    with_fewer,
)
from portal.flow.sequence import proof_of
from portal.flow.sign_in import human, same_human
from portal.gate.delivery import is_delivery, write_delivery
from portal.gate.unfinished import alone_with, left_over, remove
from portal.records.accounts import Account
from portal.records.database import Connection, transact, transact_alone, write_many
from portal.records.governance import Study
from portal.records.ledger import enter
from portal.records.releases import Delivery, Release
from portal.rules.clearance import Withheld
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import ReleaseState as State
from portal.rules.words import Role

T = TypeVar("T")

LOOKS = 20
"""How often a seal rewrites and asks again before it says that too many people are changing their minds."""


async def prepare(means: Means, study_id: str, *, by: Account) -> str:
    """Decide, filter and measure; nothing is released. Returns the new release's id."""
    if by.role != Role.OPERATOR:
        raise Refused("G09", "an operator prepares a release", status=403)
    async with alone_with(means.lock(study_id)):
        basis = await basis_of(means, study_id)
        day = paris_day(basis.decision.ground.now)
        release_id = f"{study_id}-{day:%Y%m%d}-{await Release.filter(study_id=study_id).count() + 1:02d}"
        async with _files_of(means, release_id):
            draft = await assemble(means, release_id, basis, version=1, reference_year=day.year)
            return await transact(lambda c: _record(means, c, draft, basis, by))


async def _record(means: Means, c: Connection, draft: Draft, basis: Basis, by: Account) -> str:
    now, release_id = await means.now(c), draft.release_id
    summary = f"{release_id}, manifest {draft.manifest_sha256[:16]}"
    entry = await enter(
        c, "release_prepared", actor=by.actor, at=now, touches=[("release", release_id)], summary=summary
    )
    study_id = basis.decision.ground.asked.study_id
    await bind_key(means, c, f"study:{study_id}", at=now, entry=entry)
    subject, address = human(by)
    await Release.create(
        id=release_id,
        study_id=study_id,
        state=State.PREPARED,
        cut=draft.cut,
        holds_until=basis.decision.closes_at,
        conditions_hash=bound_conditions(basis.decision.ground),
        list_sha256=list_sha256(draft.members.values()),
        version=draft.version,
        manifest_sha256=draft.manifest_sha256,
        summary=draft.summary,
        prepared_at=now,
        prepared_by=by.actor,
        preparer_subject=subject,
        preparer_address=address,
        entry_id=entry,
    )
    await write_many(
        c,
        "INSERT INTO release_person (release_id, person_id, practice_id, pseudonym, holds_until) "
        "VALUES ($1, $2, $3, $4, $5)",
        [(release_id, m.person_id, m.practice_id, name, m.holds_until) for m, name in draft.members.items()],
    )
    return release_id


async def approve(means: Means, release_id: str, *, by: Account, second_factor: bool) -> None:
    """A second human, a DPO in a second-factor session, approves: study, columns, precision and list are bound."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        entry = await enter(
            c, "release_approved", actor=by.actor, at=now, touches=[("release", release_id)], summary=release_id
        )
        release = await _in_state(release_id, State.PREPARED)
        preparer = await Account.get(id=int(release.prepared_by.partition(":")[2]))
        if same_human(preparer, by):
            raise Refused("G09", "who prepared a release does not approve it", status=403)
        await refuse_changed_conditions(means, c, release)
        subject, address = human(by)
        await Release.filter(id=release_id).update(
            state=State.APPROVED, approved_at=now, approved_by=by.actor, approver_subject=subject,
            approver_address=address, entry_id=entry,
        )  # fmt: skip

    if by.role != Role.DPO or not second_factor or by.subject is None:
        raise Refused("G09", "a DPO, signed in with a second factor, approves a release", status=403)
    await transact(step)


async def seal(means: Means, release_id: str, *, by: Account) -> int:
    """Look under the lock; take out who has closed and look again; commit when nobody has. Returns rows released.

    Refused when the batch itself has closed (authorisation, study, recipient): the release goes back.
    """
    if by.role not in (Role.OPERATOR, Role.DPO):
        raise Refused("G09", "an operator or a DPO seals a release", status=403)
    async with _files_of(means, release_id):
        release = await _in_state(release_id, State.APPROVED)
        await _refuse_foreign_key(means, release)
        kept = await as_kept(release)
        draft = await _sealed(means, release, kept, kept, actor=by.actor)
        await _placed(means, await _in_state(release_id, State.SEALED))
        return int(draft.summary["rows"])


async def _sealed(means: Means, release: Release, kept: Draft, draft: Draft, *, actor: str) -> Draft:
    """The draft, or what is left of it once nobody in it has closed: sealed instead of what was kept."""
    for _ in range(LOOKS):
        step = partial(try_seal, means, release=release, draft=draft, instead_of=kept, actor=actor)
        looked = await transact_alone(step)
        if looked.stands:
            stays = kept_at(means, release.id, draft.manifest_sha256)
            await asyncio.to_thread(remove, [old for old in stays.parent.iterdir() if old != stays])
            return draft
        draft = await with_fewer(means, release, draft, looked, version=draft.version)
    raise Refused("busy", "people kept closing while the release was sealed: try again", status=503)


async def _refuse_foreign_key(means: Means, release: Release) -> None:
    await transact(lambda c: refuse_foreign_key(means, c, f"study:{release.study_id}"))


async def serve(means: Means, release_id: str, *, by: Account) -> Path:
    """Hand a sealed release over; returns its folder."""
    return await hand_over(means, release_id, by=by, take=lambda folder: folder)


async def hand_over(means: Means, release_id: str, *, by: Account, take: Callable[[Path], T]) -> T:
    """Before the first byte: the look again, and the entry "served" in the same commit, which is the crossing.

    Whoever has closed leaves first: the release is sealed again with fewer rows, under the same approval, as its next
    version. Returns what `take` makes of the folder, in a thread; nobody changes the folder meanwhile, so what it
    opens is of one version. Refused when the batch itself has closed.
    """
    async with _files_of(means, release_id):
        for _ in range(LOOKS):
            release = await _in_state(release_id, State.SEALED)
            if by.role != Role.RECIPIENT or by.study_id != release.study_id:
                raise Refused("G09", "a release is handed to the recipient of its study", status=403)
            await _refuse_foreign_key(means, release)
            folder, kept = await _placed(means, release), await as_kept(release)
            looked = await transact_alone(partial(_try_serve, means, release=release, kept=kept, by=by))
            if looked.stands:
                return await asyncio.to_thread(take, folder)
            fewer = await with_fewer(means, release, kept, looked, version=release.version + 1)
            await _sealed(means, release, kept, fewer, actor="system")
    raise Refused("busy", "people kept closing while the release was fetched: try again", status=503)


async def _try_serve(means: Means, c: Connection, release: Release, kept: Draft, by: Account) -> Looked:
    """The look and, if nobody has closed, the entry; and what is delivered by it is kept as delivered. Refused when the
    study or its authorisation says something else by now than what was approved."""
    looked = await look_at(means, c, release, kept)
    await refuse_changed_conditions(means, c, release)
    if not looked.stands:
        return looked
    now = await means.now(c)
    summary = f"{release.id}, version {release.version}"
    entry = await enter(c, "release_served", actor=by.actor, at=now, touches=[("release", release.id)], summary=summary)
    if not await is_unchanged(c, release):
        raise Refused("G71", "the release changed while it was fetched: fetch it again")
    await Delivery.get_or_create(
        defaults={
            "cut": kept.cut, "manifest_sha256": release.manifest_sha256, "served_at": now, "entry_id": entry,
            "doctors": [[practice, name] for practice, name, _ in kept.summary["basis"]["spans"]],
        },
        release_id=release.id,
        version=release.version,
    )  # fmt: skip
    return looked


async def _placed(means: Means, release: Release) -> Path:
    """The folder of this version for this recipient. It gets its name once the seal has its place in the log's tree;
    what a killed process left half done is done again."""
    reader, target = await reader_of(means, release), means.releases / release.id
    there = (target, release.manifest_sha256, reader, means.ring.public_keys())
    if not await asyncio.to_thread(is_delivery, *there):
        proof = await proof_of(means, release.entry_id)
        await asyncio.to_thread(_put_in_place, means, release, target, proof, reader)
    return target


def _put_in_place(means: Means, release: Release, target: Path, proof: Mapping[str, Any], reader: str | None) -> None:
    with opened(means, release.id, release.manifest_sha256) as part:
        write_delivery(part / "release", target, proof=proof, recipient=reader, key=means.ring.signing_key())


async def may_be_served(means: Means, study_id: str) -> bool:
    """Whether nothing of the batch stands against a download of the study's releases now. Reads only."""
    study = await Study.get(id=study_id)
    decision = await transact(lambda c: stand(means, c, Asked(study.observatory_id, study_id), cut=0))
    return not isinstance(decision.verdict, Withheld)


async def withdraw(means: Means, release_id: str, *, by: Account) -> None:
    """Give a release up before it is sealed; its files go."""

    if by.role not in (Role.OPERATOR, Role.DPO):
        raise Refused("G09", "an operator or a DPO withdraws a release", status=403)

    async def step(c: Connection) -> None:
        now = await means.now(c)
        entry = await enter(
            c, "release_withdrawn", actor=by.actor, at=now, touches=[("release", release_id)], summary=release_id
        )
        open_states = [State.PREPARED, State.APPROVED]
        if not await Release.filter(id=release_id, state__in=open_states).update(state=State.WITHDRAWN, entry_id=entry):
            raise Refused("release_state", "only a release that is not sealed can be withdrawn")

    async with _files_of(means, release_id):
        await transact(step)
        await asyncio.to_thread(remove, [means.drafts / release_id])


@asynccontextmanager
async def _files_of(means: Means, release_id: str) -> AsyncIterator[None]:
    """Alone with the files of a release; what a killed process left of its work is taken away first."""
    async with alone_with(means.lock(release_id)):
        await asyncio.to_thread(remove, left_over(means.work, release_id))
        yield


async def _in_state(release_id: str, state: State) -> Release:
    release = await Release.get_or_none(id=release_id)
    if release is None:
        raise Refused("unknown_release", "there is no such release", status=404)
    if release.state != state:
        raise Refused("release_state", f"the release is {release.state}; this step needs one that is {state}")
    return release
