"""The patient says no, takes it back, or notes that she has answered. Never by GET; once is enough; twice is once."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from portal.flow.means import Means
from portal.outside.tokens import token_hash
from portal.records.behind_link import listed_studies
from portal.records.database import Connection, as_moment, connection, rows, transact
from portal.records.ledger import Touch, enter
from portal.records.objections import take_back, write_objections
from portal.records.outbox import queue_receipt
from portal.rules.refusals import Refused
from portal.rules.waiting import midnight
from portal.rules.words import ObjectionChannel, Scope

_NOTICE = (
    "SELECT n.id, n.patient_id, n.addressee, n.sent_at, n.answered_at, n.text_id, p.person_id, p.practice_id, "
    "t.observatory_id FROM notice n JOIN patient p ON p.id = n.patient_id JOIN notice_text t ON t.id = n.text_id "
    "WHERE n.token_hash = $1"
)


State = Literal["not_answered", "answered_yes", "no_everything", "no_observatory", "no_part", "taken_back"]

WIDEST_FIRST = (Scope.EVERYTHING, Scope.OBSERVATORY, Scope.PRACTICE, Scope.STUDY)


@dataclass(frozen=True, slots=True)
class Said:
    """One objection as the patient sees it. `mine`: made through this very link, so this link can take it back.

    `scope_ref`: the observatory, practice or study that it is for. `again`: it already stood when said once more.
    """

    id: UUID
    scope: Scope
    scope_ref: str
    channel: ObjectionChannel
    received_at: datetime
    withdrawn_at: datetime | None
    mine: bool
    entry_id: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """What a personal link leads to, and what has been said so far (newest first)."""

    notice_id: UUID
    patient_id: int
    person_id: UUID
    practice_id: str
    observatory_id: str
    text_id: str
    addressee: str
    sent_at: datetime | None
    answered_at: datetime | None
    said: tuple[Said, ...]

    @property
    def in_force(self) -> tuple[Said, ...]:
        return tuple(s for s in self.said if s.withdrawn_at is None)

    @property
    def counts(self) -> Said | None:
        """The no to show: the widest in force, this link's own first; else the last of this link, taken back."""
        if self.in_force:
            return min(self.in_force, key=lambda s: (WIDEST_FIRST.index(s.scope), not s.mine))
        return next((s for s in self.said if s.mine), None)

    @property
    def state(self) -> State:
        no = self.counts
        if no is None:
            return "not_answered" if self.answered_at is None else "answered_yes"
        if no.withdrawn_at is not None:
            return "taken_back"
        match no.scope:
            case Scope.EVERYTHING:
                return "no_everything"
            case Scope.OBSERVATORY:
                return "no_observatory"
            case _:
                return "no_part"


async def look(c: Connection, token: str) -> Link:
    """What stands behind a link; reads only. Refused("dead_link") for any other text."""
    return await _link(c, token)


@dataclass(frozen=True, slots=True)
class Brought:
    """A no that she did not say on her page: it came with her code on paper or by telephone. `said_on`: the day on
    which it was said or stamped; None or a day ahead is now. `actor`: who records it."""

    channel: ObjectionChannel
    said_on: date | None
    actor: str


async def object_(
    means: Means, token: str, scope: Scope, study_id: str = "", *, brought: Brought | None = None
) -> Said:
    """Record a no, effective at receipt; the same no again finds the first one. Returns it as it stands. Whichever way
    it came, it is hers, and her link takes it back.

    The observatory and the practice are the notice's own; `study_id` names a study of that observatory which is on
    the transparency page. Refused("scope") for any other. A narrower no beside a wider one is kept: it stands when
    the wider one is taken back.
    """
    notice = await _notice_of(token)

    async def step(c: Connection) -> Said:
        now = await means.now(c)
        kind, actor, summary = "objected", "patient", str(scope)
        if brought:
            kind, actor, summary = "objected_with_code", brought.actor, f"{brought.channel}, {scope}"
        entry = await enter(c, kind, actor=actor, at=now, touches=_touches(notice), summary=summary)
        await _answered(c, notice["id"], now)  # holds the notice: of two at once, the second finds the first
        link = await _link(c, token)
        ref = await _scope_ref(c, link, scope, study_id)
        standing = next((s for s in link.in_force if (s.scope, s.scope_ref) == (scope, ref) and s.mine), None)
        received_at = min(midnight(brought.said_on), now) if brought and brought.said_on else now
        if standing is not None:
            earlier = "UPDATE objection SET received_at = $1 WHERE id = $2 AND received_at > $1"
            await rows(c, earlier, received_at, standing.id)
            return replace(standing, again=True, received_at=min(received_at, standing.received_at))
        objection, channel = uuid4(), brought.channel if brought else ObjectionChannel.LINK
        await write_objections(
            c, {objection: link.patient_id}, scope=scope, scope_ref=ref, channel=channel, actor=link.addressee,
            received_at=received_at, entry=entry, notice_id=link.notice_id,
        )  # fmt: skip
        if brought is None:
            await queue_receipt(c, objection, link.notice_id, now=now)
        return next(s for s in (await _link(c, token)).in_force if s.entry_id == entry)  # as the database kept it

    return await transact(step)


