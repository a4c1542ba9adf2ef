"""R24: human beings whom the generator knows, and the rows under which two practices know them. It alone judges.

What a practice writes of somebody differs from practice to practice as it does in life: accents, hyphens, particles,
spellings that sound alike, the name at birth, a year for a birth date, a national key here and none there. Numbers
are given to somebody else; keys are typed for the wrong patient; names change; the DPO settles, at times wrongly, and
undoes it.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

from line import Line, record
from world import World, patient

from portal.flow import opt_out, provisional, release, who_is_who
from portal.flow.decide import Asked, verdicts
from portal.flow.provisional import Spoken
from portal.gate.register_row import RegisterRow
from portal.records.database import connection, rows
from portal.records.identity_overview import doubts
from portal.records.people import FormerPerson, Patient
from portal.rules.words import DoubtReason, ObjectionChannel, Scope, Sex

Place = tuple[str, str]
"""(practice, the practice's own number)"""

PRACTICES = ("practice-a", "practice-b")
ALIKE = (
    ("Lefèvre", "Lefebvre"), ("Renault", "Renaud"), ("Lecomte", "Lecompte"), ("Martin", "Martain"),
    ("Laurent", "Lorent"), ("Le Goff", "Legoff"), ("de La Tour", "La Tour"), ("Dupont-Morel", "Dupont Morel"),
    ("Gauthier", "Gautier"), ("Philippe", "Filipe"), ("Durand", "Durant"), ("Petit", "Petit"), ("Rousseau", "Roussau"),
    ("Bernard", "Bernart"),
)  # fmt: skip
"""A family name, and how somebody else writes what she hears. A pair that does not sound alike is taken out below."""

GIVEN = ("Camille", "Andréa", "Maxime", "Éloïse", "Noël", "Zoé", "Jean-Luc", "Anne Marie", "Léa", "Chloé")


@dataclass(frozen=True)
class Human:
    id: int
    family: str
    heard: str
    maiden: str
    given: str
    birth: str
    sex: Sex
    key: str


@dataclass
class Truth:
    """Who really is who: every human, the humans that each row stood for, in order, and who has said no."""

    world: World
    chance: Random
    humans: list[Human] = field(default_factory=list)
    stood_for: dict[Place, list[Human]] = field(default_factory=dict)
    rows: dict[Place, RegisterRow] = field(default_factory=dict)
    objectors: set[int] = field(default_factory=set)
    through: set[Place] = field(default_factory=set)
    merged_wrongly: list[Place] = field(default_factory=list)
    mistyped: dict[Place, RegisterRow] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)

    # --- who there is ----------------------------------------------------------------------------------------------

    def people(self, many: int) -> None:
        """Humans, some of them twins (one birth, two given names) or namesakes (all the same but the key)."""
        while len(self.humans) < many:
            family, heard = self.chance.choice(ALIKE)
            birth = f"{self.chance.randint(1940, 2000)}-{self.chance.randint(1, 12):02}-{self.chance.randint(1, 28):02}"
            maiden = self.chance.choice(ALIKE)[0] if self.chance.random() < 0.3 else ""
            one = Human(
                len(self.humans), family, heard, maiden, self.chance.choice(GIVEN), birth,
                self.chance.choice((Sex.FEMALE, Sex.MALE)), f"niss:{len(self.humans):011}",
            )  # fmt: skip
            self.humans.append(one)
            kin = self.chance.random()
            if kin < 0.15:
                other = self.chance.choice([g for g in GIVEN if g != one.given])
                self._also(replace(one, given=other))
            elif kin < 0.25:
                self._also(one)

    def _also(self, human: Human) -> None:
        number = len(self.humans)
        self.humans.append(replace(human, id=number, key=f"niss:{number:011}"))

    def written(self, human: Human, place: Place, *, key: bool | None = None) -> RegisterRow:
        """How this practice writes her; always so that it may be heard to be her, or with her key."""
        chance = self.chance
        way = chance.randrange(6)
        family, born_as = human.family, human.maiden
        if way == 1:
            family = human.heard
        elif way == 2:
            family = family.upper().replace("-", " ")
        elif way == 3 and human.maiden:
            family, born_as = human.maiden, ""
        with_key = chance.random() < 0.5 if key is None else key
        birth = human.birth[:4] if chance.random() < 0.15 else human.birth
        given = human.given.upper() if chance.random() < 0.2 else human.given
        return patient(
            place[1], family_name=family, birth_name=born_as, given_names=given, birth_date=birth, sex=human.sex,
            person_key=human.key if with_key else None, email=f"{place[0]}-{place[1]}-{human.id}@example.org",
            doctor_id=f"doctor-{PRACTICES.index(place[0]) + 1}",
        )  # fmt: skip

    def come(self, human: Human, practice: str) -> None:
        place = (practice, str(len(self.rows) + 1))
        self.stood_for[place] = [human]
        self.rows[place] = self.written(human, place)

    async def hand_in(self) -> None:
        self.world.wait(0.1)
        for practice in PRACTICES:
            await self.world.register([row for place, row in self.rows.items() if place[0] == practice], practice)

    async def tell(self) -> None:
        for practice in PRACTICES:
            await self.world.tell(practice)
        self.world.wait(40)
        await self.world.read_returns()
        await self.hand_in()

    # --- who says no -----------------------------------------------------------------------------------------------

    def places_of(self, human: Human) -> list[Place]:
        return [place for place, stood in self.stood_for.items() if stood[-1].id == human.id]

    async def say_no(self, share: float) -> None:
        """By the link of one of her rows, or on the telephone; some take it back by the same link."""
        means = self.world.means
        for human in self.humans:
            places = self.places_of(human)
            if not places or human.id in self.objectors or self.chance.random() > share:
                continue
            place = self.chance.choice(places)
            link = self.world.links.get(self.rows[place].email)
            if link is None or self.chance.random() < 0.4:
                await self._telephone(human)
                continue
            await opt_out.object_(means, link, Scope.EVERYTHING)
            if self.chance.random() < 0.15:
                await opt_out.withdraw(means, link)
                continue
            self.objectors.add(human.id)
            self.through.add(place)

    async def _telephone(self, human: Human) -> None:
        """What she says of herself, heard as it is heard; the DPO binds it to her rows, or leaves it open."""
        means, world = self.world.means, self.world
        said = Spoken(
            family_name=self.chance.choice((human.family, human.heard)), birth_name=human.maiden,
            given_names=human.given, birth=self.chance.choice((human.birth, human.birth[:4], "")),
            person_key=human.key if self.chance.random() < 0.3 else "",
        )  # fmt: skip
        no = await provisional.record(
            means, said, scope=Scope.EVERYTHING, channel=ObjectionChannel.PHONE, by=world.operator.actor,
            received=world.clock.now() - timedelta(days=self.chance.randrange(9)),
        )  # fmt: skip
        self.objectors.add(human.id)
        self.seen["by telephone"] += 1
        fate = self.chance.random()
        if fate < 0.4:
            places = self.places_of(human)
            found = [await Patient.get(practice_id=practice, number=number) for practice, number in places]
            bound = found[: self.chance.randint(1, len(found))]
            await provisional.bind(means, no.id, [p.id for p in bound], by=world.dpo)

    # --- what changes ----------------------------------------------------------------------------------------------

    def change(self, share: float) -> None:
        """Names mended, keys learned, births mistyped under a known key, keys typed for another, numbers reused."""
        for place in list(self.rows):
            if self.chance.random() > share or place in self.mistyped:
                continue
            human, row = self.stood_for[place][-1], self.rows[place]
            match self.chance.randrange(6):
                case 0:
                    self.rows[place] = self.written(human, place, key=bool(row.person_key))
                    self.seen["written otherwise"] += 1
                case 1:
                    self.rows[place] = replace(row, person_key=human.key)
                    self.seen["key learned"] += 1
                case 2 if row.person_key and self._known_by_key_elsewhere(human, place):
                    self.rows[place] = replace(row, birth_date="1939-01-01")
                    self.seen["birth mistyped"] += 1
                case 3:
                    self._key_of_another(place, human, row)
                case 4:
                    self._give_away(place)
                case 5:
                    self.mistyped[place] = row
                    self.rows[place] = replace(row, given_names="Inconnu")
                    self.seen["name mistyped"] += 1
        for place in list(self.merged_wrongly):
            if not self._borne_elsewhere(place):
                self.rows[place] = replace(self.rows[place], person_key=None)
                self.merged_wrongly.remove(place)

    def _borne_elsewhere(self, place: Place) -> bool:
        """Whether another practice knows the key typed here: else nothing tells that it is wrong (decision 15)."""
        key = self.rows[place].person_key
        return any(row.person_key == key for other, row in self.rows.items() if other[0] != place[0])

    def _known_by_key_elsewhere(self, human: Human, place: Place) -> bool:
        return all(self.rows[other].person_key for other in self.places_of(human) if other != place)

    def _key_of_another(self, place: Place, human: Human, row: RegisterRow) -> None:
        """A key typed for the wrong patient: the DPO takes the two for one, and undoes it."""
        others = [other for other, bears in self.rows.items() if bears.person_key and other[0] != place[0]]
        if row.person_key or not others:
            return
        other = self.chance.choice(others)
        if self.stood_for[other][-1].id != human.id:
            self.rows[place] = replace(row, person_key=self.rows[other].person_key)
            self.merged_wrongly.append(place)
            self.seen["key of another"] += 1

    def _give_away(self, place: Place) -> None:
        """The number is somebody else's now."""
        human = self.chance.choice(self.humans)
        if human.id == self.stood_for[place][-1].id:
            return
        self.stood_for[place].append(human)
        self.rows[place] = self.written(human, place)
        self.seen["number reused"] += 1

    # --- the DPO ---------------------------------------------------------------------------------------------------

    async def settle(self, share: float = 1.0) -> None:
        """Each open doubt by the truth; but a key typed for another is taken for a merge."""
        for doubt in await doubts():
            place = (doubt["practice_id"], doubt["number"])
            if self.chance.random() > share or not (await self._still_open(doubt["id"])):
                continue
            doubt["person_id"] = (await Patient.get(id=doubt["patient_id"])).person_id
            others = sorted(await who_is_who.in_question(connection(), doubt), key=str)
            means, by = self.world.means, self.world.dpo
            if place in self.mistyped and doubt["reason"] == DoubtReason.IDENTITY_CHANGED:
                await who_is_who.wrong_entry(means, doubt["id"], by=by)
                self.seen["wrong entry"] += 1
                continue
            same = [other for other in others if await self._is(other, place)]
            if place in self.merged_wrongly and others and not same:
                same = others[:1]
                self.seen["merged wrongly"] += 1
            if same:
                await who_is_who.same_person(means, doubt["id"], same[0], by=by)
                self.seen["merged"] += 1
            else:
                await who_is_who.another_person(means, doubt["id"], by=by)
                self.seen["kept apart"] += 1

    async def _still_open(self, doubt_id: int) -> bool:
        return bool([d for d in await doubts() if d["id"] == doubt_id])

    async def _is(self, person: object, place: Place) -> bool:
        """Whether everybody whom this person stands (else: stood) for is the human of the row in doubt."""
        human = self.stood_for[place][-1].id
        now = await Patient.filter(person_id=person)
        if now:
            return all(self.stood_for[p.practice_id, p.number][-1].id == human for p in now)
        former = await FormerPerson.filter(person_id=person).select_related("patient")
        stood = [self.stood_for[f.patient.practice_id, f.patient.number] for f in former]
        return all(len(humans) == 1 and humans[0].id == human for humans in stood)

    async def undo(self) -> None:
        """What was merged wrongly is parted again, and what was mistyped is mended."""
        for practice, number in self.merged_wrongly:
            row = await Patient.get(practice_id=practice, number=number)
            if await Patient.filter(person_id=row.person_id).count() > 1:
                await who_is_who.part(self.world.means, practice, number, by=self.world.dpo)
                self.seen["parted"] += 1
            self.rows[practice, number] = replace(self.rows[practice, number], person_key=None)
        self.rows |= self.mistyped
        self.merged_wrongly.clear()
        self.mistyped.clear()

    # --- the judgement ---------------------------------------------------------------------------------------------

    async def leaks(self) -> list[Place]:
        """Rows that pass though their human said no."""
        _, found = await verdicts(self.world.means, Asked("demo", "diabetes"))
        passing = [(v.practice_id, v.number) for v in found if not v.reasons]
        self.seen["passing"] += len(passing)
        self.seen["rows looked at"] += len(found)
        mine = [place for place in self.rows if self.stood_for[place][-1].id in self.objectors]
        self.seen["rows of objectors"] += len(mine)
        self.seen["of these, elsewhere"] += len(set(mine) - self.through)
        return [place for place in passing if self.stood_for[place][-1].id in self.objectors]

    async def released(self) -> list[Place]:
        """The same of a release that was made, sealed and served, of one record a row."""
        for practice in PRACTICES:
            line = Line(self.world, practice)
            await line.open()
            doctor = f"doctor-{PRACTICES.index(practice) + 1}"
            numbers = [number for where, number in self.rows if where == practice]
            await line.receive(await line.extract(*(record(number, doctor_id=doctor) for number in numbers)))
        release_id = await release.prepare(self.world.means, "diabetes", by=self.world.operator)
        await release.approve(self.world.means, release_id, by=self.world.dpo, second_factor=True)
        self.seen["records released"] += await release.seal(self.world.means, release_id, by=self.world.operator)
        found = await rows(
            connection(),
            "SELECT p.practice_id, p.number FROM release_person m JOIN patient p ON p.person_id = m.person_id "
            "AND p.practice_id = m.practice_id WHERE m.release_id = $1 "
            "AND m.left_version IS NULL",
            release_id,
        )
        places = [(row["practice_id"], row["number"]) for row in found]
        return [place for place in places if self.stood_for[place][-1].id in self.objectors]
