"""The code of a letter, typed by hand: Crockford's base32 with its check symbol (crockford.com/base32.html).

Thirteen symbols of chance, 65 bits, and one that checks them: every single wrong symbol and every swap of neighbours
is noticed before anything is looked up. Only codes whose check symbol is a letter or digit are given out, because its
five other signs are hard to find on a telephone's keyboard.
"""

import re

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 14
CHANCE_BITS = 65
_CHECKED = 37
_GROUPS = (5, 10)
_ALIKE = str.maketrans("OIL", "011")
_BETWEEN = re.compile(r"[\s\-–—_.·]+")


def code_of(number: int) -> str | None:
    """The code of 65 bits of chance; None for one number in seven, whose check symbol is no letter or digit."""
    if not 0 <= number < 1 << CHANCE_BITS:
        raise ValueError("a code has 65 bits")
    check = number % _CHECKED
    if check >= len(ALPHABET):
        return None
    symbols = [ALPHABET[number >> shift & 31] for shift in range(CHANCE_BITS - 5, -1, -5)]
    return "".join(symbols) + ALPHABET[check]


def grouped(code: str) -> str:
    """As it is printed: 5, 5 and 4 symbols."""
    return " ".join((code[: _GROUPS[0]], code[_GROUPS[0] : _GROUPS[1]], code[_GROUPS[1] :]))


def as_typed(text: str) -> str:
    """What somebody typed, as it was printed: capitals, without what stands between, O for 0, I and L for 1."""
    return _BETWEEN.sub("", text.strip()).upper().translate(_ALIKE)


def is_code(code: str) -> bool:
    """Fourteen symbols of the alphabet, of which the last fits the others."""
    if len(code) != LENGTH or any(symbol not in ALPHABET for symbol in code):
        return False
    number = 0
    for symbol in code[:-1]:
        number = number * 32 + ALPHABET.index(symbol)
    return ALPHABET[number % _CHECKED : number % _CHECKED + 1] == code[-1]
