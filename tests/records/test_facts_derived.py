"""facts.sql says of everybody what plain loops over the raw rows say: on random databases, at every threshold."""

import hashlib
import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from derived import TABLES, Tables
from derived import World as Derived
from random_rows import REFLECTION_DAYS, TICK, Random, write
from world import World, build

from portal.demo.clock import PlayedClock
from portal.flow.decide import Asked, stand
from portal.flow.means import Means
from portal.records.clearance import decided
from portal.records.database import Connection, is_postgres, rows, transact
from portal.rules.facts import PersonFacts, facts_of, words_of
from portal.rules.waiting import paris_day

SEEDS = range(24)


HOUSE = "name, controller, contact, dpo_contact, phone, postal_address, active, register_max_days, entry_id"


class Undo(Exception):
    """Takes the random rows back."""


@pytest.fixture
async def ground(database: str, means: Means, clock: PlayedClock, tmp_path: Any) -> World:
    """Texts of every worth, two observatories, three practices, doctors, agreements old and new; no patient."""
    world = await build(means, clock, tmp_path)
    now = clock.now()
    c_rows = await transact(lambda c: rows(c, "SELECT * FROM notice_text WHERE language = 'fr'"))
    text = c_rows[0]
    body = text["body"] if isinstance(text["body"], dict) else json.loads(text["body"])
    narrow = {**body, "covers": {**body["covers"], "columns": ["sex"]}}

    async def step(c: Connection) -> None:
        await rows(
            c, "INSERT INTO practice (id, finess, name, city, entry_id) VALUES ('practice-c', '750000003', 'C', '', 1)"
        )
        await rows(
            c,
            f"INSERT INTO observatory (id, {HOUSE}) SELECT 'other', {HOUSE} FROM observatory WHERE id = 'demo'",
        )
        for account in range(1_001, 1_004):
            await rows(
                c,
                "INSERT INTO account (id, role, display_name, created_at) VALUES ($1, 'doctor', '', $2)",
                account,
                now,
            )
        await rows(
            c,
            f"UPDATE authorisation SET conditions = $1{as_json(c)}",
            json.dumps({**await conditions(c), "reflection_days": REFLECTION_DAYS}),
        )
        for name, observatory, kept, state, sha, superseded in (
            ("demo-valid", "demo", body, "published", None, None),
            ("demo-later", "demo", body, "published", None, now + TICK),
            ("demo-now", "demo", body, "published", None, now),
            ("demo-before", "demo", body, "published", None, now - TICK),
            ("demo-withdrawn", "demo", body, "withdrawn", None, None),
            ("demo-altered", "demo", body, "published", "0" * 64, None),
            ("demo-narrow", "demo", narrow, "published", None, None),
            ("other-valid", "other", body, "published", None, None),
        ):
            await put_text(c, name, observatory, kept, state, sha, superseded, now)
        await rows(
            c,
            "INSERT INTO agreement_text (id, observatory_id, version, language, body, sha256, grace_until, entry_id) "
            "SELECT id + 500, observatory_id, '2020-01', language, body, sha256, NULL, entry_id FROM agreement_text",
        )

    await transact(step)
    return world


def as_json(c: Connection) -> str:
    return "::text::jsonb" if is_postgres(c) else ""


async def conditions(c: Connection) -> dict[str, Any]:
    found = (await rows(c, "SELECT conditions FROM authorisation"))[0]["conditions"]
    plain: dict[str, Any] = found if isinstance(found, dict) else json.loads(found)
    return plain


async def put_text(
    c: Connection, name: str, observatory: str, body: Any, state: str, sha: str | None, superseded: Any, now: datetime
) -> None:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    await rows(
        c,
        "INSERT INTO notice_text (id, observatory_id, version, language, reader, body, sha256, state, author, "
        "approved_by, approved_at, superseded_at, entry_id) "
        f"VALUES ($1, $2, $3, 'fr', 'easy', $4{as_json(c)}, $5, $6, 'a', 'b', $7, $8, 1)",
        name, observatory, name, json.dumps(body, ensure_ascii=False), sha or hashlib.sha256(canonical).hexdigest(),
        state, now, superseded,
    )  # fmt: skip


async def both(c: Connection, means: Means, asked: Asked, now: datetime) -> tuple[dict[Any, Any], dict[Any, Any]]:
    decision = await stand(means, c, asked, cut=0)
    found = await decided(c, decision.thresholds, "SELECT practice_id, number, key FROM decided")
    by_sql = {
        (row["practice_id"], row["number"]): {
            name: getattr(facts_of(PersonFacts, int(row["key"])), name).name.lower() for name in words_of(PersonFacts)
        }
        for row in found
    }
    tables: Tables = {name: await rows(c, f"SELECT * FROM {name}") for name in TABLES}
    return by_sql, Derived(tables, "demo", asked.study_id, now).facts()


@pytest.mark.shows("R4")
@pytest.mark.parametrize("grace", [0, -1])
async def test_facts_by_sql_are_the_facts_by_plain_loops(ground: World, grace: int) -> None:
    """Twenty-four random databases, both crossings: the facts of everybody, and every word of each fact seen."""
    now = ground.clock.now()
    seen: Counter[tuple[str, str]] = Counter()

    for seed in SEEDS:

        async def compare(c: Connection, seed: int = seed) -> None:
            texts = {
                row["id"]: row["sha256"]
                for row in await rows(c, "SELECT id, sha256 FROM notice_text WHERE reader = 'easy'")
            }
            agreements = await rows(c, "SELECT id FROM agreement_text WHERE version <> '2020-01' ORDER BY id")
            await rows(
                c, "UPDATE agreement_text SET grace_until = $1 WHERE version <> '2020-01'",
                paris_day(now) + timedelta(days=grace),
            )  # fmt: skip
            await write(c, Random(seed, now, texts, int(agreements[0]["id"])))
            for asked in (Asked("demo"), Asked("demo", "diabetes")):
                by_sql, by_loops = await both(c, ground.means, asked, now)
                for who in by_loops:
                    assert by_sql[who] == by_loops[who], (seed, asked.crossing, who)
                    seen.update(by_loops[who].items())
                assert by_sql.keys() == by_loops.keys()
            raise Undo

        with pytest.raises(Undo):
            await transact(compare)
    missing = {
        (name, word.name.lower()) for name, words in words_of(PersonFacts).items() for word in words
    } - seen.keys()
    assert missing == set()
