"""What a text may not say: that data about single persons are anonymous. They are pseudonymised (DOMAIN §1)."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

_BREAK = re.compile(r"[.,;:!?()«»“”\"–—]+|\n\s*\n")
_ANONYMOUS = re.compile(r"\b(?:dés|ré|de-?|re-?)?anonym\w*", re.IGNORECASE)
_DENIED = frozenset({"not", "n’t", "never", "no", "nor", "pas", "jamais", "ni", "non", "aucunement", "neither"})
_ONLY = frozenset({"only", "just", "seulement", "uniquement", "que"})
_NEAR = 3
"""How many words before it a denial may stand: « pas des données anonymes »."""


def called_anonymous(text: str) -> bool:
    """True when the text calls something anonymous. To deny it is right: "pseudonymised, not anonymous"."""
    return any(_claims(clause) for clause in _BREAK.split(_plain(text)))


def texts_called_anonymous(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The place of each text inside a file that calls something anonymous."""
    match value:
        case str():
            if called_anonymous(value):
                yield at
        case dict():
            for name, each in value.items():
                yield from texts_called_anonymous(each, (*at, name))
        case list() | tuple():
            for place, each in enumerate(value):
                yield from texts_called_anonymous(each, (*at, place))


def _plain(text: str) -> str:
    """Without the invisible characters that would hide a word, and with one kind of apostrophe."""
    seen = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return "".join(seen).replace("'", "’")


def _claims(clause: str) -> bool:
    for found in _ANONYMOUS.finditer(clause):
        before = clause[: found.start()].casefold().split()[-_NEAR:]
        denied = any(word in _DENIED or word.endswith("n’t") for word in before)
        if not denied or _ONLY & set(before):
            return True
    return False
