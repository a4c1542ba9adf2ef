"""The log's tree: the place of each entry, and the checkpoints. Apart from `log_entry`, which nothing here changes."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tortoise import fields
from tortoise.models import Model

from portal.records.database import Connection, as_moment, is_postgres, rows, write_many
from portal.records.ledger import LogEntry
from portal.rules.log_leaf import LeafEntry
from portal.rules.merkle import root_of

SEQUENCER = 0x6C6F67
"""The advisory lock of whoever gives places ("log" in ASCII)."""


class LogPlace(Model):
    """`place` counts from 0. The hash stays when the salt of the entry is erased."""

    place = fields.BigIntField(primary_key=True, generated=False)
    entry_id: int
    entry: fields.OneToOneRelation[LogEntry] = fields.OneToOneField("portal.LogEntry", on_delete=fields.RESTRICT)
    leaf_hash = fields.BinaryField()

    class Meta:
        table = "log_place"


class LogCheckpoint(Model):
    """A signed size and root. `edge`: the tree's right edge at that size, to go on from; 32 bytes each."""

    size = fields.BigIntField(primary_key=True, generated=False)
    root = fields.BinaryField()
    edge = fields.BinaryField()
    note = fields.CharField(max_length=1000)
    made_at = fields.DatetimeField()

    class Meta:
        table = "log_checkpoint"


def edge_of(packed: bytes) -> list[bytes]:
    return [packed[i : i + 32] for i in range(0, len(packed), 32)]


async def alone(c: Connection) -> bool:
    """True for the one transaction at a time that may give places; it lasts until its end. Never waits."""
    if not is_postgres(c):
        return True  # BEGIN IMMEDIATE
    return bool((await rows(c, "SELECT pg_try_advisory_xact_lock($1::bigint) AS mine", SEQUENCER))[0]["mine"])


async def newest_checkpoint(c: Connection) -> dict[str, Any] | None:
    """The largest; with bytes and a moment on both databases."""
    found = await rows(c, "SELECT size, root, edge, note, made_at FROM log_checkpoint ORDER BY size DESC LIMIT 1")
    return _checkpoint(found[0]) if found else None


async def checkpoints(c: Connection) -> list[dict[str, Any]]:
    found = await rows(c, "SELECT size, root, edge, note, made_at FROM log_checkpoint ORDER BY size")
    return [_checkpoint(row) for row in found]


def _checkpoint(row: Mapping[str, Any]) -> dict[str, Any]:
    packed = {name: bytes(row[name]) for name in ("root", "edge")}
    return {**row, **packed, "size": int(row["size"]), "made_at": as_moment(row["made_at"])}


async def last_place(c: Connection) -> tuple[int, int]:
    """(how many places are given, the entry that has the last); (0, 0) for none."""
    found = await rows(c, "SELECT place, entry_id FROM log_place ORDER BY place DESC LIMIT 1")
    return (int(found[0]["place"]) + 1, int(found[0]["entry_id"])) if found else (0, 0)


async def entries_after(c: Connection, entry: int, *, up_to: int, most: int) -> list[tuple[LeafEntry, bytes | None]]:
    """The next entries in order of id, each with its salt."""
    found = await rows(
        c,
        "SELECT e.id, e.kind, e.at, e.actor, e.summary, s.salt FROM log_entry e "
        "LEFT JOIN log_salt s ON s.entry_id = e.id WHERE e.id > $1 AND e.id <= $2 ORDER BY e.id LIMIT $3",
        entry,
        up_to,
        most,
    )
    return await _with_touches(c, found)


async def places_from(c: Connection, place: int, *, most: int) -> list[tuple[int, bytes, LeafEntry, bytes | None]]:
    """The next places in order: place, leaf hash, entry, salt (None when it was erased)."""
    found = await rows(
        c,
        "SELECT p.place, p.leaf_hash, e.id, e.kind, e.at, e.actor, e.summary, s.salt FROM log_place p "
        "JOIN log_entry e ON e.id = p.entry_id LEFT JOIN log_salt s ON s.entry_id = e.id "
        "WHERE p.place >= $1 ORDER BY p.place LIMIT $2",
        place,
        most,
    )
    read = await _with_touches(c, found)
    return [(int(row["place"]), bytes(row["leaf_hash"]), *one) for row, one in zip(found, read, strict=True)]


async def entry_with_place(c: Connection, entry: int) -> tuple[int, bytes, LeafEntry, bytes | None] | None:
    """One entry as the tree has it; None while it has no place."""
    found = await rows(c, "SELECT place FROM log_place WHERE entry_id = $1", entry)
    return (await places_from(c, int(found[0]["place"]), most=1))[0] if found else None


async def _with_touches(c: Connection, entries: list[dict[str, Any]]) -> list[tuple[LeafEntry, bytes | None]]:
    if not entries:
        return []
    touches: dict[int, list[tuple[str, str]]] = {}
    for row in await rows(
        c,
        "SELECT entry_id, kind, ref FROM log_touch WHERE entry_id >= $1 AND entry_id <= $2",
        min(row["id"] for row in entries),
        max(row["id"] for row in entries),
    ):
        touches.setdefault(int(row["entry_id"]), []).append((row["kind"], row["ref"]))
    return [(_entry(row, touches.get(int(row["id"]), [])), _bytes(row["salt"])) for row in entries]


def _entry(row: Mapping[str, Any], touches: list[tuple[str, str]]) -> LeafEntry:
    return LeafEntry(int(row["id"]), row["kind"], _moment(row["at"]), row["actor"], row["summary"], touches)


def _moment(value: datetime | str) -> datetime:
    """ValueError for a text of SQLite's that is not as the portal writes it: statements compare it letter by letter."""
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if isinstance(value, str) and str(at) != value:
        raise ValueError("a moment in another spelling than the portal's")
    return at


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


async def leaf_hashes(c: Connection, size: int) -> list[bytes]:
    """The first `size` leaves."""
    found = await rows(c, "SELECT leaf_hash FROM log_place WHERE place < $1 ORDER BY place", size)
    return [bytes(row["leaf_hash"]) for row in found]


async def write_places(c: Connection, first: int, leaves: Iterable[tuple[int, bytes]]) -> None:
    """(entry, leaf hash) in order, from place `first`."""
    given = [(place, entry, leaf) for place, (entry, leaf) in enumerate(leaves, first)]
    await write_many(c, "INSERT INTO log_place (place, entry_id, leaf_hash) VALUES ($1, $2, $3)", given)


async def write_checkpoint_row(c: Connection, size: int, edge: list[bytes], note: str, at: datetime) -> None:
    await rows(
        c,
        "INSERT INTO log_checkpoint (size, root, edge, note, made_at) VALUES ($1, $2, $3, $4, $5)",
        size,
        root_of(edge),
        b"".join(edge),
        note,
        at,
    )
