"""A canary is hatched: a synthetic patient, told with the words that patients are told with today, who will say no
every hour.

She lives in an observatory of her own that is never active, under an authorisation that is suspended: the gate lets
nothing of it cross (G01, G03), and no page shows it. Nobody has her name, so nobody is ever taken for her.
"""

import json
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

from portal.flow.means import Means
from portal.flow.register_rows import contact_binding
from portal.outside.tokens import link_token, seal, token_hash
from portal.records.accounts import Account
from portal.records.canaries import CANARY, newest_canary
from portal.records.database import Connection, NothingToDo, rows, transact, transact_or
from portal.records.enrolments import Enrolment
from portal.records.governance import AgreementText, Authorisation, NoticeText, Observatory, deciding_authorisation
from portal.records.ledger import enter
from portal.records.notices import Notice
from portal.records.people import Contact, Patient, Person, Practice, RegisterImport
from portal.rules.conditions import AuthorisationConditions, NoticeCoverage
from portal.rules.waiting import paris_day
from portal.rules.words import (
    Addressee,
    EnrolmentState,
    Language,
    NoticeChannel,
    NoticeState,
    Reader,
    Role,
    Sex,
    TextState,
)

ACTOR = "system:canary"

LIVES = timedelta(days=30)
"""Then another is hatched: what one has said stands on her page, which would grow for ever."""

BORN, TEEN, ADULT = "1970-01-01", date(1985, 1, 1), date(1988, 1, 1)
_REGISTER_KEEPS = 36_500
"""Days: one register for each canary is enough."""


async def hatch(means: Means) -> bool:
    """Whether a canary was hatched: the last one is old enough, or there is none. She sings from the next day on.

    Nobody is hatched before an observatory has a notice, an authorisation and an agreement to be like.
    """
    newest = await transact(newest_canary)
    if newest is not None and means.clock.now() < newest + LIVES:
        return False
    return await transact_or(lambda c: _hatch(c, means), nothing=False)


async def _hatch(c: Connection, means: Means) -> bool:
    now = await means.now(c)
    number = f"{now:%Y%m%d%H%M%S}"
    entry = await enter(c, "canary_hatched", actor=ACTOR, at=now, touches=[("canary", number)])
    model = await _newest_text()
    await _nest(model, now, entry)
    await rows(c, "UPDATE practice SET name = name WHERE id = $1", CANARY)  # of two workers, one waits
    newest = await newest_canary(c)
    if newest is not None and now < newest + LIVES:
        raise NothingToDo
    text = await _told_as(model, entry)
    await _authorise(model, now, entry)
    patient = await _put_in_register(means, number, now, entry)
    notice_id = uuid4()
    await Notice.create(
        id=notice_id, patient_id=patient, text_id=text, addressee=Addressee.SELF, channel=NoticeChannel.HAND,
        state=NoticeState.HANDED_OVER, token_hash=token_hash(link_token(means.ring, str(notice_id))).hex(),
        text_sha256=model.sha256, sent_at=now, server_answer="confirmed", entry_id=entry,
    )  # fmt: skip
    return True


async def _newest_text() -> NoticeText:
    """The newest published notice for adults of the first active observatory."""
    for observatory in await Observatory.filter(active=True).order_by("id"):
        texts = NoticeText.filter(
            observatory_id=observatory.id, reader=Reader.ADULT, language=Language.FR, state=TextState.PUBLISHED,
            superseded_at=None,
        )  # fmt: skip
        text = await texts.order_by("-version").first()
        if text is not None:
            return text
    raise NothingToDo


