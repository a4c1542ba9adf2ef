"""An operator has a doctor looked up in the public directory: what it says is a warning, never a wall."""

from portal.flow.means import Means
from portal.outside.directory import Directory
from portal.records.accounts import Account
from portal.records.database import Connection, transact
from portal.records.enrolments import Enrolment
from portal.records.ledger import enter
from portal.rules.refusals import Refused
from portal.rules.words import InDirectory, Role


async def look_up(means: Means, directory: Directory, enrolment_id: int, *, by: Account) -> InDirectory:
    """Asked outside the transaction, then kept with the moment; asking again replaces it. What it said stands in the
    log."""
    if by.role != Role.OPERATOR:
        raise Refused("other_role", "an operator looks doctors up", status=403)
    enrolment = await Enrolment.get_or_none(id=enrolment_id).select_related("account")
    if enrolment is None:
        raise Refused("unknown_enrolment", "there is no such enrolment", status=404)
    said = await directory.find(enrolment.account.rpps or "", enrolment.account.display_name)

    async def step(c: Connection) -> InDirectory:
        now = await means.now(c)
        touches = [("account", str(enrolment.account_id))]
        await enter(c, "doctor_looked_up", actor=by.actor, at=now, touches=touches, summary=said)
        await Enrolment.filter(id=enrolment_id).update(in_directory=said, looked_up_at=now)
        return said

    return await transact(step)
