"""Staff leave: the account is closed and whatever browser it is signed in with is so no more, in the same step."""

from portal.flow.means import Means
from portal.flow.sign_in import STAFF
from portal.records.accounts import Account, end_sessions
from portal.records.database import Connection, transact
from portal.records.ledger import enter
from portal.rules.refusals import Refused
from portal.rules.words import Role


async def remove_staff(means: Means, *, email: str, role: Role | None, actor: str) -> list[str]:
    """Take one role from this address, or (None) every one; the roles taken. What the log names stays in the log."""

    async def step(c: Connection) -> list[str]:
        now = await means.now(c)
        asked = [role] if role else STAFF
        found = await Account.filter(email=email.strip().casefold(), role__in=asked, closed_at=None).order_by("id")
        touches = [("account", str(each.id)) for each in found]
        roles = sorted(str(each.role) for each in found)
        await enter(c, "staff_removed", actor=actor, at=now, touches=touches, summary=" ".join(roles))
        if not found:
            raise Refused("unknown_staff", "nobody has this address and role: `portal staff list`", status=404)
        await Account.filter(id__in=[each.id for each in found]).update(closed_at=now)
        await end_sessions(found)
        return roles

    return await transact(step)
