"""An extraction arrives: checked, decided again, those who no longer pass dropped before anything is stored."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from portal.flow.decide import Asked, Decision, refuse_withheld_batch, snapshot, stand
from portal.flow.look import Member, is_among, look, wrongly_listed_since
from portal.flow.means import Means
from portal.flow.permit import Passing, extraction_terms, passing
from portal.flow.rewrite import sweep
from portal.gate.extraction import read_extraction
from portal.gate.naming import refuse_identifiers
from portal.gate.store import StoredFile, accept, persons
from portal.gate.terms import ColumnTerm, exceeds, from_payload
from portal.outside.keys import public_pem
from portal.outside.tokens import pseudonym
from portal.records.accounts import Account
from portal.records.database import Connection, transact, transact_alone
from portal.records.ledger import enter, take_cut
from portal.records.people import Practice
from portal.records.releases import Extraction, Permit
from portal.records.stored import present, replace_file, write_present
from portal.rules.refusals import Refused


@dataclass(frozen=True, slots=True)
class Received:
    """`dropped` counts persons who passed at the permit and no longer do."""

    practice_id: str
    rows: int
    persons: int
    dropped: int


async def register_practice_key(means: Means, practice_id: str, key: Ed25519PublicKey, *, by: Account) -> None:
    """Pin the public key by which this practice signs its extractions."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        await enter(c, "practice_key_registered", actor=by.actor, at=now, touches=[("practice", practice_id)])
        if not await Practice.filter(id=practice_id).update(public_key=public_pem(key)):
            raise Refused("unknown_practice", "there is no practice of this id", status=404)

    await transact(step)


async def receive(means: Means, folder: Path, *, practice_id: str, actor: str) -> Received:
    """Take an extraction into the store in place of the practice's older one; whole or not at all.

    Refused when it was not signed by the practice, when its permit is expired by the portal's clock, is not the
    newest of the practice, or lets records of a doctor pass who is not active now.
    """
    key = await practice_key(practice_id)
    extraction = await asyncio.to_thread(read_extraction, folder, key)  # nobody who says no waits for a large one
    permit = await permit_of(practice_id, extraction.permit_sha256)
    arrived = await asyncio.to_thread(persons, sorted((folder / "records").glob("*.parquet")))
    there = set(arrived["pseudonym"].to_pylist())
    try:
        for _ in range(20):
            done = await _try_to_store(means, folder, permit, there, actor)
            if done is not None:
                return done
    finally:
        await sweep(means, practice_id)
    raise Refused("busy", "people kept changing their minds while this was taken in: send it again", status=503)


async def permit_of(practice_id: str, sha256: str) -> Permit:
    """The permit of this practice with which an extraction was made; Refused("foreign_permit")."""
    permit = await Permit.get_or_none(sha256=sha256, practice_id=practice_id)
    if permit is None:
        raise Refused("foreign_permit", "this extraction was made with no permit of this practice", where=practice_id)
    return permit


async def practice_key(practice_id: str) -> Ed25519PublicKey:
    """The pinned key by which this practice signs; Refused("practice_key") while there is none."""
    practice = await Practice.get_or_none(id=practice_id)
    if practice is None or practice.public_key is None:
        raise Refused("practice_key", "this practice has registered no key: an operator does it", where=practice_id)
    key = load_pem_public_key(bytes(practice.public_key))
    if not isinstance(key, Ed25519PublicKey):
        raise Refused("practice_key", "the registered key is no Ed25519 key", where=practice_id, status=503)
    return key


