"""Programs that act for a practice: put on file, let in by a doctor, given a short-lived token, shut out at once."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from joserfc.jwk import OKPKey

from portal.flow.means import Means
from portal.outside.assertion import LEEWAY, LONGEST_LIFE, no_client, prove, public_key_set, says_it_is
from portal.outside.keys import public_pem
from portal.outside.tokens import token_hash
from portal.records.accounts import Account
from portal.records.clients import Client, ClientPractice, client_of_token
from portal.records.database import Connection, connection, rows, transact
from portal.records.enrolments import Enrolment, takes_part
from portal.records.ledger import Touch, enter
from portal.records.people import Practice
from portal.rules.refusals import Refused
from portal.rules.scopes import ALSO_AFTER_LEAVING, Access, ClientKind, asked_access
from portal.rules.waiting import paris_day
from portal.rules.words import Role

LIFE = timedelta(minutes=5)
"""How long an access token opens anything (SMART: at most five minutes)."""

TOKEN_PATH = "/api/v1/token"  # noqa: S105 - an address, not a password
LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Granted:
    """`token` is shown once."""

    token: str
    access: frozenset[Access]
    life: timedelta


@dataclass(frozen=True, slots=True)
class Program:
    """A program that has shown a live token, and what that token opens."""

    id: str
    kind: ClientKind
    actor: str
    access: frozenset[Access]


def token_address(means: Means) -> str:
    """Where programs ask for a token; also what their assertion must name as its audience."""
    return f"{means.base_url}{TOKEN_PATH}"


async def put_on_file(means: Means, *, kind: ClientKind, name: str, keys: Mapping[str, Any], by: Account) -> str:
    """An operator puts a publisher's software, or a partner, on file with its public keys. Returns the client's id."""
    if by.role != Role.OPERATOR or kind is ClientKind.PRACTICE:
        raise Refused("other_role", "an operator puts a publisher's software or a partner on file", status=403)
    named, checked = _name(name), public_key_set(keys)
    return await transact(lambda c: _create(c, means, kind, named, checked, by))


async def _create(c: Connection, means: Means, kind: ClientKind, name: str, keys: dict[str, Any], by: Account) -> str:
    now, client_id = await means.now(c), secrets.token_hex(8)
    touches: list[Touch] = [("client", client_id)]
    entry = await enter(c, "program_on_file", actor=by.actor, at=now, touches=touches, summary=f"{kind} {client_id}")
    await Client.create(id=client_id, kind=kind, name=name, keys=keys, created_at=now, entry_id=entry)
    return client_id


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise Refused("program_name", f"give the program a name of at most {LONGEST_NAME} signs", status=422)
    return name


async def close(means: Means, client_id: str, *, by: Account) -> None:
    """The program is shut out everywhere, at once and for good: its tokens open nothing any more."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        await enter(c, "program_closed", actor=by.actor, at=now, touches=[("client", client_id)], summary=client_id)
        if not await Client.filter(id=client_id, closed_at=None).update(closed_at=now):
            raise Refused("unknown_program", "there is no open program of this id", status=404)

    if by.role not in (Role.OPERATOR, Role.DPO):
        raise Refused("other_role", "staff shut a program out", status=403)
    await transact(step)


async def let_act(means: Means, client_id: str, practice_id: str, *, by: Account) -> None:
    """A doctor lets a program on file act for her practice. The same again changes nothing."""

    async def step(c: Connection) -> None:
        entry = await _entered(c, means, "program_let_in", client_id, practice_id, by)
        if not await Client.exists(id=client_id, closed_at=None, kind=ClientKind.SOFTWARE):
            raise Refused("unknown_program", "there is no open program of this id", status=404)
        await _let_in(c, client_id, practice_id, by, entry, await means.now(c))

    await transact(step)


async def let_own_act(means: Means, practice_id: str, key: bytes, *, by: Account) -> str:
    """A doctor registers her practice's own key (PEM, Ed25519): it signs the extractions and opens this interface.

    The key that it replaces opens nothing any more. Returns the id under which the practice's client signs in.
    """
    public = _ed25519(key)

    async def step(c: Connection) -> str:
        now, client_id = await means.now(c), secrets.token_hex(8)
        entry = await _entered(c, means, "practice_key_registered", client_id, practice_id, by)
        own = public_key_set(OKPKey.import_key(public).as_dict(private=False))
        await rows(
            c,
            "UPDATE client SET closed_at = $1 WHERE kind = 'practice' AND closed_at IS NULL AND id IN "
            "(SELECT client_id FROM client_practice WHERE practice_id = $2)",
            now, practice_id,
        )  # fmt: skip
        await Client.create(
            id=client_id, kind=ClientKind.PRACTICE, name=practice_id, keys=own, created_at=now, entry_id=entry
        )
        await _let_in(c, client_id, practice_id, by, entry, now)
        await Practice.filter(id=practice_id).update(public_key=public_pem(public))
        return client_id

    return await transact(step)


