"""Where each key of a TOML text stands, for the errors about it. Asked only when a file is refused."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

Path = tuple[str | int, ...]

_NAME = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_NAMES = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_NAMES})\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"\s*({_NAMES})\s*=")
_ENDS = tuple("]}\"'")
_LONGEST = 2000
"""Lines of one value that are looked through for its end."""


@dataclass(frozen=True, slots=True)
class Places:
    """The name of a file and the line of each key; without them a place is its path alone."""

    file: str = ""
    lines: Mapping[Path, int] = field(default_factory=dict)

    def of(self, *path: str | int) -> str:
        """`study.toml, line 12, study.0.k`: the key itself, or the nearest table that there is around it."""
        near = next((path[:n] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)
        line = f"line {self.lines[near]}" if near else "line 1" if self.lines else ""
        return ", ".join(filter(None, (self.file, line, ".".join(map(str, path)))))


def lines_of(text: str) -> dict[Path, int]:
    """The line, from 1, of each table and key; items of arrays are found by their index, as the parser counts."""
    lines, found = text.splitlines(), dict[Path, int]()
    counts: dict[Path, int] = {}
    table: Path = ()
    at = 0
    while at < len(lines):
        if header := _HEADER.match(lines[at]):
            table = _table(header[1] == "[[", _names(header[2]), counts)
            found.setdefault(table, at + 1)
        elif key := _KEY.match(lines[at]):
            names = _names(key[1])
            for n in range(1, len(names) + 1):
                found.setdefault((*table, *names[:n]), at + 1)
            at = _end_of_value(lines, at)
        at += 1
    return found


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, dotted))


def _table(one_of_many: bool, names: tuple[str, ...], counts: dict[Path, int]) -> Path:
    """The path of a table's header: under the newest item of every array that it goes through."""
    path: Path = ()
    for place, name in enumerate(names, 1):
        path = (*path, name)
        if one_of_many and place == len(names):
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _end_of_value(lines: list[str], begin: int) -> int:
    """The last line of the value that begins here; the same line when no end is found."""
    for end in range(begin, min(begin + _LONGEST, len(lines))):
        bare = lines[end].partition("#")[0].rstrip()
        if end > begin and not bare.endswith(_ENDS):
            continue
        try:
            tomllib.loads("\n".join(lines[begin : end + 1]))
        except ValueError:
            continue
        return end
    return begin
