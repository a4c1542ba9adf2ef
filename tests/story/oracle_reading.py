"""What the oracle reads: a demo folder's registers, records and story, and who is who in them. Nothing of `portal`.

Moments are aware datetimes, days are Paris days, a birth is the register's own text, a coded value is `system|code`.
"""

import csv
import gzip
import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
SYSTEMS = {"http://snomed.info/sct": "sct", "http://www.nlm.nih.gov/research/umls/rxnorm": "rxnorm"}
SYSTEMS["http://loinc.org"] = "loinc"
MEASURES = {"loinc|8302-2": "height_cm", "loinc|29463-7": "weight_kg"}

Patient = tuple[str, str]  # practice, the practice's own number
PersonKey = tuple[str, ...]
Cells = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One patient of one register, as it stands there; text is stripped, absent is empty."""

    key: str
    birth: str
    sex: str
    family: str
    birth_name: str
    given: str
    email: str
    deceased_on: str
    representative_kind: str
    representative_email: str
    doctor: str
    address: str = ""
    representative_address: str = ""


@dataclass(frozen=True)
class Register:
    practice: str
    taken_at: datetime
    rows: dict[str, Row]


@dataclass(frozen=True)
class Record:
    """`cells` holds what the resource says, by column of the flat form; `doctor` is empty when nobody is named."""

    practice: str
    patient: str
    kind: str
    id: str
    day: date | None
    provenance: str
    doctor: str
    year: int | None
    sex: str | None
    cells: Cells

    @property
    def who(self) -> Patient:
        return self.practice, self.patient


@dataclass(frozen=True)
class Suspicions:
    """Who may have said no, beside whom each no binds or means itself: `persons` that may be one with these, and
    `by_names` each row of either, with whose it is and whom that no binds or means."""

    persons: set[PersonKey]
    by_names: dict[tuple[str, str], list[tuple[Row, PersonKey, set[PersonKey]]]]


def paris_day(at: datetime) -> date:
    return at.astimezone(PARIS).date()


def read_story(folder: Path) -> dict[str, Any]:
    """story.json with its moments (`at`, `as_of`, `…_at`) as datetimes; days stay text."""
    story: dict[str, Any] = _with_moments(json.loads((folder / "story.json").read_text("utf-8")), "")
    return story


def _with_moments(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _with_moments(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_moments(inner, name) for inner in value]
    if isinstance(value, str) and (name in {"at", "as_of"} or name.endswith("_at")):
        at = datetime.fromisoformat(value)
        return at if at.tzinfo else at.replace(tzinfo=PARIS)
    return value


def read_registers(folder: Path, story: dict[str, Any]) -> list[Register]:
    """Every register that the story names, oldest first."""
    found = [
        Register(entry["practice_id"], entry["taken_at"], dict(_register_rows(folder / entry["file"])))
        for entry in story["registers"]
    ]
    return sorted(found, key=lambda register: register.taken_at)


def _register_rows(path: Path) -> Iterator[tuple[str, Row]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for line in csv.DictReader(file):
            cell = {name: (text or "").strip() for name, text in line.items() if name}
            yield (
                cell["patient_id"],
                Row(
                    "".join(cell.get("person_key", "").split()).upper(),
                    *(cell.get(name, "") for name in ("birth_date", "sex", "family_name", "birth_name", "given_names")),
                    *(cell.get(name, "") for name in ("email", "deceased_on", "representative_kind")),
                    *(cell.get(name, "") for name in ("representative_email", "doctor_id")),
                    "|".join(cell.get(name, "") for name in ("address", "postcode", "city", "country")),
                    cell.get("representative_address", ""),
                ),
            )


def read_records(folder: Path) -> Iterator[Record]:
    """Every record of `records/<practice>/`, by the contract's table of FHIR resources."""
    for practice in sorted(path for path in (folder / "records").iterdir() if path.is_dir()):
        yield from _records_of_practice(practice)


def _records_of_practice(folder: Path) -> Iterator[Record]:
    patients = {patient["id"]: patient for patient in _lines(folder, "Patient")}
    doctors = {encounter["id"]: _doctor(encounter) for encounter in _lines(folder, "Encounter")}
    for kind, when in _DATED.items():
        for resource in _lines(folder, kind):
            cells = _cells(resource)
            if cells is None:
                continue
            reference = _last(resource.get("subject") or resource.get("patient"))
            patient = patients.get(reference, {})
            yield Record(
                practice=folder.name,
                patient=_own_number(patient, folder.name) or reference,
                kind=kind,
                id=resource["id"],
                day=_day(resource.get(when)),
                provenance=resource.get("meta", {}).get("source", "").rpartition("/")[2],
                doctor=doctors.get(_last(resource.get("encounter")), ""),
                year=int(patient["birthDate"][:4]) if patient.get("birthDate") else None,
                sex=patient.get("gender"),
                cells=cells,
            )


