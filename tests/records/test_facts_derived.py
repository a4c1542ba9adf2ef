"""facts.sql says of everybody what plain loops over the raw rows say: on random databases, at every threshold."""

import json
import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from derived import TABLES, Tables
from derived import World as Derived
from world import World, build

from portal.demo.clock import PlayedClock
from portal.flow.decide import Asked, stand
from portal.flow.means import Means
from portal.records.clearance import decided
from portal.records.database import Connection, is_postgres, rows, transact, write_many
from portal.rules.facts import PersonFacts, facts_of, words_of
from portal.rules.waiting import midnight, paris_day

SEEDS = range(24)
TICK = timedelta(seconds=1)
AUTHORISATION_DAYS = 9  # of reflection, so that outages and silence fall on both sides of it


class Undo(Exception):
    """Takes the random rows back."""


class Random:
    """Rows of a random database around one moment, in the order in which they refer to each other."""

    def __init__(self, seed: int, now: datetime, texts: dict[str, str], agreement: int) -> None:
        self.r, self.now, self.today = random.Random(seed), now, paris_day(now)
        self.texts, self.agreement = texts, agreement
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.entries = 1_000
        self.practices = ["practice-a", "practice-b", "practice-c"]
        self.outages()
        self.readings()
        for name in self.practices:
            self.practice(name)
        self.persons = [self.person() for _ in range(14)]
        for number in range(34):
            self.patient(number)
        self.objections()

    def add(self, table: str, **values: Any) -> None:
        self.tables.setdefault(table, []).append(values)

    def uuid(self) -> UUID:
        return UUID(int=self.r.getrandbits(128), version=4)

    def entry(self, at: datetime | None = None) -> int:
        self.entries += 1
        self.add("log_entry", id=self.entries, kind="random", at=at or self.now, actor="system:test", summary="")
        return self.entries

    def pick(self, *values: Any) -> Any:
        return self.r.choice(values)

    def near(self, *moments: datetime) -> datetime:
        """One of these, or a tick before or after it."""
        return self.r.choice(moments) + self.pick(-TICK, timedelta(), TICK)

    # --- the batch ------------------------------------------------------------------------------------------------

    def outages(self) -> None:
        for _ in range(self.r.randint(0, 2)):
            began = self.near(midnight(self.today - timedelta(days=self.r.randint(0, 16)))) + self.pick(
                timedelta(), timedelta(hours=5)
            )
            began = min(began, self.now)
            ended = self.pick(None, began, self.near(began + timedelta(days=self.r.randint(0, 5))))
            ended = None if ended is None else max(began, min(ended, self.now))
            ending = None if ended is None else self.entry()
            self.add("path_outage", began_at=began, ended_at=ended, entry_id=self.entry(), ending_id=ending)

    def readings(self) -> None:
        for _ in range(self.r.randint(0, 3)):
            self.add(
                "returns_reading", channel=self.pick("email", "email", "hand"),
                read_at=self.now - timedelta(days=self.r.randint(0, 4)), complete=self.pick(True, True, False), bounces=0,
                entry_id=self.entry(),
            )  # fmt: skip

    def practice(self, name: str) -> None:
        taken = self.near(self.now - timedelta(days=92), self.now - timedelta(days=3))
        self.imports = getattr(self, "imports", {})
        self.imports[name] = 1_000 + len(self.imports)
        self.add(
            "register_import", id=self.imports[name], practice_id=name, taken_at=taken, file_sha256="0" * 64, rows=1,
            partial=self.r.random() < 0.1, entry_id=self.entry(),
        )  # fmt: skip
        for account in self.r.sample(range(1_001, 1_004), self.pick(0, 1, 1, 2)):
            state = self.pick("active", "active", "active", "signed", "identified", "left", "paused")
            agreement = (
                self.pick(self.agreement, self.agreement, self.agreement + 500) if state != "identified" else None
            )
            active = state in ("active", "left", "paused")
            self.add(
                "enrolment", account_id=account, practice_id=name, observatory_id=self.pick("demo", "demo", "demo", "other"),
                state=state, doctor_number=str(account) if active else None, agreement_id=agreement,
                agreement_sha256=agreement and "0" * 64, includes_history=agreement and True, identified_at=self.now,
                signed_at=agreement and self.now, active_from=self.now if active else None,
                verified_by="operator:1" if active else None, entry_id=self.entry(),
            )  # fmt: skip
        for turn in range(self.pick(0, 1, 2)):
            serial = 1_000 * (self.practices.index(name) + 1) + turn
            at = self.near(*self.sendings()[:4])
            self.add(
                "permit", id=serial, crossing="extraction", observatory_id="demo", practice_id=name, serial=turn + 1, cut=0,
                sha256=f"{serial:064}", expires_at=self.now, doctors="[]", entry_id=self.entry(at),
            )  # fmt: skip
            self.add(
                "extraction", id=serial, permit_id=serial, practice_id=name, file_name="x", file_sha256="0" * 64, rows=1,
                received_at=self.now, entry_id=self.entry(),
            )  # fmt: skip

    # --- persons --------------------------------------------------------------------------------------------------

    def person(self) -> UUID:
        person = self.uuid()
        self.add("person", id=person, import_batch_id=self.imports["practice-a"])
        wanted = {"key:ins": 0.4, "key:id": 0.15, "name_date": 0.7, "name_year": 0.8}
        for kind, chance in wanted.items():
            if self.r.random() < chance:
                self.add("person_token", person_id=person, kind=kind, token=str(self.r.randint(1, 6)))
        return person

    def patient(self, number: int) -> None:
        practice, person, i = self.pick(*self.practices), self.pick(*self.persons), 2_000 + number
        near = [self.today + timedelta(days=n) for n in (-1, 0, 1)]
        teen, adult = self.pick(
            (None, None),
            *((self.today - timedelta(days=900), day) for day in near),
            *((day, self.today + timedelta(days=900)) for day in near),
            *((self.today - timedelta(days=9_000), self.today - timedelta(days=8_000)) for _ in range(6)),
        )
        holders = [self.pick("parent", "guardian", "mandate") for _ in range(self.pick(0, 0, 1, 1, 2))]
        self.add(
            "patient", id=i, practice_id=practice, number=str(number), person_id=person, doctor_number="", birth_date="",
            sex="female", teen_on=teen, adult_on=adult, language="fr", representative_kind=next(iter(holders), None),
            deceased_on=self.today if self.r.random() < 0.04 else None,
            left_at=self.now if self.r.random() < 0.08 else None, row_digest=b"", import_batch_id=self.imports[practice],
        )  # fmt: skip
        if self.r.random() < 0.08:
            settled = self.pick(None, self.now)
            self.add(
                "identity_doubt", patient_id=i, reason="random", import_batch_id=self.imports[practice], settled_at=settled,
                settled_by=settled and "dpo:1",
            )  # fmt: skip
        if self.r.random() < 0.15:
            former = self.pick(*self.persons)
            self.add("former_person", patient_id=i, person_id=former, import_batch_id=self.imports[practice])
        if self.r.random() < 0.4:
            ended = self.pick(None, None, self.now)
            self.add(
                "minor_alone", patient_id=i, asked_at=self.now, ended_at=ended, entry_id=self.entry(),
                ending_id=ended and self.entry(),
            )  # fmt: skip
        self.contacts(i, practice, holders)

    def contacts(self, patient: int, practice: str, holders: list[str]) -> None:
        people = [("self", None), *((kind, f"who{place}") for place, kind in enumerate(holders))]
        if self.r.random() < 0.03:
            people = people[1:]
        for kind, who in people:
            rank = 0 if kind == "self" else int(str(who)[3:]) + 1
            address = self.pick("a", "a", "a", None)
            self.add(
                "contact", patient_id=patient, rank=rank, addressee=kind, sealed=b"", email_index=address, reader_index=who,
                unreachable_reason=self.pick(None, None, None, "abroad") if rank else None,
                import_batch_id=self.imports[practice],
            )  # fmt: skip
            for _ in range(self.pick(0, 1, 1, 1, 2)):
                self.notice(patient, kind, who)

    def sendings(self) -> list[datetime]:
        """The moments at which a threshold of time lies: silence, reflection, with and without days that were lost."""
        read = [t["read_at"] for t in self.tables.get("returns_reading", ())] or [self.now]
        days = [midnight(self.today - timedelta(days=AUTHORISATION_DAYS + more)) for more in (0, 1, 2, 5)]
        return [*days, self.now - timedelta(days=7), max(read) - timedelta(days=7), self.now - timedelta(days=30)]

    def notice(self, patient: int, kind: str, who: str | None) -> None:
        hand = self.r.random() < 0.25
        state = (
            self.pick("handed_over", "handed_over", "reported")
            if hand
            else self.pick("sent", "sent", "sent", "sent", "queued", "bounced", "returned", "unknown", "handed_over")
        )
        text = self.pick(*self.texts, "demo-valid", "demo-valid", "demo-valid")
        sent = self.pick(None, *(self.near(*self.sendings()) for _ in range(9)))
        answer = None if sent is None else "250"
        self.add(
            "notice", id=self.uuid(), patient_id=patient, text_id=text, addressee=kind, channel="hand" if hand else "email",
            state=state, token_hash=f"{self.r.getrandbits(256):064x}", reader_index=self.pick(who, who, who, who, "nobody", None),
            address_index=self.pick(None if hand else "a", "a", "a", "a", "b", None), sent_at=sent, server_answer=answer,
            text_sha256=self.pick(*[self.texts[text]] * 9, "other", None), entry_id=self.entry(),
        )  # fmt: skip

    def objections(self) -> None:
        for _ in range(self.r.randint(0, 5)):
            patient = self.pick(*self.tables["patient"])
            scope, ref = self.pick(
                ("everything", ""), ("observatory", "demo"), ("observatory", "other"), ("study", "diabetes"),
                ("study", "another"), ("practice", patient["practice_id"]), ("practice", "practice-b"),
            )  # fmt: skip
            back = self.pick(None, None, self.now)
            self.add(
                "objection", id=self.uuid(), person_id=self.pick(patient["person_id"], *self.persons), patient_id=patient["id"],
                scope=scope, scope_ref=ref, channel="link", actor="self", received_at=self.now, withdrawn_at=back,
                withdrawal_id=back and self.entry(), entry_id=self.entry(),
            )  # fmt: skip


