"""Which cells of a table of persons are masked: the small ones, and as many more as keep them from being worked out.

A table has one or two dimensions, every person in exactly one cell, and its sums: a key holds one value a dimension,
ALL where the dimension is summed. What a reader can work out of a masked cell is an interval, found exactly: tables
with their sums are circulations in a network, where a masked number may grow by a round trip through masked numbers.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from heapq import heappop, heappush

ALL = "*"

Key = tuple[str, ...]
Counts = Mapping[Key, int]


def with_sums(cells: Counts) -> dict[Key, int]:
    """Every cell of the full grid, also the empty ones, with the sums. ValueError for more than two dimensions."""
    dimensions = {len(key) for key in cells} or {1}
    if dimensions not in ({1}, {2}):
        raise ValueError("a table has one or two dimensions")
    (many,) = dimensions
    values = [sorted({key[place] for key in cells}) for place in range(many)]
    grid: list[Key] = [(v,) for v in values[0]] if many == 1 else [(v, w) for v in values[0] for w in values[1]]
    found = {key: cells.get(key, 0) for key in grid}
    for key in grid:
        for sums in _sums_of(key):
            found[sums] = found.get(sums, 0) + cells.get(key, 0)
    return found


def _sums_of(key: Key) -> list[Key]:
    return [(ALL,)] if len(key) == 1 else [(key[0], ALL), (ALL, key[1]), (ALL, ALL)]


def masked(table: Counts, *, least: int, also: Collection[Key] = ()) -> set[Key]:
    """The keys of `table` (made by `with_sums`) that are not published.

    First every number below `least`, also none, and `also`. Then, until nobody can tell a masked number to fewer than
    `least` values, the round trip through it that masks fewest persons more, inner cells before sums. What is masked
    is masked for good, so the order of keys decides and the same table gives the same mask.
    """
    hidden = {key for key, n in table.items() if n < least} | (set(also) & table.keys())
    waiting = deque(sorted(hidden))
    while waiting:
        key = waiting[0]
        if width(table, hidden, key, enough=least - 1) >= least - 1:
            waiting.popleft()
            continue
        further = _round_trip(table, hidden, key, least - 1) or sorted(table.keys() - hidden)[:1]
        hidden |= set(further)
        waiting.extend(further)
    return hidden


def _round_trip(table: Counts, hidden: Collection[Key], key: Key, enough: int) -> list[Key]:
    """What has to be masked besides, so that `key` may be greater by `enough`; empty when nothing would do."""
    beyond = sum(table.values()) + 1
    ways: dict[str, list[tuple[str, int, Key]]] = {}
    for other, n in sorted(table.items()):
        if other != key:
            start, end = _ends(other)
            price = 0 if other in hidden else n + beyond * (ALL in other)
            ways.setdefault(start, []).append((end, price, other))
            if n >= enough:
                ways.setdefault(end, []).append((start, price, other))
    goal, first = _ends(key)
    waiting: list[tuple[int, str, list[Key]]] = [(0, first, [])]
    seen: set[str] = set()
    while waiting:
        spent, node, path = heappop(waiting)
        if node == goal:
            return [other for other in path if other not in hidden]
        if node not in seen:
            seen.add(node)
            for end, price, other in ways.get(node, ()):
                if end not in seen:
                    heappush(waiting, (spent + price, end, [*path, other]))
    return []


def width(table: Counts, hidden: Collection[Key], key: Key, *, enough: int) -> int:
    """How far apart the greatest and the least value are that a masked number may have; at most about `enough`."""
    start, end = _ends(key)
    up = _flow(table, hidden, key, end, start, enough)
    return up if up >= enough else up + min(table[key], _flow(table, hidden, key, start, end, enough - up))


def _ends(key: Key) -> tuple[str, str]:
    """The two sums that a number stands between: a cell between its row and its column, a sum between row and all."""
    if len(key) == 1:
        return ("out", "in") if key[0] == ALL else ("in", "out")
    row, column = key
    start = "out" if row == column == ALL else "in" if column == ALL else f"column {column}" if row == ALL else ""
    end = "in" if row == column == ALL else f"row {row}" if column == ALL else "out" if row == ALL else ""
    return start or f"row {row}", end or f"column {column}"


def _flow(table: Counts, hidden: Collection[Key], key: Key, source: str, sink: str, enough: int) -> int:
    """The greatest flow, up to `enough`, through the other masked numbers: forward without bound, back to nothing."""
    left: dict[str, dict[Key, tuple[str, int]]] = {}
    for other in hidden:
        if other != key:
            start, end = _ends(other)
            left.setdefault(start, {})[other] = (end, enough)
            left.setdefault(end, {})[other] = (start, min(enough, table[other]))
    sent = 0
    while sent < enough and (path := _path(left, source, sink)):
        amount = min(enough - sent, *(left[node][arc][1] for node, arc in path))
        for node, arc in path:
            end, room = left[node][arc]
            left[node][arc] = (end, room - amount)
            back, more = left[end][arc]
            left[end][arc] = (back, more + amount)
        sent += amount
    return sent


def _path(left: Mapping[str, Mapping[Key, tuple[str, int]]], source: str, sink: str) -> list[tuple[str, Key]]:
    """A shortest way from source to sink over arcs with room; empty when there is none."""
    came: dict[str, tuple[str, Key] | None] = {source: None}
    queue = deque([source])
    while queue and sink not in came:
        node = queue.popleft()
        for arc, (end, room) in left.get(node, {}).items():
            if room > 0 and end not in came:
                came[end] = (node, arc)
                queue.append(end)
    path, at = [], came.get(sink)
    while at:
        path.append(at)
        at = came[at[0]]
    return path[::-1]


def differing(
    new: Mapping[frozenset[str], int], earlier: Iterable[Mapping[frozenset[str], int]], *, least: int
) -> set[frozenset[str]]:
    """The numbers of a new table that differ from a published one, of the same question, by 1 to `least` - 1 persons.

    A question is the set of `column/precision=value` that a number counts persons by; the empty set counts all.
    """
    return {
        asked
        for published in earlier
        for asked, n in published.items()
        if asked in new and 0 < abs(new[asked] - n) < least
    }
