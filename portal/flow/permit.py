"""A permit: the signed, short-lived list of those who pass. A refused person is nowhere in it."""

import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
from tortoise.exceptions import IntegrityError

from portal.flow.decide import Asked, Decision, person_closes_at, refuse_withheld_batch, snapshot, stand
from portal.flow.key_custody import bind_key
from portal.flow.look import Member
from portal.flow.means import Means
from portal.gate.permit import write_permit
from portal.gate.terms import ColumnTerm, DoctorSpan, Terms, as_payload
from portal.outside.tokens import pseudonym
from portal.records.accounts import Account
from portal.records.clearance import decided, rule_version
from portal.records.database import Connection, as_moment, rows, transact
from portal.records.enrolments import Enrolment, active, named_only
from portal.records.ledger import Acting, Touch, enter, take_cut
from portal.records.releases import Permit
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import Crossing, Provenance, Role

LIFE = timedelta(hours=24)
"""How long a permit may be used; less when the authorisation ends before."""

ALLOWED_PROVENANCE = (Provenance.ENTERED, Provenance.IMPORTED)
"""Automatic teleservice imports and unknown provenance never pass (DOMAIN §1, 4)."""

ALLOWED_SCHEMA = pa.schema(
    [
        ("practice_id", pa.string()),
        ("patient_id", pa.string()),
        ("pseudonym", pa.string()),
        ("recorded_from", pa.date32()),
        ("recorded_until", pa.date32()),
        ("holds_until", pa.timestamp("us", tz="UTC")),
    ]
)


@dataclass(frozen=True, slots=True)
class Passing:
    """One patient who passes, with what a list needs of her."""

    member: Member
    number: str
    recorded_from: date | None


@dataclass(frozen=True, slots=True)
class Issued:
    """`patients`: how many are in it."""

    permit_id: int
    serial: int
    sha256: str
    patients: int
    expires_at: datetime


async def passing(c: Connection, decision: Decision, *, among: str = "", values: tuple[Any, ...] = ()) -> list[Passing]:
    """Everybody who passes this crossing, by practice and number."""
    found = await decided(
        c,
        decision.thresholds,
        "SELECT practice_id, number, person_id, taken_at, taken_back_at, stands_since, closes_on, "
        "practice_closes_on FROM decided WHERE bits = 0 "
        "ORDER BY practice_id, number",
        among=among,
        values=values,
    )
    stored = decision.ground.asked.study_id is not None  # whose records these are was asked when they came in
    return [
        Passing(
            Member(UUID(str(row["person_id"])), row["practice_id"], person_closes_at(row, decision)),
            row["number"],
            _first_day(as_moment(row["taken_back_at"]), None if stored else as_moment(row["stands_since"])),
        )
        for row in found
    ]


def _first_day(*after: datetime | None) -> date | None:
    """Only records dated later pass: than the day on which an objection was taken back, and than that on which the
    patient's number came to be hers, for those before it are somebody else's."""
    days = [paris_day(moment) + timedelta(days=1) for moment in after if moment is not None]
    return max(days, default=None)


async def issue(means: Means, *, observatory_id: str, practice_id: str, by: Acting, out: Path) -> Issued:
    """Decide the extraction of one practice and write its permit to the folder `out`.

    Cut first, then a fresh snapshot; the decision is made again when the extraction arrives, so no lock is held.
    Refused("other_practice") for a doctor who is not active there.
    """
    await _refuse_other_practice(means.clock.now(), observatory_id, practice_id, by)
    cut = await take_cut()
    asked = Asked(observatory_id)

    async def decide_now(c: Connection) -> tuple[Terms, list[Passing], list[int]]:
        await snapshot(c)
        decision = await stand(means, c, asked, cut=cut)
        refuse_withheld_batch(decision)
        listed = await passing(c, decision, among="WHERE p.practice_id = {v1}", values=(practice_id,))
        last = await rows(c, "SELECT coalesce(max(serial), 0) AS n FROM permit WHERE practice_id = $1", practice_id)
        terms, accounts = await extraction_terms(means, c, decision, practice_id, serial=int(last[0]["n"]) + 1)
        return terms, listed, accounts

    terms, listed, accounts = await transact(decide_now)
    family = f"observatory:{observatory_id}"
    table = allowed_table(
        (practice_id, p.number, pseudonym(means.ring, family, p.member.person_id.bytes).hex(), p) for p in listed
    )
    sha256 = write_permit(out, terms, table, means.ring.signing_key())

    async def record(c: Connection) -> Issued:
        now = await means.now(c)
        touches: list[Touch] = [("permit", sha256[:16])]
        summary = f"{practice_id}, serial {terms.serial}, permit {sha256[:16]}"
        entry = await enter(c, "permit_issued", actor=by.actor, at=now, touches=touches, summary=summary)
        await bind_key(means, c, family, at=now, entry=entry)
        try:
            permit = await Permit.create(
                crossing=Crossing.EXTRACTION, observatory_id=observatory_id, practice_id=practice_id,
                serial=terms.serial, cut=cut, sha256=sha256, expires_at=terms.expires_at, doctors=accounts,
                terms=as_payload(terms), entry_id=entry,
            )  # fmt: skip
        except IntegrityError:
            raise Refused("busy", "another permit of this practice was being made: ask again", status=503) from None
        return Issued(permit.id, terms.serial, sha256, len(listed), terms.expires_at)

    return await transact(record)


