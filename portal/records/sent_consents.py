"""Consents as programs sent them, and objections as programs are shown them. Sets only; the canary is none of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.canaries import NO_CANARY
from portal.records.clients import Client
from portal.records.database import as_moment, connection, json_texts, rows
from portal.records.fields import exactly_one
from portal.records.ledger import LogEntry
from portal.records.objections import Objection, ProvisionalObjection
from portal.rules.refusals import Refused
from portal.rules.words import Addressee


class SentConsent(Model):
    """A Consent that a program sent: which no it stands for. `key_hash`: the program's own identifier of it, keyed;
    `about`: whom it names, keyed. The same identifier again is the same Consent. `entry_id`: its last change."""

    id = fields.UUIDField(primary_key=True)
    client_id: str
    client: fields.ForeignKeyRelation[Client] = fields.ForeignKeyField("portal.Client", on_delete=fields.RESTRICT)
    key_hash = fields.CharField(max_length=64)
    about = fields.CharField(max_length=64)
    objection_id: UUID | None
    objection: fields.ForeignKeyNullableRelation[Objection] = fields.ForeignKeyField(
        "portal.Objection", on_delete=fields.RESTRICT, null=True
    )
    provisional_id: UUID | None
    provisional: fields.ForeignKeyNullableRelation[ProvisionalObjection] = fields.ForeignKeyField(
        "portal.ProvisionalObjection", on_delete=fields.RESTRICT, null=True
    )
    taken_back_at = fields.DatetimeField(null=True)
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)

    class Meta:
        table = "sent_consent"
        unique_together = (("client", "key_hash"),)
        indexes = (
            Index(fields=("client_id", "id"), name="sent_consent_client"),
            Index(fields=("objection_id",), name="sent_consent_objection"),
            Index(fields=("provisional_id",), name="sent_consent_provisional"),
            Index(fields=("entry_id",), name="sent_consent_entry"),
        )
        constraints = (exactly_one("objection_id", "provisional_id", name="sent_consent_one_no"),)


async def sent_before(client_id: str, hashes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The program's Consents of these identifiers as they stand, by hash; `bound`: the objections that a partner's
    became when it was settled."""
    c, listed = connection(), json.dumps(hashes)
    found = await rows(
        c,
        "SELECT s.id, s.key_hash, s.about, s.objection_id, s.provisional_id, s.taken_back_at, s.entry_id, l.at, "
        "coalesce(o.received_at, v.received_at) AS received_at, o.withdrawn_at, v.outcome FROM sent_consent s "
        "JOIN log_entry l ON l.id = s.entry_id LEFT JOIN objection o ON o.id = s.objection_id "
        "LEFT JOIN provisional_objection v ON v.id = s.provisional_id "
        f"WHERE s.client_id = $1 AND s.key_hash IN ({json_texts(c, 2)})",
        client_id, listed,
    )  # fmt: skip
    became = await rows(
        c,
        "SELECT s.key_hash, o.id AS objection_id, o.person_id, o.patient_id AS id, p.person_id AS stands_for "
        "FROM sent_consent s JOIN provisional_objection v ON v.id = s.provisional_id AND v.outcome = 'bound' "
        "JOIN objection o ON o.entry_id = v.entry_id JOIN patient p ON p.id = o.patient_id "
        f"WHERE s.client_id = $1 AND s.key_hash IN ({json_texts(c, 2)})",
        client_id, listed,
    )  # fmt: skip
    by_hash: dict[str, dict[str, Any]] = {row["key_hash"]: {**row, "bound": []} for row in found}
    for row in became:
        by_hash[row["key_hash"]]["bound"].append(row)
    return by_hash


