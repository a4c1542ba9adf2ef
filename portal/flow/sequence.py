"""The tree comes after: committed entries get their place in it, one sequencer at a time, and nobody waits for that.

A checkpoint is signed whenever the tree has grown, and only over a tree that goes on from the last one signed.
"""

import asyncio
from typing import Any

import asyncpg
from tortoise.exceptions import OperationalError

from portal.flow.means import Means
from portal.gate.checkpoint import Checkpoint, read_checkpoint, write_checkpoint, write_way
from portal.gate.signature import BadSignature
from portal.records.database import Connection, connection, is_lock_timeout, transact
from portal.records.ledger import last_entry, take_cut
from portal.records.tree import (
    alone,
    edge_of,
    entries_after,
    entry_with_place,
    last_place,
    leaf_hashes,
    newest_checkpoint,
    write_checkpoint_row,
    write_places,
)
from portal.rules.log_leaf import LeafEntry, commitment
from portal.rules.merkle import appended, consistency, inclusion, is_edge, leaf_hash, root_of
from portal.rules.refusals import Refused

AT_ONCE = 1000
"""So many places are given in one transaction, under one checkpoint."""

TRIES = 50
"""How often, a tenth of a second apart, a proof asks for a place that another sequencer is giving."""


async def sequence(means: Means, *, at_once: int = AT_ONCE) -> int:
    """Give places to the entries that have none, in order of id. Returns how many; 0 when another is at it.

    `at_once`: entries a transaction takes.

    The cut is taken first: beneath it no entry is under way, so none can appear behind the last place later.
    Refused("log_broken") when the log does not go on from its last checkpoint: nothing is signed over that.
    """
    if (await last_place(connection()))[1] >= await last_entry(connection()):
        return 0
    try:
        cut = await take_cut()
    except (asyncpg.LockNotAvailableError, OperationalError) as error:
        if not is_lock_timeout(error):
            raise
        return 0
    given = 0
    while step := await transact(lambda c: _give_places(means, c, cut, at_once)):
        given += step
    return given


async def _give_places(means: Means, c: Connection, cut: int, at_once: int) -> int:
    if not await alone(c):
        return 0
    size, last = await last_place(c)
    edge = await _edge(means, c, size)
    entries = await entries_after(c, last, up_to=cut, most=at_once)
    if not entries:
        return 0
    leaves = [(entry.id, _leaf(entry, salt)) for entry, salt in entries]
    for place, (_, leaf) in enumerate(leaves, size):
        edge = appended(edge, place, leaf)
    await write_places(c, size, leaves)
    grown = Checkpoint(origin_of(means), size + len(leaves), root_of(edge))
    note = write_checkpoint(grown, means.ring.signing_key())
    await write_checkpoint_row(c, grown.size, edge, note, await means.now(c))
    return len(leaves)


def _leaf(entry: LeafEntry, salt: bytes | None) -> bytes:
    if salt is None:
        raise _broken("an entry lost its salt before it had its place")
    return leaf_hash(commitment(salt, entry.as_json()))


async def _edge(means: Means, c: Connection, size: int) -> list[bytes]:
    """Where the last checkpoint left off, held against what was signed."""
    newest = await newest_checkpoint(c)
    if newest is None:
        if size:
            raise _broken("there are places and no checkpoint")
        return []
    try:
        signed = read_checkpoint(newest["note"], means.ring.public_keys())
    except BadSignature:
        raise _broken("the last checkpoint is not signed by this portal") from None
    edge = edge_of(newest["edge"])
    if signed.size != size or not is_edge(edge, size, signed.root):
        raise _broken("the places are not those of the last checkpoint")
    return edge


def _broken(what: str) -> Refused:
    return Refused("log_broken", f"{what}: see `portal log verify`", where="log", status=503)


def origin_of(means: Means) -> str:
    """The log's name in its checkpoints: the portal's address without its scheme."""
    return f"{means.base_url.partition('://')[2]}/log"


async def proof_of(means: Means, entry: int) -> dict[str, Any]:
    """The entry's proof.json: what it says under which salt, its place, and the way to a signed checkpoint.

    Runs the sequencer until the entry has its place. Refused("log_busy") when that takes five seconds.
    """
    for _ in range(TRIES):
        await sequence(means)
        if (proof := await proof_if_placed(entry)) is not None:
            return proof
        await asyncio.sleep(0.1)
    raise Refused("log_busy", "the log is busy: ask again", status=503)


async def proof_if_placed(entry: int) -> dict[str, Any] | None:
    """The same, of an entry that has its place; None of one that waits for it. Reads only."""
    found = await entry_with_place(connection(), entry)
    newest = await newest_checkpoint(connection())
    if found is None or newest is None:  # a place and the checkpoint over it are one commit
        return None
    place, leaf, said, salt = found
    if salt is None:
        raise Refused("log_forgotten", "what this entry says was forgotten: it cannot be proved", status=409)
    leaves = await leaf_hashes(connection(), newest["size"])
    path = await asyncio.to_thread(inclusion, leaves, place)
    return {
        "log_entry": entry,
        "entry": said.as_json(),
        "salt": salt.hex(),
        "place": place,
        "leaf_hash": leaf.hex(),
        "size": newest["size"],
        "root": newest["root"].hex(),
        "path": [step.hex() for step in path],
        "checkpoint": newest["note"],
    }


async def checkpoint(*, since: int | None = None) -> str:
    """The newest signed checkpoint; with `since`, also what shows that the tree of that size is its beginning."""
    newest = await newest_checkpoint(connection())
    if newest is None:
        raise Refused("no_checkpoint", "the log has no checkpoint yet: the worker makes one", status=404)
    if since is None:
        return str(newest["note"])
    if not 0 < since <= newest["size"]:
        raise Refused("no_such_size", "the newest checkpoint is smaller than that", where="--since")
    leaves = await leaf_hashes(connection(), newest["size"])
    return write_way(newest["note"], since, await asyncio.to_thread(consistency, leaves, since))
