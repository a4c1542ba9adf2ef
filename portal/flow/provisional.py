"""A no said without a token, on paper, by telephone or by the public form. It closes every possible match at once, and
the DPO settles it.

Nothing that is said of the person is kept in clear: keyed tokens to match by, and one sealed note for the DPO.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from portal.flow.means import Means
from portal.flow.register_rows import Tokens, keyed
from portal.outside.tokens import open_sealed, seal
from portal.records.accounts import Account
from portal.records.database import Connection, as_day, as_moment, connection, json_texts, rows, transact, write_many
from portal.records.ledger import Touch, enter
from portal.records.objections import Objection, take_back, write_objections, write_provisional
from portal.records.possible_matches import KNOWN_BY_WHAT_WAS_SAID, MEANT, MEANT_AGAIN
from portal.records.sent_consents import SentConsent
from portal.rules.people import is_birth, match_traits
from portal.rules.refusals import Refused
from portal.rules.waiting import midnight, paris_day
from portal.rules.words import ObjectionChannel, ProvisionalOutcome, Role, Scope

OLDEST_BIRTH = 1900
"""From this year on everybody of a name is meant when no birth was said."""

_REFERS_TO = {Scope.OBSERVATORY: "observatory", Scope.STUDY: "study", Scope.PRACTICE: "practice"}


PUBLIC = "public"
"""The actor of a no that came by the form which everybody may fill in."""

NOT_BY_HAND = frozenset({ObjectionChannel.LINK, ObjectionChannel.SOFTWARE, ObjectionChannel.PARTNER})
"""Nobody records by hand what comes by these."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What was said of the person. `birth`: a day, a year, or nothing. `answer_to`: how to write or call back.

    `postcode` helps the DPO and matches nobody. `for_whom`: a ForWhom, "" when it was not asked; `said_by`: who speaks
    for somebody else.
    """

    family_name: str = ""
    birth_name: str = ""
    given_names: str = ""
    birth: str = ""
    person_key: str = ""
    answer_to: str = ""
    postcode: str = ""
    for_whom: str = ""
    said_by: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """What was said of the person, ready to be kept: sealed for the DPO, and the tokens to match by."""

    id: UUID
    sealed: bytes
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Recorded:
    id: UUID
    received_at: datetime
    due_on: date
    settled_at: datetime | None = None


async def record(
    means: Means,
    spoken: Spoken,
    *,
    scope: Scope,
    scope_ref: str = "",
    channel: ObjectionChannel,
    received: datetime | date | None = None,
    by: str,
) -> Recorded:
    """Record a no; from its entry on nobody passes whom it may mean. The answer says nothing of who is a patient.

    `received`: when it was said or stamped; a day counts from its beginning, what lies ahead is now. `by`: the actor
    who records it, PUBLIC for the public form. Refused ("nothing_to_match") when neither a national key nor family and
    given names were said, ("birth", "person_key", "channel", "scope") for what is none.
    """
    if channel in NOT_BY_HAND or (channel is ObjectionChannel.FORM) != (by == PUBLIC):
        raise Refused("channel", "what comes by a link, a program or the public form is said there", status=422)
    ready = make_ready(means, spoken)

    async def step(c: Connection) -> Recorded:
        now = await means.now(c)
        entry = await enter(
            c, "objected_without_token", actor=by, at=now, touches=[("provisional", str(ready.id))],
            summary=f"{channel}, {scope}",
        )  # fmt: skip
        await _refuse_unknown(c, scope, scope_ref)
        said_at = received if isinstance(received, datetime) else midnight(received) if received else now
        received_at = min(said_at, now)
        due_on = await write_provisional(
            c, ready.id, sealed=ready.sealed, tokens=ready.tokens, scope=scope, scope_ref=scope_ref, channel=channel,
            received_at=received_at, by=by, entry=entry,
        )  # fmt: skip
        return Recorded(ready.id, received_at, due_on)

    return await transact(step)


def make_ready(means: Means, spoken: Spoken) -> Ready:
    """What was said, outside any transaction. Refused as `record` says."""
    tokens, no_id = keyed(means.ring, _traits(spoken, means.clock.now())), uuid4()
    note = json.dumps(asdict(spoken), ensure_ascii=False).encode()
    return Ready(no_id, seal(means.ring, note, note_binding(no_id)), tokens)


async def recorded(no_id: UUID) -> Recorded:
    """When it was received, and by when it is settled, for whoever knows its number; nothing of whom it meant."""
    found = await rows(
        connection(), "SELECT received_at, due_on, settled_at FROM provisional_objection WHERE id = $1", no_id
    )
    if not found:
        raise _unknown()
    row = {**found[0], "received_at": as_moment(found[0]["received_at"]), "due_on": as_day(found[0]["due_on"])}
    return Recorded(no_id, row["received_at"], row["due_on"], as_moment(row["settled_at"]))


def _traits(spoken: Spoken, now: datetime) -> set[tuple[str, str]]:
    """By what the person is met. Without a birth she may be of any year."""
    if spoken.birth and not is_birth(spoken.birth):
        raise Refused("birth", "a birth is a day (1957-04-16) or a year (1957)", status=422)
    births = [spoken.birth] if spoken.birth else map(str, range(OLDEST_BIRTH, paris_day(now).year + 1))
    try:
        found = {
            trait
            for birth in births
            for trait in match_traits(
                person_key=spoken.person_key.strip() or None,
                family_name=spoken.family_name,
                birth_name=spoken.birth_name,
                given_names=spoken.given_names,
                birth_date=birth,
            )
        }
    except ValueError:
        raise Refused("person_key", "this is no national identifier", status=422) from None
    if not found:
        raise Refused("nothing_to_match", "give the family and the given names, or a national identifier", status=422)
    return found


async def _refuse_unknown(c: Connection, scope: Scope, ref: str) -> None:
    table = _REFERS_TO.get(scope)
    known = not ref if table is None else await rows(c, f"SELECT 1 AS one FROM {table} WHERE id = $1", ref)
    if not known:
        raise Refused("scope", "say for which observatory, study or practice; none for everything", status=422)


def note_binding(no_id: UUID) -> str:
    """What a sealed note is bound to: it opens only beside its own objection."""
    return f"provisional/{no_id}"


# --- settled by the DPO ----------------------------------------------------------------------------------------------


def only_dpo(by: Account) -> None:
    """Refused("not_dpo") for anybody else: who somebody is, and what she has a right to, is the DPO's to say."""
    if by.role != Role.DPO:
        raise Refused("not_dpo", "only the data protection officer may do this", status=403)


