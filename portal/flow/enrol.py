"""A doctor enrols: identified → signed → verified by an operator → active; leaves in one click."""

from datetime import datetime

from portal.flow.means import Means
from portal.outside.identity import Identity, Site
from portal.records.accounts import Account, end_sessions
from portal.records.database import Connection, transact
from portal.records.enrolments import Enrolment
from portal.records.governance import AgreementText
from portal.records.ledger import Touch, enter
from portal.records.people import Practice
from portal.rules.refusals import Refused
from portal.rules.words import EnrolmentState as State
from portal.rules.words import Role

ALLOWED: dict[State, frozenset[State]] = {
    State.IDENTIFIED: frozenset({State.SIGNED, State.LEFT}),
    State.SIGNED: frozenset({State.SIGNED, State.ACTIVE, State.LEFT}),
    State.ACTIVE: frozenset({State.PAUSED, State.LEFT, State.SUSPENDED}),
    State.PAUSED: frozenset({State.ACTIVE, State.LEFT, State.SUSPENDED}),
    State.LEFT: frozenset({State.SIGNED}),
    State.SUSPENDED: frozenset({State.LEFT}),
}
"""From each state, where an enrolment may go. A doctor who left may sign again, and is verified again."""


def _touches(account: Account, practice_id: str) -> list[Touch]:
    return [("doctor", str(account.id)), ("practice", practice_id)]


async def choose_site(means: Means, account: Account, site: Site, *, observatory_id: str) -> Enrolment:
    """The doctor says at which of her sites she wants to take part; a second call finds the same enrolment.

    The practice is the one on file under the site's FINESS number; an unknown one is put on file under it.
    """

    async def step(c: Connection) -> Enrolment:
        now = await means.now(c)
        practice = await Practice.get_or_none(finess=site.finess)
        practice_id = practice.id if practice else site.finess.lower()
        entry = await enter(
            c, "site_chosen", actor=account.actor, at=now, touches=_touches(account, practice_id), summary=practice_id
        )
        if practice is None:
            await Practice.create(id=practice_id, finess=site.finess, name=site.name, entry_id=entry)
        enrolment, _ = await Enrolment.get_or_create(
            defaults={"state": State.IDENTIFIED, "identified_at": now, "entry_id": entry},
            account_id=account.id,
            practice_id=practice_id,
            observatory_id=observatory_id,
        )
        return enrolment

    if not site.finess:
        raise Refused("site_without_number", "this site has no FINESS number: ask the operator to add it", status=422)
    return await transact(step)


async def sign(
    means: Means, account: Account, enrolment_id: int, *, agreement_id: int, sha256: str, includes_history: bool
) -> Enrolment:
    """The doctor signs the version that she read: its hash must be the one shown to her."""

    async def step(c: Connection) -> Enrolment:
        now = await means.now(c)
        enrolment = await _own(account, enrolment_id)
        text = await AgreementText.get_or_none(id=agreement_id, observatory_id=_observatory(enrolment))
        if text is None or text.sha256 != sha256:
            raise Refused("other_agreement", "the agreement has changed since you read it: read and sign this version")
        entry = await _log(c, "agreement_signed", account, enrolment, now, f"{text.version} {text.language}")
        _may(enrolment, State.SIGNED)
        await Enrolment.filter(id=enrolment.id).update(
            state=State.SIGNED,
            agreement_id=text.id,
            agreement_sha256=sha256,
            includes_history=includes_history,
            signed_at=now,
            ended_at=None,
            entry_id=entry,
        )
        return await _own(account, enrolment_id)

    return await transact(step)


async def verify(means: Means, enrolment_id: int, *, doctor_number: str, by: Account) -> None:
    """An operator has checked who signed; `doctor_number` is how the practice's software names this doctor."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        enrolment = await Enrolment.get_or_none(id=enrolment_id).select_related("account")
        if enrolment is None:
            raise Refused("unknown_enrolment", "there is no such enrolment", status=404)
        entry = await _log(c, "enrolment_verified", by, enrolment, now, "", doctor=enrolment.account)
        _may(enrolment, State.ACTIVE)
        if enrolment.state != State.SIGNED:
            raise Refused("not_signed", "only a signed enrolment is verified")
        await Enrolment.filter(id=enrolment.id).update(
            state=State.ACTIVE,
            active_from=now,
            verified_by=by.actor,
            doctor_number=doctor_number,
            entry_id=entry,
        )

    if by.role != Role.OPERATOR:
        raise Refused("other_role", "an operator verifies enrolments", status=403)
    doctor_number = doctor_number.strip()
    if not doctor_number or len(doctor_number) > 80:
        raise Refused("doctor_number", "give the number by which the practice's software names this doctor", status=422)
    await transact(step)


async def leave(means: Means, account: Account, enrolment_id: int, *, session: str = "") -> None:
    """Takes effect at once: nothing of this doctor passes any more, and what is under way is refused on arrival.

    She is signed out everywhere but in `session`, in which she reads that it is done.
    """
    await _move(means, account, enrolment_id, State.LEFT, "doctor_left", session=session)


async def pause(means: Means, account: Account, enrolment_id: int) -> None:
    await _move(means, account, enrolment_id, State.PAUSED, "doctor_paused")


async def resume(means: Means, account: Account, enrolment_id: int) -> None:
    """Only from a pause; what was signed and verified still stands."""
    await _move(means, account, enrolment_id, State.ACTIVE, "doctor_resumed", only_from=State.PAUSED)


async def _move(
    means: Means,
    account: Account,
    enrolment_id: int,
    to: State,
    kind: str,
    *,
    only_from: State | None = None,
    session: str = "",
) -> None:
    async def step(c: Connection) -> None:
        now = await means.now(c)
        enrolment = await _own(account, enrolment_id)
        entry = await _log(c, kind, account, enrolment, now, "")
        if enrolment.state == to:
            return
        if only_from is not None and enrolment.state != only_from:
            raise Refused("enrolment_step", "only a paused enrolment can be resumed")
        _may(enrolment, to)
        ended = now if to is State.LEFT else None
        if to is State.LEFT:
            await end_sessions([account], but=session)
        await Enrolment.filter(id=enrolment.id).update(state=to, ended_at=ended, entry_id=entry)

    await transact(step)


def _may(enrolment: Enrolment, to: State) -> None:
    if to not in ALLOWED[State(enrolment.state)]:
        raise Refused("enrolment_step", f"an enrolment that is {enrolment.state} cannot become {to}")


async def _own(account: Account, enrolment_id: int) -> Enrolment:
    enrolment = await Enrolment.get_or_none(id=enrolment_id, account_id=account.id)
    if enrolment is None:
        raise Refused("unknown_enrolment", "there is no such enrolment of yours", status=404)
    return enrolment


def _observatory(enrolment: Enrolment) -> str:
    return str(enrolment.observatory_id)


async def _log(
    c: Connection,
    kind: str,
    by: Account,
    enrolment: Enrolment,
    now: datetime,
    summary: str,
    *,
    doctor: Account | None = None,
) -> int:
    practice_id = str(enrolment.practice_id)
    return await enter(c, kind, actor=by.actor, at=now, touches=_touches(doctor or by, practice_id), summary=summary)


def identity_sites(identity: Identity) -> tuple[Site, ...]:
    """The sites that Pro Santé Connect names for this doctor and that can be enrolled."""
    return tuple(site for site in identity.sites if site.finess)
