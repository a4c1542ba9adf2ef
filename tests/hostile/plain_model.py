"""What ought to be let through, in plain Python: no SQL, no rule table, nothing of the product.

It is told what happened, in order, and says who passes, who is in the store, in a release, and who must be deleted.
Every patient has one record, of 30 June 2025, and is a woman born in the sixties or a child of the tens.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
REFLECTION, LISTING, SILENCE, REGISTER = 30, 30, 7, 92
K = 2

Key = tuple[str, str]
"""A patient: practice and number."""


def day(moment: datetime) -> date:
    return moment.astimezone(PARIS).date()


@dataclass
class Told:
    sent: datetime
    to: str
    address: str
    bounced: bool = False


@dataclass
class Patient:
    """`person`: who she is, whatever her practices call her."""

    practice: str
    number: str
    person: int
    born: date
    address: str
    has_parent: bool
    here: bool = True
    told: list[Told] = field(default_factory=list)

    def addressee(self, today: date) -> str:
        grown = date(self.born.year + 18, self.born.month, self.born.day)
        if today >= grown:
            return "self"
        return "parent" if self.has_parent else "nobody"


@dataclass
class No:
    """One objection: through which patient's link, how wide, and whether it was taken back."""

    patient: Key
    scope: str
    withdrawn: bool = False


@dataclass
class Model:
    listed: datetime
    ends: date
    """The last day of the authorisation."""
    now: datetime
    doctors: dict[str, str] = field(default_factory=dict)
    registers: dict[str, datetime] = field(default_factory=dict)
    patients: dict[Key, Patient] = field(default_factory=dict)
    noes: list[No] = field(default_factory=list)
    read: datetime | None = None
    store: dict[str, set[Key]] = field(default_factory=dict)
    taken: dict[str, datetime] = field(default_factory=dict)
    """When it was decided whose rows of a practice are in the store."""
    lists: dict[str, set[Key]] = field(default_factory=dict)
    """Each release that was prepared and has not gone back, with who is in it."""
    holds: dict[str, dict[Key, datetime]] = field(default_factory=dict)
    """Until when each of a release's list may stay: a newer register lets nobody stay longer."""
    delivered: dict[str, set[Key]] = field(default_factory=dict)
    due: date | None = None
    """The day by which the oldest row that must be deleted has to be."""

    # --- who passes ---------------------------------------------------------------------------------------------

    def batch_open(self, *, release: bool) -> bool:
        listed = day(self.listed) + timedelta(days=LISTING) < day(self.now)
        overdue = self.due is not None and self.due < day(self.now)
        return day(self.now) <= self.ends and (not release or (listed and not overdue))

    def _noes(self, p: Patient, *, release: bool, withdrawn: bool) -> bool:
        """Whether she said a no that covers what this practice holds, at this crossing."""
        return any(
            self.patients[no.patient].person == p.person
            and no.withdrawn == withdrawn
            and (no.scope != "study" or release)
            and (no.scope != "practice" or no.patient[0] == p.practice)
            for no in self.noes
        )

    def took_back(self, key: Key, *, release: bool) -> bool:
        """Whoever ever took a no back: the one record of everybody is older than that day."""
        return self._noes(self.patients[key], release=release, withdrawn=True)

    def told_at(self, p: Patient) -> datetime | None:
        """When she was first told by a notice that counts today."""
        today, to = day(self.now), p.addressee(day(self.now))
        counting = [
            told.sent
            for told in p.told
            if not told.bounced
            and (told.to, told.address) == (to, p.address)
            and self.read is not None
            and told.sent + timedelta(days=SILENCE) <= self.read
            and day(told.sent) + timedelta(days=REFLECTION) < today
        ]
        return min(counting, default=None)

    def was_told(self, p: Patient, *, release: bool) -> bool:
        """At a release: before her practice's rows were taken, too."""
        told = self.told_at(p)
        taken = self.taken.get(p.practice) if release else None
        return told is not None and (taken is None or told < taken)

    def fits(self, p: Patient, *, release: bool, resting: bool = False) -> bool:
        """All but the batch. `resting`: whether a pause or an old register is forgiven, as for what has left."""
        doctor = self.doctors.get(p.practice) in (("active", "paused") if resting else ("active",))
        fresh = resting or self.now - self.registers[p.practice] < timedelta(days=REGISTER)
        silent = not self._noes(p, release=release, withdrawn=False)
        return doctor and fresh and p.here and silent and self.was_told(p, release=release)

    def passing(self, *, release: bool) -> set[Key]:
        return {key for key, p in self.patients.items() if self.fits(p, release=release)}

    # --- what happens -------------------------------------------------------------------------------------------

    def extracted(self, practice: str) -> set[Key]:
        there = {key for key in self.passing(release=False) if key[0] == practice}
        return {key for key in there if not self.took_back(key, release=False)}

    def fit_to_list(self, key: Key) -> bool:
        return self.fits(self.patients[key], release=True) and not self.took_back(key, release=True)

    def prepared(self) -> set[Key]:
        """Who is in a new release: whoever has a row that may leave, at each of her practices that is in the store."""
        stored = set().union(*self.store.values()) if self.store else set()
        persons = self._safe({self.patients[key].person: key for key in stored if self.fit_to_list(key)})
        listed = {key for key in self.patients if key[0] in self.store and self.fit_to_list(key)}
        return {key for key in listed if self.patients[key].person in persons}

    def put_down(self, release: str, keys: set[Key]) -> None:
        """A release was prepared with these."""
        self.lists[release] = keys
        self.holds[release] = {key: self.registers[key[0]] + timedelta(days=REGISTER) for key in keys}

    def still(self, release: str) -> set[Key]:
        """Who of a list may stay: who has closed at one of her practices leaves with all that she has in it."""
        listed, holds = self.lists[release], self.holds[release]
        gone = {self.patients[key].person for key in listed if self.now >= holds[key] or not self.fit_to_list(key)}
        staying = {key for key in listed if self.patients[key].person not in gone}
        safe = self._safe({self.patients[key].person: key for key in staying})
        return {key for key in staying if self.patients[key].person in safe}

    def _safe(self, persons: dict[int, Key]) -> set[int]:
        """Without those whose kind is too rare: here the decade of birth."""
        cells: dict[int, set[int]] = {}
        for person, key in persons.items():
            cells.setdefault(self.patients[key].born.year // 10, set()).add(person)
        return {person for cell in cells.values() if len(cell) >= K for person in cell}

    def to_delete(self) -> set[tuple[str, Key]]:
        """(release, patient) of everybody whose row has left and would not now."""
        over = day(self.now) > self.ends
        return {
            (release, key)
            for release, keys in self.delivered.items()
            for key in keys
            if over
            or not self.fits(self.patients[key], release=True, resting=True)
            or self.took_back(key, release=True)
        }
