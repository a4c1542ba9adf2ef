"""Sessions: who is signed in, proved by the identity provider, kept on the server, ended at once when told to."""

import hashlib
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime

from portal.flow.means import Means
from portal.outside.identity import Identity, Site
from portal.outside.tokens import open_under, seal_under, token_hash
from portal.records.accounts import Account, Session, account_of_session, end_sessions
from portal.records.database import Connection, transact
from portal.records.ledger import enter
from portal.rules.refusals import Refused
from portal.rules.words import Role

STAFF = frozenset({Role.OPERATOR, Role.DPO, Role.RECIPIENT, Role.AUDITOR})


@dataclass(frozen=True, slots=True)
class Proof:
    """How the identity provider authenticated who is signed in, when, and the address that it vouches for (or "")."""

    acr: str
    amr: str
    email: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SignedIn:
    account: Account
    second_factor: bool
    sites: tuple[Site, ...]
    proof: Proof
    session: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SignedOut:
    """Whose session ended, and what its identity provider said at its beginning (empty when that was not kept)."""

    role: Role
    id_token: str = field(repr=False)


async def add_staff(means: Means, *, email: str, role: Role, study_id: str | None, actor: str) -> Account:
    """Invite one human for one role, by e-mail address; the account binds to whoever first signs in with it.

    An account that was removed is hers again, bound as it was. Her other roles' sessions end: she signs in anew.
    """

    async def step(c: Connection) -> Account:
        now = await means.now(c)
        await enter(c, "staff_added", actor=actor, at=now, touches=[("account", "new")], summary=str(role))
        known = {each.role: each for each in await Account.filter(email=email)}
        await end_sessions(known.values())
        if (former := known.get(role)) is None:
            return await Account.create(role=role, email=email, study_id=study_id, created_at=now)
        if former.closed_at is None:
            raise Refused("staff_exists", f"this address already has the role {role}")
        former.closed_at, former.study_id = None, study_id
        await former.save()
        return former

    email = email.strip().casefold()
    if role not in STAFF:
        raise Refused("role", "staff are operator, dpo, recipient or auditor", status=422)
    if (role is Role.RECIPIENT) != (study_id is not None):
        raise Refused("role", "a recipient belongs to one study, and only a recipient does", status=422)
    return await transact(step)


async def operator(email: str) -> Account:
    """The operator who acts on the command line."""
    account = await Account.get_or_none(email=email.casefold(), role=Role.OPERATOR, closed_at=None)
    if account is None:
        raise Refused("unknown_operator", "no operator has this address: `portal staff add`", where="--as")
    return account


async def loader(email: str) -> str:
    """Who loads a file: the operator who is named, or the only one there is; before there is any, nobody in person."""
    if email:
        return (await operator(email)).actor
    there = await Account.filter(role=Role.OPERATOR, closed_at=None)
    if len(there) > 1:
        raise Refused("unknown_operator", "there are several operators: say who loads this file", where="--as")
    return there[0].actor if there else "system:cli"


async def sign_in_doctor(means: Means, identity: Identity) -> tuple[Account, str]:
    """The doctor's account (made at the first sign-in) and the cookie of a new session."""

    async def step(c: Connection) -> tuple[Account, str]:
        now = await means.now(c)
        account, _ = await Account.get_or_create(
            defaults={"created_at": now, "display_name": _name(identity), "rpps": identity.rpps},
            issuer=identity.issuer,
            subject=identity.subject,
            role=Role.DOCTOR,
        )
        await enter(c, "signed_in", actor=account.actor, at=now, touches=[("account", "session")])
        return account, await _open_session(means, account, now, identity, second_factor=True)

    if not identity.rpps:
        raise Refused("not_a_doctor", "the identity provider names no RPPS number for you", status=403)
    return await transact(step)


