"""Random lives of an observatory: the product and a plain model of it are told the same, and must let through the same.

Doctors enrol, rest and leave; registers come and go; patients are told, cannot be reached, say no, take it back, grow
up, turn out to be patients elsewhere, bear a key that others bear; the DPO says who are one and who are not;
extractions and releases are made in between. After every step both say who passes; at every crossing both say who
crossed.
"""

import random
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow.parquet as pq
import pytest
from line import Line, record
from plain_model import Key, Member, Model, No, Patient, Told, day
from world import World, begun, child, copied, opened_in, patient

from portal.flow import enrol, opt_out, release, who_is_who
from portal.flow.decide import Asked, verdicts
from portal.flow.retract import acknowledge, reconcile
from portal.gate.register_row import RegisterRow
from portal.outside.tokens import pseudonym
from portal.records.accounts import Account
from portal.records.database import connection, rows
from portal.records.enrolments import Enrolment
from portal.records.notices import Notice
from portal.records.people import IdentityDoubt
from portal.records.people import Patient as PatientRow
from portal.records.releases import ReleasePerson
from portal.rules.clearance import Cleared
from portal.rules.refusals import Refused
from portal.rules.words import Scope

SEED, RUNS, MANY, STEPS = 3, 300, 10_000, 16
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ENDS = date(2026, 9, 30)
PRACTICES = ("practice-a", "practice-b")


def key_of(person: int) -> str:
    """A national number whose key is right, so that the same person is known again at another practice."""
    number = f"2600575{person:06}"
    return f"ins:{number}{97 - int(number) % 97:02}"


