"""A database that may forget what it acknowledged is refused, setting by setting."""

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
            assert all("start again" in problem.what for problem in no.problems)
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
