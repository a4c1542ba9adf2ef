"""A doctor enrols: identified → signed → verified by an operator → active; leaves in one click. The states and steps
are the table in rules/enrolment.py."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import uuid4

from portal.flow.means import Means
from portal.flow.sign_in import Proof
from portal.outside.envelope import wire_address
from portal.outside.identity import Site
from portal.records.accounts import Account, end_sessions
from portal.records.database import Connection, transact
from portal.records.enrolments import DoctorMail, Enrolment, Signature
from portal.records.governance import AgreementText
from portal.records.ledger import Touch, enter
from portal.records.people import Practice
from portal.rules.enrolment import DoctorMailKind, after
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import EnrolmentState as State
from portal.rules.words import Role

STAYS = frozenset({State.ACTIVE, State.PAUSED})
"""Whoever signs a newer version here was verified, and stays where she is."""


@dataclass(frozen=True, slots=True)
class Signing:
    """What a doctor signs: the text that she read, by its id and hash, and what she chose.

    `email`: where the copy goes, or "". `until`: a locum's last day, or None.
    """

    agreement_id: int
    sha256: str
    includes_history: bool
    proof: Proof
    email: str = ""
    until: date | None = None


async def choose_site(means: Means, account: Account, site: Site, *, observatory_id: str) -> Enrolment:
    """The doctor says at which of her sites she wants to take part; a second call finds the same enrolment."""

    async def step(c: Connection) -> Enrolment:
        now, practice_id = await means.now(c), await _practice_of(site)
        entry = await enter(
            c, "site_chosen", actor=account.actor, at=now, touches=_touches(account, practice_id), summary=practice_id
        )
        return await _enrolled(account, site, practice_id, observatory_id, now, entry)

    return await transact(step)


async def sign(means: Means, account: Account, enrolment_id: int, signing: Signing) -> Enrolment:
    """The doctor signs the version that she read: its hash must be the one shown to her."""

    async def step(c: Connection) -> Enrolment:
        now = await means.now(c)
        enrolment = await _own(account, enrolment_id)
        text = await _readable(str(enrolment.observatory_id), signing)
        entry = await _log(c, "agreement_signed", account, enrolment, now, f"{text.version} {text.language}")
        return await _signed(account, enrolment, text, signing, now, entry)

    _refuse_unfit(signing)
    return await transact(step)


async def sign_for_site(
    means: Means, account: Account, site: Site, signing: Signing, *, observatory_id: str
) -> Enrolment:
    """The same for a doctor with one site, who need not choose it in a step of its own."""

    async def step(c: Connection) -> Enrolment:
        now, practice_id = await means.now(c), await _practice_of(site)
        text = await _readable(observatory_id, signing)
        entry = await enter(
            c, "agreement_signed", actor=account.actor, at=now, touches=_touches(account, practice_id),
            summary=f"{text.version} {text.language}",
        )  # fmt: skip
        enrolment = await _enrolled(account, site, practice_id, observatory_id, now, entry)
        return await _signed(account, enrolment, text, signing, now, entry)

    _refuse_unfit(signing)
    return await transact(step)


async def verify(means: Means, enrolment_id: int, *, doctor_number: str, by: Account) -> None:
    """An operator has checked who signed; `doctor_number` is how the practice's software names this doctor."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        enrolment = await Enrolment.get_or_none(id=enrolment_id).select_related("account")
        if enrolment is None:
            raise Refused("unknown_enrolment", "there is no such enrolment", status=404)
        entry = await _log(c, "enrolment_verified", by, enrolment, now, "", doctor=enrolment.account)
        to = after(State(enrolment.state), "enrolment_verified")
        await _refuse_taken(enrolment, doctor_number)
        await Enrolment.filter(id=enrolment.id).update(
            state=to, active_from=now, verified_by=by.actor, doctor_number=doctor_number, entry_id=entry
        )
        last = await Signature.filter(enrolment_id=enrolment.id).order_by("-entry_id").first()
        await _mail(last, DoctorMailKind.ACTIVE, now)

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
    await _move(means, account, enrolment_id, State.ACTIVE, "doctor_resumed")


async def _move(means: Means, account: Account, enrolment_id: int, to: State, kind: str, *, session: str = "") -> None:
    async def step(c: Connection) -> None:
        now = await means.now(c)
        enrolment = await _own(account, enrolment_id)
        entry = await _log(c, kind, account, enrolment, now, "")
        if enrolment.state == to:
            return
        after(State(enrolment.state), kind)
        ended = now if to is State.LEFT else None
        if to is State.LEFT:
            await end_sessions([account], but=session)
        await Enrolment.filter(id=enrolment.id).update(state=to, ended_at=ended, before_suspension=None, entry_id=entry)

    await transact(step)