def _ed25519(key: bytes) -> Ed25519PublicKey:
    try:
        public = load_pem_public_key(key)
    except ValueError:
        public = None
    if not isinstance(public, Ed25519PublicKey):
        raise Refused("practice_key", "paste the whole public key that `portal practice keys` printed", status=422)
    return public


async def end(means: Means, client_id: str, practice_id: str, *, by: Account) -> None:
    """A doctor shuts a program out of her practice; it takes effect at once. The practice's own key stays pinned, so
    that what it signed can still be told from what it did not."""

    async def step(c: Connection) -> None:
        await _entered(c, means, "program_shut_out", client_id, practice_id, by)
        ended = await ClientPractice.filter(client_id=client_id, practice_id=practice_id, ended_at=None).update(
            ended_at=await means.now(c)
        )
        if not ended:
            raise Refused("unknown_program", "this program does not act for your practice", status=404)

    await transact(step)


async def _entered(c: Connection, means: Means, kind: str, client_id: str, practice_id: str, by: Account) -> int:
    touches: list[Touch] = [("client", client_id)]
    entry = await enter(
        c, kind, actor=by.actor, at=await means.now(c), touches=touches, summary=f"{practice_id} {client_id}"
    )
    hers = Enrolment.filter(takes_part(await means.now(c)), practice_id=practice_id, account_id=by.id)
    if not await hers.exists():
        raise Refused("other_practice", "only a verified doctor of this practice says so", status=403)
    return entry


async def _let_in(c: Connection, client_id: str, practice_id: str, by: Account, entry: int, now: datetime) -> None:
    if not await ClientPractice.exists(client_id=client_id, practice_id=practice_id, ended_at=None):
        await ClientPractice.create(
            client_id=client_id, practice_id=practice_id, account_id=by.id, began_at=now, entry_id=entry
        )


async def token_for(means: Means, assertion: str, scope: str) -> Granted:
    """A token for the program that proves by its assertion who it is. Refused("invalid_client"), the same for an
    unknown client as for a wrong signature; Refused("invalid_scope") when nothing of `scope` is its to ask."""
    named = says_it_is(assertion)
    client = await Client.get_or_none(id=named, closed_at=None) if len(named) <= 40 else None
    if client is None:
        raise no_client("it is not signed by a key of this client")
    once = prove(assertion, client.keys, client=client.id, audience=token_address(means), now=means.clock.now())
    access, token = asked_access(ClientKind(client.kind), scope), secrets.token_urlsafe(32)
    if not access:
        raise Refused("invalid_scope", "nothing of this scope is this client's to ask", where="scope", status=400)

    async def step(c: Connection) -> None:
        now = await means.now(c)
        await enter(c, "program_signed_in", actor=client.actor, at=now, touches=[("client", client.id)])
        out_of_time = now - LONGEST_LIFE - LEEWAY  # their assertions could not be used again anyway
        await rows(c, "DELETE FROM client_token WHERE ends_at < $1", out_of_time)
        found = await rows(
            c,
            "INSERT INTO client_token (token_hash, client_id, assertion, access, ends_at) VALUES ($1, $2, $3, $4, $5) "
            "ON CONFLICT (client_id, assertion) DO NOTHING RETURNING token_hash",
            token_hash(token).hex(), client.id, token_hash(once).hex(), json.dumps(sorted(access)), now + LIFE,
        )  # fmt: skip
        if not found:
            raise no_client("it was used before")

    await transact(step)
    return Granted(token, access, LIFE)


async def program_of(means: Means, token: str) -> Program | None:
    """The program that holds this token; None when it is unknown, ended, or its program shut out."""
    found = await client_of_token(token_hash(token).hex(), now=means.clock.now())
    if found is None:
        return None
    access = frozenset(each for each in Access if each in found.access)
    return Program(found.client.id, ClientKind(found.client.kind), found.client.actor, access)


async def observatory_of(means: Means, program: Program, practice_id: str, access: Access) -> str:
    """The observatory of the practice for which the program may do this now; reads only.

    Refused("not_let_in", 404), the same for a practice that does not exist, for one whose doctors did not let it in,
    and for one that no doctor is active or paused at any more; a no is heard even then.
    """
    states = (
        ""
        if access in ALSO_AFTER_LEAVING
        else ("AND e.state IN ('active', 'paused') AND (e.closes_on IS NULL OR e.closes_on > $3) ")
    )
    today = () if access in ALSO_AFTER_LEAVING else (paris_day(means.clock.now()),)
    found = await rows(
        connection(),
        "SELECT e.observatory_id FROM client_practice p JOIN enrolment e ON e.practice_id = p.practice_id "
        f"WHERE p.client_id = $1 AND p.practice_id = $2 AND p.ended_at IS NULL {states}"
        "ORDER BY CASE e.state WHEN 'active' THEN 0 ELSE 1 END, e.id LIMIT 1",
        program.id, practice_id, *today,
    )  # fmt: skip
    if not found:
        raise Refused(
            "not_let_in", "no doctor of such a practice lets this program act for it", where="practice", status=404
        )
    return str(found[0]["observatory_id"])
