"""The story's oracle: what may pass, worked out from registers, records and story.json alone. Nothing of `portal`.

Sets and plain loops, no database, no permit, no filter. The rules are those of the domain, told a second time.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from math import floor
from pathlib import Path
from typing import Any

from story.oracle_reading import (
    Patient,
    People,
    PersonKey,
    Record,
    Register,
    Row,
    paris_day,
    read_records,
    read_registers,
    read_story,
    right_addressee,
)  # fmt: skip

_CODES = (
    "G03 G04 G08 G20 G21 G22 G23 G26 G25 G30 G31 G32 G33 G34 G40 G41 G42 G43 G44 G45 G46 G47 G48 G49 "
    "G50 G51 G52 G53 G54 G55 G56 G58 G60 G61 G70"
)
ORDER = {code: place for place, code in enumerate(_CODES.split())}
ASKED = ("recorded_on", "year_of_birth", "sex", "height_cm", "weight_kg", "diagnosis", "prescription",
         "test_code", "test_value", "test_unit")  # fmt: skip
COLUMNS = ("recorded_week", *ASKED[1:])  # of a released row, in order; test_value is a float, what is not there None
ABOUT_HER = {"recorded_on", "year_of_birth", "sex"}  # every record has them: they are not what it says
BOUNDS = {"height_cm": (20, 280), "weight_kg": (0, 700)}
PASSED = "passed"

ReleasedRow = tuple[Any, ...]
RecordId = tuple[str, str, str]  # practice, resource type, resource id


@dataclass
class Expected:
    """`rows`: of each person who passes; `patients`: as whom practices know her.

    `fates`: of each record, "passed" or its first failing code.

    `reasons(practice_id, patient_id)`: all codes of the practice and the person at each moment, for debugging.
    """

    folder: Path
    reasons: Callable[[str, str], dict[str, list[str]]]
    rows: dict[PersonKey, Counter[ReleasedRow]] = field(default_factory=lambda: defaultdict(Counter))
    patients: dict[PersonKey, set[Patient]] = field(default_factory=lambda: defaultdict(set))
    fates: dict[RecordId, str] = field(default_factory=dict)

    @property
    def withheld(self) -> Counter[str]:
        return Counter(code for code in self.fates.values() if code != PASSED)

    @property
    def records_in(self) -> int:
        return len(self.fates)

    @property
    def passed(self) -> int:
        return self.records_in - self.withheld.total()

    def without(self, cause: str) -> "Expected":
        """What would pass if this cause (a key of CAUSES) had never withheld anything: to show that it did."""
        return work_out(self.folder, without=cause)


@dataclass(frozen=True)
class Crossing:
    """One line to cross: the columns it asks for, and the purposes that a notice must have named."""

    columns: dict[str, Any]
    purposes: frozenset[str]
    is_release: bool


def _no_doctor_left(story: dict[str, Any]) -> frozenset[str]:
    story["doctors"] = [doctor | {"left_at": None} for doctor in story["doctors"]]
    return frozenset()


def _nobody_objected(story: dict[str, Any]) -> frozenset[str]:
    story["objections"] = []
    return frozenset()


def _nothing_came_back(story: dict[str, Any]) -> frozenset[str]:
    story["notices"] = [notice | {"outcome": "accepted"} for notice in story["notices"]]
    return frozenset()


CAUSES: dict[str, Callable[[dict[str, Any]], frozenset[str]]] = {
    "doctor_left": _no_doctor_left,
    "objection": _nobody_objected,
    "bounced": _nothing_came_back,
    "no_notice": lambda story: frozenset({"G50"}),
    "too_young": lambda story: frozenset({"G56"}),
}
"""What can be taken out of a story: each changes it, or names the codes to overlook."""


def work_out(folder: Path, *, without: str | None = None) -> Expected:
    """Which records of a demo folder may pass, and how their rows come out. ValueError: a story it cannot judge."""
    story = read_story(folder)
    overlooked = CAUSES[without](story) if without else None
    world = World(story, read_registers(folder, story), overlooked)
    expected = Expected(folder, world.reasons)
    passing: list[Record] = []
    for record in read_records(folder):
        if _id(record) in expected.fates:
            raise ValueError(f"two resources are called {_id(record)}")
        expected.fates[_id(record)] = fate = world.fate_until_prepared(record)
        passing += [record] if fate == PASSED else []
    for leave, code in ((world.in_small_cells, "G61"), (world.closed_at_seal, "G70"), (world.in_small_cells, "G61")):
        leaving = {_id(record) for record in leave(passing)}
        expected.fates |= dict.fromkeys(leaving, code)
        passing = [record for record in passing if _id(record) not in leaving]
    expected.fates |= dict.fromkeys((_id(record) for record in world.copies(passing)), "G60")
    for record in passing:
        if expected.fates[_id(record)] == PASSED:
            expected.rows[world.person(record)][world.released(record)] += 1
            expected.patients[world.person(record)].add(record.who)
    return expected


def _id(record: Record) -> RecordId:
    return record.practice, record.kind, record.id


class World:
    """The rules, over one story and its registers."""

    def __init__(
        self, story: dict[str, Any], registers: list[Register], overlooked: frozenset[str] | None = None
    ) -> None:
        """`overlooked`: codes that do not count, in a story that did not happen so; None for the one that did."""
        self.story, self.overlooked, self.happened = story, overlooked or frozenset(), overlooked is None
        authorised, asked = story["authorisation"]["conditions"], story["study"]["conditions"]
        self.extraction = Crossing(authorised["columns"], frozenset(authorised["purposes"]), is_release=False)
        if not asked["columns"].keys() <= set(ASKED):
            raise ValueError("the study asks for a column that the oracle does not know")
        if asked.get("generalise"):
            raise ValueError("the oracle suppresses persons; what a study may be generalised to it does not know")
        self.release = Crossing(asked["columns"], frozenset({story["study"]["purpose"]}), is_release=True)
        self.period = date.fromisoformat(authorised["period_from"]), date.fromisoformat(authorised["period_until"])
        self.texts = {text["id"]: text for text in story["texts"]}
        self.visits = {visit["practice_id"]: visit for visit in story["extractions"]}
        self.notices: dict[Patient, list[dict[str, Any]]] = defaultdict(list)
        for notice in story["notices"]:
            self.notices[notice["practice_id"], notice["patient_id"]].append(notice)
        self.people = cache(lambda at: People(registers, story, at))
        self.person_codes = cache(self._person_codes)
        self.practice_codes = cache(self._practice_codes)
        self.batch_codes = cache(self._batch_codes)

    # --- one record -------------------------------------------------------------------------------------------

    def fate_until_prepared(self, record: Record) -> str:
        """ "passed", or the first code of the first moment at which it fails."""
        for at, crossing in self._moments(record.practice).values():
            if codes := self.codes(record, at, crossing):
                return min(codes, key=ORDER.__getitem__)
        if self.happened and self.visits.get(record.practice, {}).get("received_at") is None:
            raise ValueError(f"{record.practice} may pass at every moment, but the story has no accepted extraction")
        return PASSED

    def _moments(self, practice: str) -> dict[str, tuple[datetime, Crossing]]:
        """Up to the preparation; a practice from which nothing was taken is looked at when the release is prepared."""
        prepared_at, visit = self.story["release"]["prepared_at"], self.visits.get(practice, {})
        return {
            "permit": (visit.get("permit_at") or prepared_at, self.extraction),
            "receive": (visit.get("received_at") or prepared_at, self.extraction),
            "prepare": (prepared_at, self.release),
        }

    def codes(self, record: Record, at: datetime, crossing: Crossing) -> set[str]:
        """What she took back is asked only of who passes: of the others a permit says nothing."""
        closed = (
            self.batch_codes(at, crossing.is_release)
            | self.practice_codes(record.practice, at)
            | self.person_codes(record.who, at, crossing.is_release)
        ) - self.overlooked
        backs = set() if closed else self.people(at).taken_back_on(record.who, crossing.is_release)
        back = {"G32"} if record.day is not None and any(record.day <= each for each in backs) else set()
        return closed | (self._record_codes(record, at, crossing) | back) - self.overlooked

    def reasons(self, practice: str, patient: str) -> dict[str, list[str]]:
        moments = self._moments(practice) | {"seal": (self.story["release"]["sealed_at"], self.release)}
        return {
            name: sorted(
                self.batch_codes(at, crossing.is_release)
                | self.practice_codes(practice, at)
                | self.person_codes((practice, patient), at, crossing.is_release),
                key=ORDER.__getitem__,
            )
            for name, (at, crossing) in moments.items()
        }

    def _record_codes(self, record: Record, at: datetime, crossing: Crossing) -> set[str]:
        failing = {
            "G30": record.provenance == "teleservice_auto",
            "G31": record.provenance not in {"entered", "imported", "teleservice_auto"},
            "G32": record.day is None or not self.period[0] <= record.day <= self.period[1],
            "G33": not self._says_only_what_is_listed(record, crossing.columns),
        }
        starts = self._starts(record, at)
        failing["G34"] = starts is None
        failing["G25"] = any(record.day is None or record.day < start for start in starts or ())
        return {code for code, fails in failing.items() if fails}

    def _says_only_what_is_listed(self, record: Record, columns: dict[str, Any]) -> bool:
        said = {name: value for name, value in record.cells.items() if name in columns and name not in ABOUT_HER}
        return bool(said) and all(_listed(name, value, columns[name]) for name, value in said.items())

    def _starts(self, record: Record, at: datetime) -> list[date] | None:
        """From which days on the doctors answer for the record; None when they do not answer for it at all."""
        enrolled = self._enrolments(record.practice, at)
        active = {doctor["doctor_id"]: doctor for doctor in enrolled if _is_active(doctor, at)}
        if record.doctor:
            answering = {record.doctor}
        else:
            register = self.people(at).newest.get(record.practice)
            named = {row.doctor for row in register.rows.values() if row.doctor} if register else set()
            answering = named | {doctor["doctor_id"] for doctor in enrolled}
        if not answering or not answering <= active.keys():
            return None
        return [paris_day(active[one]["verified_at"]) for one in answering if not active[one]["includes_history"]]

    # --- batch, practice, person, notice ----------------------------------------------------------------------

    def _batch_codes(self, at: datetime, is_release: bool) -> set[str]:
        authorisation, today = self.story["authorisation"], paris_day(at).isoformat()
        listed_on, days = paris_day(self.story["study"]["listed_at"]), authorisation["conditions"]["listing_days"]
        failing = {
            "G03": not authorisation["valid_from"] <= today <= authorisation["valid_until"],
            "G04": not today <= authorisation["dpia_review_on"],
            "G08": is_release and whole_days(listed_on, paris_day(at)) < days,
        }
        return {code for code, fails in failing.items() if fails}

    def _enrolments(self, practice: str, at: datetime) -> list[dict[str, Any]]:
        return [d for d in self.story["doctors"] if d["practice_id"] == practice and d["identified_at"] <= at]

    def _practice_codes(self, practice: str, at: datetime) -> set[str]:
        enrolled = self._enrolments(practice, at)
        failing = set()
        if not any(_is_active(doctor, at) for doctor in enrolled):
            failing = {_standing(doctor, at) for doctor in enrolled} or {"G20"}
        register = self.people(at).newest.get(practice)
        limit = timedelta(hours=24 * self.story["observatory"]["register_max_days"])
        return failing | ({"G26"} if register is None or at - register.taken_at > limit else set())

    def _person_codes(self, who: Patient, at: datetime, is_release: bool) -> set[str]:
        people = self.people(at)
        found = people.codes(who, paris_day(at), is_release)
        row = people.row(who)
        return found | self._notice_codes(who, row, at, is_release) if row else found

    def _notice_codes(self, who: Patient, row: Row, at: datetime, is_release: bool) -> set[str]:
        """What is wrong with the best of her notices: compared by text, addressee, delivery, reflection."""
        sent = [one for one in self.notices[who] if one["sent_at"] <= at]
        judged = [self._judge(one, row, at, is_release) for one in sent]
        best = min(judged, key=lambda failing: [bool(aspect) for aspect in failing], default=({"G50"},))
        found: set[str] = set().union(*best)
        taken_at = self.visits.get(who[0], {}).get("permit_at")
        good = [one["sent_at"] for one, failing in zip(sent, judged, strict=True) if not any(failing)]
        return {"G58"} if is_release and taken_at and good and min(good) >= taken_at else found

    def _judge(self, notice: dict[str, Any], row: Row, at: datetime, is_release: bool) -> tuple[set[str], ...]:
        crossing = self.release if is_release else self.extraction
        post, own = notice["channel"] == "post", notice["addressee"] == "self"
        here = (
            (row.address if own else row.representative_address)
            if post
            else row.email
            if own
            else row.representative_email
        )
        moved = notice["address" if post else "email"].casefold() != here.casefold()
        wrong = notice["addressee"] != right_addressee(row, paris_day(at)) or moved
        readings = [r for r in self.story["returns_read"] if r["complete"] and r["channel"] == notice["channel"]]
        read = max((r["at"] for r in readings if r["at"] <= at), default=None)
        silent = read is not None and read - notice["sent_at"] >= timedelta(days=14 if post else 7)
        reflected = whole_days(paris_day(notice["sent_at"]), paris_day(at))
        return (
            self._text_codes(notice, at, crossing),
            {"G54"} if wrong else set(),
            set() if _went_out(notice, at) and silent else {"G55"},
            {"G56"} if reflected < self.story["authorisation"]["conditions"]["reflection_days"] else set(),
        )

    def _text_codes(self, notice: dict[str, Any], at: datetime, crossing: Crossing) -> set[str]:
        text = self.texts.get(notice["text"])
        if text is None or text["approved_at"] > notice["sent_at"] or _by(text["withdrawn_at"], at):
            return {"G51"}
        if any(_by(other["approved_at"], at) for other in self.texts.values() if _replaces(other, text)):
            return {"G52"}
        covers = text["covers"]
        named = set(covers["columns"]) >= crossing.columns.keys()
        meant = crossing.purposes <= set(covers["purposes"]) or (crossing.is_release and covers.get("general_clause"))
        return set() if named and meant else {"G53"}

    # --- output -----------------------------------------------------------------------------------------------

    def released(self, record: Record) -> ReleasedRow:
        """The record's row at the study's precision, in the order of COLUMNS."""
        known = {"recorded_on": record.day, "year_of_birth": record.year, "sex": record.sex} | record.cells
        columns, year = self.release.columns, self.story["release"]["reference_year"]
        return tuple(
            generalised(name, known[name], columns[name]["precision"], year)
            if name in columns and known.get(name) is not None
            else None
            for name in ASKED
        )

    def person(self, record: Record) -> PersonKey:
        """Who she is when the release is prepared."""
        return self.people(self.story["release"]["prepared_at"]).person(record.who)

    def in_small_cells(self, records: list[Record]) -> list[Record]:
        """All records of those whose combination of quasi-identifiers fewer than k persons of these share."""
        places = [ASKED.index(name) for name in self.story["study"]["conditions"]["quasi_identifiers"]]
        cells: dict[ReleasedRow, set[PersonKey]] = defaultdict(set)
        for record in records:
            row = self.released(record)
            cells[tuple(row[place] for place in places)].add(self.person(record))
        rare = {one for people in cells.values() if len(people) < self.story["study"]["k"] for one in people}
        return [record for record in records if self.person(record) in rare]

    def copies(self, records: list[Record]) -> list[Record]:
        """What is said of one person on one day in the same words once more."""
        said: set[tuple[PersonKey, date | None, ReleasedRow]] = set()
        again = []
        for record in records:
            key = (self.person(record), record.day, self.released(record))
            again += [record] if key in said else []
            said.add(key)
        return again

    def closed_at_seal(self, records: list[Record]) -> list[Record]:
        """The second look: all records of whoever has closed as anybody's patient, and those that no longer pass."""
        at = self.story["release"]["sealed_at"]
        gone = {self.person(record) for record in records if self._has_closed(record, at)}
        return [one for one in records if self.person(one) in gone or self.codes(one, at, self.release)]

    def _has_closed(self, record: Record, at: datetime) -> bool:
        """Apart from what the record itself says; who takes a no back has said it of all that was prepared."""
        found = self.practice_codes(record.practice, at) | self.person_codes(record.who, at, True)
        before = self.people(self.story["release"]["prepared_at"])
        lifted = self.people(at).taken_back_on(record.who, True) - before.taken_back_on(record.who, True)
        return bool(lifted or found - self.overlooked)


