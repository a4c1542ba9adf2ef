"""Faults in the real database, one at a time: a NULL, a row that is missing or stale or strange, a table that cannot be
read, a lock that does not come. Whatever it is, the person does not pass, at either crossing."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.context import TortoiseContext
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow.decide import Asked, refuse_withheld_batch, stand
from portal.flow.means import Means
from portal.flow.permit import passing
from portal.records.database import Connection, configuration, rows, transact

CROSSINGS = (Asked("demo"), Asked("demo", "diabetes"))
HER = "(SELECT id FROM patient WHERE number = '1')"

NULLS = (
    "UPDATE notice SET sent_at = NULL",
    "UPDATE notice SET sent_at = NULL, server_answer = NULL",
    "UPDATE notice SET text_sha256 = NULL",
    "UPDATE notice SET address_index = NULL",
    "UPDATE patient SET adult_on = NULL",
    "UPDATE patient SET adult_on = NULL, teen_on = NULL",
    "UPDATE enrolment SET agreement_id = NULL, signed_at = NULL, agreement_sha256 = NULL, includes_history = NULL",
    "UPDATE authorisation SET dpia_review_on = NULL",
    "UPDATE contact SET email_index = NULL",
)
MISSING = (
    f"DELETE FROM outbox_item WHERE notice_id IN (SELECT id FROM notice WHERE patient_id = {HER}); DELETE FROM notice",
    f"DELETE FROM contact WHERE patient_id = {HER}",
    "DELETE FROM signature; DELETE FROM enrolment",
    "DELETE FROM returns_reading",
    "DELETE FROM verdict",
    "DELETE FROM verdict WHERE bits = 0",
    "DELETE FROM authorisation",
    "UPDATE register_import SET partial = TRUE",
)
STALE = (
    "UPDATE register_import SET taken_at = '2025-01-01 00:00:00+00:00'",
    "UPDATE returns_reading SET complete = FALSE",
    "UPDATE returns_reading SET read_at = '2026-03-03 00:00:00+00:00'",
    "UPDATE returns_reading SET channel = 'hand'",
    "UPDATE authorisation SET valid_until = '2026-03-31'",
    "UPDATE authorisation SET valid_from = '2027-01-01'",
    "UPDATE authorisation SET dpia_review_on = '2026-03-31'",
    "UPDATE authorisation SET suspended_at = '2026-03-31 00:00:00+00:00'",
    "UPDATE notice_text SET superseded_at = '2026-03-31 00:00:00+00:00'",
    "UPDATE notice_text SET state = 'withdrawn'",
    "UPDATE notice SET sent_at = '2027-03-31 00:00:00+00:00'",
    "INSERT INTO path_outage (began_at, entry_id) VALUES ('2026-03-03 00:00:00+00:00', 1)",
    "UPDATE observatory SET active = FALSE",
)
STRANGE = (
    *(f"UPDATE notice SET state = '{word}'" for word in ("queued", "bounced", "returned", "reported", "unknown")),
    *(f"UPDATE enrolment SET state = '{word}'" for word in ("identified", "signed", "paused", "left", "suspended")),
    "UPDATE notice SET text_sha256 = 'another'",
    "UPDATE notice SET addressee = 'parent'",
    "UPDATE notice SET address_index = 'another'",
    "UPDATE notice_text SET sha256 = 'another'",
    "UPDATE contact SET email_index = 'another'",
    "UPDATE contact SET addressee = 'guardian', rank = 1",
    "UPDATE patient SET adult_on = '2030-01-01'",
    "UPDATE patient SET left_at = '2026-03-31 00:00:00+00:00'",
    "UPDATE patient SET deceased_on = '2026-03-31'",
    "UPDATE patient SET practice_id = 'practice-b'",
    "INSERT INTO identity_doubt (patient_id, reason, import_batch_id) SELECT id, 'x', import_batch_id FROM patient",
    "UPDATE verdict SET bits = -1",
)
UNREADABLE = tuple(
    f"ALTER TABLE {table} RENAME TO gone"
    for table in (
        "enrolment", "register_import", "objection", "former_person", "patient", "person_token", "identity_doubt",
        "contact", "minor_alone", "notice", "notice_text", "extraction", "verdict", "path_outage", "returns_reading",
        "agreement_text", "authorisation", "observatory",
    )
)  # fmt: skip
FAULTS = (*NULLS, *MISSING, *STALE, *STRANGE, *UNREADABLE)


class Undo(Exception):
    """Takes the fault back."""


@pytest.fixture
async def told(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> World:
    return await one_told(means, clock, tmp_path)


async def one_told(means: Means, clock: PlayedClock, tmp_path: Path) -> World:
    """A patient who passes both crossings."""
    world = await build(means, clock, tmp_path)
    await world.enrol()
    await world.register([patient("1")])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    assert [await who_passes(world, asked) for asked in CROSSINGS] == [{"1"}, {"1"}]
    return world


async def who_passes(world: World, asked: Asked, *faults: str) -> set[str]:
    """Who is in the list that would be made beside the fault; nobody when there is none."""
    found: set[str] = set()
    made = False

    async def beside(c: Connection) -> None:
        for statement in faults:
            await rows(c, statement)
        nonlocal made
        made = True
        decision = await stand(world.means, c, asked, cut=0)
        refuse_withheld_batch(decision)
        found.update(one.number for one in await passing(c, decision))
        raise Undo

    try:
        await transact(beside)
    except Exception:  # whatever a fault breaks on the way: only who passed is asked, and that the fault was made
        assert made, f"the fault itself could not be made: {faults}"
        return found
    raise AssertionError("the fault was not taken back")


@pytest.mark.shows("R5")
async def test_fifty_of_fifty_faults_exclude_the_person(
    told: World, record_property: Callable[[str, object], None]
) -> None:
    let_through = [
        (fault, asked.crossing)
        for fault in FAULTS
        for asked in CROSSINGS
        if await who_passes(told, asked, *fault.split("; "))
    ]
    assert let_through == []
    assert len(FAULTS) >= 50
    record_property("trials", len(FAULTS) * len(CROSSINGS))
    assert [await who_passes(told, asked) for asked in CROSSINGS] == [{"1"}, {"1"}], "nothing was kept of them"


async def test_a_fault_that_is_none_lets_her_pass(told: World) -> None:
    """So that the list above is not empty for another reason."""
    assert await who_passes(told, CROSSINGS[1], "UPDATE patient SET sex = 'male'") == {"1"}


@pytest.fixture
async def on_postgres(postgres_url: str, means: Means, clock: PlayedClock, tmp_path: Path) -> AsyncIterator[World]:
    EXECUTOR_CACHE.clear()
    async with TortoiseContext() as context:
        await context.init(config=configuration(postgres_url))
        yield await one_told(means, clock, tmp_path)


@pytest.mark.shows("R5")
@pytest.mark.parametrize("table", ["notice", "objection", "patient", "enrolment", "register_import"])
async def test_a_lock_that_does_not_come_in_time_excludes_the_person(
    on_postgres: World, postgres_url: str, table: str
) -> None:
    with psycopg.connect(postgres_url) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        for asked in CROSSINGS:
            assert await who_passes(on_postgres, asked, "SET LOCAL statement_timeout = '100ms'") == set()
    assert await who_passes(on_postgres, CROSSINGS[1]) == {"1"}
