"""Consents that a program sends: each is a no, or takes back the no that the same program sent before. All or nothing.

The program's own identifier says which Consent it is; sent again, it is the same no. Practice software names a patient
by her practice's number, and her no counts at once. A partner names a person, and everybody whom it may mean is closed
until the DPO has settled it; nothing of the answer says whether she is a patient.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from portal.flow.means import Means
from portal.flow.programs import Program
from portal.flow.provisional import Ready, Spoken, make_ready
from portal.outside.tokens import match_token
from portal.records.database import Connection, as_moment, rows, transact
from portal.records.ledger import Touch, enter
from portal.records.objections import take_back, write_objections, write_provisional
from portal.records.sent_consents import patients_of, sent_before
from portal.rules.refusals import Problem, Refused, RefusedFile
from portal.rules.words import ObjectionChannel, Scope


@dataclass(frozen=True, slots=True)
class Numbered:
    """A patient by her practice's own number."""

    practice_id: str
    number: str


@dataclass(frozen=True, slots=True)
class Sent:
    """One Consent. `place`: where it stands in what was sent. `identifier`: the program's own, system and value.
    `stands`: a no; else it is taken back. `said_at`: when it was said; None or what lies ahead is now."""

    place: str
    identifier: str
    stands: bool
    said_at: datetime | None
    about: Numbered | Spoken


@dataclass(frozen=True, slots=True)
class Kept:
    """As which resource it is kept, and its version. `new`: sent for the first time."""

    id: str
    version: int
    at: datetime
    new: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one Consent comes to: `known` is the Consent of this identifier as it stood before, `bound` the objections
    that a partner's no became, `patient` or `ready` whom it names."""

    sent: Sent
    key_hash: str
    about: str
    known: Mapping[str, Any] | None
    patient: Mapping[str, Any] | None = None
    ready: Ready | None = None
    bound: tuple[Mapping[str, Any], ...] = ()

    @property
    def touches(self) -> list[Touch]:
        if self.patient is not None:
            return _touches(self.patient)
        no_id = self.known["provisional_id"] if self.known else self.ready.id if self.ready else ""
        return [("provisional", str(no_id)), *(touch for one in self.bound for touch in _touches(one))]


async def take_in(means: Means, program: Program, sent: Sequence[Sent]) -> list[Kept]:
    """Act on all of them in one transaction, each under its own entry; in the order in which they were sent.

    RefusedFile, with every place: a person whom this program cannot name, an identifier that is another person's,
    something taken back that was never sent. Refused("under_way") when the same was sent at the same time.
    """
    plans = await _plans(means, program, sent)

    async def step(c: Connection) -> list[Kept]:
        now = await means.now(c)
        return [await _act(c, program, plan, now) for plan in plans]

    return await transact(step)


def key_hash(means: Means, program: Program, identifier: str) -> str:
    """How the program's own identifier (system|value) is kept: keyed, for it may be anybody's number."""
    return match_token(means.ring, "consent", f"{program.id}\0{identifier}").hex()


# --- read beforehand -------------------------------------------------------------------------------------------------


async def _plans(means: Means, program: Program, sent: Sequence[Sent]) -> list[_Plan]:
    problems: list[Problem] = []
    hashes = [key_hash(means, program, one.identifier) for one in sent]
    known = await sent_before(program.id, hashes)
    numbered = [one.about for one in sent if isinstance(one.about, Numbered)]
    patients = await patients_of(program.id, [(one.practice_id, one.number) for one in numbered])
    made = []
    for one, named in zip(sent, hashes, strict=True):
        plan = _plan(means, program, one, named, known.get(named), patients, problems)
        if plan is not None:
            made.append(plan)
    if problems:
        raise RefusedFile(problems)
    return made