async def _scope_ref(c: Connection, link: Link, scope: Scope, study_id: str) -> str:
    match scope:
        case Scope.EVERYTHING:
            return ""
        case Scope.OBSERVATORY:
            return link.observatory_id
        case Scope.PRACTICE:
            return link.practice_id
        case Scope.STUDY:
            if study_id not in {study["id"] for study in await listed_studies(c, link.observatory_id)}:
                raise Refused("scope", "choose what your no is for", status=422)
            return study_id


async def keep(means: Means, token: str) -> None:
    """Note that the patient has answered: ends reminders, gates nothing, and is no consent."""
    notice = await _notice_of(token)

    async def step(c: Connection) -> None:
        now = await means.now(c)
        touches: list[Touch] = [("notice", str(notice["id"]))]
        await enter(c, "answered", actor="patient", at=now, touches=touches)
        await _answered(c, notice["id"], now)

    await transact(step)


async def withdraw(means: Means, token: str, scope: Scope | None = None, study_id: str = "") -> int:
    """Take back what was said through this link; returns how many objections. Nothing else is lifted.

    With a scope only the no of exactly that scope: a narrower yes never lifts a wider no.
    Counts for the future only: records dated after today may pass again, and only with a valid notice.
    """
    notice = await _notice_of(token)

    async def step(c: Connection) -> int:
        now = await means.now(c)
        entry = await enter(c, "objection_taken_back", actor="patient", at=now, touches=_touches(notice))
        link = await _link(c, token)
        lifted = [s for s in link.in_force if s.mine]
        if scope is not None:
            ref = await _scope_ref(c, link, scope, study_id)
            lifted = [s for s in lifted if (s.scope, s.scope_ref) == (scope, ref)]
        await take_back(c, [said.id for said in lifted], at=now, entry=entry)
        return len(lifted)

    return await transact(step)


async def _notice_of(token: str) -> dict[str, Any]:
    """The notice of a token, so that the step's first statement can name whom it touches."""

    found = await rows(connection(), _NOTICE, token_hash(token).hex())
    if not found:
        raise Refused("dead_link", "this link leads nowhere (any more)", status=404)
    return found[0]


def _touches(notice: dict[str, Any]) -> list[Touch]:
    return [("person", str(notice["person_id"])), ("patient", str(notice["patient_id"]))]


async def _answered(c: Connection, notice_id: Any, now: datetime) -> None:
    await rows(c, "UPDATE notice SET answered_at = coalesce(answered_at, $1) WHERE id = $2", now, notice_id)


async def _link(c: Connection, token: str) -> Link:
    found = await rows(c, _NOTICE, token_hash(token).hex())
    if not found:
        raise Refused("dead_link", "this link leads nowhere (any more)", status=404)
    notice = found[0]
    said = await rows(
        c,
        "SELECT id, scope, scope_ref, channel, received_at, withdrawn_at, notice_id, entry_id FROM objection "
        "WHERE (person_id = $1 OR patient_id = $3) AND (scope = 'everything' "
        "OR (scope = 'observatory' AND scope_ref = $2) OR (scope = 'practice' AND scope_ref = $4) "
        "OR (scope = 'study' AND scope_ref IN (SELECT id FROM study WHERE observatory_id = $2))) "
        "ORDER BY entry_id DESC",
        notice["person_id"], notice["observatory_id"], notice["patient_id"], notice["practice_id"],
    )  # fmt: skip
    return Link(
        notice_id=UUID(str(notice["id"])),
        patient_id=notice["patient_id"],
        person_id=UUID(str(notice["person_id"])),
        practice_id=notice["practice_id"],
        observatory_id=notice["observatory_id"],
        text_id=notice["text_id"],
        addressee=notice["addressee"],
        sent_at=as_moment(notice["sent_at"]),
        answered_at=as_moment(notice["answered_at"]),
        said=tuple(_said(row, notice) for row in said),
    )


def _said(row: dict[str, Any], notice: dict[str, Any]) -> Said:
    received = as_moment(row["received_at"])
    if received is None:
        raise Refused("objection_damaged", "an objection without a date of receipt", status=503)
    return Said(
        id=UUID(str(row["id"])),
        scope=Scope(row["scope"]),
        scope_ref=row["scope_ref"],
        channel=ObjectionChannel(row["channel"]),
        received_at=received,
        withdrawn_at=as_moment(row["withdrawn_at"]),
        mine=str(row["notice_id"]) == str(notice["id"]),
        entry_id=int(row["entry_id"]),
    )
