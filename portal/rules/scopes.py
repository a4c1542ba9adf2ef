"""What each kind of program may ever ask for; the practice's doctor says for whose patients."""

from collections.abc import Mapping

from portal.rules.words import Access, ClientKind

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
