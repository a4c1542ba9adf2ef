"""A release: prepared from the store, approved by another person, sealed with a second look, served with another.

A prepared release only shrinks: whoever closes loses her rows, k is measured again, nobody is added.
"""

import hashlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from portal.flow.assemble import Draft, assemble, place, placed
from portal.flow.basis import basis_of, bound_conditions, has_narrowed
from portal.flow.decide import Asked, ground_of
from portal.flow.key_custody import bind_key
from portal.flow.look import Looked, Member, look
from portal.flow.means import Means
from portal.flow.sequence import proof_of
from portal.flow.sign_in import same_human
from portal.records.accounts import Account
from portal.records.database import Connection, rows, transact, transact_alone, write_many
from portal.records.governance import Study
from portal.records.ledger import enter
from portal.records.releases import Release, ReleasePerson
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import ReleaseState as State
from portal.rules.words import Role

LOOKS = 20
"""How often a seal rewrites and asks again before it says that too many people are changing their minds."""


async def prepare(means: Means, study_id: str, *, by: Account) -> str:
    """Decide, filter and measure; nothing is released. Returns the new release's id."""
    if by.role != Role.OPERATOR:
        raise Refused("G09", "an operator prepares a release", status=403)
    basis = await basis_of(means, study_id)
    day = paris_day(basis.decision.ground.now)
    release_id = f"{study_id}-{day:%Y%m%d}-{await Release.filter(study_id=study_id).count() + 1:02d}"
    draft = await assemble(means, release_id, basis, reference_year=day.year)

    async def record(c: Connection) -> str:
        now = await means.now(c)
        summary = f"{release_id}, manifest {draft.manifest_sha256[:16]}"
        entry = await enter(
            c, "release_prepared", actor=by.actor, at=now, touches=[("release", release_id)], summary=summary
        )
        await bind_key(means, c, f"study:{study_id}", at=now, entry=entry)
        await Release.create(
            id=release_id,
            study_id=study_id,
            state=State.PREPARED,
            cut=basis.decision.cut,
            holds_until=basis.decision.closes_at,
            conditions_hash=bound_conditions(basis.decision.ground),
            list_sha256=list_sha256(draft),
            manifest_sha256=draft.manifest_sha256,
            summary=draft.summary | {"basis": basis.as_json()},
            prepared_at=now,
            prepared_by=by.actor,
            entry_id=entry,
        )
        await _write_members(c, release_id, draft)
        return release_id

    return await transact(record)


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
        await _refuse_changed_conditions(means, c, release)
        await Release.filter(id=release_id).update(
            state=State.APPROVED, approved_at=now, approved_by=by.actor, entry_id=entry
        )

    if by.role != Role.DPO or not second_factor:
        raise Refused("G09", "a DPO, signed in with a second factor, approves a release", status=403)
    await transact(step)


async def seal(means: Means, release_id: str, *, by: Account) -> int:
    """Look under the lock; take out who has closed and look again; commit when nobody has. Returns rows released.

    Refused when the batch itself has closed (authorisation, study, recipient): the release goes back.
    """
    if by.role not in (Role.OPERATOR, Role.DPO):
        raise Refused("G09", "an operator or a DPO seals a release", status=403)
    for _ in range(LOOKS):
        release = await _in_state(release_id, State.APPROVED)
        members = await _members(release_id)
        looked = await transact_alone(lambda c, r=release, m=members: _try_seal(means, c, r, m, by))  # type: ignore[misc] # mypy cannot infer a lambda's default argument
        if looked.stands:
            await _put_in_place(means, release_id, release.manifest_sha256, looked.seen)
            return int(release.summary["rows"])
        await _shrink(means, release, {m for m in members if m not in looked.closed}, by)
    raise Refused("busy", "people kept closing while the release was sealed: try again", status=503)


async def _try_seal(means: Means, c: Connection, release: Release, members: dict[Member, str], by: Account) -> Looked:
    """The second look and, if nobody has closed, the entry: one statement after the other under the log's lock."""
    looked = await _look(means, c, release, members)
    if not looked.stands:
        return looked
    await _refuse_changed_conditions(means, c, release)
    now = await means.now(c)
    summary = f"{release.id}, manifest {release.manifest_sha256}"
    entry = await enter(c, "release_sealed", actor=by.actor, at=now, touches=[("release", release.id)], summary=summary)
    changed = await Release.filter(id=release.id, state=State.APPROVED, manifest_sha256=release.manifest_sha256).update(
        state=State.SEALED, sealed_at=now, sealed_by=by.actor, entry_id=entry
    )
    if not changed:
        raise Refused("G71", "the release changed while it was sealed: look at it again")
    return Looked(frozenset(), entry)


