"""Who is to be told about the patients of a practice, with which text, and what has reached her already. Reads only."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from portal.records.database import Connection, from_json, rows
from portal.records.people import TOLD_ALONE
from portal.rules.conditions import NoticeCoverage, tells_as_much
from portal.rules.due import Due, Given, ToTell, due
from portal.rules.people import speakers
from portal.rules.refusals import Refused
from portal.rules.words import Addressee, TextState
from portal.rules.words import Reader as WrittenFor


async def current_texts(c: Connection, observatory_id: str) -> tuple[dict[str, str], dict[str, set[str]]]:
    """The newest text by language; and, for each of them, the texts that tell their reader as much.

    Who had one of those is not told again: a newer version that is not material and covers nothing more.
    """
    found = await rows(
        c,
        "SELECT id, language, body FROM notice_text WHERE observatory_id = $1 AND reader = $2 AND state = $3 "
        "AND superseded_at IS NULL ORDER BY version",
        observatory_id, WrittenFor.ADULT, TextState.PUBLISHED,
    )  # fmt: skip
    texts = {row["language"]: row["id"] for row in found}
    if "fr" not in texts:
        raise Refused("no_text", "no French notice text is published: a DPO approves one first")
    covers = {row["id"]: NoticeCoverage.model_validate(from_json(row["body"])["covers"]) for row in found}
    enough = {new: {old for old in covers if tells_as_much(covers[old], covers[new])} for new in texts.values()}
    return texts, enough


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody to be told about one patient. `due` is None once she is told as much as the newest text `text_id`
    says, or will be; `addressee` is None where nobody can be told for the patient."""

    patient_id: int
    text_id: str
    addressee: str | None
    reader_index: str | None
    due: Due | None


async def due_readers(c: Connection, observatory_id: str, practice_id: str, today: date) -> list[Reader]:
    """Whoever is to be told now about the patients of a practice, and what is due to her."""
    texts, enough = await current_texts(c, observatory_id)
    notices = await _by_patient(
        c, "notice", "text_id, state, channel, addressee, address_index, reader_index", practice_id
    )
    found = []
    for row in await readers(c, practice_id, today):
        text_id = texts.get(row["language"]) or texts["fr"]
        before = [
            Given(
                n["text_id"] in enough[text_id],
                *(n[name] for name in ("channel", "state", "addressee", "reader_index", "address_index")),
            )
            for n in notices.get(row["id"], [])
        ]
        reader = ToTell(row["addressee"], row["reader_index"], row["email_index"], row["postal_index"])
        found.append(Reader(row["id"], text_id, row["addressee"], row["reader_index"], due(reader, before)))
    return found


async def readers(c: Connection, practice_id: str, today: date, *, number: str | None = None) -> list[dict[str, Any]]:
    """Whoever is to be told now about the patients of a practice, or about the one of this number: a row for each
    patient and addressee (one without any address for a patient whom nobody can be told for)."""
    patients = await rows(
        c,
        "SELECT p.id, p.language, p.birth_date, a.patient_id AS alone FROM patient p "
        f"LEFT JOIN (SELECT DISTINCT patient_id FROM ({TOLD_ALONE}) t) a ON a.patient_id = p.id "
        "WHERE p.practice_id = $1 AND p.deceased_on IS NULL AND p.left_at IS NULL "
        "AND ($2::text IS NULL OR p.number = $2) ORDER BY p.id",
        practice_id,
        number,
    )
    contacts = await _by_patient(
        c, "contact", "rank, addressee, email_index, postal_index, reader_index, unreachable_reason", practice_id
    )
    return [
        {**patient, **contact}
        for patient in patients
        for contact in _to_tell(patient, contacts.get(patient["id"], []), today)
    ]


async def _by_patient(c: Connection, table: str, columns: str, practice_id: str) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in await rows(
        c,
        f"SELECT patient_id, {columns} FROM {table} "
        "WHERE patient_id IN (SELECT id FROM patient WHERE practice_id = $1) ORDER BY id",
        practice_id,
    ):
        found.setdefault(row["patient_id"], []).append(row)
    return found


_NOBODY = dict.fromkeys(
    ("rank", "addressee", "email_index", "postal_index", "reader_index", "unreachable_reason"), None
)


def _to_tell(patient: dict[str, Any], contacts: list[dict[str, Any]], today: date) -> list[dict[str, Any]]:
    """The contacts who are to be told; those who cannot be reached only when all of them are so."""
    kinds = {Addressee(contact["addressee"]) for contact in contacts}
    wanted = speakers(patient["birth_date"], kinds, today, alone=patient["alone"] is not None)
    readers = [contact for contact in contacts if contact["addressee"] in wanted]
    return [one for one in readers if one["unreachable_reason"] is None] or readers or [_NOBODY]
