"""A practice's register is taken in: persons are matched by keyed tokens, doubt is written down and withholds."""

import asyncio
import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from portal.flow.key_bearers import a_bearer, bearers_of, is_alike, rows_of
from portal.flow.means import Means
from portal.flow.register_rows import Prepared, SealedContact, given_by, is_key, make_ready, traits_of
from portal.gate.holders import read_holders
from portal.gate.register import read_register
from portal.records.contacts import Line, put_contacts, put_holders
from portal.records.database import Connection, as_moment, rows, transact, write_many
from portal.records.ledger import enter
from portal.records.possible_matches import FORGET_CLEARED
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import DoubtReason


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, in patients."""

    rows: int
    new: int
    changed: int
    left: int
    doubts: int


@dataclass(slots=True)
class Plan:
    """What the import will write; filled row by row, written in sets."""

    persons: list[UUID] = field(default_factory=list)
    patients: list[tuple[Any, ...]] = field(default_factory=list)
    updates: list[tuple[Any, ...]] = field(default_factory=list)
    tokens: list[tuple[UUID, str, str]] = field(default_factory=list)
    contacts_of: list[Prepared] = field(default_factory=list)
    former: list[tuple[UUID, int, str, str]] = field(default_factory=list)  # person, import, practice, number
    doubts: set[tuple[str, str, str]] = field(default_factory=set)  # practice, number, reason
    new: int = 0
    changed: int = 0


async def import_register(
    means: Means,
    practice_id: str,
    path: Path,
    *,
    taken_at: datetime,
    actor: str,
    partial: bool = False,
    holders: Path | None = None,
) -> Imported:
    """Take in one register file, whole or not at all (RefusedFile names every bad place).

    A file older than the last one is refused; the same file again only renews its freshness. Patients missing
    from a newer full file are marked as left. Refused("changed_meanwhile") when a doubt about one of these patients
    was settled while the file came in. Contacts and tokens are made before the transaction begins.
    `holders`: the second file, of further holders of authority; it replaces those of the patients in the register.
    Without it the further holders who are known stay: whoever is known must be told.
    """
    today = paris_day(means.clock.now())

    def read() -> tuple[list[Prepared], bool]:
        register = read_register(path, practice_id=practice_id, today=today)
        further = read_holders(holders, register, today=today) if holders else None
        return [make_ready(means.ring, practice_id, row, further) for row in register], further is not None

    prepared, with_holders = await asyncio.to_thread(read)  # nobody who says no waits for a large file
    sha256 = hashlib.sha256(b"".join(sorted(p.digest for p in prepared))).hexdigest()
    return await transact(
        lambda c: _import(c, means, practice_id, prepared, sha256, taken_at, actor, partial, with_holders)
    )


async def _import(
    c: Connection,
    means: Means,
    practice_id: str,
    prepared: list[Prepared],
    sha256: str,
    taken_at: datetime,
    actor: str,
    partial: bool,
    with_holders: bool,
) -> Imported:
    now = await means.now(c)
    summary = f"{len(prepared)} rows, content {sha256[:16]}"
    entry = await enter(
        c, "register_imported", actor=actor, at=now, touches=[("practice", practice_id)], summary=summary
    )
    await _refuse_older(c, practice_id, taken_at, now)
    batch = await _batch(c, practice_id, taken_at, sha256, len(prepared), partial, entry)
    known = await _known_patients(c, practice_id)
    plan = await _plan(c, practice_id, prepared, known, batch, now)
    await _write(c, plan, practice_id, batch)
    if with_holders:
        holders = [_line(contact, ready, batch, practice_id) for ready in prepared for contact in ready.further]
        await put_holders(c, practice_id, [ready.row.patient_id for ready in prepared], holders)
    gone = [] if partial else sorted(known.keys() - {p.row.patient_id for p in prepared})
    gone = [number for number in gone if known[number]["left_at"] is None]
    statement = "UPDATE patient SET left_at = $1 WHERE practice_id = $2 AND number = $3"
    await write_many(c, statement, [(now, practice_id, number) for number in gone])
    return Imported(len(prepared), plan.new, plan.changed, len(gone), len(plan.doubts))


async def _refuse_older(c: Connection, practice_id: str, taken_at: datetime, now: datetime) -> None:
    if not await rows(c, "SELECT 1 AS one FROM practice WHERE id = $1", practice_id):
        raise Refused("unknown_practice", "there is no practice of this id", where=practice_id, status=404)
    if taken_at > now:
        raise Refused("taken_in_future", "the file says that it was taken in the future", where="taken_at", status=422)
    last = await rows(c, "SELECT max(taken_at) AS at FROM register_import WHERE practice_id = $1", practice_id)
    newest = as_moment(last[0]["at"])
    if newest is not None and taken_at < newest:
        raise Refused("older_register", "a newer register of this practice is already in: send the newest file")


async def _batch(
    c: Connection, practice_id: str, taken_at: datetime, sha256: str, count: int, partial: bool, entry: int
) -> int:
    made = await rows(
        c,
        "INSERT INTO register_import (practice_id, taken_at, file_sha256, rows, partial, entry_id) "
        "VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        practice_id, taken_at, sha256, count, partial, entry,
    )  # fmt: skip
    return int(made[0]["id"])


async def _known_patients(c: Connection, practice_id: str) -> dict[str, dict[str, Any]]:
    found = await rows(
        c,
        "SELECT number, person_id, row_digest, traits, birth_date, sex, deceased_on, left_at FROM patient "
        "WHERE practice_id = $1",
        practice_id,
    )
    tokens: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in await rows(
        c,
        "SELECT p.number, t.kind, t.token FROM patient p JOIN person_token t ON t.person_id = p.person_id "
        "WHERE p.practice_id = $1",
        practice_id,
    ):
        tokens[row["number"]].add((row["kind"], row["token"]))
    return {row["number"]: {**row, "tokens": tokens[row["number"]]} for row in found}


async def _plan(
    c: Connection,
    practice_id: str,
    prepared: list[Prepared],
    known: dict[str, dict[str, Any]],
    batch: int,
    now: datetime,
) -> Plan:
    plan = Plan()
    bearers = await bearers_of(c, prepared)
    for ready in prepared:
        before = known.get(ready.row.patient_id)
        if before is None:
            person = _match(plan, practice_id, ready, bearers)
            _add(plan, practice_id, ready, person, batch)
        elif bytes(before["row_digest"]) != ready.digest or before["left_at"] is not None:
            _renew(plan, practice_id, ready, before, bearers, batch, now)
    return plan


def _match(plan: Plan, practice_id: str, ready: Prepared, bearers: dict[str, list[dict[str, Any]]]) -> UUID:
    """The person of a new patient: the bearer of the same key with the same birth and sex, else somebody new. Of whom
    no patient stands for any more: the bearer of the same key, names and birth.

    The same key with another birth date or sex, or twice at one practice, is a doubt about all of them.
    """
    token = next((token for kind, token in ready.tokens if is_key(kind)), None)
    others = bearers.get(token, []) if token else []
    bearer = {UUID(str(o["person_id"])) for o in others}
    alike = any(is_alike(o, ready) for o in others)
    twice = any(o["practice_id"] == practice_id for o in others)
    if len(bearer) == 1 and alike and not twice:
        person = bearer.pop()
    else:
        person = uuid4()
        plan.persons.append(person)
        if others:
            plan.doubts |= {
                (*row, DoubtReason.KEY_CLASH) for row in [(practice_id, ready.row.patient_id), *rows_of(others)]
            }
    if token:
        bearers.setdefault(token, []).append(a_bearer(person, practice_id, ready))
    return person


def _add(plan: Plan, practice_id: str, ready: Prepared, person: UUID, batch: int) -> None:
    plan.new += 1
    plan.tokens += [(person, kind, token) for kind, token in sorted(ready.tokens)]
    plan.patients.append((practice_id, ready.row.patient_id, person, *_columns(ready), batch))
    plan.contacts_of.append(ready)


def _renew(
    plan: Plan,
    practice_id: str,
    ready: Prepared,
    before: dict[str, Any],
    bearers: dict[str, list[dict[str, Any]]],
    batch: int,
    now: datetime,
) -> None:
    """A row that changed. What was empty and becomes known enriches; what changes who it is makes a new person.

    So does another sex, for somebody of two practices. A key that is new to this row's person and that others bear
    is a doubt about all of them. Who was dead and is not any more is doubted, not revived.
    """
    plan.changed += 1
    was = person = UUID(str(before["person_id"]))
    here = (practice_id, ready.row.patient_id)
    keys = {token for kind, token in ready.tokens if is_key(kind)}
    borne = [o for token in keys for o in bearers.get(token, [])]
    others = [o for o in borne if (o["practice_id"], o["number"]) != here and here not in o["stood"]]
    gained = ready.tokens - before["tokens"]
    lost = given_by(before["traits"], before["tokens"]) - ready.tokens
    other_sex = before["sex"] != str(ready.row.sex) and any(UUID(str(o["person_id"])) == person for o in others)
    if lost or other_sex or before["birth_date"] not in ("", ready.row.birth_date):
        plan.former.append((person, batch, *here))
        person, gained = uuid4(), ready.tokens
        plan.persons.append(person)
        plan.doubts.add((*here, DoubtReason.IDENTITY_CHANGED))
    elif before["deceased_on"] is not None and ready.row.deceased_on is None:
        plan.doubts.add((*here, DoubtReason.BACK_TO_LIFE))
    if others and any(is_key(kind) for kind, _ in gained):
        clash = DoubtReason.KEY_CLASH
        plan.doubts |= {(*row, clash) for row in [here, *rows_of(others)]}
    for token in keys:
        bearers.setdefault(token, []).append(a_bearer(person, practice_id, ready))
    plan.tokens += [(person, kind, token) for kind, token in sorted(gained)]
    since = now if person != was else None
    plan.updates.append((person, *_columns(ready), batch, since, *here, was))
    plan.contacts_of.append(ready)


def _columns(ready: Prepared) -> tuple[Any, ...]:
    row = ready.row
    return (
        row.doctor_id, row.birth_date, str(row.sex), ready.teen_on, ready.adult_on,
        str(row.language), str(row.representative_kind) if row.representative_kind else None, row.deceased_on,
        ready.digest, traits_of(ready.tokens),
    )  # fmt: skip


async def _write(c: Connection, plan: Plan, practice_id: str, batch: int) -> None:
    await write_many(
        c, "INSERT INTO person (id, import_batch_id) VALUES ($1, $2)", [(person, batch) for person in plan.persons]
    )
    made = set(plan.persons)
    await write_many(c, FORGET_CLEARED, [token for token in plan.tokens if token[0] not in made])
    await write_many(
        c, "INSERT INTO person_token (person_id, kind, token) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", plan.tokens
    )
    await write_many(
        c,
        "INSERT INTO patient (practice_id, number, person_id, doctor_number, birth_date, sex, teen_on, adult_on, "
        "language, representative_kind, deceased_on, row_digest, traits, import_batch_id) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        plan.patients,
    )
    await write_many(
        c,
        "INSERT INTO former_person (patient_id, person_id, import_batch_id, stood_since, deceased_on) "
        "SELECT id, $1, $2, stands_since, deceased_on FROM patient WHERE practice_id = $3 AND number = $4 "
        "ON CONFLICT (patient_id, person_id) DO UPDATE SET stood_since = excluded.stood_since, "
        "import_batch_id = excluded.import_batch_id, "
        "deceased_on = coalesce(excluded.deceased_on, former_person.deceased_on)",
        plan.former,
    )
    await write_many(
        c,
        "UPDATE patient SET person_id = $1, doctor_number = $2, birth_date = $3, sex = $4, teen_on = $5, "
        "adult_on = $6, language = $7, representative_kind = $8, deceased_on = $9, row_digest = $10, traits = $11, "
        "import_batch_id = $12, stands_since = coalesce($13, stands_since), left_at = NULL "
        "WHERE practice_id = $14 AND number = $15 AND person_id = $16",
        plan.updates,
    )
    written = await rows(c, "SELECT count(*) AS n FROM patient WHERE import_batch_id = $1", batch)
    if int(written[0]["n"]) != plan.new + plan.changed:
        raise Refused("changed_meanwhile", "somebody settled who a patient is while the file came in: send it again")
    contacts = [_line(contact, ready, batch, practice_id) for ready in plan.contacts_of for contact in ready.contacts]
    await put_contacts(c, practice_id, [ready.row.patient_id for ready in plan.contacts_of], contacts)
    await write_many(
        c,
        "INSERT INTO identity_doubt (patient_id, reason, import_batch_id) "
        "SELECT id, $1, $2 FROM patient WHERE practice_id = $3 AND number = $4",
        [(reason, batch, practice, number) for practice, number, reason in sorted(plan.doubts)],
    )


def _line(contact: SealedContact, ready: Prepared, batch: int, practice_id: str) -> Line:
    return (
        contact.rank, str(contact.addressee), contact.sealed, contact.email_index, contact.postal_index,
        contact.reader_index, contact.unreachable_reason, batch, practice_id, ready.row.patient_id,
    )  # fmt: skip