async def _practice_of(site: Site) -> str:
    """The practice on file under the site's FINESS number; an unknown one is put on file under it."""
    if not site.finess:
        raise Refused("site_without_number", "this site has no FINESS number: ask the operator to add it", status=422)
    practice = await Practice.get_or_none(finess=site.finess)
    return practice.id if practice else site.finess.lower()


async def _enrolled(
    account: Account, site: Site, practice_id: str, observatory_id: str, now: datetime, entry: int
) -> Enrolment:
    if not await Practice.exists(id=practice_id):
        await Practice.create(id=practice_id, finess=site.finess, name=site.name, entry_id=entry)
    enrolment, _ = await Enrolment.get_or_create(
        defaults={"state": State.IDENTIFIED, "identified_at": now, "entry_id": entry},
        account_id=account.id,
        practice_id=practice_id,
        observatory_id=observatory_id,
    )
    return enrolment


async def _readable(observatory_id: str, signing: Signing) -> AgreementText:
    """The text that was read, unless it is none of this observatory, was altered, or there is a newer version."""
    texts = await AgreementText.filter(observatory_id=observatory_id)
    newest = max((text.version for text in texts), default="")
    read = next((text for text in texts if text.id == signing.agreement_id), None)
    if read is None or read.sha256 != signing.sha256 or read.version != newest:
        raise Refused("other_agreement", "the agreement has changed since you read it: read and sign this version")
    return read


async def _signed(
    account: Account, enrolment: Enrolment, text: AgreementText, signing: Signing, now: datetime, entry: int
) -> Enrolment:
    """The signature is kept by itself; the enrolment holds what counts now. Who is active or paused signs a newer
    version of what she agreed to, with the choices that she made before."""
    before = State(enrolment.state)
    to = after(before, "agreement_signed")
    history, closes_on = signing.includes_history, signing.until and signing.until + timedelta(days=1)
    if before in STAYS:
        if await AgreementText.exists(id=enrolment.agreement_id, version=text.version):
            raise Refused("enrolment_step", "this version is signed already")
        history, closes_on = bool(enrolment.includes_history), enrolment.closes_on
    elif closes_on is not None and closes_on <= paris_day(now):
        raise Refused("until", "a locum's last day is today or later", status=422)
    await Enrolment.filter(id=enrolment.id).update(
        state=to, agreement_id=text.id, agreement_sha256=text.sha256, includes_history=history, signed_at=now,
        closes_on=closes_on, ended_at=None, entry_id=entry,
    )  # fmt: skip
    signature = await Signature.create(
        id=uuid4(), enrolment_id=enrolment.id, agreement_id=text.id, agreement_sha256=text.sha256,
        includes_history=history, closes_on=closes_on, signed_at=now, name=account.display_name, rpps=account.rpps,
        issuer=account.issuer or "", subject=account.subject or "", acr=signing.proof.acr, amr=signing.proof.amr,
        signed_in_at=signing.proof.at, email=signing.email or None, entry_id=entry,
    )  # fmt: skip
    await _mail(signature, DoctorMailKind.COPY, now)
    return await _own(account, enrolment.id)


async def _mail(signature: Signature | None, kind: DoctorMailKind, now: datetime) -> None:
    if signature is not None and signature.email:
        await DoctorMail.create(kind=kind, signature_id=signature.id, due_at=now)


def _refuse_unfit(signing: Signing) -> None:
    if signing.email:
        try:
            wire_address(signing.email)
        except ValueError:
            raise Refused("email", "this is no mail address", status=422) from None


async def _refuse_taken(enrolment: Enrolment, doctor_number: str) -> None:
    """One number names one doctor. A successor may take over the number of who left, but not what was noted under it:
    with history, her predecessor's records would pass by a signature that is not the predecessor's."""
    others = Enrolment.filter(
        practice_id=enrolment.practice_id, observatory_id=enrolment.observatory_id, doctor_number=doctor_number
    ).exclude(id=enrolment.id)
    left = [other.state == State.LEFT for other in await others]
    if not all(left) or (left and enrolment.includes_history):
        raise Refused("number_taken", "another doctor of this practice has or had this number", status=422)


async def _own(account: Account, enrolment_id: int) -> Enrolment:
    enrolment = await Enrolment.get_or_none(id=enrolment_id, account_id=account.id)
    if enrolment is None:
        raise Refused("unknown_enrolment", "there is no such enrolment of yours", status=404)
    return enrolment


def _touches(account: Account, practice_id: str) -> list[Touch]:
    return [("doctor", str(account.id)), ("practice", practice_id)]


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
    touches = _touches(doctor or by, str(enrolment.practice_id))
    return await enter(c, kind, actor=by.actor, at=now, touches=touches, summary=summary)
