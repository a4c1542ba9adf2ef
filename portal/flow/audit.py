"""The log of this database held against its own checkpoints, and against one that was kept elsewhere."""

from dataclasses import dataclass

from portal.flow.decide import snapshot
from portal.gate.checkpoint import Checkpoint, read_checkpoint
from portal.gate.signature import BadSignature, Keys
from portal.records.database import Connection, rows, transact
from portal.records.tree import checkpoints, edge_of, last_place, places_from
from portal.rules.log_leaf import LeafEntry, commitment
from portal.rules.merkle import appended, is_edge, leaf_hash, root_of
from portal.rules.refusals import Refused

AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Audited:
    """A log that holds. `forgotten`: entries whose salt was erased, so that what they say cannot be proved any more;
    `waiting`: entries without a place yet."""

    size: int
    checkpoints: int
    forgotten: int
    waiting: int


async def verify_log(keys: Keys, *, kept: str | None = None) -> Audited:
    """Every entry, place and checkpoint, in one view of the database; Refused with the first thing that is off.

    `kept`: a checkpoint from elsewhere, which the log must contain. Without one, a log whose tail was cut off
    together with its checkpoints looks whole. `keys`: the portal's, or those it has had, the newest first.
    """
    outside = _read(kept, keys, where="the checkpoint kept elsewhere") if kept is not None else None

    async def step(c: Connection) -> Audited:
        await snapshot(c)
        return await _verify(c, keys, outside)

    return await transact(step)


async def _verify(c: Connection, keys: Keys, outside: Checkpoint | None) -> Audited:
    signed = await _signed(c, keys)
    if outside is not None:
        signed.setdefault(outside.size, []).append(outside)
    _hold_order_of_keys(signed)
    edge: list[bytes] = []
    size, last, forgotten = 0, 0, 0
    _hold(signed, 0, edge)
    while batch := await _places(c, size):
        for place, leaf, entry, salt in batch:
            if place != size or entry.id <= last:
                raise _off("log_place", f"place {size}", "a place is missing or out of order")
            _check_leaf(leaf, entry, salt)
            forgotten += salt is None
            edge, size, last = appended(edge, size, leaf), size + 1, entry.id
            _hold(signed, size, edge)
    if signed:
        raise _off("log_cut", f"size {min(signed)}", "the log is shorter than a checkpoint says: its tail was cut off")
    await _check_whole(c, size, last)
    kept = await rows(c, "SELECT count(*) AS n, coalesce(max(size), 0) AS size FROM log_checkpoint")
    if int(kept[0]["size"]) != size:
        raise _off("log_checkpoint", f"size {size}", "no checkpoint stands over the last places")
    waiting = await rows(c, "SELECT count(*) AS n FROM log_entry WHERE id > $1", last)
    return Audited(size, int(kept[0]["n"]), forgotten, int(waiting[0]["n"]))


async def _places(c: Connection, size: int) -> list[tuple[int, bytes, LeafEntry, bytes | None]]:
    try:
        return await places_from(c, size, most=AT_ONCE)
    except ValueError:
        raise _off("log_entry", f"from place {size}", "an entry holds a value that nobody can have written") from None


async def _signed(c: Connection, keys: Keys) -> dict[int, list[Checkpoint]]:
    """The database's checkpoints by size, each signed, and its row saying the same."""
    found: dict[int, list[Checkpoint]] = {}
    for row in await checkpoints(c):
        where = f"checkpoint {row['size']}"
        said = _read(row["note"], keys, where=where)
        says_the_same = (said.size, said.root) == (row["size"], row["root"])
        if not says_the_same or not is_edge(edge_of(row["edge"]), said.size, said.root):
            raise _off("log_checkpoint", where, "the row does not say what was signed")
        found[said.size] = [said]
    return found


def _hold_order_of_keys(signed: dict[int, list[Checkpoint]]) -> None:
    """A key that was replaced signs nothing that comes later."""
    newest = max((one.signer for some in signed.values() for one in some), default=0)
    for size, some in sorted(signed.items()):
        if max(one.signer for one in some) > newest:
            raise _off("log_checkpoint", f"checkpoint {size}", "signed by a key that had been replaced before")
        newest = min(one.signer for one in some)


def _read(note: str, keys: Keys, *, where: str) -> Checkpoint:
    try:
        return read_checkpoint(note, keys)
    except BadSignature:
        raise _off("log_checkpoint", where, "not a checkpoint, or not signed by a key of this log") from None


def _hold(signed: dict[int, list[Checkpoint]], size: int, edge: list[bytes]) -> None:
    """Every checkpoint of this size has the root that the entries have."""
    for one in signed.pop(size, []):
        if one.root != root_of(edge):
            raise _off("log_root", f"size {size}", "the entries are not those that a checkpoint was signed over")


def _check_leaf(leaf: bytes, entry: LeafEntry, salt: bytes | None) -> None:
    if salt is not None and leaf_hash(commitment(salt, entry.as_json())) != leaf:
        raise _off("log_entry", f"entry {entry.id}", "the entry was changed after it had its place")


async def _check_whole(c: Connection, size: int, last: int) -> None:
    """No entry beneath the last place without one, and no place without its entry."""
    entries = await rows(c, "SELECT count(*) AS n FROM log_entry WHERE id <= $1", last)
    if int(entries[0]["n"]) != size or (await last_place(c))[0] != size:
        raise _off("log_place", f"size {size}", "an entry has no place, or a place no entry")


def _off(code: str, where: str, what: str) -> Refused:
    return Refused(code, what, where=where, status=409)