async def _nest(model: NoticeText, now: datetime, entry: int) -> None:
    """Her observatory and practice, and the doctor there, who has no name and whose account is closed; made once."""
    await Observatory.get_or_create(
        {"name": "Essai automatique", "controller": "Essai automatique", "contact": "canary@portal.invalid",
         "dpo_contact": "canary@portal.invalid", "phone": "–", "postal_address": "–", "active": False,
         "register_max_days": _REGISTER_KEEPS, "entry_id": entry},
        id=CANARY,
    )  # fmt: skip
    await Practice.get_or_create({"finess": CANARY, "name": "Essai automatique", "entry_id": entry}, id=CANARY)
    if await Enrolment.filter(observatory_id=CANARY).exists():
        return
    signed = await AgreementText.filter(observatory_id=_observatory(model)).order_by("-version").first()
    if signed is None:
        raise NothingToDo
    agreement = await AgreementText.create(
        observatory_id=CANARY, version=signed.version, language=signed.language, body=signed.body,
        sha256=signed.sha256, entry_id=entry,
    )  # fmt: skip
    doctor = await Account.create(role=Role.DOCTOR, created_at=now, closed_at=now)
    await Enrolment.create(
        account_id=doctor.id, practice_id=CANARY, observatory_id=CANARY, state=EnrolmentState.ACTIVE,
        doctor_number="canary", agreement_id=agreement.id, agreement_sha256=agreement.sha256, includes_history=False,
        identified_at=now, signed_at=now, active_from=now, verified_by=ACTOR, entry_id=entry,
    )  # fmt: skip


async def _told_as(model: NoticeText, entry: int) -> str:
    """The text as a text of her observatory: the same words, by the same author, approved by the same person."""
    text, _ = await NoticeText.get_or_create(
        {"id": f"~{model.id}", "body": model.body, "sha256": model.sha256, "state": TextState.PUBLISHED,
         "author": model.author, "approved_by": model.approved_by, "approved_at": model.approved_at,
         "entry_id": entry},
        observatory_id=CANARY, version=model.version, language=model.language, reader=model.reader,
    )  # fmt: skip
    if text.sha256 != model.sha256:
        raise NothingToDo
    return text.id


async def _authorise(model: NoticeText, now: datetime, entry: int) -> None:
    """The observatory's own conditions, as far as every text of the canaries covers them, without a reflection: so
    that an outage, which lengthens every reflection, does not silence the canary that would end it."""
    given = await deciding_authorisation(_observatory(model), paris_day(now))
    if given is None:
        raise NothingToDo
    texts = await NoticeText.filter(observatory_id=CANARY)
    told = [NoticeCoverage.model_validate(text.body["covers"]) for text in texts]
    conditions = _narrowed(AuthorisationConditions.model_validate(given.conditions), told)
    today = paris_day(now)
    hers, made = await Authorisation.get_or_create(
        {"observatory_id": CANARY, "reference": "–", "valid_from": today, "valid_until": today, "suspended_at": now,
         "conditions": conditions, "entry_id": entry},
        id=CANARY,
    )  # fmt: skip
    if not made:
        hers.conditions = conditions
        await hers.save()


def _narrowed(given: AuthorisationConditions, told: list[NoticeCoverage]) -> dict[str, Any]:
    plain = given.model_dump(mode="json")
    columns = {name: grant for name, grant in plain["columns"].items() if all(name in t.columns for t in told)}
    purposes = [purpose for purpose in given.purposes if all(purpose in t.purposes for t in told)]
    if not columns or not purposes:
        raise NothingToDo
    kept = min(given.retention_months, *(t.retention_months for t in told))
    return plain | {
        "columns": columns, "purposes": purposes, "retention_months": kept, "quasi_identifiers": [],
        "reflection_days": 0,
    }  # fmt: skip


async def _put_in_register(means: Means, number: str, now: datetime, entry: int) -> int:
    """A person and her patient row; without a name she has no token by which anybody could be taken for her."""
    batch = await RegisterImport.create(
        practice_id=CANARY, taken_at=now, file_sha256="0" * 64, rows=1, partial=False, entry_id=entry
    )
    person = await Person.create(id=uuid4(), import_batch_id=batch.id)
    patient = await Patient.create(
        practice_id=CANARY, number=number, person_id=person.id, birth_date=BORN, sex=Sex.UNKNOWN, teen_on=TEEN,
        adult_on=ADULT, language=Language.FR, row_digest=b"", traits=b"", import_batch_id=batch.id,
    )  # fmt: skip
    sealed = seal(means.ring, json.dumps({}).encode(), contact_binding(CANARY, number, Addressee.SELF, 0))
    await Contact.create(
        patient_id=patient.id, rank=0, addressee=Addressee.SELF, sealed=sealed, import_batch_id=batch.id
    )
    return int(patient.id)


def _observatory(text: NoticeText) -> str:
    return str(text.observatory_id)