async def _look(means: Means, c: Connection, release: Release, members: dict[Member, str]) -> Looked:
    observatory_id = await _observatory(release)
    looked = await look(means, c, Asked(observatory_id, release.study_id), cut=release.cut, members=members)
    return replace(looked, narrowed=await has_narrowed(means, c, observatory_id, release.summary["basis"]))


async def _shrink(means: Means, release: Release, staying: set[Member], by: Account) -> None:
    """Write the release again with those who stay: a subset of the approved list, under the same approval."""
    basis = (await basis_of(means, release.study_id)).no_wider_than(release.summary["basis"])
    keep = {(m.person_id, m.practice_id) for m in staying}
    basis = replace(basis, listed=[p for p in basis.listed if (p.member.person_id, p.member.practice_id) in keep])
    year = paris_day(release.prepared_at).year
    frozen = dict(release.summary["refused"])
    draft = await assemble(means, release.id, basis, reference_year=year, frozen=frozen)

    async def record(c: Connection) -> None:
        now = await means.now(c)
        summary = f"{release.id}, manifest {draft.manifest_sha256[:16]}"
        await enter(c, "release_shrunk", actor=by.actor, at=now, touches=[("release", release.id)], summary=summary)
        changed = await Release.filter(
            id=release.id, state=State.APPROVED, manifest_sha256=release.manifest_sha256
        ).update(
            cut=basis.decision.cut,
            list_sha256=list_sha256(draft),
            manifest_sha256=draft.manifest_sha256,
            summary=draft.summary | {"basis": basis.as_json()},
        )
        if not changed:
            raise Refused("G71", "the release changed while it was written again: look at it again")
        await rows(c, "DELETE FROM release_person WHERE release_id = $1", release.id)
        await _write_members(c, release.id, draft)

    await transact(record)


async def serve(means: Means, release_id: str, *, by: Account) -> Path:
    """Before the first byte: the look again, and the entry "served" in the same commit, which is the crossing.

    Returns the folder to hand over.
    """

    async def step(c: Connection) -> None:
        release = await _in_state(release_id, State.SEALED)
        if by.role != Role.RECIPIENT or by.study_id != release.study_id:
            raise Refused("G09", "a release is handed to the recipient of its study", status=403)
        members = await _members(release_id)
        if not (await _look(means, c, release, members)).stands:
            raise Refused("G70", "the release is being made again with fewer rows: it is not served meanwhile")
        now = await means.now(c)
        await enter(c, "release_served", actor=by.actor, at=now, touches=[("release", release_id)], summary=release_id)

    await transact_alone(step)
    release = await _in_state(release_id, State.SEALED)
    return await _put_in_place(means, release_id, release.manifest_sha256, release.entry_id)


async def _put_in_place(means: Means, release_id: str, manifest_sha256: str, entry: int) -> Path:
    """The folder gets its name once the seal has its place in the log's tree, and only once."""
    if (means.releases / release_id).exists():
        return placed(means, release_id, manifest_sha256)
    return place(means, release_id, manifest_sha256, await proof_of(means, entry))


async def withdraw(means: Means, release_id: str, *, by: Account) -> None:
    """Give a release up before it is sealed."""

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

    await transact(step)


def list_sha256(draft: Draft) -> str:
    """A hash of the list. The pseudonyms are keyed, so nobody without the study's key can try members against it."""
    return hashlib.sha256("\n".join(sorted(draft.members.values())).encode()).hexdigest()


async def _in_state(release_id: str, state: State) -> Release:
    release = await Release.get_or_none(id=release_id)
    if release is None:
        raise Refused("unknown_release", "there is no such release", status=404)
    if release.state != state:
        raise Refused("release_state", f"the release is {release.state}; this step needs one that is {state}")
    return release


async def _refuse_changed_conditions(means: Means, c: Connection, release: Release) -> None:
    ground = await ground_of(means, c, Asked(await _observatory(release), release.study_id))
    if bound_conditions(ground) != release.conditions_hash:
        raise Refused("G72", "the conditions are not those that were prepared: prepare a new release")


async def _observatory(release: Release) -> str:
    return (await Study.get(id=release.study_id)).observatory_id


async def _members(release_id: str) -> dict[Member, str]:
    found = await ReleasePerson.filter(release_id=release_id).values_list(
        "person_id", "practice_id", "holds_until", "pseudonym"
    )
    return {Member(UUID(str(p)), practice, _moment(until)): name for p, practice, until, name in found}


def _moment(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


async def _write_members(c: Connection, release_id: str, draft: Draft) -> None:
    await write_many(
        c,
        "INSERT INTO release_person (release_id, person_id, practice_id, pseudonym, holds_until) "
        "VALUES ($1, $2, $3, $4, $5)",
        [(release_id, m.person_id, m.practice_id, name, m.holds_until) for m, name in draft.members.items()],
    )