async def _try_to_store(means: Means, folder: Path, permit: Permit, there: set[str], actor: str) -> Received | None:
    """Decide on a fresh cut, write the file, look under the lock, commit. None: somebody closed meanwhile."""
    asked = Asked(permit.observatory_id)
    cut = await take_cut()
    decision, listed = await transact(lambda c: _decide_again(means, c, permit, cut))
    columns = [ColumnTerm(name, grant.precision, grant.codes) for name, grant in decision.ground.columns.items()]
    await asyncio.to_thread(refuse_identifiers, sorted((folder / "records").glob("*.parquet")), columns)
    family = f"observatory:{permit.observatory_id}"
    names = {pseudonym(means.ring, family, p.member.person_id.bytes).hex(): p.member for p in listed}
    drop = there - names.keys()
    name = f"extraction-{permit.serial:06d}"
    stored = await asyncio.to_thread(accept, folder, means.store, permit.practice_id, drop=drop, name=name)
    listed_there = {name: member for name, member in names.items() if name in there}
    members: list[Member] = list(listed_there.values())
    inside = [(member.person_id, name, member.holds_until) for name, member in listed_there.items()]
    await transact(lambda c: write_present(c, permit.practice_id, stored.sha256, inside))

    async def commit(c: Connection) -> Received | None:
        now = await means.now(c)
        await refuse_superseded(means, c, permit)
        looked = await look(means, c, asked, cut=decision.cut, members=members)
        known = await present(c, permit.practice_id, stored.sha256)
        if looked.closed or known != len(members) or not stored.path.is_file():
            return None
        summary = f"{permit.practice_id}, {stored.rows} rows, file {stored.sha256[:16]}"
        entry = await enter(
            c, "extraction_received", actor=actor, at=now, touches=[("extraction", permit.practice_id)], summary=summary
        )
        counts = (stored.path.name, stored.sha256, stored.rows)
        await replace_file(c, permit.practice_id, counts, at=now, entry=entry)
        await _record(permit, stored, now, entry)
        return Received(permit.practice_id, stored.rows, len(members), len(drop))

    return await transact_alone(commit)


async def _decide_again(means: Means, c: Connection, permit: Permit, cut: int) -> tuple[Decision, list[Passing]]:
    """The batch, the permit's terms, and everybody who passes: but for who has taken a no back since the permit, of
    whom it let pass what is older than that."""
    await snapshot(c)
    decision = await refuse_superseded(means, c, permit, cut=cut)
    listed = await passing(c, decision, among="WHERE p.practice_id = {v1}", values=(permit.practice_id,))
    wrong = await wrongly_listed_since(c, permit.cut, decision.ground.asked)
    return decision, [p for p in listed if not is_among(wrong, p.member.person_id, permit.practice_id)]


async def refuse_superseded(means: Means, c: Connection, permit: Permit, *, cut: int = 0) -> Decision:
    """Refused when nothing that was made with this permit is taken in any more: it has expired, a newer one was issued,
    the batch has closed, a doctor has left, or it let more pass than a permit would that was issued now."""
    if means.clock.now() >= permit.expires_at:
        raise Refused("permit_expired", "the permit has expired: fetch a new one and extract again")
    if await Permit.filter(practice_id=permit.practice_id, serial__gt=permit.serial).exists():
        raise Refused("permit_superseded", "a newer permit of this practice has been issued: use that one")
    if await Extraction.filter(permit_id=permit.id).exists():
        raise Refused("already_received", "this extraction has been taken in already")
    decision = await stand(means, c, Asked(permit.observatory_id), cut=cut)
    refuse_withheld_batch(decision)
    now, active = await extraction_terms(means, c, decision, permit.practice_id, serial=permit.serial)
    if not set(permit.doctors) <= set(active):
        raise Refused("G23", "a doctor whose records this extraction holds is not active any more")
    too_wide = "G10" if permit.terms is None else exceeds(from_payload(permit.terms), now)
    if too_wide:
        raise Refused(too_wide, "less may pass now than when the permit was issued: fetch a new one and extract again")
    return decision


async def _record(permit: Permit, stored: StoredFile, now: object, entry: int) -> None:
    await Extraction.create(
        permit_id=permit.id,
        practice_id=permit.practice_id,
        file_name=stored.path.name,
        file_sha256=stored.sha256,
        rows=stored.rows,
        received_at=now,
        entry_id=entry,
    )