_DATED = {
    "Condition": "onsetDateTime",
    "MedicationRequest": "authoredOn",
    "AllergyIntolerance": "recordedDate",
    "Observation": "effectiveDateTime",
}


def _lines(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    path = folder / f"{kind}.ndjson.gz"
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.strip())


def _cells(resource: dict[str, Any]) -> Cells | None:
    """The columns that the resource fills, or None when it is no record."""
    match resource["resourceType"]:
        case "Condition":
            return {"diagnosis": _token(resource.get("code"))}
        case "MedicationRequest":
            return {"prescription": _token(resource.get("medicationCodeableConcept"))}
        case "AllergyIntolerance":
            return {"allergy": _token(resource.get("code"))}
    value = next((inner for name, inner in resource.items() if name.startswith("value")), None)
    if value is None:
        return None
    code, quantity = _token(resource.get("code")), resource.get("valueQuantity", {})
    number = quantity.get("value", value)  # what is no quantity stays what it is, and is no number
    if code in MEASURES:
        return {MEASURES[code]: number}
    unit = quantity.get("code") or quantity.get("unit")
    return {"test_code": code, "test_value": number} | ({"test_unit": unit} if unit else {})


def _token(concept: dict[str, Any] | None) -> str:
    coding = ((concept or {}).get("coding") or [{}])[0]
    system = coding.get("system", "")
    return f"{SYSTEMS.get(system, system)}|{coding.get('code', '')}"


def _doctor(encounter: dict[str, Any]) -> str:
    return next((_last(one.get("individual")) for one in encounter.get("participant", [])), "")


def _last(reference: dict[str, Any] | None) -> str:
    return str((reference or {}).get("reference", "")).rpartition("/")[2]


def _own_number(patient: dict[str, Any], practice: str) -> str:
    system = f"https://example.org/{practice}/patient"
    return next((one["value"] for one in patient.get("identifier", []) if one.get("system") == system), "")


def _day(text: str | None) -> date | None:
    """The Paris day; a date without a time is that day."""
    if not text:
        return None
    return date.fromisoformat(text) if len(text) == 10 else paris_day(datetime.fromisoformat(text))


# --- who is who ------------------------------------------------------------------------------------------------