class Life:
    """One random life: the product's world and the model, told the same things in the same order."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.model = Model(listed=world.clock.now(), ends=ENDS, now=world.clock.now())
        self.rows: dict[Key, RegisterRow] = {}
        self.accounts: dict[str, tuple[Account, int]] = {}
        self.lines = {name: Line(world, name) for name in PRACTICES}
        self.made: set[tuple[str, Member]] = set()
        self.ids: dict[str, int] = {}
        self.re_extracted: dict[str, set[str]] = {}
        self.states: dict[str, str] = {}
        self.persons, self.done, self.crossings = 0, [], 0

    # --- doctors and registers ----------------------------------------------------------------------------------

    async def enrol(self, practice: str) -> None:
        state = self.model.doctors.get(practice)
        if state is None:
            place = PRACTICES.index(practice) + 1
            account = await self.world.enrol(place, number=f"doctor-{place}", rpps=f"1000000000{place}")
            self.accounts[practice] = account, (await Enrolment.get(account_id=account.id)).id
            self.model.doctors[practice] = "active"
        elif state == "paused":
            await enrol.resume(self.world.means, *self.accounts[practice])
            self.model.doctors[practice] = "active"

    async def rest(self, practice: str) -> None:
        if self.model.doctors.get(practice) == "active":
            await enrol.pause(self.world.means, *self.accounts[practice])
            self.model.doctors[practice] = "paused"

    async def leave(self, practice: str) -> None:
        if self.model.doctors.get(practice) in ("active", "paused") and self.chance.random() < 0.3:
            await enrol.leave(self.world.means, *self.accounts[practice])
            self.model.doctors[practice] = "left"

    async def register(self, practice: str) -> None:
        """The practice hands in its register: somebody new, somebody gone, somebody with a new address."""
        mine = [key for key in self.rows if key[0] == practice and self.model.patients[key].here]
        if self.chance.random() < 0.4:
            self._key_of_another(practice)
        for _ in range(self.chance.choice((0, 1, 1, 2)) if mine else 3):
            self._new(practice)
        if mine and self.chance.random() < 0.15:
            gone = self.model.patients[self.chance.choice(mine)]
            gone.here = False
        if mine and self.chance.random() < 0.15:
            self._moved(self.chance.choice(mine))
        listed = [row for key, row in self.rows.items() if key[0] == practice and self.model.patients[key].here]
        await self.world.register(listed, practice)
        self.model.registers[practice] = self.world.clock.now()
        await self._see_who_is_who()

    def _new(self, practice: str) -> None:
        there = [p for p in self.model.patients.values() if p.practice != practice and p.here]
        known = {p.person for p in self.model.patients.values() if p.practice == practice}
        asked_about = {p.bears for p in self.model.patients.values() if len(p.stood) > 1 or p.bears != key_of(p.person)}
        elsewhere = [p for p in there if p.person not in known and p.bears not in asked_about]
        again = elsewhere and self.chance.random() < 0.3
        person = self.chance.choice(elsewhere).person if again else self._somebody()
        young = person % 4 == 0
        born = date(2008, 3 + person % 7, 11) if young else date(1960, 5, 17)
        self._come(practice, str(person), person, key_of(person), born, young=young)

    def _key_of_another(self, practice: str) -> None:
        """Somebody new bears a key that is known, with another birth: it is open who all its bearers are."""
        theirs: dict[str, set[str]] = {}
        for p in self.model.patients.values():
            if p.born.year < 2000:
                theirs.setdefault(p.bears, set()).add(p.practice)
        if keys := sorted(key for key, practices in theirs.items() if practice not in practices or len(practices) > 1):
            bears, person = self.chance.choice(keys), self._somebody()
            self._come(practice, str(person), person, bears, date(1961, 1, 1) + timedelta(days=person), young=False)
            self.model.doubts += [key for key, p in self.model.patients.items() if p.bears == bears]

    def _somebody(self) -> int:
        self.persons += 1
        return self.persons

    def _come(self, practice: str, number: str, person: int, bears: str, born: date, *, young: bool) -> None:
        make: Any = child if young else patient
        address = f"{practice}-{number}@example.org"
        contact = {"representative_email": address} if young else {"email": address}
        place = PRACTICES.index(practice) + 1
        self.rows[practice, number] = make(
            number, birth_date=born.isoformat(), person_key=bears, doctor_id=f"doctor-{place}", **contact
        )
        self.model.patients[practice, number] = Patient(practice, number, person, bears, born, address, young)

    def _moved(self, key: Key) -> None:
        p = self.model.patients[key]
        p.address = f"new-{p.address}"
        name = "representative_email" if p.has_parent else "email"
        self.rows[key] = replace(self.rows[key], **{name: p.address})

    # --- who is who ---------------------------------------------------------------------------------------------

    async def settle(self, _: str) -> None:
        """The DPO says that somebody in doubt is another bearer of her key, or is not."""
        if not self.model.doubts:
            return
        key = self.chance.choice(self.model.doubts)
        row = await PatientRow.get(practice_id=key[0], number=key[1])
        doubt = await IdentityDoubt.filter(patient_id=row.id, settled_at=None).order_by("id").first()
        assert doubt is not None
        mine, others = self.model.patients[key], self._whom_she_may_be(key)
        self.model.doubts.remove(key)
        if others and self.chance.random() < 0.6:
            other = self.chance.choice(others)
            there = await PatientRow.get(practice_id=other.practice, number=other.number)
            await who_is_who.same_person(self.world.means, doubt.id, there.person_id, by=self.world.dpo)
            self.model.same(mine.person, other.person)
        else:
            await who_is_who.another_person(self.world.means, doubt.id, by=self.world.dpo)

    def _whom_she_may_be(self, key: Key) -> list[Patient]:
        """Other bearers of her key; nobody here is twice a patient of one practice."""
        patients = self.model.patients.values()
        at: dict[int, set[str]] = {}
        for p in patients:
            at.setdefault(p.person, set()).add(p.practice)
        mine = self.model.patients[key]
        return [p for p in patients if p.bears == mine.bears and not at[p.person] & at[mine.person]]

    async def part(self, practice: str) -> None:
        """The DPO undoes what was taken for one person."""
        persons = [p.person for p in self.model.patients.values()]
        shared = [k for k, p in self.model.patients.items() if k[0] == practice and persons.count(p.person) > 1]
        if shared:
            key = self.chance.choice(shared)
            await who_is_who.part(self.world.means, *key, by=self.world.dpo)
            self.model.part(key, self._somebody())
            await self._see_who_is_who()

    async def _see_who_is_who(self) -> None:
        """Both count the same persons; who is known by which id is remembered for what was listed under it."""
        for row in await PatientRow.all():
            person = self.model.patients[row.practice_id, row.number].person
            assert self.ids.setdefault(str(row.person_id), person) == person
        assert len(set(self.ids.values())) == len(self.ids)

    # --- telling ------------------------------------------------------------------------------------------------

    async def tell(self, practice: str) -> None:
        if practice not in self.model.registers:
            return
        await self.world.tell(practice)
        for p in self.model.patients.values():
            to = p.addressee(day(self.world.clock.now()))
            reachable = to == ("parent" if p.has_parent else "self")
            had = any((told.to, told.address) == (to, p.address) for told in p.told)
            if p.practice == practice and p.here and reachable and not had:
                p.told.append(Told(self.world.clock.now(), to, p.address))

    async def wait(self, _: str) -> None:
        self.world.wait(self.chance.choice((0.3, 1, 5, 9, 20, 31)))
        self.model.now = self.world.clock.now()

    async def read(self, _: str) -> None:
        await self.world.read_returns()
        self.model.read = self.world.clock.now()

    async def bounce(self, practice: str) -> None:
        told = [(key, p) for key, p in self.model.patients.items() if key[0] == practice and p.told]
        if told and self.chance.random() < 0.5:
            key, p = self.chance.choice(told)
            row = await PatientRow.get(practice_id=key[0], number=key[1])
            notice = await Notice.filter(patient_id=row.id).order_by("-sent_at").first()
            assert notice is not None
            self.world.returns.bounced.append(str(notice.id))
            max(p.told, key=lambda t: t.sent).bounced = True
            await self.read(practice)

    # --- saying no ----------------------------------------------------------------------------------------------

    def _linked(self, practice: str) -> list[Key]:
        return [key for key, p in self.model.patients.items() if key[0] == practice and p.told]

    async def say_no(self, practice: str) -> None:
        if linked := self._linked(practice):
            key = self.chance.choice(linked)
            scope = self.chance.choice((Scope.EVERYTHING, Scope.OBSERVATORY, Scope.STUDY, Scope.PRACTICE))
            study = "diabetes" if scope is Scope.STUDY else None
            await opt_out.object_(self.world.means, self._link(key), scope, study)
            if not any(no.patient == key and no.scope == scope and not no.withdrawn for no in self.model.noes):
                self.model.noes.append(No(key, scope))

    async def take_back(self, practice: str) -> None:
        said = [no for no in self.model.noes if no.patient[0] == practice and not no.withdrawn]
        if said and self.chance.random() < 0.5:
            key = self.chance.choice(said).patient
            await opt_out.withdraw(self.world.means, self._link(key))
            for no in self.model.noes:
                no.withdrawn |= no.patient == key

    def _link(self, key: Key) -> str:
        """The link of her first notice: it goes on working, and what is said by it counts for her."""
        return self.world.links[self.model.patients[key].told[0].address]

    # --- crossings ----------------------------------------------------------------------------------------------

    async def extract(self, practice: str) -> None:
        if practice not in self.model.registers:
            return
        records = [self._record(key) for key in self.rows if key[0] == practice]
        refused = not self.model.batch_open(release=False) or self.model.doctors.get(practice) != "active"
        try:
            await self.lines[practice].receive(await self.lines[practice].extract(*records))
        except Refused:
            assert refused
            return
        assert not refused
        self.model.store[practice] = self.model.extracted(practice)
        self.model.taken[practice] = self.model.now
        self.crossings += 1
        for touched in self.re_extracted.values():
            touched.add(practice)
        files = sorted((self.world.means.store / practice).glob("*.parquet"))
        named = [name for file in files for name in pq.read_table(file)["pseudonym"].to_pylist()]
        ring = self.world.means.ring
        known = {pseudonym(ring, "observatory:demo", UUID(id_).bytes).hex(): person for id_, person in self.ids.items()}
        assert {known[name] for name in named} == self.model.store[practice]

    def _record(self, key: Key) -> dict[str, Any]:
        row = self.rows[key]
        year = int(row.birth_date[:4])
        place = PRACTICES.index(key[0]) + 1
        return record(key[1], practice_id=key[0], year_of_birth=year, doctor_id=f"doctor-{place}")

    async def prepare(self, _: str) -> None:
        expected = self.model.prepared()
        code = ""
        try:
            release_id = await release.prepare(self.world.means, "diabetes", by=self.world.operator)
        except Refused as no:
            code = no.code
        if code:
            assert not expected or not self.model.batch_open(release=True)
            return
        assert self.model.batch_open(release=True)
        assert await self._members(release_id) == expected
        await release.approve(self.world.means, release_id, by=self.world.dpo, second_factor=True)
        self.model.put_down(release_id, expected)
        self.states[release_id] = "approved"
        self.re_extracted[release_id] = set()

    async def seal(self, _: str) -> None:
        await self._cross("approved", "sealed", self._sealed)

    async def _sealed(self, release_id: str) -> None:
        await release.seal(self.world.means, release_id, by=self.world.operator)

    async def serve(self, _: str) -> None:
        for release_id in await self._cross("sealed", "sealed", self._served):
            served = self.model.lists[release_id]
            self.model.delivered[release_id] = self.model.delivered.get(release_id, set()) | served

    async def _served(self, release_id: str) -> None:
        folder = await release.serve(self.world.means, release_id, by=self.world.recipient)
        names = {n for file in folder.rglob("*.parquet") for n in pq.read_table(file)["pseudonym"].to_pylist()}
        members = await ReleasePerson.filter(release_id=release_id, left_version=None).values_list(
            "pseudonym", flat=True
        )
        assert names == set(members)

    async def _cross(self, state: str, to: str, step: Callable[[str], Awaitable[None]]) -> list[str]:
        """Try the step with each release in this state; who crosses are those of its list who still pass."""
        crossed = []
        for release_id in [r for r, s in self.states.items() if s == state]:
            before = self.model.lists[release_id]
            expected = self.model.still(release_id)
            try:
                await step(release_id)
            except Refused:
                shrinks_on_other_files = expected != before and bool(self.re_extracted[release_id])
                assert not expected or not self.model.batch_open(release=True) or shrinks_on_other_files
                continue
            assert self.model.batch_open(release=True)
            assert await self._members(release_id) == expected
            self.model.lists[release_id], self.states[release_id] = expected, to
            self.crossings += 1
            crossed.append(release_id)
        return crossed

    async def reconcile(self, _: str) -> None:
        await reconcile(self.world.means)
        new = self.model.to_delete() - self.made
        if new and self.model.due is None:
            self.model.due = day(self.model.now) + timedelta(days=30)
        self.made |= new
        found = await rows(connection(), "SELECT release_id, person_id, practice_id FROM retraction")
        assert {(r["release_id"], (r["practice_id"], self.ids[str(r["person_id"])])) for r in found} == self.made

    async def acknowledge(self, _: str) -> None:
        for release_id in self.model.delivered:
            await acknowledge(self.world.means, release_id, up_to=10**9, by=self.world.recipient)
        self.model.due = None

    # --- what is compared ---------------------------------------------------------------------------------------

    async def compare(self) -> None:
        for asked in (Asked("demo"), Asked("demo", "diabetes")):
            batch, found = await verdicts(self.world.means, asked)
            assert isinstance(batch, Cleared) == self.model.batch_open(release=asked.study_id is not None)
            assert {(v.practice_id, v.number) for v in found if not v.reasons} == self.model.passing(
                release=asked.study_id is not None
            )
        await self._see_who_is_who()

    async def _members(self, release_id: str) -> set[Member]:
        listed = await ReleasePerson.filter(release_id=release_id, left_version=None).values_list(
            "practice_id", "person_id"
        )
        return {(practice, self.ids[str(person)]) for practice, person in listed}


WEIGHTS = {
    "enrol": 3, "rest": 1, "leave": 1, "register": 3, "tell": 3, "wait": 6, "read": 3, "bounce": 1, "say_no": 3,
    "take_back": 1, "extract": 5, "prepare": 4, "seal": 4, "serve": 4, "reconcile": 2, "acknowledge": 1,
    "settle": 4, "part": 1,
}  # fmt: skip


async def told(life: Life) -> None:
    """What most lives begin with: both practices open, everybody told, the wait nearly over."""
    for practice in PRACTICES:
        await life.enrol(practice)
        await life.register(practice)
        await life.tell(practice)
    life.world.wait(life.chance.choice((5, 32, 33, 40)))
    life.model.now = life.world.clock.now()
    await life.read("")


async def live(life: Life, steps: int) -> None:
    for line in life.lines.values():
        await line.open()
    if life.chance.random() < 0.8:
        await told(life)
    for _ in range(steps):
        (name,) = life.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        practice = life.chance.choice(PRACTICES)
        life.done.append(f"{name} {practice}")
        await getattr(life, name)(practice)
        await life.compare()


# --- many lives -----------------------------------------------------------------------------------------------------


@pytest.mark.shows("R3")
async def test_random_lives_let_through_what_a_plain_model_lets_through(
    migrated_sqlite: Path,
    tmp_path: Path,
    how_many: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    runs = how_many(RUNS, MANY)
    record_property("trials", runs)
    record_property("seed", SEED)
    seed = tmp_path / "seed"
    shutil.copytree(migrated_sqlite.parent, seed)
    first = await begun(seed, START, authorisation__valid_until=ENDS)
    crossings = 0
    for run in range(runs):
        crossings += await one_life(first, seed, tmp_path / f"life-{run}", run)
        shutil.rmtree(tmp_path / f"life-{run}")
    assert crossings > runs, "too little was let through to prove anything"


async def one_life(first: World, seed: Path, folder: Path, run: int) -> int:
    """Returns how often rows crossed; an AssertionError says which life it was, so that it can be lived again."""
    world = copied(first, seed, folder, START)
    life = Life(world, random.Random(f"{SEED}-{run}"))
    async with opened_in(folder):
        try:
            await live(life, STEPS)
        except Exception as error:  # raised again at once, with the number by which it can be lived again
            error.add_note(f"life {SEED}-{run}, after: {', '.join(life.done)}")
            raise
    return life.crossings
