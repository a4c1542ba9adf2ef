"""A database that may forget what it acknowledged is refused, setting by setting."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from tortoise.backends.base.executor import EXECUTOR_CACHE

from portal.records.database import connection, opened, rows
from portal.records.durable import refuse_forgetful
from portal.rules.refusals import RefusedFile


async def refused_for(url: str, *first: str) -> set[str]:
    EXECUTOR_CACHE.clear()
    async with opened(url):
        for statement in first:
            await rows(connection(), statement)
        try:
            await refuse_forgetful(connection())
        except RefusedFile as no:
            return {problem.where.rpartition(" ")[2] for problem in no.problems}
    return set()


@pytest.mark.shows("R1")
async def test_sqlite_as_it_is_opened_keeps_what_it_said(sqlite_url: str) -> None:
    assert await refused_for(sqlite_url) == set()


@pytest.mark.shows("R1")
@pytest.mark.parametrize("word", ["OFF", "NORMAL"])
async def test_sqlite_that_does_not_wait_for_the_disk_is_refused(sqlite_url: str, word: str) -> None:
    assert await refused_for(sqlite_url, f"PRAGMA synchronous = {word}") == {"synchronous"}


@pytest.mark.shows("R1")
async def test_sqlite_with_another_journal_is_refused(sqlite_url: str) -> None:
    assert await refused_for(sqlite_url, "PRAGMA journal_mode = MEMORY") == {"journal_mode"}


@pytest.mark.shows("R1")
async def test_postgresql_is_refused_for_each_setting_that_is_off(postgres_url: str) -> None:
    """The cluster of the tests, which are in a hurry, has all three off."""
    assert await refused_for(postgres_url) == {"fsync", "full_page_writes", "synchronous_commit"}
    with psycopg.connect(postgres_url, autocommit=True) as c:
        c.execute(f"ALTER DATABASE {postgres_url.rpartition('/')[2]} SET synchronous_commit = 'on'")
    assert await refused_for(postgres_url) == {"fsync", "full_page_writes"}


def test_serve_and_worker_refuse_a_forgetful_database(postgres_url: str, tmp_path: Path) -> None:
    """With everything else safe: one line a setting, and how to mend it."""
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    peer = {"ISSUER": "https://id.example", "CLIENT_ID": "portal", "CLIENT_SECRET": "s"}
    safe = {
        "DATABASE_URL": postgres_url, "BASE_URL": "https://portal.example", "SECRET": "x" * 40, "KEYS_DIR": str(keys),
        "DATA_DIR": str(tmp_path), "SMTP_HOST": "mail.example", "MAIL_FROM": "n@portal.example",
        "RETURNS_ADDRESS": "r+{ref}@portal.example", "RETURNS_MAILDIR": str(tmp_path / "returns"),
        **{f"{who}_OIDC__{name}": value for who in ("DOCTOR", "STAFF") for name, value in peer.items()},
    }  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PORTAL_")}
    for command in (("serve", "--port", "0"), ("worker", "--once")):
        done = subprocess.run(
            [sys.executable, "-m", "portal", *command], env=environment | {f"PORTAL_{k}": v for k, v in safe.items()},
            cwd=tmp_path, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
            f"database setting {name}" for name in ("fsync", "full_page_writes", "synchronous_commit")
        ]
