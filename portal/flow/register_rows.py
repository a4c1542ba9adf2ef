"""The rows of a register made ready outside the transaction: tokens keyed, contacts sealed, nothing in clear."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date

from portal.gate.register_row import RegisterRow
from portal.outside.keys import KeyRing
from portal.outside.tokens import blind_index, match_token, seal
from portal.rules.people import birthday, is_birth, match_traits
from portal.rules.words import Addressee

ADULT_AGE = 18


Tokens = frozenset[tuple[str, str]]
"""(kind, keyed token in hex)"""


@dataclass(slots=True)
class Prepared:
    """A row made ready outside the transaction: tokens keyed, contacts sealed, nothing in clear."""

    row: RegisterRow
    digest: bytes
    tokens: Tokens
    adult_on: date | None
    contacts: list[tuple[str, bytes, str | None]]


def contact_binding(practice_id: str, number: str, addressee: str) -> str:
    """What a sealed contact is bound to: it opens beside no other patient or addressee."""
    return f"contact/{practice_id}/{number}/{addressee}"


def make_ready(ring: KeyRing, practice_id: str, row: RegisterRow) -> Prepared:
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
    contacts = [_contact(ring, practice_id, row, Addressee.SELF, own)]
    if row.representative_kind is not None:
        theirs = {
            "name": row.representative_name,
            "email": row.representative_email,
            "address": row.representative_address,
        }
        contacts.append(_contact(ring, practice_id, row, row.representative_kind, theirs))
    return Prepared(
        row=row,
        digest=blind_index(ring, "register_row", plain),
        tokens=keyed(ring, traits),
        adult_on=birthday(row.birth_date, ADULT_AGE) if is_birth(row.birth_date) else None,
        contacts=contacts,
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


def _contact(
    ring: KeyRing, practice_id: str, row: RegisterRow, addressee: Addressee, plain: dict[str, str]
) -> tuple[str, bytes, str | None]:
    content = json.dumps(plain, ensure_ascii=False).encode()
    index = blind_index(ring, "email", plain["email"].casefold()).hex() if plain["email"] else None
    return str(addressee), seal(ring, content, contact_binding(practice_id, row.patient_id, addressee)), index