def _plan(
    means: Means, program: Program, one: Sent, named: str, known: Mapping[str, Any] | None,
    patients: Mapping[tuple[str, str], Mapping[str, Any]], problems: list[Problem],
) -> _Plan | None:  # fmt: skip
    patient, ready = None, None
    if isinstance(one.about, Numbered):
        patient = patients.get((one.about.practice_id, one.about.number))
        if patient is None:
            what = "no practice that lets this program act has a patient of this number"
            problems.append(Problem("unknown_patient", f"{one.place}.patient", what))
            return None
        about = f"patient/{patient['id']}"
    else:
        try:
            ready = make_ready(means, one.about)
        except Refused as no:
            problems.append(Problem(no.code, f"{one.place}.patient", no.what))
            return None
        about = json.dumps(sorted(ready.tokens))
    about = hashlib.sha256(about.encode()).hexdigest()
    if known is None and not one.stands:
        what = "this program has sent no active Consent of this identifier: nothing is taken back"
        problems.append(Problem("nothing_stands", f"{one.place}.identifier", what))
    if known is not None and known["about"] != about:
        problems.append(Problem("other_patient", f"{one.place}.identifier", "this identifier is another patient's"))
    return _Plan(one, named, about, known, patient, ready, tuple(known["bound"]) if known else ())


def _touches(row: Mapping[str, Any]) -> list[Touch]:
    persons = dict.fromkeys(str(row[name]) for name in ("person_id", "stands_for") if name in row)
    return [*(("person", person) for person in persons), ("patient", str(row["id"]))]


# --- acted on --------------------------------------------------------------------------------------------------------


async def _act(c: Connection, program: Program, plan: _Plan, now: datetime) -> Kept:
    sent, known = plan.sent, plan.known
    if known is None:
        return await _begin(c, program, plan, now)
    ended = known["taken_back_at"] is not None
    if not ended and _said_since(plan):
        return await _begin(c, program, plan, now)
    if sent.stands and ended:
        return await (_stand_again if known["outcome"] in _WAITING and plan.ready else _begin)(c, program, plan, now)
    if not sent.stands and not ended:
        return await _end(c, program, plan, now)
    received_at = as_moment(known["received_at"])
    if sent.stands and sent.said_at and received_at and sent.said_at < received_at:
        return await _date_back(c, program, plan, now)
    return Kept(_id(plan, known), known["entry_id"], as_moment(known["at"]) or now, new=False)


def _said_since(plan: _Plan) -> bool:
    """A no that she said after she had taken the last one back by herself. The same Consent again, with its old date
    or none, says nothing new: what she took back is not raised by it."""
    lifted_at = as_moment((plan.known or {})["withdrawn_at"])
    return plan.sent.stands and lifted_at is not None and (plan.sent.said_at or lifted_at) > lifted_at


_WAITING = (None, "not_here")
"""How a partner's no stands that is bound to nobody: it may be stood by again as it is."""


async def _begin(c: Connection, program: Program, plan: _Plan, now: datetime) -> Kept:
    """A no, said for the first time, or anew after the last one was taken back."""
    column, no_id, entry = await _write_no(c, program, plan, now)
    if plan.known is not None:
        await _change(c, plan, entry, f", taken_back_at = NULL, {column} = $3", no_id)
        return Kept(_id(plan, {**plan.known, column: no_id}), entry, now, new=False)
    made = await rows(
        c,
        f"INSERT INTO sent_consent (id, client_id, key_hash, about, {column}, entry_id) VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (client_id, key_hash) DO NOTHING RETURNING id",
        uuid4(), program.id, plan.key_hash, plan.about, no_id, entry,
    )  # fmt: skip
    if not made:
        raise _under_way()
    return Kept(_id(plan, {"id": made[0]["id"], column: no_id}), entry, now, new=True)


