"""What a draft changes, in parts that a page can show: one line a field, and of a list what is added and taken out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One field. before, after: None where nothing is said. added, removed: of a list, in the order of its file."""

    path: Path
    before: Any
    after: Any

    @property
    def added(self) -> tuple[Any, ...]:
        return tuple(each for each in self.after or () if each not in (self.before or ()))

    @property
    def removed(self) -> tuple[Any, ...]:
        return tuple(each for each in self.before or () if each not in (self.after or ()))

    @property
    def listed(self) -> bool:
        return isinstance(self.before, list | tuple) or isinstance(self.after, list | tuple)


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Change]:
    """Every field that differs, in the order of the newer form; all that says something when nothing counts yet."""
    old, new = dict(_fields(before or {})), dict(_fields(after))
    paths = [*new, *(path for path in old if path not in new)]
    return [Change(path, old.get(path), new.get(path)) for path in paths if _differ(old.get(path), new.get(path))]


def _fields(value: Mapping[str, Any], at: Path = ()) -> Iterator[tuple[Path, Any]]:
    for name, each in value.items():
        if isinstance(each, Mapping):
            yield from _fields(each, (*at, name))
        elif each is not None and each != "":
            yield (*at, name), each


def _differ(one: Any, other: Any) -> bool:
    """The order of a list means nothing."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return set(one) != set(other)
    return bool(one != other)
