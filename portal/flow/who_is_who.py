"""The DPO settles who somebody is: one person, two persons, or a mistake. Nothing that was said is lifted by it.

A person is never changed: rows are pointed to another one, and the former stays written down, so that objections bind
whomever a row ever stood for, and what was delivered is taken back under the pseudonym as delivered.
"""

import json
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from portal.flow.means import Means
from portal.flow.provisional import only_dpo
from portal.flow.register_rows import given_by, traits_of
from portal.records import standing
from portal.records.accounts import Account
from portal.records.database import Connection, json_texts, rows, transact, write_many
from portal.records.ledger import Touch, enter
from portal.records.objections import BOUND
from portal.records.possible_matches import FORGET_CLEARED_OF_OTHER
from portal.records.rights_requests import copy_to_parted
from portal.rules.refusals import Refused
from portal.rules.words import DoubtOutcome, DoubtReason

_STILL_CLASHES = (
    "SELECT 1 FROM person_token k JOIN person_token l ON l.kind = k.kind AND l.token = k.token "
    "AND l.person_id <> k.person_id JOIN patient other ON other.person_id = l.person_id "
    "WHERE k.kind LIKE 'key:%' AND k.person_id = p.person_id"
)


async def same_person(means: Means, doubt_id: int, other: UUID, *, by: Account) -> None:
    """The patient in doubt and `other` are one human being, who goes on as `other`, known by the tokens of both.

    Every row of the one points to `other`; a clash of keys, or a change of one into the other, that this answers is
    settled with it. Refused("not_asked")
    for a person whom the doubt does not put into question.
    """
    doubt = await _doubt_of(doubt_id, by, DoubtOutcome.SAME)
    if other not in await transact(lambda c: in_question(c, doubt)):
        raise Refused("not_asked", "choose one of those whom the doubt is about", status=422)

    async def step(c: Connection) -> None:
        now = await means.now(c)
        entry = await _enter(c, now, by, doubt, DoubtOutcome.SAME, other)
        await _settle(c, doubt, by, now)
        await _settle_changes_into(c, doubt["person_id"], other, by, now)
        await standing.point_to(c, doubt["person_id"], other)
        await standing.bind_too(c, doubt["person_id"], other, entry)
        await standing.doubt_deaths(c, other)
        await rows(c, FORGET_CLEARED_OF_OTHER, other, doubt["person_id"])
        await rows(
            c,
            "INSERT INTO person_token (person_id, kind, token) SELECT $1, kind, token FROM person_token "
            "WHERE person_id = $2 ON CONFLICT (person_id, kind, token) DO NOTHING",
            other, doubt["person_id"],
        )  # fmt: skip
        await standing.forget_unless_stood_for(c, doubt["person_id"])
        await standing.stood_all_along(c, doubt["person_id"], other)
        await _settle_answered(c, {other}, by, now)

    await transact(step)


async def another_person(means: Means, doubt_id: int, *, by: Account) -> None:
    """The patient in doubt stays apart from everybody else; what was told to whom the row stood for before was not
    told to her."""
    doubt = await _doubt_of(doubt_id, by, DoubtOutcome.APART)

    async def step(c: Connection) -> None:
        now = await means.now(c)
        await _enter(c, now, by, doubt, DoubtOutcome.APART)
        await _settle(c, doubt, by, now)

    await transact(step)


async def wrong_entry(means: Means, doubt_id: int, *, by: Account) -> None:
    """What came in was a mistake, by the reason of the doubt.

    Identity changed: the row stands for the former person again, of unknown birth until the register is mended (G47).
    Clash of keys: the row's person is not known by that key. Back to life: she never died.
    """
    doubt = await _doubt_of(doubt_id, by, DoubtOutcome.WRONG_ENTRY)
    changed = doubt["reason"] == DoubtReason.IDENTITY_CHANGED
    former = await transact(lambda c: standing.former_of(c, doubt)) if changed else None
    if changed and former is None:
        raise Refused("not_asked", "this patient stood for nobody else who is known")

    async def step(c: Connection) -> None:
        now = await means.now(c)
        await _enter(c, now, by, doubt, DoubtOutcome.WRONG_ENTRY, former)
        await _settle(c, doubt, by, now)
        match DoubtReason(doubt["reason"]):
            case DoubtReason.IDENTITY_CHANGED if former is not None:
                await standing.back_to_former(c, doubt, former)
                await standing.doubt_deaths(c, former)
            case DoubtReason.KEY_CLASH:
                clashing = await in_question(c, doubt)
                await _forget_clashing_keys(c, doubt)
                await _settle_answered(c, {doubt["person_id"], *clashing}, by, now)
            case DoubtReason.BACK_TO_LIFE:
                await standing.never_died(c, doubt["patient_id"], doubt["person_id"])
            case _:
                pass

    await transact(step)