async def read_sealed(means: Means, no_id: UUID, *, by: Account) -> Spoken:
    """What was said, in clear, for the DPO; that it was read is entered in the log."""
    only_dpo(by)

    async def step(c: Connection) -> Spoken:
        now = await means.now(c)
        await enter(
            c, "contact_read", actor=by.actor, at=now, touches=[("contact", str(no_id))], summary="an objection"
        )
        found = await rows(c, "SELECT sealed FROM provisional_objection WHERE id = $1", no_id)
        if not found:
            raise _unknown()
        return Spoken(**json.loads(open_sealed(means.ring, bytes(found[0]["sealed"]), note_binding(no_id))))

    return await transact(step)


async def bind(means: Means, no_id: UUID, patients: Sequence[int], *, by: Account) -> list[UUID]:
    """It was said by (or for) these patients, all one human being: an ordinary objection for each of their rows, of
    the day it was received and counting since it was recorded; there is no moment without one of the two. What was
    said of her she is known by from now on, so that whoever was held back by it still is."""
    only_dpo(by)
    who = await transact(lambda c: _persons_of(c, patients))
    if not patients or len(who) != len(set(patients)):
        raise Refused("unknown_patient", "choose the patients whom it means", status=422)
    touches: list[Touch] = [("provisional", str(no_id))]
    touches += [touch for patient, person in who.items() for touch in (("person", person), ("patient", str(patient)))]

    async def step(c: Connection) -> list[UUID]:
        now = await means.now(c)
        entry = await enter(c, "objection_settled", actor=by.actor, at=now, touches=touches, summary="bound")
        no = await _settle(c, no_id, ProvisionalOutcome.BOUND, by, now, entry)
        made = {uuid4(): patient for patient in sorted(who)}
        received_at = as_moment(no["received_at"])
        if received_at is None:
            raise Refused("objection_damaged", "an objection without a date of receipt", status=503)
        await write_objections(
            c, made, scope=Scope(no["scope"]), scope_ref=no["scope_ref"], channel=ObjectionChannel(no["channel"]),
            actor=note_binding(no_id), received_at=received_at, entry=no["entry_id"],
        )  # fmt: skip
        for person in sorted(set(who.values())):
            new = await rows(c, KNOWN_BY_WHAT_WAS_SAID, person, no_id)
            await write_many(c, MEANT_AGAIN, [(person, token["kind"], token["token"]) for token in new])
        await rows(c, "DELETE FROM provisional_token WHERE provisional_id = $1", no_id)
        if await SentConsent.exists(provisional_id=no_id, taken_back_at__isnull=False):
            await take_back(c, made, at=now, entry=entry)
        if await Objection.filter(id__in=list(made)).count() != len(made):
            raise Refused("unknown_patient", "choose the patients whom it means", status=422)
        return list(made)

    return await transact(step)