class People:
    """Who is who at one moment: what the registers taken until then say of each patient."""

    def __init__(self, registers: list[Register], story: dict[str, Any], at: datetime) -> None:
        self.newest: dict[str, Register] = {}
        self.states: dict[Patient, list[Row]] = {}  # more than one: she became somebody else
        self.clashing: set[Patient] = set()
        self._bearers: dict[str, set[Patient]] = defaultdict(set)
        for register in (one for one in registers if one.taken_at <= at):
            self.newest[register.practice] = register
            for number, row in register.rows.items():
                self._take_in((register.practice, number), row)
        self.said = [said for said in story.get("objections_without_link", []) if said["at"] <= at]
        self.asked: set[PersonKey] = set()
        for request in (one for one in story.get("requests", []) if one["at"] <= at):
            self.asked |= self.identities((request["practice_id"], request["patient_id"]))
        objections = [o for o in story["objections"] if o["at"] <= at]
        self.bound: dict[str, set[PersonKey]] = {"everything": set(), "observatory": set(), "study": set()}
        self.bound_at: dict[str, set[PersonKey]] = defaultdict(set)  # as patients of this practice
        self._nos: list[tuple[str, set[PersonKey]]] = []  # in force: scope, whom it binds
        self._taken_back: dict[tuple[PersonKey, str, bool], date] = {}
        self._suspected: dict[bool, Suspicions] = {}
        for objection in objections:
            whose = self.identities((objection["practice_id"], objection["patient_id"]))
            back = objection["withdrawn_at"]
            if back is None or back > at:
                narrow = objection["scope"] == "practice"
                bound = self.bound_at[objection["practice_id"]] if narrow else self.bound[objection["scope"]]
                bound |= whose
                self._nos.append((objection["scope"], whose))
            else:
                where = objection["practice_id"] if objection["scope"] == "practice" else ""
                for one in whose:
                    covered = (one, where, objection["scope"] == "study")
                    self._taken_back[covered] = max(paris_day(back), self._taken_back.get(covered, date.min))

    def _take_in(self, who: Patient, row: Row) -> None:
        """A key clashes that comes with another birth or sex, a second time at one practice, or to somebody who was
        known without it while others bear it: who they are is for a person to settle, and so is who bore it then."""
        states = self.states.setdefault(who, [])
        others = {o for o in self._bearers[row.key] - {who} if self.states[o][-1].key == row.key} if row.key else set()
        known_so = states and states[-1].key == row.key and not _became_another(states[-1], row)
        is_one = all(other[0] != who[0] and _traits(self.states[other][-1]) == _traits(row) for other in others)
        if others and not known_so and (states or not is_one):
            self.clashing |= {who, *others}
        if states and not _became_another(states[-1], row):
            states.pop()
        states.append(row)
        self._bearers[row.key].add(who)

    def taken_back_on(self, who: Patient, is_release: bool) -> set[date]:
        """The days of take-backs of what covered this patient's records at such a crossing."""
        asked = [(one, where, False) for one in self.identities(who) for where in ("", who[0])]
        asked += [(one, "", True) for one in self.identities(who) if is_release]
        return {self._taken_back[covered] for covered in asked if covered in self._taken_back}

    def row(self, who: Patient) -> Row | None:
        """As the practice last knew her."""
        return self.states[who][-1] if who in self.states else None

    def person(self, who: Patient) -> PersonKey:
        return _identity(who, len(self.states[who]) - 1, self.states[who][-1])

    def identities(self, who: Patient) -> set[PersonKey]:
        """Every person that this patient ever was: an objection binds them all."""
        return {_identity(who, place, row) for place, row in enumerate(self.states.get(who, []))} or {(*who, "0")}

    @cached_property
    def _known_as(self) -> dict[PersonKey, list[Row]]:
        """Everything that registers ever said of each person."""
        found: dict[PersonKey, list[Row]] = defaultdict(list)
        for who, states in self.states.items():
            for place, row in enumerate(states):
                found[_identity(who, place, row)].append(row)
        return found

    @cached_property
    def _unsettled(self) -> set[PersonKey]:
        return {self.person(who) for who, states in self.states.items() if len(states) > 1 or who in self.clashing}

    @cached_property
    def _contested(self) -> set[PersonKey]:
        """Whose key was found with somebody else: it tells them apart from nobody."""
        return {one for who in self.clashing for one in self.identities(who)}

    @cached_property
    def _dead(self) -> set[PersonKey]:
        return {self.person(who) for who, states in self.states.items() if states[-1].deceased_on}

    def _suspicions(self, is_release: bool) -> "Suspicions":
        if is_release not in self._suspected:
            found = Suspicions(set(), defaultdict(list))
            for own in self._own(is_release):
                all_of_them = self._as_one(own)
                found.persons.update(all_of_them - own)
                for one in all_of_them:
                    for row in self._known_as[one]:
                        for names in _names(row):
                            found.by_names[names].append((row, one, own))
            self._suspected[is_release] = found
        return self._suspected[is_release]

    def _own(self, is_release: bool) -> Iterator[set[PersonKey]]:
        """Of each no in force, whom it binds; of one without a link, who may be meant."""
        for scope, whose in self._nos:
            if is_release or scope != "study":
                yield whose
        for said in self.said:
            if is_release or said["scope"] != "study":
                yield {one for one, rows in self._known_as.items() if any(_may_be(row, said) for row in rows)}

    def _as_one(self, persons: set[PersonKey]) -> set[PersonKey]:
        """They, and all who may be one with them while nobody has settled it: of one row, of one key in a clash."""
        found: set[PersonKey] = set()
        while persons:
            found |= persons
            persons = set().union(*(self._may_be_one[one] for one in persons)) - found
        return found

    @cached_property
    def _may_be_one(self) -> dict[PersonKey, set[PersonKey]]:
        linked: dict[PersonKey, set[PersonKey]] = defaultdict(set)
        for who in self.states:
            for one in self.identities(who):
                linked[one] |= self.identities(who)
            if who in self.clashing:
                for key in {row.key for row in self.states[who]} - {""}:
                    same = {_by_key(r) for other in self._bearers[key] for r in self.states[other] if r.key == key}
                    for one in same:
                        linked[one] |= same
        return linked

    def codes(self, who: Patient, today: date, is_release: bool) -> set[str]:
        """What stands against the person, apart from her notice."""
        if who not in self.states:
            return {"G40"}
        row, identities = self.states[who][-1], self.identities(who)
        failing = {
            "G40": self.person(who) in self._unsettled,
            "G41": identities & self.bound["everything"],
            "G42": identities & self.bound["observatory"],
            "G43": is_release and identities & self.bound["study"],
            "G44": identities & self.bound_at[who[0]],
            "G45": self._doubted(self.person(who), is_release),
            "G46": identities & self.asked,
            "G47": right_addressee(row, today) is None,
            "G48": self.person(who) in self._dead,
            "G49": who[1] not in self.newest[who[0]].rows,
        }
        return {code for code, fails in failing.items() if fails}

    def _doubted(self, person: PersonKey, is_release: bool) -> bool:
        """Whether she may be somebody who said no, as far as that no does not say itself whether it binds her."""
        suspected, rows = self._suspicions(is_release), self._known_as[person]
        if person in suspected.persons:
            return True
        if any(_may_be(row, said) for said in self.said if is_release or said["scope"] != "study" for row in rows):
            return True
        return any(
            person not in own
            and _same_birth(mine.birth, theirs.birth)
            and (_undecided(mine.key, theirs.key) or {person, other} & self._contested)
            for mine in rows
            for names in _names(mine)
            for theirs, other, own in suspected.by_names.get(names, [])
        )