async def part(means: Means, practice_id: str, number: str, *, by: Account) -> UUID:
    """Undo a wrong merge: this row stands for a new person, who is returned. Objections and requests of the person
    that it stood for until now bind both."""
    only_dpo(by)
    row = await transact(lambda c: _shared_row(c, practice_id, number))
    old, new = UUID(str(row["person_id"])), uuid4()

    async def step(c: Connection) -> UUID:
        now = await means.now(c)
        touches: list[Touch] = [("person", str(old)), ("person", str(new)), ("patient", str(row["id"]))]
        entry = await enter(c, "persons_parted", actor=by.actor, at=now, touches=touches)
        await rows(c, "INSERT INTO person (id, import_batch_id) VALUES ($1, $2)", new, row["import_batch_id"])
        await rows(
            c,
            "INSERT INTO objection_binding (objection_id, person_id, entry_id) "
            f"SELECT b.objection_id, $1, $2 FROM ({BOUND}) b WHERE b.person_id = $3",
            new, entry, old,
        )  # fmt: skip
        await copy_to_parted(c, old, new, int(row["id"]), entry)
        tokens = await rows(c, "SELECT kind, token FROM person_token WHERE person_id = $1", old)
        own = given_by(row["traits"], [(t["kind"], t["token"]) for t in tokens])
        statement = "INSERT INTO person_token (person_id, kind, token) VALUES ($1, $2, $3)"
        await write_many(c, statement, [(new, *token) for token in sorted(own)])
        await standing.remember_former(c, "p.id = $1 AND p.person_id = $2", int(row["id"]), old)
        moved = "UPDATE patient SET person_id = $1 WHERE id = $2 AND person_id = $3 RETURNING id"
        if not await rows(c, moved, new, row["id"], old):
            raise _changed_meanwhile()
        return new

    return await transact(step)


async def in_question(c: Connection, doubt: dict[str, Any]) -> set[UUID]:
    """Whom a doubt is about beside the row's own person: who the row stood for, and who bears the same key, be it
    that nobody's row stands for her now. Not who was
    merged or mistyped: nothing is known of her any more, and objections no longer reach her."""
    found = await rows(
        c,
        "SELECT f.person_id FROM former_person f WHERE f.patient_id = $1 AND f.person_id <> $2 "
        "AND EXISTS (SELECT 1 FROM person_token t WHERE t.person_id = f.person_id) "
        "UNION SELECT l.person_id FROM person_token k JOIN person_token l ON l.kind = k.kind AND l.token = k.token "
        "WHERE k.kind LIKE 'key:%' AND k.person_id = $2 AND l.person_id <> $2",
        doubt["patient_id"], doubt["person_id"],
    )  # fmt: skip
    return {UUID(str(row["person_id"])) for row in found}


# --- steps of the steps ----------------------------------------------------------------------------------------------

MAY_BE: dict[str, frozenset[DoubtOutcome]] = {
    DoubtReason.IDENTITY_CHANGED: frozenset(DoubtOutcome),
    DoubtReason.KEY_CLASH: frozenset(DoubtOutcome),
    DoubtReason.BACK_TO_LIFE: frozenset({DoubtOutcome.WRONG_ENTRY}),
}
"""How a doubt of each reason can be settled."""


async def _doubt_of(doubt_id: int, by: Account, outcome: DoubtOutcome) -> dict[str, Any]:
    only_dpo(by)

    async def read(c: Connection) -> dict[str, Any]:
        found = await rows(
            c,
            "SELECT d.id, d.reason, d.patient_id, d.import_batch_id, d.settled_at, p.person_id FROM identity_doubt d "
            "JOIN patient p ON p.id = d.patient_id WHERE d.id = $1",
            doubt_id,
        )
        if not found:
            raise Refused("unknown_doubt", "there is no such doubt", status=404)
        return {**found[0], "person_id": UUID(str(found[0]["person_id"]))}

    doubt = await transact(read)
    if outcome not in MAY_BE[DoubtReason(doubt["reason"])]:
        raise Refused("not_asked", "a doubt of this reason cannot be settled so", status=422)
    return doubt


