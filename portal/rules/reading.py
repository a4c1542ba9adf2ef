"""How hard a text is to read, beside what its reader can be asked to read. A guard, not a proof."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.rules.words import Reader

_ENDS = re.compile(r"[.!?:;]\s|\n")
_LONG = 6
"""A word of more letters is a long one."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Mean words a sentence, words of the longest sentence, LIX."""

    mean: float
    longest: int
    lix: float

    def within(self, bar: "Reading") -> bool:
        return self.mean <= bar.mean and self.longest <= bar.longest and self.lix <= bar.lix

    def __str__(self) -> str:
        return f"{self.mean:.1f} words a sentence, {self.longest} in the longest, LIX {self.lix:.0f}"


BARS: Mapping[Reader, Reading] = {
    Reader.ADULT: Reading(14, 25, 45),
    Reader.TEENAGER: Reading(11, 18, 42),
    Reader.CHILD: Reading(9, 12, 32),
    Reader.EASY: Reading(8, 12, 35),
}
"""What a notice for each reader stays within."""


def reading(text: str) -> Reading:
    """LIX (Björnsson 1968): mean words a sentence, plus the percentage of words of more than six letters.

    It counts letters and no syllables, so that one rule serves French and English. An elision (l’) counts as a word;
    a colon, a semicolon and the end of a line end a sentence. A text without a word is read at once: all nought.
    """
    sentences = [words for part in _ENDS.split(text + "\n") if (words := re.findall(r"\w+", part))]
    words = [word for sentence in sentences for word in sentence]
    if not words:
        return Reading(0, 0, 0)
    mean = len(words) / len(sentences)
    long = sum(len(word) > _LONG for word in words)
    return Reading(mean, max(map(len, sentences)), mean + 100 * long / len(words))


def notice_reading(body: Mapping[str, Any]) -> Reading:
    """Of all that a notice says below its headings: the objection, the facts with their questions, the items."""
    return reading("\n".join(_said([body["objection"], body["facts"], body["items"]])))


def _said(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case Mapping():
            return [said for each in value.values() for said in _said(each)]
        case list() | tuple():
            return [said for each in value for said in _said(each)]
        case _:
            return []
