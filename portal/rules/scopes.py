"""What each kind of program may ever ask for; the practice's doctor says for whose patients."""

from collections.abc import Mapping
from enum import StrEnum


class ClientKind(StrEnum):
    """Programs that speak to the portal for themselves: the small client at one practice, a publisher's software that
    serves many, and a partner who passes objections on."""

    PRACTICE = "practice"
    SOFTWARE = "software"
    PARTNER = "partner"


class Access(StrEnum):
    """What a program may ask for, as SMART backend services name it: a scope."""

    REGISTER = "system/register.u"
    HAND_OUTS = "system/hand-outs.c"
    OBJECTIONS = "system/objections.c"
    PERMITS = "system/permits.c"
    EXTRACTIONS = "system/extractions.c"
    PATIENTS = "system/patients.s"
    CHECK = "system/check.s"
    CONSENT_READ = "system/Consent.rs"
    CONSENT_WRITE = "system/Consent.c"


_AT_A_PRACTICE = frozenset(Access)

MAY_ASK: Mapping[ClientKind, frozenset[Access]] = {
    ClientKind.PRACTICE: _AT_A_PRACTICE,
    ClientKind.SOFTWARE: _AT_A_PRACTICE,
    ClientKind.PARTNER: frozenset({Access.CONSENT_READ, Access.CONSENT_WRITE}),
}

ALSO_AFTER_LEAVING = frozenset({Access.OBJECTIONS, Access.CONSENT_WRITE})
"""A no is heard whatever became of the doctor's enrolment; everything else needs one that is active or paused."""


def asked_access(kind: ClientKind, scope: str) -> frozenset[Access]:
    """What is granted of a space-separated `scope`: the part that this kind may ask for; all of it when empty."""
    wanted = set(scope.split())
    return frozenset(access for access in MAY_ASK[kind] if not wanted or access in wanted)
