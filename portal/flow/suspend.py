"""An operator suspends a doctor's enrolment, at once and with a reason, and lifts it again."""

from portal.flow.means import Means
from portal.records.accounts import Account
from portal.records.database import Connection, transact
from portal.records.enrolments import Enrolment
from portal.records.ledger import enter
from portal.rules.enrolment import after, may
from portal.rules.refusals import Refused
from portal.rules.words import EnrolmentState as State
from portal.rules.words import Role, Suspended


async def suspend(means: Means, enrolment_id: int, *, reason: Suspended, by: Account) -> None:
    """From this entry on nothing of this doctor passes; the reason stands in the log. Of somebody who signed and was
    not verified it is the refusal."""
    await _move(means, enrolment_id, "enrolment_suspended", reason, by)


async def lift(means: Means, enrolment_id: int, *, by: Account) -> None:
    """Back to where the suspension found it: whoever had paused has still paused."""
    await _move(means, enrolment_id, "suspension_lifted", "", by)


async def _move(means: Means, enrolment_id: int, kind: str, summary: str, by: Account) -> None:
    async def step(c: Connection) -> None:
        now = await means.now(c)
        enrolment = await Enrolment.get_or_none(id=enrolment_id)
        if enrolment is None:
            raise Refused("unknown_enrolment", "there is no such enrolment", status=404)
        touches = [("doctor", str(enrolment.account_id)), ("practice", str(enrolment.practice_id))]
        entry = await enter(c, kind, actor=by.actor, at=now, touches=touches, summary=summary)
        before, kept = State(enrolment.state), None
        if kind == "suspension_lifted":
            to = State(enrolment.before_suspension or State.SIGNED)
            may(before, kind, to)
        else:
            to, kept = after(before, kind), before
        await Enrolment.filter(id=enrolment_id).update(state=to, before_suspension=kept, entry_id=entry)

    if by.role != Role.OPERATOR:
        raise Refused("other_role", "an operator suspends enrolments", status=403)
    await transact(step)
