"""The database's door: configuration, the one way to a transaction, and SQL that runs on both engines.

Statements are written for PostgreSQL (`$1`); on SQLite the same text is used with `?1`.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.config_generator import expand_db_url
from tortoise.connection import get_connections
from tortoise.context import TortoiseContext
from tortoise.exceptions import OperationalError
from tortoise.transactions import in_transaction

T = TypeVar("T")
Connection = BaseDBAsyncClient
Step = Callable[[Connection], Awaitable[T]]

MODEL_MODULES = (
    "portal.records.ledger",
    "portal.records.tree",
    "portal.records.accounts",
    "portal.records.governance",
    "portal.records.drafts",
    "portal.records.people",
    "portal.records.clients",
    "portal.records.enrolments",
    "portal.records.notices",
    "portal.records.objections",
    "portal.records.sent_consents",
    "portal.records.canaries",
    "portal.records.log_reviews",
    "portal.records.rights_requests",
    "portal.records.releases",
    "portal.records.retractions",
    "portal.records.stored",
    "portal.records.key_bindings",
)

_running: set[asyncio.Task[Any]] = set()


def configuration(url: str) -> dict[str, Any]:
    """Tortoise's configuration for a database URL: `sqlite://path` or `postgres://…`.

    Durability is asserted here, not left to defaults: SQLite runs with synchronous=FULL, so that an
    acknowledged objection survives the power cut after it.
    """
    connection: dict[str, Any] = expand_db_url(url)
    if is_sqlite_url(url):
        connection = {
            "engine": "portal.records.sqlite_engine",
            "credentials": {
                "file_path": sqlite_path(url),
                "journal_mode": "WAL",
                "synchronous": "FULL",
                "busy_timeout": 10_000,
                "foreign_keys": "ON",
            },
        }
    else:
        connection["credentials"] = {
            "maxsize": CONNECTIONS, **connection["credentials"], "reset": _as_it_is, "server_settings": _SETTINGS
        }  # fmt: skip
    return {
        "connections": {"default": connection},
        "apps": {"portal": {"models": list(MODEL_MODULES), "default_connection": "default"}},
        "use_tz": True,
        "timezone": "UTC",
    }


CONNECTIONS = 16
"""That one process holds at most, unless the URL says `?maxsize=`: as many objections are committed together."""


_SETTINGS = {"jit": "off"}
"""Compiling facts.sql takes the server seconds, at every decision, however few patients it is about."""


async def _as_it_is(_: object) -> None:
    """Nothing is set on a connection beyond its transaction, which the pool has ended: to ask the server for a reset
    after each statement would double the way of every one."""


def is_sqlite_url(url: str) -> bool:
    return urlsplit(url).scheme == "sqlite"


def sqlite_path(url: str) -> str:
    return url.removeprefix("sqlite://")


def connection() -> Connection:
    """The connection of the current task: the transaction's own inside `transact`."""
    return get_connections().get("default")


def is_postgres(c: Connection) -> bool:
    return c.capabilities.dialect == "postgres"


async def transact(step: Step[T]) -> T:
    """Run `step` in one transaction of its own task, shielded from cancellation.

    A request that is cancelled while it waits for BEGIN would otherwise leak its connection for ever; here the
    step runs to its end and its outcome is simply not waited for. This is the only door to a transaction (a test
    forbids every other), and it does not nest: a step is handed its connection.
    """

    async def run() -> T:
        async with in_transaction("default") as c:
            return await step(c)

    task = asyncio.create_task(run())
    _running.add(task)
    task.add_done_callback(_running.discard)
    return await asyncio.shield(task)


class NothingToDo(Exception):
    """Said by a step that finds nothing to do: its transaction is given up, and its log entry with it."""


async def transact_or(step: Step[T], *, nothing: T) -> T:
    """`transact`, or `nothing` when the step finds NothingToDo: only then nothing was entered."""
    try:
        return await transact(step)
    except NothingToDo:
        return nothing


