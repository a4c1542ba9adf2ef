"""What the database itself refuses, whatever the code above it does; and what its transactions promise."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.context import TortoiseContext
from tortoise.exceptions import IntegrityError
from world import World, build, child, patient

from portal.demo.clock import PlayedClock
from portal.flow import opt_out
from portal.flow.means import Means
from portal.records.database import Connection, configuration, connection, rows, transact, transact_alone
from portal.records.ledger import LogEntry, enter, last_entry, take_cut, touched_since
from portal.records.schema import metadata
from portal.rules.words import Scope


@pytest.fixture
async def told(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> World:
    world = await build(means, clock, tmp_path)
    await world.enrol()
    await world.register([patient("1"), child("2")])
    await world.tell()
    await world.read_returns()
    await opt_out.object_(means, world.links["patient1@example.org"], Scope.EVERYTHING)
    return world


def words() -> Iterator[tuple[str, str]]:
    """(table, column) of every column that holds one closed word."""
    for table in metadata().sorted_tables:
        for check in table.constraints:
            text = str(check.sqltext) if isinstance(check, sa.CheckConstraint) else ""
            if found := re.fullmatch(r"(?:\w+ IS NULL OR )?(\w+) IN \('[^()]*'\)", text):
                yield table.name, found[1]


async def test_a_word_that_is_none_of_its_column_is_refused_everywhere(told: World) -> None:
    tried = 0
    for table, column in words():
        if not await rows(connection(), f"SELECT 1 AS one FROM {table} LIMIT 1"):
            continue
        with pytest.raises(IntegrityError):
            await rows(connection(), f"UPDATE {table} SET {column} = '?'")
        tried += 1
    assert tried >= 14


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE notice SET entry_id = (SELECT max(id) FROM log_entry)",
        "UPDATE notice SET campaign_id = NULL",
        "UPDATE notice SET server_answer = NULL",
        "UPDATE objection SET withdrawn_at = received_at",
        "UPDATE enrolment SET agreement_sha256 = NULL",
        "UPDATE enrolment SET verified_by = NULL",
        "UPDATE account SET subject = NULL",
        "UPDATE notice_text SET approved_by = author",
        "UPDATE notice_text SET approved_by = NULL, approved_at = NULL",
        "UPDATE objection SET entry_id = 999999",
        "UPDATE patient SET person_id = '00000000-0000-0000-0000-000000000000'",
        "DELETE FROM log_entry",
        "DELETE FROM person",
        "DELETE FROM patient",
    ],
)
async def test_a_record_that_contradicts_itself_is_refused(told: World, statement: str) -> None:
    with pytest.raises(IntegrityError):
        await transact(lambda c: rows(c, statement))


# --- transactions and the log --------------------------------------------------------------------------------------


@pytest.fixture
async def several(postgres_url: str, clock: PlayedClock) -> AsyncIterator[PlayedClock]:
    """PostgreSQL with a few connections."""
    EXECUTOR_CACHE.clear()
    async with TortoiseContext() as context:
        await context.init(config=configuration(f"{postgres_url}?minsize=3&maxsize=3"))
        yield clock


async def note(c: Connection, clock: PlayedClock) -> int:
    return await enter(c, "noted", actor="system:test", at=clock.now(), touches=[("person", str(uuid4()))])


async def test_a_cut_waits_for_every_entry_under_way(several: PlayedClock) -> None:
    entered, may_commit = asyncio.Event(), asyncio.Event()

    async def slow(c: Connection) -> int:
        entry = await note(c, several)
        entered.set()
        await may_commit.wait()
        return entry

    writing = asyncio.create_task(transact(slow))
    await entered.wait()
    cutting = asyncio.create_task(take_cut())
    await asyncio.sleep(0.1)
    assert not cutting.done()
    may_commit.set()
    assert await cutting >= await writing


async def test_a_cut_does_not_wait_for_those_who_only_read(several: PlayedClock) -> None:
    read, may_end = asyncio.Event(), asyncio.Event()

    async def reading(c: Connection) -> None:
        await rows(c, "SELECT count(*) AS n FROM log_entry")
        read.set()
        await may_end.wait()

    task = asyncio.create_task(transact(reading))
    await read.wait()
    assert await asyncio.wait_for(take_cut(), 1) == 0
    may_end.set()
    await task


async def test_a_request_that_is_cancelled_leaks_no_connection(several: PlayedClock) -> None:
    """Three connections, thirty cancelled requests, and the thirty-first is served."""

    async def slow(c: Connection) -> None:
        await rows(c, "SELECT 1 AS one")
        await asyncio.sleep(0.02)

    for _ in range(30):
        task = asyncio.create_task(transact(slow))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await asyncio.wait_for(transact(last_entry), 5) == 0


async def test_a_step_that_fails_leaves_no_entry(database: str, clock: PlayedClock) -> None:
    class Stopped(Exception):
        pass

    async def stops(c: Connection) -> None:
        await note(c, clock)
        raise Stopped

    for door in (transact, transact_alone):
        with pytest.raises(Stopped):
            await door(stops)
    assert await LogEntry.all().count() == 0


async def test_steps_that_read_and_then_write_never_fail_each_other(database: str, clock: PlayedClock) -> None:
    async def step(c: Connection) -> int:
        await last_entry(c)
        return await note(c, clock)

    entries = await asyncio.gather(*(transact(step) for _ in range(40)))
    assert len(set(entries)) == 40


async def test_an_entry_that_names_nothing_touches_everything(database: str, clock: PlayedClock) -> None:
    entry = await transact(lambda c: enter(c, "noted", actor="system:test", at=clock.now(), touches=[]))
    assert await touched_since(connection(), entry - 1) == {("everything", "")}
    assert await touched_since(connection(), entry) == set()


async def test_every_entry_has_a_salt_of_its_own(database: str, clock: PlayedClock) -> None:
    for _ in range(5):
        await transact(lambda c: note(c, clock))
    salts: list[Any] = [bytes(row["salt"]) for row in await rows(connection(), "SELECT salt FROM log_salt")]
    assert len(set(salts)) == len(salts) == 5
    assert {len(salt) for salt in salts} == {16}
