"""Does a value name somebody? The last look at what is about to leave (G11).

A value of a column must have the shape of that column: a number, a code of a known system, a unit. Whatever has not is
free text and does not leave. And no value, of whatever shape, may be a number under which a person is registered.
"""

import re

from stdnum import luhn, verhoeff
from stdnum.fr import nir

from portal.rules.codes import NUMBER, PCS, UNITS
from portal.rules.precision import COLUMNS, Kind
from portal.rules.words import Sex

CODES = {
    "sct": r"[0-9]{6,18}",
    "rxnorm": r"[0-9]{1,8}",
    "loinc": r"[0-9]{1,7}-[0-9]",
    "cim10": r"[A-Z][0-9]{2}(\.[0-9X]{1,4}(\+[0-9]{1,2})?)?|[IVX]{1,5}",
    "atc": r"[A-Z]([0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?)?",
    "cip13": r"34009[0-9]{8}",
}
"""What a code of a system looks like. None of them can hold a word."""

OTHER_CODE = r"(?=[^|]*[0-9])[A-Z0-9][A-Z0-9.\-]{0,15}"
"""A code of a system that the portal does not know: no small letters, and a digit in it, so no name."""

_PERIOD = r"[0-9]{4}(-(W[0-9]{2}|[0-9]{2}|Q[1-4]))?"
_NUMBER = re.compile(NUMBER)
_SHAPES = {
    Kind.DAY: re.compile(_PERIOD),
    Kind.YEAR: re.compile(r"[0-9]{4}"),
    Kind.NUMBER: _NUMBER,
    Kind.RESULT: _NUMBER,
}
_PCS = re.compile(PCS)
_EMAIL = re.compile(r"[^\s@|]+@[^\s@|]+\.[A-Za-z]{2,}")
_PHONE = re.compile(r"(?<![0-9])(?:(?:\+|00)33 ?(?:\(0\) ?)?|0)[1-9](?:[ .\-]?[0-9]{2}){4}(?![0-9])")
_NIR = re.compile(r"(?<![0-9])[1-478][0-9]{2}(?:0[1-9]|1[0-2]|[2-9][0-9])(?:[0-9]{2}|2[AB])[0-9]{8}(?![0-9])")
_RPPS = re.compile(r"(?<![0-9])[18][0-9]{10}(?![0-9])")


def names_somebody(column: str, value: str, *, listed: frozenset[str] = frozenset()) -> bool:
    """True when this value may not leave this column. listed: the units that a reviewed file allows."""
    return not _fits(column, value, listed) or is_identifier(value)


def is_identifier(value: str) -> bool:
    """An address, a telephone number, an INS or NIR (with its key), or an RPPS number (with its key).

    What has the form of a result is none: at most eight digits stand before its point (rules/codes.py).
    """
    if _NUMBER.fullmatch(value) or _genuine_concept(value):
        return False
    if _EMAIL.search(value) or _PHONE.search(value):
        return True
    plain = re.sub(r"[ .\-]", "", value)
    return any(nir.is_valid(found) for found in _NIR.findall(plain)) or any(
        luhn.is_valid(found) for found in _RPPS.findall(plain)
    )


def _genuine_concept(value: str) -> bool:
    """A SNOMED CT identifier has a check digit of its own: with it, eleven or fifteen digits are no person."""
    system, bar, code = value.partition("|")
    return bool(bar) and system == "sct" and code.isdecimal() and bool(verhoeff.is_valid(code))


def _fits(column: str, value: str, listed: frozenset[str]) -> bool:
    kind = COLUMNS[column].kind
    if kind is Kind.WORD:
        return value in set(Sex) if column == "sex" else bool(_PCS.fullmatch(value))
    if kind is Kind.UNIT:
        return value in UNITS or value in listed
    if kind in _SHAPES and _SHAPES[kind].fullmatch(value):
        return True
    return COLUMNS[column].listed and _is_code(value)


def _is_code(value: str) -> bool:
    system, bar, code = value.rpartition("|")
    return bool(bar) and bool(re.fullmatch(CODES.get(system, OTHER_CODE), code))