async def sign_in_staff(means: Means, identity: Identity, *, second_factor: bool) -> tuple[list[Account], str]:
    """Every account of this human, and the cookie of a session of the first. The address only counts once."""

    async def step(c: Connection) -> tuple[list[Account], str]:
        now = await means.now(c)
        bound = await Account.filter(issuer=identity.issuer, subject=identity.subject, role__in=STAFF, closed_at=None)
        invited = await Account.filter(
            email=(identity.email or "").casefold(), subject=None, role__in=STAFF, closed_at=None
        )
        new = [each for account in invited if (each := await _bind(account, identity)) is not None]
        accounts = sorted([*bound, *new], key=lambda a: a.id)
        if not accounts:
            raise Refused("not_staff", "nobody invited you here: ask an operator", status=403)
        await enter(c, "signed_in", actor=accounts[0].actor, at=now, touches=[("account", "session")])
        return accounts, await _open_session(means, accounts[0], now, identity, second_factor=second_factor)

    if not second_factor:
        raise Refused("no_second_factor", "staff sign in with a second factor", status=403)
    return await transact(step)


async def _bind(invited: Account, identity: Identity) -> Account | None:
    """The account that an invitation opens. Who had one of this role that was removed has it again, under the address
    of the invitation; None for whom works in this role already."""
    known = await Account.get_or_none(issuer=identity.issuer, subject=identity.subject, role=invited.role)
    if known is None:
        invited.issuer, invited.subject, invited.display_name = identity.issuer, identity.subject, _name(identity)
        await invited.save()
        return invited
    if known.closed_at is None:
        return None
    await invited.delete()
    known.email, known.study_id, known.closed_at = invited.email, invited.study_id, None
    await known.save()
    return known


async def signed_in(means: Means, cookie: str) -> SignedIn | None:
    """Who a session's cookie stands for; None when it is unknown, or ended."""
    session = await account_of_session(token_hash(cookie).hex(), now=means.clock.now())
    if session is None:
        return None
    kept = session.proof or {"acr": "", "amr": "", "email": ""}
    proof = Proof(kept["acr"][:200], kept["amr"][:200], kept["email"], session.created_at)
    sites = tuple(Site(**site) for site in session.sites)
    return SignedIn(session.account, session.second_factor, sites, proof, session.token_hash)


async def sign_out(cookie: str) -> SignedOut | None:
    """The session of this cookie ends here, whatever else can be reached; None when there is none."""

    async def step(_: Connection) -> Session | None:
        found = await Session.get_or_none(token_hash=token_hash(cookie).hex()).select_related("account")
        if found is not None:
            await found.delete()
        return found

    ended = await transact(step)
    return SignedOut(Role(ended.account.role), open_under(cookie, ended.id_token or b"")) if ended else None


def same_human(one: Account, other: Account) -> bool:
    """Two accounts of one human count once: the identity provider's subject, or the invited address, is the same."""
    if one.id == other.id:
        return True
    if one.subject is not None and (one.issuer, one.subject) == (other.issuer, other.subject):
        return True
    return one.email is not None and one.email == other.email


def human(account: Account) -> tuple[str | None, str | None]:
    """Fingerprints of what `same_human` compares, by which the database tells humans apart: subject, and address."""
    subject = None if account.subject is None else f"{account.issuer}\0{account.subject}"
    return _fingerprint(subject), _fingerprint(account.email)


def _fingerprint(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def _proof(identity: Identity) -> dict[str, str]:
    return {"acr": identity.acr, "amr": " ".join(sorted(identity.amr)), "email": identity.email or ""}


async def _open_session(
    means: Means, account: Account, now: datetime, identity: Identity, *, second_factor: bool
) -> str:
    await Session.filter(account_id=account.id, ends_at__lte=now).delete()
    cookie = secrets.token_urlsafe(32)
    await Session.create(
        token_hash=token_hash(cookie).hex(),
        account=account,
        second_factor=second_factor,
        created_at=now,
        sites=[asdict(site) for site in identity.sites if account.role == Role.DOCTOR],
        ends_at=now + means.session_lasts,
        id_token=seal_under(cookie, identity.id_token) if identity.id_token else None,
        proof=_proof(identity) if account.role == Role.DOCTOR else None,
    )
    return cookie


def _name(identity: Identity) -> str:
    return f"{identity.given_name} {identity.family_name}".strip()[:160]