async def _write_no(c: Connection, program: Program, plan: _Plan, now: datetime) -> tuple[str, UUID, int]:
    """The no itself and its entry; where the Consent names it."""
    received_at, ready = min(plan.sent.said_at or now, now), plan.ready
    if ready is not None:
        touches: list[Touch] = [("provisional", str(ready.id))]
        summary = f"{ObjectionChannel.PARTNER}, {Scope.EVERYTHING}"
        entry = await enter(c, "objected_without_token", actor=program.actor, at=now, touches=touches, summary=summary)
        await write_provisional(
            c, ready.id, sealed=ready.sealed, tokens=ready.tokens, scope=Scope.EVERYTHING, scope_ref="",
            channel=ObjectionChannel.PARTNER, received_at=received_at, by=program.actor, entry=entry,
        )  # fmt: skip
        return "provisional_id", ready.id, entry
    entry = await enter(c, "objected", actor=program.actor, at=now, touches=plan.touches, summary=str(Scope.EVERYTHING))
    no_id = uuid4()
    await write_objections(
        c, {no_id: int((plan.patient or {})["id"])}, scope=Scope.EVERYTHING, scope_ref="",
        channel=ObjectionChannel.SOFTWARE, actor=program.actor, received_at=received_at, entry=entry,
    )  # fmt: skip
    return "objection_id", no_id, entry


async def _stand_again(c: Connection, program: Program, plan: _Plan, now: datetime) -> Kept:
    """A partner's no, taken back and sent again before anybody was found for it: it never ceased to close."""
    entry = await enter(c, "objection_said_again", actor=program.actor, at=now, touches=plan.touches)
    known = await _hold(c, plan)
    await _change(c, plan, entry, ", taken_back_at = NULL")
    return Kept(_id(plan, known), entry, now, new=False)


async def _end(c: Connection, program: Program, plan: _Plan, now: datetime) -> Kept:
    """The program takes back its own no. A partner's that waits for the DPO closes until it is settled."""
    entry = await enter(c, "objection_taken_back", actor=program.actor, at=now, touches=plan.touches)
    known = await _hold(c, plan)
    await _change(c, plan, entry, ", taken_back_at = $3", now)
    objections = [one["objection_id"] for one in plan.bound] if plan.ready else [known["objection_id"]]
    await take_back(c, [UUID(str(one)) for one in objections], at=now, entry=entry)
    return Kept(_id(plan, known), entry, now, new=False)


async def _date_back(c: Connection, program: Program, plan: _Plan, now: datetime) -> Kept:
    """The same no, said earlier than was known."""
    entry = await enter(c, "objection_dated_back", actor=program.actor, at=now, touches=plan.touches)
    known = await _hold(c, plan)
    await _change(c, plan, entry)
    said_at = plan.sent.said_at
    if plan.ready:
        await rows(
            c, "UPDATE provisional_objection SET received_at = $1 WHERE id = $2", said_at, known["provisional_id"]
        )
    for objection in [one["objection_id"] for one in plan.bound] if plan.ready else [known["objection_id"]]:
        await rows(c, "UPDATE objection SET received_at = $1 WHERE id = $2", said_at, objection)
    return Kept(_id(plan, known), entry, now, new=False)


async def _hold(c: Connection, plan: _Plan) -> Mapping[str, Any]:
    """The Consent as it was read. A partner's is held, so that the DPO settles it before this or after it."""
    known = plan.known
    if known is None:
        raise _under_way()
    if plan.ready:
        held = await rows(
            c, "UPDATE provisional_objection SET channel = channel WHERE id = $1 RETURNING outcome",
            known["provisional_id"],
        )  # fmt: skip
        if [one["outcome"] for one in held] != [known["outcome"]]:
            raise _under_way()
    return known


async def _change(c: Connection, plan: _Plan, entry: int, more: str = "", *values: Any) -> None:
    """Writes the Consent's own row, unless it has changed since it was read."""
    known = plan.known or {}
    changed = await rows(
        c, f"UPDATE sent_consent SET entry_id = $1{more} WHERE id = $2 AND entry_id = {int(known['entry_id'])} "
        "RETURNING id", entry, known["id"], *values,
    )  # fmt: skip
    if not changed:
        raise _under_way()


def _under_way() -> Refused:
    return Refused("under_way", "the same Consent is under way: send it again")


def _id(plan: _Plan, row: Mapping[str, Any]) -> str:
    """A partner's by itself; practice software sees an objection at its patient."""
    return f"{row['objection_id']}.{plan.patient['id']}" if plan.patient else str(row["id"])
