"""Who plays what. Chosen by rule from the data, so that any Bulk Data folder gives a whole play."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from portal.demo.bulk import Doctor, Practice


class Part(StrEnum):
    """What a practice's story is. The small practices play the parts in which nothing leaves."""

    FULL = "full"
    NOT_ENROLLED = "not_enrolled"
    NOT_SIGNED = "not_signed"
    NOT_VERIFIED = "not_verified"
    LEAVES = "leaves"
    STALE_REGISTER = "stale_register"
    TOLD_LATE = "told_late"
    TOLD_TOO_LITTLE = "told_too_little"
    TEXT_WITHDRAWN = "text_withdrawn"
    NEVER_TOLD = "never_told"
    NO_HISTORY = "no_history"
    TEXT_SUPERSEDED = "text_superseded"


@dataclass(frozen=True, slots=True)
class Role:
    """A practice with its part and the doctors who enrol there (a colleague may stay out)."""

    practice: Practice
    part: Part
    enrolling: tuple[Doctor, ...]

    @property
    def active(self) -> bool:
        """True when its doctors get as far as being active."""
        return self.part not in (Part.NOT_ENROLLED, Part.NOT_SIGNED, Part.NOT_VERIFIED)


def give_parts(practices: Sequence[Practice]) -> list[Role]:
    """Parts by size: the smallest practices first, never more than half of them; the others play in full.

    A practice all of whose doctors also work elsewhere is not enrolled: a doctor enrols at one site, not at all.
    In the first practice with two doctors, one stays out.
    """
    by_size = sorted((p for p in practices if p.doctors), key=lambda p: (p.patients, p.id))
    sites: dict[str, int] = {}
    for practice in practices:
        for doctor in practice.doctors:
            sites[doctor.id] = sites.get(doctor.id, 0) + 1
    parts: dict[str, Part] = {p.id: Part.NOT_ENROLLED for p in practices if not p.doctors}
    elsewhere = [p for p in by_size if all(sites[d.id] > 1 for d in p.doctors)][:1]
    parts |= {p.id: Part.NOT_ENROLLED for p in elsewhere}
    smallest = [p.id for p in by_size if p.id not in parts][: len(by_size) // 2]
    parts |= dict(zip(smallest, list(Part)[1:], strict=False))
    roles, colleague = [], False
    for practice in sorted(practices, key=lambda p: p.id):
        part, enrolling = parts.get(practice.id, Part.FULL), practice.doctors
        if part is Part.FULL and len(enrolling) > 1 and not colleague:
            enrolling, colleague = enrolling[:1], True
        roles.append(Role(practice, part, () if part is Part.NOT_ENROLLED else enrolling))
    return roles
