"""Random rows around one moment, in every table that the person facts are read from: all that may stand there, and
each moment at a threshold or one second beside it."""

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from portal.records.database import Connection, is_postgres, write_many
from portal.rules.waiting import midnight, paris_day

TICK = timedelta(seconds=1)
REFLECTION_DAYS = 9
"""So that outages and silence fall on both sides of it."""


class Random:
    """Rows of a random database around one moment, in the order in which they refer to each other."""

    def __init__(self, seed: int, now: datetime, texts: dict[str, str], agreement: int) -> None:
        self.r, self.now, self.today = random.Random(seed), now, paris_day(now)
        self.texts, self.agreement = texts, agreement
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.entries = 1_000
        self.imports: dict[str, int] = {}
        self.practices = ["practice-a", "practice-b", "practice-c"]
        self.outages()
        self.readings()
        for name in self.practices:
            self.practice(name)
        self.persons = [self.person() for _ in range(14)]
        for number in range(34):
            self.patient(number)
        self.objections()
        self.without_token()
        self.rights()

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
        for _ in range(self.r.randint(0, 5)):
            self.add(
                "returns_reading",
                channel=self.pick("email", "email", "post", "post", "hand"),
                read_at=self.now - timedelta(days=self.r.randint(0, 4)),
                complete=self.pick(True, True, False),
                bounces=0,
                entry_id=self.entry(),
            )

    def practice(self, name: str) -> None:
        taken = self.near(self.now - timedelta(days=92), self.now - timedelta(days=3))
        self.imports[name] = 1_000 + len(self.imports)
        self.add(
            "register_import",
            id=self.imports[name],
            practice_id=name,
            taken_at=taken,
            file_sha256="0" * 64,
            rows=1,
            partial=self.r.random() < 0.1,
            entry_id=self.entry(),
        )
        for account in self.r.sample(range(1_001, 1_004), self.pick(0, 1, 1, 2)):
            state = self.pick("active", "active", "active", "signed", "identified", "left", "paused")
            agreement = (
                self.pick(self.agreement, self.agreement, self.agreement + 500) if state != "identified" else None
            )
            active = state in ("active", "left", "paused")
            self.add(
                "enrolment",
                account_id=account,
                practice_id=name,
                observatory_id=self.pick("demo", "demo", "demo", "other"),
                state=state,
                doctor_number=str(account) if active else None,
                agreement_id=agreement,
                agreement_sha256=agreement and "0" * 64,
                includes_history=agreement and True,
                identified_at=self.now,
                signed_at=agreement and self.now,
                active_from=self.now if active else None,
                verified_by="operator:1" if active else None,
                closes_on=self.pick(None, None, *(self.today + timedelta(days=n) for n in (-1, 0, 1))),
                entry_id=self.entry(),
            )
        for turn in range(self.pick(0, 1, 2)):
            serial = 1_000 * (self.practices.index(name) + 1) + turn
            at = self.near(*self.sendings()[:4])
            self.add(
                "permit",
                id=serial,
                crossing="extraction",
                observatory_id="demo",
                practice_id=name,
                serial=turn + 1,
                cut=0,
                sha256=f"{serial:064}",
                expires_at=self.now,
                doctors="[]",
                entry_id=self.entry(at),
            )
            self.add(
                "extraction",
                id=serial,
                permit_id=serial,
                practice_id=name,
                file_name="x",
                file_sha256="0" * 64,
                rows=1,
                received_at=self.now,
                entry_id=self.entry(),
            )

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
            "patient",
            id=i,
            practice_id=practice,
            number=str(number),
            person_id=person,
            doctor_number="",
            birth_date=self.pick("", "1957", "1957-05-17"),
            sex="female",
            teen_on=teen,
            adult_on=adult,
            language="fr",
            representative_kind=next(iter(holders), None),
            deceased_on=self.today if self.r.random() < 0.04 else None,
            left_at=self.now if self.r.random() < 0.08 else None,
            stands_since=self.near(*self.sendings()) if self.r.random() < 0.15 else None,
            row_digest=b"",
            import_batch_id=self.imports[practice],
        )
        if self.r.random() < 0.08:
            settled = self.pick(None, self.now)
            self.add(
                "identity_doubt",
                patient_id=i,
                reason=self.pick("identity_changed", "key_clash", "key_clash", "back_to_life"),
                import_batch_id=self.imports[practice],
                settled_at=settled,
                settled_by=settled and "dpo:1",
            )
        if self.r.random() < 0.15:
            former = self.pick(*self.persons)
            self.add(
                "former_person",
                patient_id=i,
                person_id=former,
                deceased_on=self.today if self.r.random() < 0.2 else None,
                import_batch_id=self.imports[practice],
            )
        if self.r.random() < 0.4:
            ended = self.pick(None, None, self.now)
            self.add(
                "minor_alone",
                patient_id=i,
                asked_at=self.now,
                ended_at=ended,
                entry_id=self.entry(),
                ending_id=ended and self.entry(),
            )
        self.contacts(i, practice, holders)

    def contacts(self, patient: int, practice: str, holders: list[str]) -> None:
        people = [("self", None), *((kind, f"who{place}") for place, kind in enumerate(holders))]
        if self.r.random() < 0.03:
            people = people[1:]
        for kind, who in people:
            rank = 0 if kind == "self" else int(str(who)[3:]) + 1
            address = self.pick("a", "a", "a", None)
            self.add(
                "contact",
                patient_id=patient,
                rank=rank,
                addressee=kind,
                sealed=b"",
                email_index=address,
                postal_index=self.pick(address, "a", "b", None),
                reader_index=who,
                unreachable_reason=self.pick(None, None, None, "abroad") if rank else None,
                import_batch_id=self.imports[practice],
            )
            for _ in range(self.pick(0, 1, 1, 1, 2)):
                self.notice(patient, kind, who)

    def sendings(self) -> list[datetime]:
        """The moments at which a threshold of time lies: silence, reflection, with and without days that were lost."""
        read = [t["read_at"] for t in self.tables.get("returns_reading", ())] or [self.now]
        days = [midnight(self.today - timedelta(days=REFLECTION_DAYS + more)) for more in (0, 1, 2, 5)]
        silent = [at - timedelta(days=wait) for at in (self.now, max(read)) for wait in (7, 14)]
        return [*days, *silent, self.now - timedelta(days=30)]

    def notice(self, patient: int, kind: str, who: str | None) -> None:
        hand = self.r.random() < 0.25
        channel = "hand" if hand else self.pick("email", "post")
        state = (
            self.pick("handed_over", "handed_over", "reported")
            if hand
            else self.pick("sent", "sent", "sent", "sent", "queued", "bounced", "returned", "unknown", "handed_over")
        )
        text = self.pick(*self.texts, "demo-valid", "demo-valid", "demo-valid")
        sent = self.pick(None, *(self.near(*self.sendings()) for _ in range(9)))
        answer = None if sent is None else "250"
        self.add(
            "notice",
            id=self.uuid(),
            patient_id=patient,
            text_id=text,
            addressee=kind,
            channel=channel,
            state=state,
            token_hash=f"{self.r.getrandbits(256):064x}",
            reader_index=self.pick(who, who, who, who, "nobody", None),
            address_index=self.pick(None if hand else "a", "a", "a", "a", "b", None),
            sent_at=sent,
            server_answer=answer,
            text_sha256=self.pick(*[self.texts[text]] * 9, "other", None),
            entry_id=self.entry(),
        )

    def scope(self, patient: dict[str, Any]) -> tuple[str, str]:
        chosen: tuple[str, str] = self.pick(
            ("everything", ""),
            ("observatory", "demo"),
            ("observatory", "other"),
            ("study", "diabetes"),
            ("study", "another"),
            ("practice", patient["practice_id"]),
            ("practice", "practice-b"),
        )
        return chosen

    def objections(self) -> None:
        for _ in range(self.r.randint(0, 5)):
            patient = self.pick(*self.tables["patient"])
            scope, ref = self.scope(patient)
            back, no_id = self.pick(None, None, self.now), self.uuid()
            self.add(
                "objection",
                id=no_id,
                person_id=self.pick(patient["person_id"], *self.persons),
                patient_id=patient["id"],
                scope=scope,
                scope_ref=ref,
                channel="link",
                actor="self",
                received_at=self.now,
                withdrawn_at=back,
                withdrawal_id=back and self.entry(),
                entry_id=self.entry(),
            )
            if self.r.random() < 0.4:
                parted = self.pick(*self.persons)
                self.add("objection_binding", objection_id=no_id, person_id=parted, entry_id=self.entry())

    def without_token(self) -> None:
        """Objections said on paper or by telephone, in every state, of whoever bears these tokens."""
        for _ in range(self.pick(0, 0, 1, 2)):
            no_id, (scope, ref) = self.uuid(), self.scope(self.pick(*self.tables["patient"]))
            outcome = self.pick(None, None, "not_here", "not_here", "bound", "no_authority")
            self.add(
                "provisional_objection",
                id=no_id,
                scope=scope,
                scope_ref=ref,
                channel="paper",
                sealed=b"",
                received_at=self.now,
                due_on=self.today,
                recorded_by="operator:1",
                entry_id=self.entry(),
                outcome=outcome,
                settled_at=outcome and self.now,
                settled_by=outcome and "dpo:1",
                settlement_id=outcome and self.entry(),
            )
            for kind in self.r.sample(("key:ins", "key:id", "name_date", "name_year"), self.pick(1, 2, 3)):
                self.add("provisional_token", provisional_id=no_id, kind=kind, token=str(self.r.randint(1, 6)))
            for person in self.r.sample(self.persons, self.pick(0, 2, 5)):
                self.add("provisional_cleared", provisional_id=no_id, person_id=person)

    def rights(self) -> None:
        for _ in range(self.r.randint(0, 3)):
            patient = self.pick(*self.tables["patient"])
            state = self.pick("open", "open", "granted", "granted", "granted", "refused", "taken_back", "ended")
            closed = None if state == "open" else self.now
            self.add(
                "rights_request",
                id=self.uuid(),
                person_id=self.pick(patient["person_id"], *self.persons),
                patient_id=patient["id"],
                kind=self.pick("restriction", "erasure", "rectification", "access"),
                state=state,
                received_at=self.now,
                due_on=self.today,
                opened_by="dpo:1",
                entry_id=self.entry(),
                closed_at=closed,
                closed_by=closed and "dpo:1",
                closing_id=closed and self.entry(),
            )


ORDER = (
    "log_entry",
    "register_import",
    "enrolment",
    "permit",
    "extraction",
    "path_outage",
    "returns_reading",
    "person",
    "person_token",
    "patient",
    "identity_doubt",
    "former_person",
    "minor_alone",
    "contact",
    "notice",
    "objection",
    "objection_binding",
    "provisional_objection",
    "provisional_token",
    "provisional_cleared",
    "rights_request",
)


async def write(c: Connection, made: Random) -> None:
    for table in ORDER:
        lines = made.tables.get(table, [])
        distinct = list({repr(sorted(line.items(), key=str)): line for line in lines}.values())
        if not distinct:
            continue
        names = list(distinct[0])
        cast = "::text::jsonb" if is_postgres(c) else ""
        holes = [f"${n}{cast if name == 'doctors' else ''}" for n, name in enumerate(names, 1)]
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(holes)}) ON CONFLICT DO NOTHING"
        await write_many(c, statement, [[line[name] for name in names] for line in distinct])
