"""What ought to be let through, in plain Python: no SQL, no rule table, nothing of the product.

It is told what happened, in order, and says who passes, who is in the store, in a release, and who must be deleted.
Every patient has one record, of 30 June 2025, and is a woman born in the sixties or a child of the tens. Nobody
shares a name with anybody; a national key may come in with two patients, until the DPO says whether they are one.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
REFLECTION, LISTING, SILENCE, REGISTER = 30, 30, 7, 92
K = 2

Key = tuple[str, str]
"""A patient: practice and number."""

Member = tuple[str, int]
"""A person at a practice: what a list holds, and what is delivered."""


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
    """`person`: who she is, as far as is known; `stood`: all whom this patient has ever been taken for. `bears`: the
    national key that her practice knows her by."""

    practice: str
    number: str
    person: int
    bears: str
    born: date
    address: str
    has_parent: bool
    here: bool = True
    told: list[Told] = field(default_factory=list)
    stood: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.stood = {self.person}

    @property
    def member(self) -> Member:
        return self.practice, self.person

    def addressee(self, today: date) -> str:
        grown = date(self.born.year + 18, self.born.month, self.born.day)
        if today >= grown:
            return "self"
        return "parent" if self.has_parent else "nobody"


@dataclass
class No:
    """One objection: through which patient's link, how wide, and whether it was taken back. `also`: whom it binds
    because she was parted from whom it bound then."""

    patient: Key
    scope: str
    withdrawn: bool = False
    also: set[int] = field(default_factory=set)


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
    doubts: list[Key] = field(default_factory=list)
    """Patients of whom it is open who they are, once for each time that it was asked."""
    store: dict[str, set[int]] = field(default_factory=dict)
    """Whose rows there are, by practice."""
    taken: dict[str, datetime] = field(default_factory=dict)
    """When it was decided whose rows of a practice are in the store."""
    lists: dict[str, set[Member]] = field(default_factory=dict)
    """Each release that was prepared and has not gone back, with who is in it."""
    holds: dict[str, dict[Member, datetime]] = field(default_factory=dict)
    """Until when each of a release's list may stay: a newer register lets nobody stay longer."""
    delivered: dict[str, set[Member]] = field(default_factory=dict)
    due: date | None = None
    """The day by which the oldest row that must be deleted has to be."""

    # --- who passes ---------------------------------------------------------------------------------------------

    def batch_open(self, *, release: bool) -> bool:
        listed = day(self.listed) + timedelta(days=LISTING) < day(self.now)
        overdue = self.due is not None and self.due < day(self.now)
        return day(self.now) <= self.ends and (not release or (listed and not overdue))

    def binds(self, no: No) -> set[int]:
        """Whomever the patient who said it has ever been, and who was parted from one of these since."""
        return self.patients[no.patient].stood | no.also

    def _noes(self, p: Patient, *, release: bool, withdrawn: bool) -> bool:
        """Whether she said a no that covers what this practice holds, at this crossing."""
        return any(
            p.person in self.binds(no)
            and no.withdrawn == withdrawn
            and (no.scope != "study" or release)
            and (no.scope != "practice" or no.patient[0] == p.practice)
            for no in self.noes
        )

    def may_have_said_no(self, p: Patient, *, release: bool) -> bool:
        """Whether another bearer of her national key did, who may be she, whatever was settled."""
        return any(
            self.patients[no.patient].bears == p.bears
            and p.person not in self.binds(no)
            and not no.withdrawn
            and (no.scope != "study" or release)
            for no in self.noes
        )

    def in_doubt(self, p: Patient) -> bool:
        return any(self.patients[key].person == p.person for key in self.doubts)

    def took_back(self, p: Patient, *, release: bool) -> bool:
        """Whoever ever took a no back: the one record of everybody is older than that day."""
        return self._noes(p, release=release, withdrawn=True)

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
        silent = not (self._noes(p, release=release, withdrawn=False) or self.may_have_said_no(p, release=release))
        known = not self.in_doubt(p)
        return doctor and fresh and p.here and silent and known and self.was_told(p, release=release)

    def passing(self, *, release: bool) -> set[Key]:
        return {key for key, p in self.patients.items() if self.fits(p, release=release)}

    # --- what happens -------------------------------------------------------------------------------------------

    def same(self, old: int, new: int) -> None:
        """Two persons are one, who goes on as `new`."""
        for p in self.patients.values():
            if old in p.stood:
                p.stood.add(new)
            if p.person == old:
                p.person = new
        for no in self.noes:
            if old in no.also:
                no.also.add(new)
        bearers = {p.person for p in self.patients.values() if p.bears in self._keys(new)}
        if bearers == {new}:
            self.doubts = [key for key in self.doubts if self.patients[key].person != new]

    def _keys(self, person: int) -> set[str]:
        return {p.bears for p in self.patients.values() if p.person == person}

    def part(self, key: Key, new: int) -> None:
        """This patient is not whom she was taken for; what was said until now may have been said by either."""
        p = self.patients[key]
        for no in self.noes:
            if p.person in self.binds(no):
                no.also.add(new)
        p.person = new
        p.stood.add(new)

    def extracted(self, practice: str) -> set[int]:
        fitting = [p for p in self.patients.values() if p.practice == practice and self.fits(p, release=False)]
        return {p.person for p in fitting if not self.took_back(p, release=False)}

    def fit_to_list(self, p: Patient) -> bool:
        return self.fits(p, release=True) and not self.took_back(p, release=True)

    def _fitting(self) -> set[Member]:
        return {p.member for p in self.patients.values() if self.fit_to_list(p)}

    def prepared(self) -> set[Member]:
        """Who is in a new release: whoever has a row that may leave, at each of her practices that is in the store."""
        listed = {member for member in self._fitting() if member[0] in self.store}
        stored = {(practice, person) for practice, persons in self.store.items() for person in persons}
        safe = self._safe({person for _, person in listed & stored})
        return {member for member in listed if member[1] in safe}

    def put_down(self, release: str, members: set[Member]) -> None:
        """A release was prepared with these."""
        self.lists[release] = members
        self.holds[release] = {m: self.registers[m[0]] + timedelta(days=REGISTER) for m in members}

    def still(self, release: str) -> set[Member]:
        """Who of a list may stay: who has closed at one of her practices, or is somebody else by now, leaves with all
        that she has in it."""
        listed, holds, fitting = self.lists[release], self.holds[release], self._fitting()
        gone = {m[1] for m in listed if self.now >= holds[m] or m not in fitting}
        safe = self._safe({m[1] for m in listed} - gone)
        return {m for m in listed if m[1] in safe}

    def _safe(self, persons: set[int]) -> set[int]:
        """Without those whose kind is too rare: here the decade of birth."""
        cells: dict[int, set[int]] = {}
        for p in self.patients.values():
            if p.person in persons:
                cells.setdefault(p.born.year // 10, set()).add(p.person)
        return {person for cell in cells.values() if len(cell) >= K for person in cell}

    def to_delete(self) -> set[tuple[str, Member]]:
        """(release, member) of everybody whose row has left and would not now."""
        over = day(self.now) > self.ends
        stay = {
            p.member
            for p in self.patients.values()
            if self.fits(p, release=True, resting=True) and not self.took_back(p, release=True)
        }
        return {(release, m) for release, left in self.delivered.items() for m in left if over or m not in stay}