async def not_here(means: Means, no_id: UUID, *, by: Account, shown: Collection[int] | None = None) -> int:
    """None of those whom it may mean is this person: they are free, and their number is returned. It goes on standing
    against whoever comes in later. `shown`: the patients that were looked at, or None for whoever it may mean;
    Refused("others_meant") when it may mean another by now."""
    only_dpo(by)

    async def step(c: Connection) -> int:
        now = await means.now(c)
        touches = [("provisional", str(no_id))]
        entry = await enter(c, "objection_settled", actor=by.actor, at=now, touches=touches, summary="not here")
        await _settle(c, no_id, ProvisionalOutcome.NOT_HERE, by, now, entry)
        meant = f"SELECT p.id FROM ({MEANT}) m JOIN patient p ON p.person_id = m.person_id"
        now_meant = {int(row["id"]) for row in await rows(c, f"{meant} WHERE m.provisional_id = $1", no_id)}
        if shown is not None and not now_meant <= set(shown):
            raise Refused("others_meant", "somebody came in meanwhile whom it may mean: look at them again")
        cleared = await rows(
            c,
            "INSERT INTO provisional_cleared (provisional_id, person_id) "
            f"SELECT DISTINCT m.provisional_id, m.person_id FROM ({MEANT}) m WHERE m.provisional_id = $1 "
            "AND EXISTS (SELECT 1 FROM patient p WHERE p.person_id = m.person_id) RETURNING id",
            no_id,
        )
        return len(cleared)

    return await transact(step)


async def no_authority(means: Means, no_id: UUID, *, by: Account) -> None:
    """Whoever said it may not speak for the person: it stands no longer."""
    only_dpo(by)

    async def step(c: Connection) -> None:
        now = await means.now(c)
        touches = [("provisional", str(no_id))]
        entry = await enter(c, "objection_settled", actor=by.actor, at=now, touches=touches, summary="no authority")
        await _settle(c, no_id, ProvisionalOutcome.NO_AUTHORITY, by, now, entry)
        await rows(c, "DELETE FROM provisional_token WHERE provisional_id = $1", no_id)

    await transact(step)


async def _settle(
    c: Connection, no_id: UUID, outcome: ProvisionalOutcome, by: Account, now: datetime, entry: int
) -> dict[str, Any]:
    """The objection as it was recorded. One that was not here may be settled again, when somebody came in later."""
    settled = await rows(
        c,
        "UPDATE provisional_objection SET outcome = $1, settled_at = $2, settled_by = $3, settlement_id = $4 "
        "WHERE id = $5 AND (outcome IS NULL OR outcome = 'not_here') "
        "RETURNING scope, scope_ref, channel, received_at, entry_id",
        outcome, now, by.actor, entry, no_id,
    )  # fmt: skip
    if settled:
        return settled[0]
    if await rows(c, "SELECT 1 AS one FROM provisional_objection WHERE id = $1", no_id):
        raise Refused("objection_settled", "this objection is settled already")
    raise _unknown()


async def _persons_of(c: Connection, patients: Sequence[int]) -> dict[int, str]:
    found = await rows(
        c,
        f"SELECT id, person_id FROM patient WHERE CAST(id AS text) IN ({json_texts(c, 1)})",
        json.dumps([str(patient) for patient in patients]),
    )
    return {int(row["id"]): str(row["person_id"]) for row in found}


def _unknown() -> Refused:
    return Refused("unknown_objection", "there is no such objection", status=404)