ORDER = (
    "log_entry", "register_import", "enrolment", "permit", "extraction", "path_outage", "returns_reading", "person",
    "person_token", "patient", "identity_doubt", "former_person", "minor_alone", "contact", "notice", "objection",
)  # fmt: skip
CASTS = {"doctors": "jsonb", "cut": "bigint"}


async def write(c: Connection, made: Random) -> None:
    for table in ORDER:
        lines = made.tables.get(table, [])
        distinct = list({repr(sorted(line.items(), key=str)): line for line in lines}.values())
        if not distinct:
            continue
        names = list(distinct[0])
        holes = [f"${n}" + ("::text::jsonb" if is_postgres(c) and CASTS.get(name) == "jsonb" else "")
                 for n, name in enumerate(names, 1)]  # fmt: skip
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(holes)}) ON CONFLICT DO NOTHING"
        await write_many(c, statement, [[line[name] for name in names] for line in distinct])


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
            "INSERT INTO observatory SELECT 'other', name, controller, contact, dpo_contact, phone, postal_address, active, "
            "register_max_days, entry_id FROM observatory WHERE id = 'demo'"
            if False
            else "INSERT INTO observatory (id, name, controller, contact, dpo_contact, phone, postal_address, active, "
            "register_max_days, entry_id) SELECT 'other', name, controller, contact, dpo_contact, phone, postal_address, "
            "active, register_max_days, entry_id FROM observatory WHERE id = 'demo'",
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
            "UPDATE authorisation SET conditions = $1" + ("::text::jsonb" if is_postgres(c) else ""),
            json.dumps({**await conditions(c), "reflection_days": AUTHORISATION_DAYS}),
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


async def conditions(c: Connection) -> dict[str, Any]:
    found = (await rows(c, "SELECT conditions FROM authorisation"))[0]["conditions"]
    plain: dict[str, Any] = found if isinstance(found, dict) else json.loads(found)
    return plain


async def put_text(
    c: Connection, name: str, observatory: str, body: Any, state: str, sha: str | None, superseded: Any, now: datetime
) -> None:
    import hashlib

    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    await rows(
        c,
        "INSERT INTO notice_text (id, observatory_id, version, language, reader, body, sha256, state, author, approved_by, "
        "approved_at, superseded_at, entry_id) VALUES ($1, $2, $3, 'fr', 'easy', $4"
        + ("::text::jsonb" if is_postgres(c) else "") + ", $5, $6, 'a', 'b', $7, $8, 1)",
        name, observatory, name, json.dumps(body, ensure_ascii=False), sha or hashlib.sha256(canonical).hexdigest(), state, now, superseded,
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
        (name, word.name.lower())
        for name, words in words_of(PersonFacts).items()
        for word in words  # type: ignore[attr-defined]
    } - seen.keys()
    assert missing == set()
