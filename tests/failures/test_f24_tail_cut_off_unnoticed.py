"""F24, a tail cut off a hash chain unnoticed: the rest looks whole to itself, not to a checkpoint kept elsewhere."""

import pytest

from portal.flow.audit import verify_log
from portal.flow.means import Means
from portal.flow.sequence import checkpoint, sequence
from portal.records.database import Connection, connection, rows, transact
from portal.records.ledger import enter
from portal.rules.refusals import Refused


async def _write(means: Means, many: int) -> None:
    for _ in range(many):

        async def step(c: Connection) -> None:
            await enter(c, "objected", actor="patient", at=means.clock.now(), touches=[("person", "p")])

        await transact(step)


async def _cut_tail(size: int) -> None:
    """With everything that could tell: places, checkpoints, salts, touches, entries."""
    c = connection()
    last = (await rows(c, "SELECT entry_id FROM log_place WHERE place = $1", size - 1))[0]["entry_id"]
    await rows(c, "DELETE FROM log_checkpoint WHERE size > $1", size)
    for table, column in (("log_place", "entry_id"), ("log_salt", "entry_id"), ("log_touch", "entry_id")):
        await rows(c, f"DELETE FROM {table} WHERE {column} > $1", last)
    await rows(c, "DELETE FROM log_entry WHERE id > $1", last)


async def test_f24_a_tail_that_was_cut_off_is_noticed(database: str, means: Means) -> None:
    await _write(means, 6)
    await sequence(means)
    await _write(means, 5)
    await sequence(means)
    kept, key = await checkpoint(), means.ring.public_key()
    assert (await verify_log(key, kept=kept)).size == 11

    await _cut_tail(6)
    assert (await verify_log(key)).size == 6, "the log itself cannot tell: that is why a checkpoint is kept elsewhere"
    with pytest.raises(Refused, match="log_cut"):
        await verify_log(key, kept=kept)

    for more, size in ((5, 11), (3, 14)):
        await _write(means, more)
        await sequence(means)
        assert (await verify_log(key)).size == size, "grown again, under checkpoints of its own"
        with pytest.raises(Refused, match="log_root"):
            await verify_log(key, kept=kept)
