"""Bech32 (BIP 173): the letters in which age keys are written, with a checksum that finds every slip of the pen."""

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def encode(prefix: str, content: bytes) -> str:
    """`prefix`, a `1`, and the bytes; lower case."""
    digits = _in_fives(content)
    check = _polymod([*_spread(prefix), *digits, *[0] * 6]) ^ 1
    digits += [check >> 5 * (5 - place) & 31 for place in range(6)]
    return f"{prefix}1{''.join(_LETTERS[digit] for digit in digits)}"


def decode(prefix: str, text: str) -> bytes | None:
    """The bytes written under this prefix, in lower case; None for anything else."""
    digits = [_LETTERS.find(letter) for letter in text.rpartition("1")[2]]
    if -1 in digits:
        return None
    content = _in_eights(digits[:-6])
    return content if encode(prefix, content) == text else None


def _spread(prefix: str) -> list[int]:
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def _polymod(digits: list[int]) -> int:
    check = 1
    for digit in digits:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ digit
        for bit, term in enumerate(_GENERATOR):
            check ^= term if top >> bit & 1 else 0
    return check


def _in_fives(content: bytes) -> list[int]:
    """The same bits in groups of five, the last one filled with zeros."""
    groups = -(-len(content) * 8 // 5)
    number = int.from_bytes(content, "big") << (groups * 5 - len(content) * 8)
    return [number >> 5 * (groups - 1 - place) & 31 for place in range(groups)]


def _in_eights(digits: list[int]) -> bytes:
    number = 0
    for digit in digits:
        number = number << 5 | digit
    spare = len(digits) * 5 % 8
    return (number >> spare).to_bytes(len(digits) * 5 // 8, "big")
