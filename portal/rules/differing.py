"""G62 for releases: two lists of persons that a recipient can lay side by side must not differ by a few.

docs/decisions/0012-differencing.md says what is compared with what, and why.
"""

from collections.abc import Sequence, Set


def few(one: Set[str], other: Set[str], *, least: int) -> bool:
    """True when they overlap and somebody of one, but fewer than `least`, is missing in the other."""
    return not one.isdisjoint(other) and (0 < len(one - other) < least or 0 < len(other - one) < least)


def to_withhold(present: Set[str], others: Sequence[Set[str]], *, least: int) -> set[str]:
    """Whom to leave out of `present` so that it differs from none of `others` by a few; names are keyed pseudonyms.

    Who is new and few is left out. Where few are missing, further persons are left out until `least` are missing,
    by the order of their pseudonyms: keyed, so that nobody outside can tell them apart, and the same each time, so
    that a second release does not give away who was missing before.
    """
    staying = set(present)
    while lists := [other for other in others if few(staying, other, least=least)]:
        other = lists[0]
        new = staying - other
        if 0 < len(new) < least:
            staying -= new
        else:
            missing = len(other - staying)
            staying -= set(sorted(staying & other)[: least - missing])
    return set(present) - staying
