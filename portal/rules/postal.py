"""What stands on a letter: the lines in its window, at most six of 38 signs, and the number by which it is known when
it comes back."""

import re

from stdnum import verhoeff

LINES, SIGNS = 6, 38
HERE = frozenset({"", "FR", "FRA", "FRANCE"})
_SETTABLE = re.compile(
    r"[ -~\u00a0-\u017f\u01a0\u01a1\u01af\u01b0\u0218-\u021b\u0386-\u03ce\u0400-\u045f"
    r"\u1e80-\u1e85\u1ea0-\u1ef9‐-’“-”…]*"
)
"""Signs that the letters' font has: Latin with Vietnamese, Greek, Cyrillic. A file with any other is refused whole."""


def window_lines(name: str, address: str, postcode: str = "", city: str = "", country: str = "") -> tuple[str, ...]:
    """What stands in the window; empty when nothing can be sent there: no name, no street, no town, or it does not fit.

    A holder's address is one text, parted at line breaks and commas; then `postcode` and `city` stay empty.
    """
    whole = " ".join(name.split())
    street = [part for piece in re.split(r"[\r\n,;]+", address) if (part := " ".join(piece.split()))]
    town = " ".join(f"{postcode} {city}".split())
    if not whole or not street or not _has_town(street, postcode, city):
        return ()
    abroad = country.strip().upper()
    lines = [whole, *street, *([town] if town else []), *([abroad] if abroad not in HERE else [])]
    fits = len(lines) <= LINES and all(len(line) <= SIGNS and settable(line) for line in lines)
    return tuple(lines) if fits else ()


def settable(text: str) -> bool:
    """Every sign of it can be printed on a letter."""
    return text.isprintable() and _SETTABLE.fullmatch(text) is not None


def _has_town(street: list[str], postcode: str, city: str) -> bool:
    """Postcode and city of their own, or a last line that holds both."""
    if postcode.strip() or city.strip():
        return bool(postcode.strip() and city.strip())
    return len(street) > 1 and bool(re.search(r"\d{4,5}\s+\S", street[-1]))


# --- what comes back -------------------------------------------------------------------------------------------------


def letter_number(run: int, place: int) -> str:
    """What a letter is called when it comes back, printed and as Data Matrix: 12-345-6, the last digit checks."""
    return f"{run}-{place}-{verhoeff.calc_check_digit(f'{run:08}{place:06}')}"


def read_letter_number(text: str) -> tuple[int, int] | None:
    """(run, place) of a number as typed or scanned; None when it is none, or its check digit is wrong."""
    found = re.fullmatch(r"(\d{1,8})\s*[-–—\s]\s*(\d{1,6})\s*[-–—\s]\s*(\d)", text.strip())
    if found is None:
        return None
    run, place, check = int(found[1]), int(found[2]), found[3]
    return (run, place) if verhoeff.calc_check_digit(f"{run:08}{place:06}") == check else None
