"""The seal: a second look under the log's lock; who has closed leaves, and nobody ever comes in.

Files are written outside the lock. Under it one question is asked, and if nobody has closed, the entry is committed
with the manifest's hash and the list as it stands from then on.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from portal.flow.assemble import Draft, assemble, reduce
from portal.flow.basis import Basis, basis_of, bound_conditions, has_narrowed
from portal.flow.decide import Asked, ground_of
from portal.flow.differ import sealed_since
from portal.flow.look import Looked, Member, is_among, look, wrongly_listed_since
from portal.flow.means import Means
from portal.records.database import Connection, rows, transact, write_many
from portal.records.governance import Recipient, Study
from portal.records.ledger import enter
from portal.records.releases import Release, ReleasePerson
from portal.records.retractions import retracted_from
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import ReleaseState as State


async def as_kept(release: Release) -> Draft:
    """The version of a release that its row speaks of. Refused G72 when its list is not the one that was approved."""
    listed = await ReleasePerson.filter(release_id=release.id).values_list(
        "person_id", "practice_id", "holds_until", "pseudonym", "left_version"
    )
    if list_sha256(name for _, _, _, name, _ in listed) != release.list_sha256:
        raise Refused("G72", "the list is not the one that was approved", where=release.id)
    members = {Member(UUID(str(p)), at, _moment(until)): name for p, at, until, name, left in listed if left is None}
    return Draft(release.id, release.version, release.cut, release.manifest_sha256, members, release.summary)


def list_sha256(pseudonyms: Iterable[str]) -> str:
    """A hash of the list. The pseudonyms are keyed, so nobody without the study's key can try members against it."""
    return hashlib.sha256("\n".join(sorted(pseudonyms)).encode()).hexdigest()


def _moment(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


async def look_at(means: Means, c: Connection, release: Release, draft: Draft) -> Looked:
    """Has anybody in this version closed since its cut, or any doctor whose records it holds? Under the lock.

    Who was taken back from an older version has closed too: what is to be deleted is not handed over again.
    """
    observatory_id = await _observatory(release)
    looked = await look(means, c, Asked(observatory_id, release.study_id), cut=draft.cut, members=draft.members)
    taken_back = await retracted_from(c, release.id)
    again = {m for m in draft.members if (str(m.person_id), m.practice_id) in taken_back}
    narrowed = await has_narrowed(means, c, observatory_id, draft.summary["basis"])
    return replace(looked, closed=looked.closed | again, narrowed=narrowed)


async def try_seal(
    means: Means, c: Connection, release: Release, draft: Draft, *, instead_of: Draft, actor: str
) -> Looked:
    """The second look and, if nobody has closed, the entry: one statement after the other under the log's lock.

    The release then is this draft; who is in the one before and not in it has left with its version.
    """
    looked = await look_at(means, c, release, draft)
    looked = replace(looked, joined=await sealed_since(c, release_id=release.id, cut=draft.cut))
    if not looked.stands:
        return looked
    await refuse_changed_conditions(means, c, release)
    await reader_of(means, release)
    now = await means.now(c)
    summary = f"{release.id}, manifest {draft.manifest_sha256}"
    entry = await enter(c, "release_sealed", actor=actor, at=now, touches=[("release", release.id)], summary=summary)
    as_read = Release.filter(
        id=release.id, state=release.state, version=release.version, manifest_sha256=release.manifest_sha256
    )
    changed = await as_read.update(
        state=State.SEALED, sealed_at=now, sealed_by=actor, entry_id=entry, version=draft.version, cut=draft.cut,
        manifest_sha256=draft.manifest_sha256, summary=draft.summary,
    )  # fmt: skip
    if not changed:
        raise Refused("G71", "the release changed while it was sealed: look at it again")
    await _take_leave(c, draft, instead_of)
    return Looked(frozenset(), entry)


async def _take_leave(c: Connection, draft: Draft, before: Draft) -> None:
    """Who is not in the draft leaves with its version; who closes sooner than was known keeps the earlier moment."""
    there = {_key(m): m for m in before.members}
    staying = {_key(m): m for m in draft.members}
    if staying.keys() - there.keys():
        raise Refused("G72", "the list is no subset of the approved one", where=draft.release_id)
    where = "WHERE release_id = $2 AND person_id = $3 AND practice_id = $4"
    await write_many(
        c,
        f"UPDATE release_person SET left_version = $1 {where}",
        [(draft.version, draft.release_id, *key) for key in there.keys() - staying.keys()],
    )
    await write_many(
        c,
        f"UPDATE release_person SET holds_until = $1 {where}",
        [(m.holds_until, draft.release_id, *key) for key, m in staying.items() if m != there[key]],
    )


async def with_fewer(means: Means, release: Release, draft: Draft, looked: Looked, *, version: int) -> Draft:
    """The release written again with those who stay, under the same approval: a subset of the approved list.

    Who has closed at one of her practices leaves with all her rows, for rows do not say whose practice they come
    from. When fewer doctors' records may pass, the approved files of the store are filtered again.
    """
    now = await basis_of(means, release.study_id)
    wrong = await transact(lambda c: wrongly_listed_since(c, draft.cut, now.decision.ground.asked))
    passing = {_key(p.member): p for p in now.listed}
    closed = {_key(m) for m in looked.closed}
    gone = {
        name
        for member, name in draft.members.items()
        if (key := _key(member)) in closed or key not in passing or is_among(wrong, *key)
    }
    staying = [(member, passing[_key(member)]) for member, name in draft.members.items() if name not in gone]
    listed = [replace(p, member=replace(p.member, holds_until=_sooner(m, p.member))) for m, p in staying]
    basis: Basis = replace(now, listed=listed)
    said: Mapping[str, Any] = release.summary
    approved: dict[str, Any] = draft.summary["basis"]
    if not looked.narrowed:
        return await reduce(means, draft, basis.as_approved(approved), version=version, approved=said)
    year = paris_day(release.prepared_at).year
    return await assemble(
        means, release.id, basis.no_wider_than(approved), version=version, reference_year=year, approved=said
    )


def _key(member: Member) -> tuple[UUID, str]:
    return member.person_id, member.practice_id


def _sooner(one: Member, other: Member) -> datetime | None:
    moments = [m.holds_until for m in (one, other) if m.holds_until is not None]
    return min(moments, default=None)


async def refuse_changed_conditions(means: Means, c: Connection, release: Release) -> None:
    """Refused G72 when the study or its authorisation says something else than what was prepared."""
    ground = await ground_of(means, c, Asked(await _observatory(release), release.study_id))
    if bound_conditions(ground) != release.conditions_hash:
        raise Refused("G72", "the conditions are not those that were prepared: prepare a new release")


async def reader_of(means: Means, release: Release) -> str | None:
    """The age key for which the release is encrypted. Refused when the recipient has none; the demo does without."""
    study = await Study.get(id=release.study_id).select_related("recipient")
    recipient: Recipient = study.recipient
    if recipient.age_recipient is None and not means.releases_in_plain:
        raise Refused("recipient_key", "the recipient has no age key: load it with `age_recipient`", where=recipient.id)
    return recipient.age_recipient


async def _observatory(release: Release) -> str:
    return (await Study.get(id=release.study_id)).observatory_id


async def is_unchanged(c: Connection, release: Release) -> bool:
    """Whether the row still speaks of the version that was read."""
    found = await rows(
        c,
        "SELECT 1 AS one FROM release WHERE id = $1 AND state = $2 AND version = $3 AND manifest_sha256 = $4",
        release.id, str(release.state), release.version, release.manifest_sha256,
    )  # fmt: skip
    return bool(found)
