"""A newer agreement against the one that was signed: what was added, removed and changed, paragraph by paragraph."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

Kind = Literal["added", "removed", "changed"]
Piece = tuple[Literal["same", "del", "ins"], str]

ALIKE = 0.5
"""Two paragraphs at the same place with less in common than that are one removed and one added."""


@dataclass(frozen=True, slots=True)
class Change:
    """One paragraph, under the heading where it stands; `pieces` in the order of reading."""

    kind: Kind
    heading: str
    pieces: tuple[Piece, ...]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Between the bodies of two agreements; empty when they say the same."""
    before, now = _paragraphs(old), _paragraphs(new)
    found: list[Change] = []
    for op, i, j, k, m in SequenceMatcher(None, before, now, autojunk=False).get_opcodes():
        if op == "equal":
            continue
        gone, come = before[i:j], now[k:m]
        for one, other in zip(gone, come, strict=False):
            found += _between(one, other)
        found += [_whole("removed", each) for each in gone[len(come) :]]
        found += [_whole("added", each) for each in come[len(gone) :]]
    return found


_Paragraph = tuple[str, str]


def _paragraphs(body: Mapping[str, Any]) -> list[_Paragraph]:
    """(heading, text) of each line of the summary and each block or item of the sections."""
    found = [("", body["title"])] + [("", line) for line in body["summary"]]
    for section in body["sections"]:
        lines = [line for block in section["text"].strip().split("\n\n") for line in _lines(block)]
        found += [(section["heading"], line) for line in lines]
    return found


def _lines(block: str) -> list[str]:
    lines = [line.strip() for line in block.splitlines()]
    return [line[2:] for line in lines] if all(line.startswith("- ") for line in lines) else [" ".join(lines)]


def _between(one: _Paragraph, other: _Paragraph) -> list[Change]:
    a, b = one[1].split(" "), other[1].split(" ")
    words = SequenceMatcher(None, a, b, autojunk=False)
    if one[0] != other[0] or words.ratio() < ALIKE:
        return [_whole("removed", one), _whole("added", other)]
    pieces: list[Piece] = []
    for op, i, j, k, m in words.get_opcodes():
        if op == "equal":
            pieces.append(("same", " ".join(a[i:j])))
            continue
        pieces += [("del", " ".join(a[i:j]))] if j > i else []
        pieces += [("ins", " ".join(b[k:m]))] if m > k else []
    return [Change("changed", other[0], tuple(pieces))]


def _whole(kind: Literal["added", "removed"], paragraph: _Paragraph) -> Change:
    return Change(kind, paragraph[0], (("ins" if kind == "added" else "del", paragraph[1]),))