LOCK_TRIES_MS = (200, 200, 200, 200, 1500)
"""Each wait for the log's lock; the last outlasts deadlock_timeout, after which autovacuum yields."""


async def transact_alone(step: Step[T]) -> T:
    """Run `step` in a transaction that no log entry under way can overlap: the cut and the seal.

    On PostgreSQL every INSERT into log_entry holds ROW EXCLUSIVE until its commit, so SHARE ROW EXCLUSIVE waits
    for each change under way and holds off new ones. On SQLite, BEGIN IMMEDIATE is the same thing. Keep what is
    done inside to milliseconds. asyncpg.LockNotAvailableError when the log stays busy through every try.
    """

    async def attempt(wait_ms: int) -> T:
        async def locked(c: Connection) -> T:
            if is_postgres(c):
                await c.execute_script(f"SET LOCAL lock_timeout = '{wait_ms}ms'")
                await c.execute_script("LOCK TABLE log_entry IN SHARE ROW EXCLUSIVE MODE")
                await c.execute_script("SET LOCAL lock_timeout = 0")
            return await step(c)

        return await transact(locked)

    for wait_ms in LOCK_TRIES_MS[:-1]:
        try:
            return await attempt(wait_ms)
        except (asyncpg.LockNotAvailableError, OperationalError) as error:
            if not is_lock_timeout(error):
                raise
            await asyncio.sleep(wait_ms / 1000)
    return await attempt(LOCK_TRIES_MS[-1])


def is_lock_timeout(error: BaseException) -> bool:
    """The log stayed busy through every try of `transact_alone`."""
    return isinstance(error, asyncpg.LockNotAvailableError) or isinstance(
        error.__cause__, asyncpg.LockNotAvailableError
    )


@cache
def _for_sqlite(statement: str) -> str:
    return re.sub(r"\$(\d+)", r"?\1", statement).replace("::text", "").replace("::uuid", "").replace("::date", "")


def in_dialect(c: Connection, statement: str) -> str:
    return statement if is_postgres(c) else _for_sqlite(statement)


def bound(c: Connection, values: Sequence[Any]) -> list[Any]:
    """Values as the engine takes them: SQLite keeps moments, days and ids as text."""
    if is_postgres(c):
        return list(values)
    return [_as_text(v) for v in values]


def _as_text(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, bytes | str | int | float) or value is None else str(value)


def json_texts(c: Connection, place: int) -> str:
    """A subquery over the texts of a JSON list passed as parameter `place`."""
    if is_postgres(c):
        return f"SELECT json_array_elements_text(${place}::text::json)"
    return f"SELECT value FROM json_each(${place})"


async def rows(c: Connection, statement: str, *values: Any) -> list[dict[str, Any]]:
    """The rows of a statement (also INSERT … RETURNING)."""
    return await c.execute_query_dict(in_dialect(c, statement), bound(c, values))


async def write_many(c: Connection, statement: str, many: Sequence[Sequence[Any]]) -> None:
    """One statement over many rows of values, inside the caller's transaction."""
    if len(many) == 1:  # alone it needs no savepoint
        await rows(c, statement, *many[0])
    elif many:
        await c.execute_many(in_dialect(c, statement), [bound(c, values) for values in many])


def as_moment(value: Any) -> datetime | None:
    """A moment read by a plain statement: text on SQLite, a datetime on PostgreSQL."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(value)


def as_day(value: Any) -> date | None:
    if value is None or isinstance(value, date):
        return value
    return date.fromisoformat(value)


def from_json(value: Any) -> Any:
    """A JSON column read by a plain statement: both engines give its text."""
    return json.loads(value) if isinstance(value, str) else value


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[None]:
    """The database opened for this task and those it starts; closed afterwards."""
    async with TortoiseContext() as context:
        await context.init(config=configuration(url))
        yield