async def _enter(
    c: Connection, now: datetime, by: Account, doubt: dict[str, Any], outcome: DoubtOutcome, other: UUID | None = None
) -> int:
    touches: list[Touch] = [("person", str(doubt["person_id"])), ("patient", str(doubt["patient_id"]))]
    touches += [("person", str(other))] if other else []
    summary = f"doubt {doubt['id']}: {outcome}"
    return await enter(c, "doubt_settled", actor=by.actor, at=now, touches=touches, summary=summary)


async def _settle(c: Connection, doubt: dict[str, Any], by: Account, now: datetime) -> None:
    """Settled once, and about whom it was read for: the entry has named these."""
    settled = await rows(
        c,
        "UPDATE identity_doubt SET settled_at = $1, settled_by = $2 WHERE id = $3 AND settled_at IS NULL RETURNING id",
        now, by.actor, doubt["id"],
    )  # fmt: skip
    if not settled:
        raise Refused("doubt_settled", "this doubt is settled already")
    stands = "SELECT 1 AS one FROM patient WHERE id = $1 AND person_id = $2"
    if not await rows(c, stands, doubt["patient_id"], doubt["person_id"]):
        raise _changed_meanwhile()


async def _settle_answered(c: Connection, persons: set[UUID], by: Account, now: datetime) -> None:
    """A clash of keys about one of these persons is answered when nobody else bears the key any more."""
    person = "CAST(p.person_id AS text)"
    await rows(
        c,
        "UPDATE identity_doubt SET settled_at = $1, settled_by = $2 WHERE settled_at IS NULL AND reason = 'key_clash' "
        f"AND patient_id IN (SELECT p.id FROM patient p WHERE {person} IN ({json_texts(c, 3)}) "
        f"AND NOT EXISTS ({_STILL_CLASHES}))",
        now, by.actor, json.dumps(sorted(map(str, persons))),
    )  # fmt: skip


async def _settle_changes_into(c: Connection, old: UUID, new: UUID, by: Account, now: datetime) -> None:
    """Where a row changed from the one into the other, before they become one, that she is the same is said with it."""
    await rows(
        c,
        "UPDATE identity_doubt SET settled_at = $1, settled_by = $2 WHERE settled_at IS NULL "
        "AND reason = 'identity_changed' AND EXISTS (SELECT 1 FROM patient p JOIN former_person f "
        "ON f.patient_id = p.id WHERE p.id = identity_doubt.patient_id "
        "AND f.import_batch_id = identity_doubt.import_batch_id "
        "AND ((p.person_id = $3 AND f.person_id = $4) OR (p.person_id = $4 AND f.person_id = $3)))",
        now, by.actor, old, new,
    )  # fmt: skip


async def _forget_clashing_keys(c: Connection, doubt: dict[str, Any]) -> None:
    """The person loses the keys that others bear. Refused("shared_person") when other rows stand for her too."""
    person = doubt["person_id"]
    if await rows(c, "SELECT 1 AS one FROM patient WHERE person_id = $1 AND id <> $2", person, doubt["patient_id"]):
        raise Refused("shared_person", "other patients stand for this person too: part them first")
    await rows(
        c,
        "DELETE FROM person_token WHERE person_id = $1 AND kind LIKE 'key:%' AND EXISTS (SELECT 1 FROM person_token l "
        "WHERE l.kind = person_token.kind AND l.token = person_token.token AND l.person_id <> $1)",
        person,
    )
    left = await rows(c, "SELECT kind, token FROM person_token WHERE person_id = $1", person)
    row = (await rows(c, "SELECT traits FROM patient WHERE id = $1", doubt["patient_id"]))[0]
    own = given_by(row["traits"], [(t["kind"], t["token"]) for t in left])
    await rows(c, "UPDATE patient SET traits = $1 WHERE id = $2", traits_of(own), doubt["patient_id"])


async def _shared_row(c: Connection, practice_id: str, number: str) -> dict[str, Any]:
    found = await rows(
        c,
        "SELECT p.id, p.person_id, p.traits, p.import_batch_id, (SELECT count(*) FROM patient o "
        "WHERE o.person_id = p.person_id) AS shared FROM patient p WHERE p.practice_id = $1 AND p.number = $2",
        practice_id, number,
    )  # fmt: skip
    if not found:
        raise Refused("unknown_patient", "the practice has no patient of this number", status=404)
    if int(found[0]["shared"]) < 2:
        raise Refused("nothing_to_part", "no other patient stands for this person")
    return found[0]


def _changed_meanwhile() -> Refused:
    return Refused("changed_meanwhile", "who this patient is has changed meanwhile: look again")