async def _refuse_other_practice(now: datetime, observatory_id: str, practice_id: str, by: Acting) -> None:
    if (
        isinstance(by, Account)
        and by.role == Role.DOCTOR
        and not await active(now, observatory_id, practice_id=practice_id, account_id=by.id)
    ):
        raise Refused("other_practice", "a permit is for an active doctor of this practice", status=403)


async def extraction_terms(
    means: Means, c: Connection, decision: Decision, practice_id: str, *, serial: int
) -> tuple[Terms, list[int]]:
    """What one practice's permit says at this moment, and the accounts of the doctors whom it names. Refused G20 or
    G23 when no doctor of the practice is active."""
    observatory_id = decision.ground.asked.observatory_id
    spans, accounts = await doctor_spans(means, observatory_id, practice_id)
    if not spans:
        known = await Enrolment.filter(observatory_id=observatory_id, practice_id=practice_id).exists()
        code = "G23" if known else "G20"
        raise Refused(code, "no doctor of this practice is active: there is no permit", where=practice_id)
    named = await named_only(c, decision.ground.now, observatory_id, practice_id)
    unnamed, number = [] if named else [practice_id], secrets.token_hex(8)
    terms = make_terms(
        decision, permit_id=number, practices=(practice_id,), spans=spans, unnamed=unnamed, serial=serial
    )
    return terms, accounts


def make_terms(
    decision: Decision,
    *,
    permit_id: str,
    practices: tuple[str, ...],
    spans: list[DoctorSpan],
    unnamed: list[str],
    serial: int,
) -> Terms:
    """The terms of a decision that cleared. Codes of a study are already a part of the authorisation's. Refused G32
    when no day of the period that is asked for is authorised."""
    ground = decision.ground
    if ground.period is None:
        raise Refused("G32", "no day of the period asked for is authorised", where=ground.asked.study_id or "")
    ends = ground.now + LIFE
    return Terms(
        permit_id=permit_id,
        crossing=ground.asked.crossing,
        observatory_id=ground.asked.observatory_id,
        study_id=ground.asked.study_id,
        practices=practices,
        cut=decision.cut,
        rule_version=rule_version(),
        columns=tuple(ColumnTerm(name, grant.precision, grant.codes) for name, grant in sorted(ground.columns.items())),
        provenance=ALLOWED_PROVENANCE,
        period_from=ground.period[0],
        period_until=ground.period[1],
        doctors=tuple(spans),
        unnamed_doctor_ok=tuple(unnamed),
        not_before=ground.now,
        expires_at=ends if decision.closes_at is None else min(ends, decision.closes_at),
        serial=serial,
    )


def allowed_table(listed: Any) -> pa.Table:
    """The permit's list from (practice, key, pseudonym, passing) tuples."""
    lines = [
        {
            "practice_id": practice,
            "patient_id": key,
            "pseudonym": named,
            "recorded_from": p.recorded_from,
            "recorded_until": None,
            "holds_until": p.member.holds_until.astimezone(UTC) if p.member.holds_until else None,
        }
        for practice, key, named, p in listed
    ]
    return pa.Table.from_pylist(lines, schema=ALLOWED_SCHEMA)


async def doctor_spans(means: Means, observatory_id: str, *practices: str) -> tuple[list[DoctorSpan], list[int]]:
    """The active doctors of these practices whose agreement counts, and from which day their records may pass (all if
    history is signed for), until which for a locum."""
    found = await active(means.clock.now(), observatory_id, practice_id__in=practices)
    spans = [
        DoctorSpan(
            e.practice_id,
            e.doctor_number or "",
            pseudonym(means.ring, f"observatory:{observatory_id}", f"doctor:{e.account_id}".encode()).hex(),
            first_day(e),
            e.closes_on and e.closes_on - timedelta(days=1),
        )
        for e in found
    ]
    return spans, [e.account_id for e in found]


def first_day(enrolment: Enrolment) -> date | None:
    """From which day a doctor's records may pass; None when history is signed for."""
    return None if enrolment.includes_history else paris_day(enrolment.active_from or enrolment.identified_at)