async def patients_of(client_id: str, named: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Of these (practice, number), the patients of practices that let the program act, also after their doctor left."""
    c = connection()
    found = await rows(
        c,
        "SELECT p.id, p.person_id, p.practice_id, p.number FROM patient p WHERE p.practice_id IN "
        "(SELECT practice_id FROM client_practice WHERE client_id = $1 AND ended_at IS NULL) "
        f"AND p.practice_id IN ({json_texts(c, 2)}) AND p.number IN ({json_texts(c, 3)}) AND {NO_CANARY}",
        client_id, json.dumps([practice for practice, _ in named]), json.dumps([number for _, number in named]),
    )  # fmt: skip
    return {(row["practice_id"], row["number"]): row for row in found}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which Consents: None asks for all. `numbered`: practice and the practice's number of the patient. `key_hash`: the
    program's own identifier, keyed. `changed`: bounds of the last change, as (comparison, moment). `after`: the id of
    the last one seen; `most`: how many at once."""

    id: str | None = None
    numbered: tuple[str, str] | None = None
    key_hash: str | None = None
    active: bool | None = None
    changed: tuple[tuple[str, datetime], ...] = ()
    after: str | None = None
    most: int = 100


@dataclass(frozen=True, slots=True)
class Shown:
    """An objection as a program sees it. `said_by`: an Addressee, or "" when a program does not learn it. A partner's
    own names no patient: it keeps the name, the portal does not."""

    id: str
    version: int
    changed_at: datetime
    received_at: datetime
    active: bool
    scope: str
    scope_ref: str
    said_by: str = ""
    text_id: str | None = None
    practice_id: str | None = None
    number: str | None = None


async def of_partner(client_id: str, asked: Asked) -> list[Shown]:
    """What this program sent itself, and nothing of what became of it. In the order of ids, one more than `most` when
    there are more."""
    if asked.numbered is not None:
        return []
    where = ["s.client_id = $1"]
    values: list[Any] = [client_id]
    for condition, value in (
        ("s.id = ${}", _uuid(asked.id)), ("s.key_hash = ${}", asked.key_hash), ("s.id > ${}", _uuid(asked.after)),
    ):  # fmt: skip
        if value is not None:
            values.append(value)
            where.append(condition.format(len(values)))
    if asked.active is not None:
        where.append(f"s.taken_back_at IS {'' if asked.active else 'NOT '}NULL")
    for comparison, moment in asked.changed:
        values.append(moment)
        where.append(f"l.at {comparison} ${len(values)}")
    found = await rows(
        connection(),
        "SELECT s.id, s.entry_id AS version, l.at AS changed_at, v.received_at, s.taken_back_at, v.scope, v.scope_ref "
        "FROM sent_consent s JOIN provisional_objection v ON v.id = s.provisional_id "
        f"JOIN log_entry l ON l.id = s.entry_id WHERE {' AND '.join(where)} ORDER BY s.id LIMIT {asked.most + 1}",
        *values,
    )
    return [_shown(row, str(row["id"])) for row in found]


_OPEN = "e.state IN ('active', 'paused') AND (e.closes_on IS NULL OR e.closes_on > $2)"
_MINE = (
    "p.practice_id IN (SELECT a.practice_id FROM client_practice a JOIN enrolment e ON e.practice_id = a.practice_id "
    f"WHERE a.client_id = $1 AND a.ended_at IS NULL AND {_OPEN}) AND {NO_CANARY}"
)
_ITS_OBSERVATORY = (
    f"SELECT 1 FROM enrolment e WHERE e.practice_id = p.practice_id AND e.observatory_id = o.scope_ref AND {_OPEN}"
)
_BOUND_HERE = (
    "JOIN objection o ON o.person_id = p.person_id",
    "JOIN patient q ON q.person_id = p.person_id JOIN objection o ON o.patient_id = q.id",
    "JOIN former_person f ON f.person_id = p.person_id JOIN objection o ON o.patient_id = f.patient_id",
    "JOIN objection_binding b ON b.person_id = p.person_id JOIN objection o ON o.id = b.objection_id",
)
"""Whom objections bind (`records.objections.bound_by`), looked up from the patients of a practice."""

_LAST = (
    "CASE WHEN s.entry_id > coalesce(o.withdrawal_id, o.entry_id) THEN s.entry_id "
    "ELSE coalesce(o.withdrawal_id, o.entry_id) END"
)


async def of_practices(client_id: str, today: date, asked: Asked) -> list[Shown]:
    """The objections that bind patients of the practices that let this program act and where a doctor takes part
    `today` or pauses: for everything, for the practice's observatory, or of the practice as a source. Who said no to
    one study only takes part for her doctor, too, and a study's name may tell an illness. In the order of patients, one
    more than `most` when there are more."""
    values: list[Any] = [client_id, today]
    hers, where = [_MINE], ["1 = 1"]

    def add(conditions: list[str], condition: str, *given: Any) -> None:
        places = [f"${len(values) + n}" for n, _ in enumerate(given, 1)]
        values.extend(given)
        conditions.append(condition.format(*places))

    if asked.id is not None:
        objection, patient = _pair(asked.id)
        add(hers, "p.id = {}", patient)
        add(hers, "o.id = {}", objection)
    if asked.numbered is not None:
        add(hers, "p.practice_id = {} AND p.number = {}", *asked.numbered)
    if asked.after is not None:
        objection, patient = _pair(asked.after)
        add(hers, "p.id >= {}", patient)
        add(where, "(t.patient_id, t.objection_id) > ({}, {})", patient, objection)
    if asked.key_hash is not None:
        add(where, "s.client_id = $1 AND s.key_hash = {}", asked.key_hash)
    if asked.active is not None:
        where.append(f"o.withdrawn_at IS {'' if asked.active else 'NOT '}NULL")
    for comparison, moment in asked.changed:
        add(where, f"l.at {comparison} {{}}", moment)
    pairs = " UNION ".join(
        f"SELECT o.id AS objection_id, p.id AS patient_id FROM patient p {bound} WHERE {' AND '.join(hers)}"
        for bound in _BOUND_HERE
    )
    found = await rows(
        connection(),
        f"SELECT o.id, p.id AS patient_id, p.practice_id, p.number, o.scope, o.scope_ref, o.actor, o.received_at, "
        f"o.withdrawn_at AS taken_back_at, n.text_id, l.id AS version, l.at AS changed_at FROM ({pairs}) t "
        "JOIN objection o ON o.id = t.objection_id JOIN patient p ON p.id = t.patient_id "
        f"LEFT JOIN notice n ON n.id = o.notice_id LEFT JOIN sent_consent s ON s.objection_id = o.id "
        f"JOIN log_entry l ON l.id = {_LAST} WHERE {' AND '.join(where)} AND (o.scope = 'everything' "
        f"OR (o.scope = 'practice' AND o.scope_ref = p.practice_id) "
        f"OR (o.scope = 'observatory' AND EXISTS ({_ITS_OBSERVATORY}))) "
        f"ORDER BY t.patient_id, t.objection_id LIMIT {asked.most + 1}",
        *values,
    )
    return [_shown(row, f"{row['id']}.{row['patient_id']}") for row in found]


def _shown(row: dict[str, Any], shown_id: str) -> Shown:
    changed_at, received_at = as_moment(row["changed_at"]), as_moment(row["received_at"])
    if changed_at is None or received_at is None:
        raise Refused("objection_damaged", "an objection without a date of receipt", status=503)
    actor = row.get("actor", "")
    return Shown(
        id=shown_id,
        version=int(row["version"]),
        changed_at=changed_at,
        received_at=received_at,
        active=row["taken_back_at"] is None,
        scope=row["scope"],
        scope_ref=row["scope_ref"],
        said_by=actor if actor in set(Addressee) else "",
        text_id=row.get("text_id"),
        practice_id=row.get("practice_id"),
        number=row.get("number"),
    )


NOBODY = UUID(int=0)


def _pair(text: str) -> tuple[UUID, int]:
    """Objection and patient row of an id; an id of no form of ours is nobody's."""
    objection, _, patient = text.partition(".")
    found = _uuid(objection)
    number = int(patient) if patient.isascii() and patient.isdecimal() and len(patient) <= 18 else -1
    return (found, number) if found and str(number) == patient else (NOBODY, -1)


def _uuid(text: str | None) -> UUID | None:
    """None for None; an id of no form of ours is nobody's."""
    if text is None:
        return None
    try:
        found = UUID(text)
    except ValueError:
        return NOBODY
    return found if str(found) == text else NOBODY
