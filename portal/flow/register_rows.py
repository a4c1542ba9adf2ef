"""The rows of a register made ready outside the transaction: tokens keyed, contacts sealed, nothing in clear."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date

from portal.gate.holders import Holder
from portal.gate.register_row import RegisterRow
from portal.outside.keys import KeyRing
from portal.outside.tokens import blind_index, match_token, seal
from portal.rules.people import CONSENT_AGE, MAJORITY, birthday, is_birth, match_traits
from portal.rules.postal import window_lines
from portal.rules.words import Addressee

Tokens = frozenset[tuple[str, str]]
"""(kind, keyed token in hex)"""


@dataclass(slots=True)
class Prepared:
    """A row made ready outside the transaction: tokens keyed, contacts sealed, nothing in clear."""

    row: RegisterRow
    digest: bytes
    tokens: Tokens
    teen_on: date | None
    adult_on: date | None
    contacts: list["SealedContact"]
    further: list["SealedContact"]


@dataclass(frozen=True, slots=True)
class SealedContact:
    """One row of `contact`, sealed and keyed. `rank`: 0 the patient, 1 the representative, from 2 further holders."""

    rank: int
    addressee: Addressee
    sealed: bytes
    email_index: str | None
    postal_index: str | None
    reader_index: str | None
    unreachable_reason: str | None = None


def contact_binding(practice_id: str, number: str, addressee: str, rank: int) -> str:
    """What a sealed contact is bound to: it opens beside no other patient, addressee or further holder."""
    return f"contact/{practice_id}/{number}/{addressee}" + (f"/{rank}" if rank > 1 else "")


def make_ready(
    ring: KeyRing, practice_id: str, row: RegisterRow, further: Mapping[str, Sequence[Holder]] | None = None
) -> Prepared:
    """`further`: the second file's holders of authority, by patient."""
    plain = json.dumps(asdict(row), sort_keys=True, default=str, ensure_ascii=False)
    traits = match_traits(
        person_key=row.person_key,
        family_name=row.family_name,
        birth_name=row.birth_name,
        given_names=row.given_names,
        birth_date=row.birth_date,
    )
    own = {
        "family_name": row.family_name, "given_names": row.given_names, "email": row.email, "phone": row.phone,
        "address": row.address, "postcode": row.postcode, "city": row.city, "country": row.country,
    }  # fmt: skip
    contacts = [_own_contact(ring, practice_id, row.patient_id, own)]
    if row.representative_kind is not None:
        contacts.append(seal_holder(ring, practice_id, Holder.first_of(row)))
    return Prepared(
        row=row,
        digest=blind_index(ring, "register_row/2", plain),
        tokens=keyed(ring, traits),
        teen_on=birthday(row.birth_date, CONSENT_AGE) if is_birth(row.birth_date) else None,
        adult_on=birthday(row.birth_date, MAJORITY) if is_birth(row.birth_date) else None,
        contacts=contacts,
        further=[seal_holder(ring, practice_id, holder) for holder in (further or {}).get(row.patient_id, ())],
    )


def keyed(ring: KeyRing, traits: Iterable[tuple[str, str]]) -> Tokens:
    """Traits of rules/people.py as they are kept: never in clear."""
    return frozenset(_token(ring, kind, value) for kind, value in traits)


def _token(ring: KeyRing, kind: str, value: str) -> tuple[str, str]:
    """A trait as it is kept: its kind, with the type of a national key (`key:ins`), and the keyed token."""
    named = f"key:{value.partition(':')[0]}" if kind == "key" else kind
    return named, match_token(ring, kind, value).hex()


def _mark(kind: str, token: str) -> bytes:
    return hashlib.sha256(f"{kind}:{token}".encode()).digest()[:8]


def traits_of(tokens: Iterable[tuple[str, str]]) -> bytes:
    """Which tokens these are, in eight bytes each: what a row gave to its person, who may be known by more."""
    return b"".join(sorted(_mark(kind, token) for kind, token in tokens))


def given_by(traits: bytes | None, tokens: Iterable[tuple[str, str]]) -> Tokens:
    """Those of a person's tokens that the row with these traits gave; all of them when that was not kept."""
    if traits is None:
        return frozenset(tokens)
    marks = {bytes(traits[place : place + 8]) for place in range(0, len(traits), 8)}
    return frozenset(t for t in tokens if _mark(*t) in marks)


def is_key(kind: str) -> bool:
    return kind.startswith("key:")


def _own_contact(ring: KeyRing, practice_id: str, number: str, plain: dict[str, str]) -> SealedContact:
    email = blind_index(ring, "email", plain["email"].casefold()).hex() if plain["email"] else None
    sealed = _seal(ring, plain, practice_id, number, Addressee.SELF, 0)
    return SealedContact(0, Addressee.SELF, sealed, email, _postal_index(ring, own_lines(plain)), None)


def own_lines(contact: Mapping[str, str]) -> tuple[str, ...]:
    """A patient's name and address as they stand on a letter; empty when none can be sent to her."""
    name = f"{contact['given_names']} {contact['family_name']}"
    return window_lines(name, contact["address"], contact["postcode"], contact["city"], contact["country"])


def _postal_index(ring: KeyRing, lines: tuple[str, ...]) -> str | None:
    return blind_index(ring, "postal", "\n".join(lines).casefold()).hex() if lines else None


def seal_holder(ring: KeyRing, practice_id: str, holder: Holder) -> SealedContact:
    """A holder of authority or representative. Another name or kind is another reader; an address belongs to one."""
    who = f"{holder.kind}|{' '.join(holder.name.casefold().split())}"
    where = f"{who}|{holder.email.casefold()}"
    plain = {"name": holder.name, "email": holder.email, "address": holder.address}
    return SealedContact(
        rank=holder.rank,
        addressee=holder.kind,
        sealed=_seal(ring, plain, practice_id, holder.patient_id, holder.kind, holder.rank),
        email_index=blind_index(ring, "email", where).hex() if holder.email else None,
        postal_index=_postal_index(ring, window_lines(holder.name, holder.address)),
        reader_index=blind_index(ring, "reader", who).hex(),
        unreachable_reason=str(holder.unreachable_reason) if holder.unreachable_reason else None,
    )


def _seal(
    ring: KeyRing, plain: dict[str, str], practice_id: str, number: str, addressee: Addressee, rank: int
) -> bytes:
    content = json.dumps(plain, ensure_ascii=False).encode()
    return seal(ring, content, contact_binding(practice_id, number, addressee, rank))
