"""What came of a played plan: the released rows of each person, and every record counted under its first code.

Rows are counted by the portal's own filter (gate/filtering.py), persons by its own verdicts (flow/decide.py), at each
moment at which something crossed. Nothing of the oracle is used here.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from story.plans import PRACTICES
from story.playing import Player

from portal.flow.basis import Basis, basis_of
from portal.flow.decide import Asked, verdicts
from portal.flow.permit import allowed_table, make_terms
from portal.gate.filtering import record_reasons
from portal.gate.permit import Permit, read_permit, write_permit
from portal.outside.tokens import pseudonym
from portal.records.people import Patient
from portal.records.releases import ReleasePerson
from portal.rules.clearance import ORDER, Withheld
from portal.rules.refusals import Refused
from portal.rules.words import Crossing

COLUMNS = (
    "recorded_week", "year_of_birth", "sex", "height_cm", "weight_kg", "diagnosis", "prescription", "test_code",
    "test_value", "test_unit",
)  # fmt: skip

Rows = dict[str, Counter[tuple[Any, ...]]]
Passing = Counter[tuple[str, str]]
"""How many records of (practice, pseudonym in the store) pass."""


@dataclass(frozen=True)
class Seen:
    """What the portal said at one moment: of the batch, and of each patient of each practice."""

    batch: tuple[str, ...]
    patients: dict[tuple[str, str], tuple[str, ...]]

    def reasons(self, practice: str, number: str) -> tuple[str, ...]:
        """Of a patient whom the portal does not know: what stands against her practice, and that it does not."""
        known = self.patients.get((practice, number))
        if known is None:
            codes = {code for (where, _), all_ in self.patients.items() if where == practice for code in all_}
            known = (*sorted(codes & PRACTICE_CODES, key=ORDER.__getitem__), "G40")
        return self.batch + known


PRACTICE_CODES = {"G20", "G21", "G22", "G23", "G26"}


@dataclass
class Count:
    player: Player
    withheld: Counter[str] = field(default_factory=Counter)
    at_permit: dict[str, Seen] = field(default_factory=dict)
    at_arrival: dict[str, Seen] = field(default_factory=dict)
    stored: int = 0
    passing: Passing = field(default_factory=Counter)
    studied: dict[str, str] = field(default_factory=dict)
    prepared: set[str] = field(default_factory=set)

    async def ask(self, study: str | None = None) -> Seen:
        batch, found = await verdicts(self.player.world.means, Asked("demo", study))
        said = batch.reasons if isinstance(batch, Withheld) else ()
        return Seen(said, {(v.practice_id, v.number): v.reasons for v in found})

    # --- into the store ---------------------------------------------------------------------------------------------

    async def first_crossing(self) -> None:
        """Counted once the release is prepared: a practice from which nothing came is judged then."""
        now = await self.ask()
        permits = self.player.permits
        for practice in PRACTICES:
            permit = permits.get(practice)
            for number, reason, n in self._records(practice, permit):
                at_permit, at_arrival = self.at_permit.get(practice, now), self.at_arrival.get(practice, now)
                seen = (at_permit, at_arrival) if permit else (now,)
                code = next(
                    (first for each in seen if (first := _first([reason], each.reasons(practice, number)))), None
                )
                if code:
                    self.withheld[code] += n
                else:
                    self.stored += n
        if self.stored != sum(pq.read_metadata(file).num_rows for file in self._store()):
            raise ValueError("the store does not hold what passed")

    def _records(self, practice: str, permit: Permit | None) -> list[tuple[str, str | None, int]]:
        """(patient, reason, how many). Where there is no permit, what stands against the practice comes first."""
        if permit is None:
            records = [r for where, r in self.player.inputs.resources if where == practice and "meta" in r]
            return [(str(r.get("subject", r.get("patient"))).rpartition("-")[2].rstrip("'}"), None, 1) for r in records]
        table = record_reasons(permit.terms, self.player.folder / "records" / practice, permit=permit)
        return [(row["patient_id"], row["first_reason"], row["n"]) for row in table.to_pylist()]

    def _store(self) -> list[Path]:
        return sorted(self.player.world.means.store.glob("*/*.parquet"))

    # --- out of it --------------------------------------------------------------------------------------------------

    async def second_crossing(self, moment: str) -> Passing:
        """Who passes from the store now, and the codes of the rest."""
        passing: Passing = Counter()
        seen, permit = await self.ask("diabetes"), await self._permit(moment)
        numbers = await self._numbers("observatory:demo")
        for file in self._store():
            for who, practice, reason, n in self._stored_records(file, permit):
                reasons = seen.reasons(practice, numbers.get((practice, who), ""))
                code = _first([reason], reasons)
                if code is None:
                    passing[practice, who] += n
                elif moment == "prepared":
                    self.withheld[code] += n
        return passing

    def _stored_records(self, file: Path, permit: Permit | None) -> list[tuple[str, str, str | None, int]]:
        if permit is None:  # the batch is closed: nobody looks at records
            there = pq.read_table(file, columns=["pseudonym", "practice_id"]).to_pylist()
            counted = Counter((row["pseudonym"], row["practice_id"]) for row in there)
            return [(who, practice, None, n) for (who, practice), n in counted.items()]
        table = record_reasons(permit.terms, file, permit=permit)
        return [(r["patient_id"], r["practice_id"], r["first_reason"], r["n"]) for r in table.to_pylist()]

    async def _permit(self, moment: str) -> Permit | None:
        """All who pass now, in too small a cell or not; None when the batch is closed or the store is empty."""
        means = self.player.world.means
        try:
            basis = await basis_of(means, "diabetes")
        except Refused:
            return None
        if not basis.files:
            return None
        folder = self.player.folder / f"permit-{moment}"
        write_permit(folder, _terms(basis), self._allowed(basis), means.ring.signing_key())
        return read_permit(folder, means.ring.public_key(), self.player.now, crossing=Crossing.RELEASE)

    def _allowed(self, basis: Basis) -> Any:
        names = [(one, self._name("observatory:demo", one.member.person_id)) for one in basis.listed]
        return allowed_table((one.member.practice_id, name, name, one) for one, name in names)

    def _name(self, family: str, person: Any) -> str:
        return pseudonym(self.player.world.means.ring, family, person.bytes).hex()

    async def _numbers(self, family: str) -> dict[tuple[str, str], str]:
        """The practice's own number behind a pseudonym; nobody's, of a person who is not that patient any more."""
        return {(p.practice_id, self._name(family, p.person_id)): p.number for p in await Patient.all()}

    async def after_prepared(self) -> None:
        self.passing = await self.second_crossing("prepared")
        members = await ReleasePerson.filter(release_id=self.player.release_id)
        self.studied = await self._studied()
        self.prepared = {who for who, name in self.studied.items() if name in {m.pseudonym for m in members}}
        for (_, who), n in self.passing.items():
            if who not in self.prepared:
                self.withheld["G61"] += n

    async def _studied(self) -> dict[str, str]:
        """The pseudonym in the study behind the one in the store."""
        return {
            self._name("observatory:demo", p.person_id): self._name("study:diabetes", p.person_id)
            for p in await Patient.all()
        }

    async def after_sealed(self, folder: Path | None) -> Rows:
        """The released rows; whoever left since the preparation is counted: closed, or left alone by who has closed."""
        still = await self.second_crossing("sealed")
        released = rows_of(folder)
        left = {w for (place, w), n in self.passing.items() if w in self.prepared and still[place, w] < n}
        passed = 0
        for (place, who), n in self.passing.items():
            if who not in self.prepared:
                continue
            if self.studied[who] in released:
                closed = n - still[place, who]
                self.withheld["G70"] += closed
                passed += n - closed
            else:
                self.withheld["G70" if who in left else "G61"] += n
        self.withheld["G60"] += passed - sum(rows.total() for rows in released.values())
        self.withheld = +self.withheld
        return released


def _terms(basis: Basis) -> Any:
    practices = tuple(practice for practice, _, _ in basis.files)
    return make_terms(
        basis.decision, permit_id="counted", practices=practices, spans=basis.spans, unnamed=basis.unnamed, serial=1
    )


def _first(*reasons: Iterable[str | None]) -> str | None:
    return min((code for each in reasons for code in each if code), key=ORDER.__getitem__, default=None)


def rows_of(folder: Path | None) -> Rows:
    """The rows of a release folder by pseudonym."""
    rows: Rows = defaultdict(Counter)
    for file in sorted((folder / "records").glob("*.parquet")) if folder else []:
        for row in pq.read_table(file).to_pylist():
            rows[row["pseudonym"]][tuple(_value(name, row.get(name)) for name in COLUMNS)] += 1
    return dict(rows)


def _value(name: str, value: object) -> object:
    return float(str(value)) if name == "test_value" and value is not None else value