def _may_be(row: Row, said: dict[str, Any]) -> bool:
    """Whether somebody of whom this was said on the telephone, or by her key alone, may be this patient."""
    if said.get("person_key"):
        return bool(row.key == said["person_key"].upper())
    families = {"".join(_words(said[name])) for name in ("family_name", "birth_name")} - {""}
    met = {(family, first) for family in families for first in _words(said["given_names"])[:1]}
    return bool(met & set(_names(row))) and _same_birth(row.birth, said["birth"])


def right_addressee(row: Row, today: date) -> str | None:
    """Who speaks for her on that day; None when nobody can."""
    grown = majority(row.birth)
    if grown is None:
        return None
    if today >= grown:
        return row.representative_kind if row.representative_kind in {"guardian", "mandate"} else "self"
    return row.representative_kind if row.representative_kind in {"parent", "guardian"} else None


def majority(birth: str) -> date | None:
    """The first day on which she is certainly eighteen."""
    if len(birth) == 4:
        return date(int(birth) + 19, 1, 1)
    if not birth:
        return None
    born = date.fromisoformat(birth)
    leap = (born.month, born.day) == (2, 29)
    return date(born.year + 18, 3, 1) if leap else born.replace(year=born.year + 18)


def _became_another(old: Row, new: Row) -> bool:
    """A birth or key that was there is another, or a name under which she was met is given up; what becomes known, and
    a name taken beside the one she keeps, changes nobody."""
    changed = any(was and was != now for was, now in ((old.birth, new.birth), (old.key, new.key)))
    return changed or not set(_names(old)) <= set(_names(new))


def _traits(row: Row) -> tuple[str, str]:
    return row.birth, row.sex


def _identity(who: Patient, place: int, row: Row) -> PersonKey:
    return _by_key(row) if row.key else (*who, str(place))


def _by_key(row: Row) -> PersonKey:
    return "key", row.key, row.birth, row.sex


def _undecided(one: str, other: str) -> bool:
    """Two national keys of one type tell two persons apart; anything else leaves a doubt."""
    return not (one and other and one.rpartition(":")[0] == other.rpartition(":")[0])


def _same_birth(one: str, other: str) -> bool:
    if len(one) == len(other) == 10:
        return one == other
    return bool(one and other) and one[:4] == other[:4]


def _names(row: Row) -> Iterator[tuple[str, str]]:
    """Under which (family or birth name, first given name) she may be met."""
    given = _words(row.given)[:1]
    for name in {"".join(_words(row.family)), "".join(_words(row.birth_name))} - {""}:
        yield from ((name, first) for first in given)


def _words(text: str) -> list[str]:
    bare = unicodedata.normalize("NFKD", text.replace("Œ", "OE").replace("œ", "oe"))
    letters = (letter for letter in bare.casefold() if not unicodedata.combining(letter))
    return "".join(letter if letter.isalpha() else " " for letter in letters).split()
