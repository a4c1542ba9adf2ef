"""The facts that a decision reads, in three grains. Every field is a closed word; the first one lets pass.

Person facts are computed in bulk by records/facts.sql, which packs them into one integer: the place of each
word in its enumeration, in the order of the fields (see `person_key`).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum, IntEnum
from itertools import product
from typing import Any, TypeVar, get_type_hints

from portal.rules.words import Crossing

# --- batch: what is asked ---------------------------------------------------------------------------------


class Available(IntEnum):
    YES = 0
    NO = 1


class Authorisation(IntEnum):
    VALID = 0
    ABSENT = 1
    NOT_VALID_NOW = 2


class Applies(IntEnum):
    """A study fact: only an extraction, which has no study, may say that it does not apply."""

    YES = 0
    NO = 1
    NOT_APPLICABLE = 2


@dataclass(frozen=True, slots=True)
class BatchFacts:
    crossing: Crossing
    system: Available
    observatory: Available
    authorisation: Authorisation
    impact_assessment: Available
    study_open: Applies
    purpose_covered: Applies
    recipient_entitled: Applies
    listed_long_enough: Applies
    requester_entitled: Available
    columns_authorised: Available
    precision_allowed: Available
    own_key: Available


# --- person -------------------------------------------------------------------------------------------------


class Practice(IntEnum):
    """The most open enrolment at the practice, and the age of its register."""

    ACTIVE = 0
    NOT_ENROLLED = 1
    NOT_VERIFIED = 2
    NOT_SIGNED = 3
    STOPPED = 4
    STALE_REGISTER = 5


class Identity(IntEnum):
    RESOLVED = 0
    UNRESOLVED = 1


class Doubt(IntEnum):
    NONE = 0
    POSSIBLE_MATCH = 1


class Objection(IntEnum):
    """The widest objection in force that covers this crossing."""

    NONE = 0
    EVERYTHING = 1
    OBSERVATORY = 2
    STUDY = 3
    SOURCE = 4


class Pending(IntEnum):
    """A restriction, an erasure or a rectification is asked for, or the person was erased."""

    NONE = 0
    PENDING = 1


class Capacity(IntEnum):
    KNOWN = 0
    UNKNOWN = 1


class Presence(IntEnum):
    PRESENT = 0
    DECEASED = 1
    LEFT = 2


class Text(IntEnum):
    """The text of the best notice: VALID covers this crossing."""

    VALID = 0
    NO_NOTICE = 1
    NOT_VALID = 2
    SUPERSEDED = 3
    TOO_NARROW = 4


class Addressed(IntEnum):
    RIGHT = 0
    WRONG = 1


class Delivery(IntEnum):
    """NO_EVIDENCE: it is not shown which text went to whom, when, by which channel, and what came back."""

    DELIVERED = 0
    NOT_DELIVERED = 1
    NO_EVIDENCE = 2


class Reflection(IntEnum):
    OVER = 0
    RUNNING = 1


class Extracted(IntEnum):
    """When her rows in the store were taken, beside the notice that counts now. At an extraction: always since."""

    SINCE_TOLD = 0
    BEFORE_TOLD = 1


@dataclass(frozen=True, slots=True)
class PersonFacts:
    practice: Practice
    identity: Identity
    doubt: Doubt
    objection: Objection
    pending: Pending
    capacity: Capacity
    presence: Presence
    text: Text
    addressed: Addressed
    delivery: Delivery
    reflection: Reflection
    extracted: Extracted


# --- record -------------------------------------------------------------------------------------------------


class Origin(IntEnum):
    ALLOWED = 0
    TELESERVICE_AUTO = 1
    UNKNOWN = 2


class Dated(IntEnum):
    WITHIN = 0
    OUTSIDE_ENROLMENT = 1
    OUTSIDE_PERIOD = 2
    OBJECTED_SPAN = 3
    UNKNOWN = 4


class RecordDoctor(IntEnum):
    """UNNAMED_ALL_ENROLLED: nobody named, at a site where every doctor is active."""

    ENROLLED = 0
    UNNAMED_ALL_ENROLLED = 1
    COLLEAGUE = 2
    UNNAMED = 3


class Code(IntEnum):
    LISTED = 0
    NOT_LISTED = 1


@dataclass(frozen=True, slots=True)
class RecordFacts:
    origin: Origin
    dated: Dated
    doctor: RecordDoctor
    code: Code


Facts = BatchFacts | PersonFacts | RecordFacts
F = TypeVar("F", BatchFacts, PersonFacts, RecordFacts)


def words_of(grain: Callable[..., Any]) -> dict[str, type[Enum]]:
    """Each field of a grain with its enumeration, in order."""
    return _WORDS[grain]


_WORDS: dict[Callable[..., Any], dict[str, type[Enum]]] = {
    grain: {f.name: hints[f.name] for f in fields(grain)}
    for grain in (BatchFacts, PersonFacts, RecordFacts)
    for hints in [get_type_hints(grain)]
}


def every_combination(grain: Callable[..., F]) -> list[F]:
    """The whole finite space of one grain (person: 172,800; record: 120)."""
    enumerations: list[list[Enum]] = [list(words) for words in words_of(grain).values()]
    return [grain(*values) for values in product(*enumerations)]


def key_of(facts: PersonFacts | RecordFacts) -> int:
    """The facts as one integer, mixed radix, first field most significant. facts.sql computes the same."""
    key = 0
    for name, words in _WORDS[type(facts)].items():
        key = key * len(words) + int(getattr(facts, name))
    return key


def facts_of(grain: Callable[..., F], key: int) -> F:
    """The inverse of `key_of`; ValueError for a key outside the space."""
    values: list[Enum] = []
    for words in reversed(list(words_of(grain).values())):
        key, place = divmod(key, len(words))
        values.append(list(words)[place])
    if key:
        raise ValueError("no such combination of facts")
    return grain(*reversed(values))
