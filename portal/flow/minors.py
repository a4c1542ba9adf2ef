"""A minor of fifteen or more may ask to be told alone; then notices go to her, not to those who have authority."""

from datetime import datetime
from typing import Any

from portal.flow.means import Means
from portal.records.accounts import Account
from portal.records.database import Connection, rows, transact
from portal.records.enrolments import works_at
from portal.records.ledger import enter
from portal.records.people import TOLD_ALONE
from portal.rules.people import AgeBand, age_band
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import Role


async def tell_alone(means: Means, *, practice_id: str, number: str, by: Account) -> None:
    """Recorded by a doctor of the practice or at the desk. Her holders' notices stop counting at once (G54).

    Refused for anybody who is not certainly between fifteen and eighteen today. Twice is once.
    """
    patient = await transact(lambda c: _patient(c, practice_id, number, by, means.clock.now()))

    async def step(c: Connection) -> None:
        now = await means.now(c)
        entry = await enter(c, "minor_asked_alone", actor=by.actor, at=now, touches=[("patient", str(patient["id"]))])
        found = await _patient(c, practice_id, number, by, now)
        if age_band(found["birth_date"], paris_day(now)) is not AgeBand.TEENAGER:
            raise Refused("not_fifteen_to_seventeen", "only a minor of fifteen or more is told alone", status=422)
        await rows(
            c,
            "INSERT INTO minor_alone (patient_id, asked_at, entry_id) SELECT $1, $2, $3 WHERE NOT EXISTS "
            f"(SELECT 1 FROM ({TOLD_ALONE}) a WHERE a.patient_id = $1)",
            found["id"], now, entry,
        )  # fmt: skip

    await transact(step)


async def tell_holders_again(means: Means, *, practice_id: str, number: str, by: Account) -> None:
    """She does not ask for it any more: her holders of authority are told again."""
    patient = await transact(lambda c: _patient(c, practice_id, number, by, means.clock.now()))

    async def step(c: Connection) -> None:
        now = await means.now(c)
        touches = [("patient", str(patient["id"]))]
        entry = await enter(c, "minor_asked_alone_no_more", actor=by.actor, at=now, touches=touches)
        ended = await rows(
            c,
            "UPDATE minor_alone SET ended_at = $1, ending_id = $2 WHERE patient_id = $3 AND ended_at IS NULL "
            "RETURNING id",
            now, entry, patient["id"],
        )  # fmt: skip
        if not ended:
            raise Refused("not_alone", "this patient is not told alone", status=404)

    await transact(step)


async def _patient(c: Connection, practice_id: str, number: str, by: Account, now: datetime) -> dict[str, Any]:
    """The patient, when the account may say this of her: the desk, or a doctor who is active at her practice."""
    if by.role not in (Role.OPERATOR, Role.DPO) and not await works_at(c, practice_id, by.id, now):
        raise Refused("other_practice", "a doctor of the practice or the desk records this", status=403)
    found = await rows(
        c, "SELECT id, birth_date FROM patient WHERE practice_id = $1 AND number = $2", practice_id, number
    )
    if not found:
        raise Refused("unknown_patient", "the practice has no patient of this number", status=404)
    return found[0]