# --- plain questions --------------------------------------------------------------------------------------------


def generalised(column: str, value: Any, precision: str, reference_year: int) -> Any:
    """One value at one precision; ages from 95 on are one year of birth. ValueError for a precision unknown here."""
    if column == "test_value":
        return float(value)
    match column, precision:
        case "recorded_on", "week":
            year, week, _ = value.isocalendar()
            return f"{year:04}-W{week:02}"
        case "year_of_birth", ("year" | "decade"):
            capped = max(value, reference_year - 95)
            return capped // 10 * 10 if precision == "decade" else capped
        case (("height_cm" | "weight_kg"), "five"):
            return 5 * floor(Decimal(str(value)) / 5 + Decimal("0.5"))
        case _, "full":
            return value
    raise ValueError(f"the oracle does not know {column} at precision {precision}")


def whole_days(since: date, today: date) -> int:
    """Whole Paris days between: neither the day it began nor the one that is not over."""
    return (today - since).days - 1


def _listed(column: str, value: Any, asked: dict[str, Any]) -> bool:
    if column in BOUNDS or column == "test_value":
        low, high = BOUNDS.get(column, (float("-inf"), float("inf")))
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    return value in asked.get("codes", ())


def _replaces(newer: dict[str, Any], older: dict[str, Any]) -> bool:
    """A newer version that says that it is material, in whatever language."""
    return bool(newer.get("material")) and newer["version"] > older["version"]


def _went_out(notice: dict[str, Any], at: datetime) -> bool:
    """Accepted, and not come back by then. A story that does not say when it came back means from the beginning."""
    returned_at: datetime | None = notice.get("returned_at")
    return notice["outcome"] == "accepted" or (returned_at is not None and returned_at > at)


def _by(moment: datetime | None, at: datetime) -> bool:
    return moment is not None and moment <= at


def _is_active(doctor: dict[str, Any], at: datetime) -> bool:
    return _by(doctor["verified_at"], at) and not _by(doctor["left_at"], at)


def _standing(doctor: dict[str, Any], at: datetime) -> str:
    """Why a doctor who began to enrol is not active."""
    if _by(doctor["left_at"], at):
        return "G23"
    return "G21" if _by(doctor["signed_at"], at) else "G22"
