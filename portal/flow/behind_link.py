"""What a personal link shows to whoever holds it. Reads only: opening a link, however often, changes nothing."""

import json
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from portal.flow.means import Means
from portal.flow.opt_out import Link, Said, look
from portal.flow.register_rows import contact_binding
from portal.flow.retract import ERASED_WITHIN
from portal.outside.tokens import open_sealed
from portal.records.behind_link import (
    around,
    deliveries_of,
    notice_with_its_text,
    requests_of,
    text_for,
)
from portal.records.database import connection
from portal.rules.conditions import AuthorisationConditions
from portal.rules.people import AgeBand, age_band
from portal.rules.refusals import Refused
from portal.rules.waiting import lost_days, paris_day, waits_until
from portal.rules.words import Addressee, Language, Reader, Scope


@dataclass(frozen=True, slots=True)
class Opened:
    """The notice behind a link. `represented`: the patient's given names when the reader is somebody else.

    `since`: the day on which the patient's doctors, or else the practice's first one, joined.
    `first_use`: the day from which data may be used without a no; None when the notice has not left, or nothing is
    authorised. `studies`: id and title of each study on the transparency page. `readings`: (language, reader) in which
    the same notice is written besides. `band`: the patient's age, today.
    """

    link: Link
    language: Language
    text: dict[str, Any]
    text_sha256: str
    represented: str | None
    doctor: str
    practice: str
    since: date
    observatory: dict[str, str]
    phone: str
    post: str
    today: date
    first_use: date | None
    studies: dict[str, str]
    readings: frozenset[tuple[str, Reader]]
    band: AgeBand


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one study has been sent. `delete_by`: None while nothing asks for its deletion."""

    study: str
    recipient: str
    country: str
    columns: tuple[str, ...]
    sent_on: date
    delete_by: date | None
    deleted_on: date | None


async def open_link(means: Means, token: str) -> Opened:
    """Refused("dead_link") for any text that is not a link of ours."""
    c = connection()
    link = await look(c, token)
    told = await notice_with_its_text(c, link.notice_id)
    beside = await around(c, link.observatory_id, link.practice_id, told["version"])
    now = means.clock.now()
    today, (doctor, since) = paris_day(now), _doctor(beside.doctors, told)
    return Opened(
        link=link,
        language=Language(told["language"]),
        text={**told["body"], "version": told["version"]},
        text_sha256=told["sha256"],
        represented=None if link.addressee == Addressee.SELF else _given_names(means, told),
        doctor=doctor,
        practice=told["practice"],
        since=since or (paris_day(link.sent_at) if link.sent_at else today),
        observatory={"name": told["observatory"], "controller": told["controller"], "dpo_email": told["dpo_contact"]},
        phone=told["phone"],
        post=told["postal_address"],
        today=today,
        first_use=_first_use(link, beside.conditions, lost_days(beside.outages, now)),
        studies=beside.studies,
        readings=frozenset(beside.readings),
        band=age_band(told["birth_date"], today),
    )


async def read_as(opened: Opened, reader: str, language: Language) -> dict[str, Any]:
    """The same notice as it is written for another reader. Refused("no_reading") when it is not."""
    version = opened.text["version"]
    body = None
    if reader in set(Reader) - {Reader.ADULT}:
        body = await text_for(connection(), opened.link.observatory_id, version, reader, language)
    if body is None:
        raise Refused("no_reading", "the notice is not written for this reader", status=404)
    return {**body, "version": version}


def readings(opened: Opened, language: Language) -> list[Reader]:
    """For which other readers the same notice is written in this language, and may suit whoever reads here:
    easy-to-read for everybody; a child's and a teenager's for a parent, a teenager's for who is told alone."""
    link, fit = opened.link, {Reader.EASY}
    if link.addressee == Addressee.PARENT:
        fit |= {Reader.CHILD, Reader.TEENAGER}
    elif link.addressee == Addressee.SELF and opened.band is AgeBand.TEENAGER:
        fit.add(Reader.TEENAGER)
    there = {reader for written, reader in opened.readings if written == language}
    return [reader for reader in reversed(Reader) if reader in fit & there]


async def deliveries(link: Link, no: Said) -> list[Delivery]:
    """What has left and is covered by this no: by when each recipient deletes it, and the day it says it has. The day
    is the retraction's; until that is made, thirty days from the no."""
    ordered = paris_day(no.received_at) + ERASED_WITHIN
    found = [_delivery(d) for d in await deliveries_of(connection(), link.person_id) if _covers(no, d)]
    return [replace(each, delete_by=each.delete_by or ordered) for each in found]


async def requests(link: Link) -> list[dict[str, Any]]:
    """The rights asked for of this patient, and what became of each; the newest first."""
    return await requests_of(connection(), link.patient_id, link.person_id)


async def uses(link: Link) -> list[Delivery]:
    """Everything of hers that has left, the first delivery first."""
    return [_delivery(d) for d in await deliveries_of(connection(), link.person_id)]


def _delivery(row: dict[str, Any]) -> Delivery:
    return Delivery(
        study=row["title"],
        recipient=row["recipient"],
        country=row["country"],
        columns=tuple(row["columns"]),
        sent_on=paris_day(row["served_at"]),
        delete_by=row["delete_by"],
        deleted_on=paris_day(row["deleted_at"]) if row["deleted_at"] else None,
    )


def _covers(no: Said, delivery: dict[str, Any]) -> bool:
    match no.scope:
        case Scope.EVERYTHING:
            return True
        case Scope.OBSERVATORY:
            return bool(delivery["observatory_id"] == no.scope_ref)
        case Scope.STUDY:
            return bool(delivery["study_id"] == no.scope_ref)
        case Scope.PRACTICE:
            return no.scope_ref in delivery["practices"]


def _doctor(verified: list[dict[str, Any]], told: dict[str, Any]) -> tuple[str, date | None]:
    """The patient's active doctors by name, else the practice's name; and since when they, or it, take part."""
    active = [d for d in verified if d["active"]]
    own = [d for d in active if d["doctor_number"] == told["doctor_number"]]
    began = [d["active_from"] for d in own or active or verified]
    names = ", ".join(d["name"] for d in own if d["name"])
    return names or told["practice"], paris_day(min(began)) if began else None


def _first_use(link: Link, conditions: Any, lost: frozenset[date]) -> date | None:
    if link.sent_at is None or conditions is None:
        return None
    given = AuthorisationConditions.model_validate(conditions)
    return paris_day(waits_until(link.sent_at, given.reflection_days, lost))


def _given_names(means: Means, told: dict[str, Any]) -> str:
    """What to call the patient in front of who represents her; her number at the practice when no name is known."""
    if told["sealed"] is not None:
        binding = contact_binding(told["practice_id"], told["number"], Addressee.SELF, 0)
        given = json.loads(open_sealed(means.ring, bytes(told["sealed"]), binding)).get("given_names", "")
        if given:
            return str(given)
    return str(told["number"])
