"""A log that somebody with the database's password has changed, at random: the log itself says so.

Each trial changes one value, row or order in the log, its salts, its places or its checkpoints. What an attacker may
do unseen is little: erase a salt, which forgets what an entry said and is counted, or an older checkpoint, which the
last one commits to anyway.
"""

import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.context import TortoiseContext

from portal.flow.audit import verify_log
from portal.flow.means import Means
from portal.flow.sequence import sequence
from portal.records.database import Connection, configuration, transact
from portal.records.ledger import enter
from portal.rules.refusals import Refused

ENTRIES = 12

PARTS: dict[str, tuple[str, ...]] = {
    "log_entry": ("id", "kind", "at", "actor", "summary"),
    "log_touch": ("entry_id", "kind", "ref"),
    "log_salt": ("salt",),
    "log_place": ("place", "entry_id", "leaf_hash"),
    "log_checkpoint": ("size", "root", "edge", "note"),
}
"""Every table of the log and its columns that mean something."""


def another(chance: random.Random, value: object) -> object:
    """A value of the same kind that differs a little."""
    if isinstance(value, int):
        return value + chance.choice((-1, 1, 1000))
    text = value if isinstance(value, bytes) else str(value).encode()
    place = chance.randrange(len(text)) if text else 0
    changed = text[:place] + bytes([(text[place] if text else 64) ^ 1]) + text[place + 1 :]
    return changed if isinstance(value, bytes) else changed.decode()


def change(chance: random.Random, c: sqlite3.Connection, table: str) -> None:
    column = chance.choice(PARTS[table])
    rowid, value = chance.choice(c.execute(f"SELECT rowid, {column} FROM {table}").fetchall())
    c.execute(f"UPDATE OR REPLACE {table} SET {column} = ? WHERE rowid = ?", (another(chance, value), rowid))


def delete(chance: random.Random, c: sqlite3.Connection, table: str) -> None:
    table = "log_place" if table in ("log_salt", "log_checkpoint") else table
    rowid = chance.choice(c.execute(f"SELECT rowid FROM {table}").fetchall())[0]
    c.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))


def cut_off(chance: random.Random, c: sqlite3.Connection, table: str) -> None:
    """The last entries with all that hangs on them; the checkpoints stay."""
    last = chance.choice(c.execute("SELECT id FROM log_entry").fetchall())[0]
    c.execute("DELETE FROM log_entry WHERE id >= ?", (last,))
    for name in ("log_touch", "log_salt", "log_place"):
        c.execute(f"DELETE FROM {name} WHERE entry_id >= ?", (last,))


TAMPER = (change, change, change, delete, cut_off)


@pytest.fixture
def pristine(migrated_sqlite: Path, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with sqlite3.connect(tmp_path / "pristine.sqlite3") as kept:
        yield kept


async def written(means: Means) -> None:
    """A log in which checkpoints stand over several sizes."""

    async def step(c: Connection) -> int:
        now = means.clock.now()
        touches = [("person", "p"), ("practice", "q")]
        return await enter(c, "noted", actor="system:test", at=now, touches=touches, summary="said")

    for _ in range(3):
        for _ in range(ENTRIES // 3):
            await transact(step)
        await sequence(means)


@pytest.mark.shows("R9")
async def test_whatever_is_changed_in_a_log_at_random_is_seen(
    sqlite_url: str,
    pristine: sqlite3.Connection,
    means: Means,
    how_many: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    trials, seed = how_many(250, 2_000), 24
    record_property("trials", trials)
    record_property("seed", seed)
    EXECUTOR_CACHE.clear()
    async with TortoiseContext() as context:
        await context.init(config=configuration(sqlite_url))
        await written(means)
        live = sqlite3.connect(sqlite_url.removeprefix("sqlite://"), isolation_level=None)
        live.backup(pristine)
        unseen = []
        for trial in range(trials):
            chance = random.Random(f"{seed}-{trial}")
            tamper, table = chance.choice(TAMPER), chance.choice(list(PARTS))
            tamper(chance, live, table)
            try:
                await verify_log(means.ring.public_key())
            except Refused:
                pass
            else:
                unseen.append((trial, tamper.__name__, table))
            pristine.backup(live)
        live.close()
        assert (await verify_log(means.ring.public_key())).size == ENTRIES
    assert unseen == []


@pytest.mark.shows("R9")
@pytest.mark.parametrize("between", ["T", "!"])
async def test_a_moment_in_another_spelling_is_seen(sqlite_url: str, means: Means, between: str) -> None:
    """It would be read as the same moment, and be sorted elsewhere: statements compare SQLite's moments as texts."""
    EXECUTOR_CACHE.clear()
    async with TortoiseContext() as context:
        await context.init(config=configuration(sqlite_url))
        await written(means)
        with sqlite3.connect(sqlite_url.removeprefix("sqlite://")) as live:
            live.execute("UPDATE log_entry SET at = replace(at, ' ', ?) WHERE id = 8", (between,))
        with pytest.raises(Refused) as refused:
            await verify_log(means.ring.public_key())
    assert refused.value.code == "log_entry"
