"""Real databases for the tests: a migrated SQLite file copied for each, and databases of one PostgreSQL cluster."""

import asyncio
import itertools
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from hypothesis import Phase, settings
from rich.console import Console
from room import in_memory
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.context import TortoiseContext

from portal.demo.clock import PlayedClock
from portal.demo.run import play_all
from portal.flow.means import Means
from portal.outside.clock import SystemClock
from portal.outside.keys import KeyRing
from portal.records.clearance import renew_verdicts
from portal.records.database import configuration
from portal.records.migrations import migrate

pytest_plugins = ["evidence"]
settings.register_profile("any machine", deadline=None)  # a test asserts behaviour, not time
settings.load_profile("any machine")

if fast := in_memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", fast)  # where pytest makes tmp_path

ROOT = Path(__file__).parents[1]
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

settings.register_profile(
    "mutants", derandomize=True, deadline=None, database=None, phases=(Phase.explicit, Phase.generate)
)
"""For tests/mutants.py: the same examples each time, no limit of time, no search for the least one that fails."""

_numbers = itertools.count(1)


def _postgres_binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    assert on_path, "PostgreSQL's server programs are missing: apt-get install postgresql"
    return Path(on_path).resolve().parent


@contextmanager
def cluster(settings: str = "", where: str | None = None) -> Iterator[str]:
    """A PostgreSQL cluster of its own, on a socket in a temporary folder; yields the URL of its first database."""
    binaries, folder = _postgres_binaries(), Path(tempfile.mkdtemp(prefix="portal-pg-", dir=where))
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data = folder / "data"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def run(*command: str) -> None:
        subprocess.run([*as_user, *command], check=True, stdout=subprocess.DEVNULL, cwd=folder)

    run(str(binaries / "initdb"), "-D", str(data), "-U", "portal", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=100 -c shared_buffers=128MB"
    options += settings
    run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgres://portal@127.0.0.1:{port}/postgres"
    finally:
        run(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The cluster of the tests; none of them cuts the power."""
    with cluster(" -c fsync=off -c synchronous_commit=off -c full_page_writes=off", in_memory()) as url:
        yield url


@pytest.fixture
def durable_url() -> Iterator[str]:
    """A migrated database of a cluster as a production has it."""
    with cluster() as url:
        migrate(url, ROOT / "alembic")
        yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "portal.sqlite3"
    migrate(f"sqlite://{path}", ROOT / "alembic")
    asyncio.run(_decide_beforehand(f"sqlite://{path}"))
    with sqlite3.connect(path) as c:
        c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


async def _decide_beforehand(url: str) -> None:
    EXECUTOR_CACHE.clear()
    async with TortoiseContext() as context:
        await context.init(config=configuration(url))
        await renew_verdicts()


@pytest.fixture(scope="session")
def migrated_postgres(postgres: str) -> str:
    """A template database at the newest schema; each test gets a copy of it."""
    with psycopg.connect(postgres, autocommit=True) as c:
        c.execute("CREATE DATABASE migrated")
    url = postgres.rsplit("/", 1)[0] + "/migrated"
    migrate(url, ROOT / "alembic")
    asyncio.run(_decide_beforehand(url))
    return url


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    path = tmp_path / "portal.sqlite3"
    shutil.copyfile(migrated_sqlite, path)
    return f"sqlite://{path}"


@pytest.fixture
def postgres_url(migrated_postgres: str, postgres: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres, autocommit=True) as c:
        c.execute(f"CREATE DATABASE {name} TEMPLATE migrated")
    yield postgres.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(postgres, autocommit=True) as c:
        c.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Run the test on both databases."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[str]:
    """The database opened for Tortoise."""
    EXECUTOR_CACHE.clear()  # Tortoise keeps prepared statements by table, whatever the engine
    async with TortoiseContext() as context:
        await context.init(config=configuration(database_url))
        yield database_url


@pytest.fixture
def clock() -> PlayedClock:
    return PlayedClock(START, SystemClock())


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    keys = KeyRing(tmp_path / "keys")
    for family in ("contacts", "blind", "links", "matching", "signing", "releases"):
        keys.create(family)
    return keys


@pytest.fixture
def means(clock: PlayedClock, ring: KeyRing, tmp_path: Path) -> Means:
    return Means(
        clock=clock,
        ring=ring,
        data_dir=tmp_path / "data",
        base_url="http://127.0.0.1:8000",
        mail_from="notices@observatory.example.org",
        returns_address="returns+{ref}@observatory.example.org",
        releases_in_plain=True,
    )


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole demo, played once on the shipped records with the embedded database; tests only read it."""
    EXECUTOR_CACHE.clear()
    folder = tmp_path_factory.mktemp("played") / "demo"
    asyncio.run(play_all(folder, console=Console(quiet=True)))
    return folder
