"""A doctor is invited by mail: a link that serves whoever first signs in with it, for thirty days."""

from datetime import timedelta
from uuid import UUID, uuid4

from portal.flow.means import Means
from portal.outside.envelope import wire_address
from portal.outside.tokens import link_token, token_hash
from portal.records.accounts import Account
from portal.records.database import Connection, NothingToDo, rows, transact, transact_or
from portal.records.enrolments import DoctorMail, Invitation
from portal.records.ledger import Touch, enter
from portal.records.people import Practice
from portal.rules.enrolment import DoctorMailKind
from portal.rules.refusals import Refused
from portal.rules.words import Role

LASTS = timedelta(days=30)


def token_of(invitation_id: UUID) -> str:
    """What the link's token is made of, beside the key: no notice has this name."""
    return f"invitation/{invitation_id}"


async def invite(means: Means, *, email: str, observatory_id: str, practice_id: str | None, by: Account) -> UUID:
    """Queue the mail; the link is made when it is sent, and only its hash is at rest."""

    async def step(c: Connection) -> UUID:
        now, invitation = await means.now(c), uuid4()
        touches: list[Touch] = [("invitation", str(invitation))]
        entry = await enter(
            c, "doctor_invited", actor=by.actor, at=now, touches=touches, summary=practice_id or "any practice"
        )
        if practice_id is not None and not await Practice.exists(id=practice_id):
            raise Refused("unknown_practice", "there is no such practice", status=422)
        await Invitation.create(
            id=invitation, observatory_id=observatory_id, practice_id=practice_id, email=email, invited_at=now,
            token_hash=token_hash(link_token(means.ring, token_of(invitation))).hex(), ends_at=now + LASTS,
            entry_id=entry,
        )  # fmt: skip
        await DoctorMail.create(kind=DoctorMailKind.INVITATION, invitation_id=invitation, due_at=now)
        return invitation

    if by.role != Role.OPERATOR:
        raise Refused("other_role", "an operator invites doctors", status=403)
    email = email.strip()
    try:
        wire_address(email)
    except ValueError:
        raise Refused("email", "this is no mail address", status=422) from None
    return await transact(step)


async def withdraw(means: Means, invitation_id: UUID, *, by: Account) -> None:
    """Its link serves nobody any more."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        touches: list[Touch] = [("invitation", str(invitation_id))]
        await enter(c, "invitation_withdrawn", actor=by.actor, at=now, touches=touches)
        statement = (
            "UPDATE invitation SET ends_at = $1, email = NULL WHERE id = $2 AND used_at IS NULL AND ends_at > $1 "
            "RETURNING id"
        )
        if not await rows(c, statement, now, invitation_id):
            raise Refused("unknown_invitation", "there is no open invitation of this id", status=404)

    await transact(step)


async def use(means: Means, account: Account, token: str) -> bool:
    """Bind the invitation to the account that signed in with its link. False when it is unknown, over, or served
    somebody else: she may still apply by herself."""

    async def step(c: Connection) -> bool:
        now = await means.now(c)
        touches: list[Touch] = [("invitation", "link"), ("doctor", str(account.id))]
        await enter(c, "invitation_used", actor=account.actor, at=now, touches=touches)
        statement = (
            "UPDATE invitation SET account_id = $1, used_at = $2 WHERE token_hash = $3 AND used_at IS NULL "
            "AND ends_at > $2 RETURNING id"
        )
        if not await rows(c, statement, account.id, now, token_hash(token).hex()):
            raise NothingToDo
        return True

    return await transact_or(step, nothing=False)


async def forget_over(means: Means) -> int:
    """The addresses of invitations that are over leave; returns how many."""

    async def step(c: Connection) -> int:
        now = await means.now(c)
        await enter(c, "invitations_forgotten", actor="system:worker", at=now, touches=[("invitation", "over")])
        statement = "UPDATE invitation SET email = NULL WHERE email IS NOT NULL AND ends_at <= $1 RETURNING id"
        found = await rows(c, statement, now)
        if not found:
            raise NothingToDo
        return len(found)

    return await transact_or(step, nothing=0)
