"""Time that closes without an entry: nothing is written, a midnight passes, and from then on no row crosses.

Each cause is tried at every step of both crossings, a minute before (it passes, so the trial could fail) and at the
moment itself.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from line import Line, approved, record
from world import World, build, child, paris, patient

from portal.demo.clock import PlayedClock
from portal.flow import opt_out, permit, release
from portal.flow.means import Means
from portal.flow.retract import reconcile
from portal.gate.filtering import filter_extraction
from portal.gate.permit import read_permit
from portal.outside.tokens import pseudonym
from portal.records.enrolments import Enrolment
from portal.records.governance import AgreementText, Observatory, Recipient
from portal.records.people import Patient
from portal.records.releases import ReleasePerson
from portal.rules.refusals import Refused
from portal.rules.words import Crossing, Scope

EVERYBODY = frozenset({"1", "2", "3", "4", "5", "6"})
GROWN = frozenset({"5", "6"})
"""Two children whose parents were told; in one trial they turn 18 on 12 April."""

MIDNIGHT = paris(2026, 4, 12, 0, 0)


@dataclass
class Trial:
    """A practice, its records, and what happened before the moment."""

    line: Line
    folder: Path
    numbers: dict[str, str] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.line.world

    async def permitted(self) -> None:
        self.folder.mkdir()
        w = self.world
        out = self.folder / "permit"
        await permit.issue(w.means, observatory_id="demo", practice_id="practice-a", by=w.operator, out=out)

    def filtered(self, now: datetime) -> Path:
        key = self.world.means.ring.public_key()
        granted = read_permit(self.folder / "permit", key, now, crossing=Crossing.EXTRACTION)
        source = self.folder / "records.csv"
        rows = [record(n) for n in sorted(EVERYBODY)]
        source.write_text("\n".join([",".join(rows[0]), *(",".join(map(str, r.values())) for r in rows), ""]))
        filter_extraction(granted, source, self.folder / "extraction", practice_key=self.line.key)
        return self.folder / "extraction"

    async def stored(self) -> None:
        await self.permitted()
        await self.line.receive(self.filtered(self.world.clock.now()))

    async def known(self, pseudonyms: list[str], family: str) -> set[str]:
        """The numbers of those who stand under these pseudonyms."""
        ring = self.world.means.ring
        named = {
            pseudonym(ring, family, p.person_id.bytes).hex(): p.number
            for p in await Patient.filter(practice_id="practice-a")
        }
        return {named[name] for name in pseudonyms}


def pseudonyms_in(folder: Path) -> list[str]:
    return [name for file in folder.rglob("*.parquet") for name in pq.read_table(file)["pseudonym"].to_pylist()]


# --- the steps: what is done before, and who crosses when the rest is done -------------------------------------------

Step = tuple[Callable[[Trial], Awaitable[Any]], Callable[[Trial, Any], Awaitable[set[str]]]]


async def nothing(trial: Trial) -> None:
    return None


async def issue(trial: Trial, _: None) -> set[str]:
    await trial.permitted()
    return set(pq.read_table(trial.folder / "permit" / "allowed.parquet")["patient_id"].to_pylist())


async def extract(trial: Trial, _: None) -> set[str]:
    return await trial.known(pseudonyms_in(trial.filtered(trial.world.clock.now())), "observatory:demo")


async def receive_from_a_slow_clock(trial: Trial, granted_at: datetime) -> set[str]:
    """The practice's clock was set back to when the permit was fresh: the portal's own clock counts."""
    await trial.line.receive(trial.filtered(granted_at))
    return await trial.known(pseudonyms_in(trial.world.means.store), "observatory:demo")


async def permitted_at(trial: Trial) -> datetime:
    await trial.permitted()
    return trial.world.clock.now()


async def extracted(trial: Trial) -> Path:
    await trial.permitted()
    return trial.filtered(trial.world.clock.now())


async def receive(trial: Trial, extraction: Path) -> set[str]:
    await trial.line.receive(extraction)
    return await trial.known(pseudonyms_in(trial.world.means.store), "observatory:demo")


async def prepare(trial: Trial, _: None) -> set[str]:
    release_id = await release.prepare(trial.world.means, "diabetes", by=trial.world.operator)
    names = await ReleasePerson.filter(release_id=release_id).values_list("pseudonym", flat=True)
    return await trial.known([str(name) for name in names], "study:diabetes")


async def approved_before(trial: Trial) -> str:
    await trial.stored()
    return await approved(trial.world)


async def seal(trial: Trial, release_id: str) -> set[str]:
    await release.seal(trial.world.means, release_id, by=trial.world.operator)
    return await serve(trial, release_id)


async def sealed_before(trial: Trial) -> str:
    release_id = await approved_before(trial)
    await release.seal(trial.world.means, release_id, by=trial.world.operator)
    return release_id


async def serve(trial: Trial, release_id: str) -> set[str]:
    folder = await release.serve(trial.world.means, release_id, by=trial.world.recipient)
    return await trial.known(pseudonyms_in(folder), "study:diabetes")


STEPS: dict[str, Step] = {
    "a permit is asked for": (nothing, issue),
    "the practice extracts": (Trial.permitted, extract),
    "a slow clock's extraction arrives": (permitted_at, receive_from_a_slow_clock),
    "an extraction arrives": (extracted, receive),
    "a release is prepared": (Trial.stored, prepare),
    "a release is sealed": (approved_before, seal),
    "a release is downloaded": (sealed_before, serve),
}
AT_THE_PRACTICE = [name for name in STEPS if "release" not in name]
AT_THE_PORTAL = [name for name in STEPS if "release" in name]


# --- the causes: when, and who closes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Cause:
    at: datetime
    closes: frozenset[str] = EVERYBODY
    steps: tuple[str, ...] = tuple(STEPS)
    begins: Callable[[World], Awaitable[Any]] | None = None
    reviewed: dict[str, Any] = field(default_factory=dict)
    born: str = "2012-06-01"
    begun: timedelta = timedelta(hours=1)
    """How long before the moment the step is begun."""
    still: timedelta = timedelta(minutes=1)
    """How long before the moment it still lets everybody pass."""


async def contract_ends(world: World) -> None:
    await Recipient.filter(id="lab").update(contract_until=date(2026, 4, 11))


async def register_grows_old(world: World) -> None:
    """Forty days and the half of one: past them at midnight, as the registers were handed in on 2 March at 9:00 UTC."""
    await Observatory.filter(id="demo").update(register_max_days=41)


async def the_locum_goes(world: World) -> None:
    """Her last day is 11 April, and nobody else is active."""
    await Enrolment.all().update(closes_on=date(2026, 4, 12))


async def a_grace_date_passes(world: World) -> None:
    """The doctor has not signed the newer agreement, whose grace ends with 11 April."""
    for old in await AgreementText.all():
        await AgreementText.create(
            observatory_id="demo", version="2026-09", language=old.language, body=old.body, sha256=old.sha256,
            grace_until=date(2026, 4, 11), entry_id=old.entry_id,
        )  # fmt: skip


async def a_retraction_is_open(world: World) -> None:
    """Somebody of an earlier release says no: the recipient has thirty days to delete her row."""
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(*(record(n) for n in sorted(EVERYBODY - {"9"})), record("9")))
    release_id = await approved(world)
    await release.seal(world.means, release_id, by=world.operator)
    await release.serve(world.means, release_id, by=world.recipient)
    await opt_out.object_(world.means, world.links["patient9@example.org"], Scope.EVERYTHING)
    assert await reconcile(world.means) == 1


CAUSES = {
    "the authorisation ends": Cause(MIDNIGHT, reviewed={"authorisation__valid_until": date(2026, 4, 11)}),
    "the impact assessment is due for review": Cause(
        MIDNIGHT, reviewed={"authorisation__dpia_review_on": date(2026, 4, 12)}
    ),
    "two patients turn 18": Cause(MIDNIGHT, closes=GROWN, born="2008-04-12"),
    "the last day of a locum is over": Cause(MIDNIGHT, begins=the_locum_goes),
    "the grace date of a newer agreement is over": Cause(MIDNIGHT, begins=a_grace_date_passes),
    "the recipient's contract ends": Cause(MIDNIGHT, steps=tuple(AT_THE_PORTAL), begins=contract_ends),
    "the register grows too old": Cause(paris(2026, 4, 12, 11, 0), begins=register_grows_old),
    "a permit is kept for a month": Cause(
        paris(2026, 5, 12, 11, 0),
        steps=("the practice extracts", "a slow clock's extraction arrives", "an extraction arrives"),
        begun=timedelta(days=30),
        still=timedelta(days=29, hours=23),
    ),
    "a retraction is overdue": Cause(
        paris(2026, 5, 12, 0, 0), steps=tuple(AT_THE_PORTAL), begins=a_retraction_is_open
    ),
}  # fmt: skip
once = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""On one database: that both compare moments alike is shown where facts are."""

TRIALS = [(cause, step) for cause, how in CAUSES.items() for step in how.steps]


async def begun(cause: Cause, means: Means, clock: PlayedClock, folder: Path) -> Trial:
    """Everybody was told forty days before 11 April, 9:00 UTC; the clock stands where the step begins."""
    world = await build(means, clock, folder, **cause.reviewed)
    await world.enrol()
    await world.register([
        *(patient(n) for n in ("1", "2", "3", "4", "9")),
        *(child(n, birth_date=cause.born) for n in sorted(GROWN)),
    ])  # fmt: skip
    await world.tell()
    world.wait(40)
    await world.read_returns()
    if cause.begins:
        await cause.begins(world)
    line = Line(world)
    await line.open()
    clock.advance_to(cause.at - cause.begun)
    return Trial(line, folder / "trial")


@pytest.mark.shows("R23")
@once
@pytest.mark.parametrize(("cause", "step"), TRIALS, ids=[f"{cause}: {step}" for cause, step in TRIALS])
async def test_nothing_crosses_from_the_moment_on(
    cause: str, step: str, database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    how, (before, after) = CAUSES[cause], STEPS[step]
    trial = await begun(how, means, clock, tmp_path)
    made = await before(trial)
    clock.advance_to(how.at)
    try:
        crossed = await after(trial, made)
    except Refused:
        crossed = set()
    assert crossed & how.closes == set()
    assert how.closes == EVERYBODY or crossed >= EVERYBODY - how.closes or "downloaded" in step


@once
@pytest.mark.parametrize(("cause", "step"), TRIALS, ids=[f"{cause}: {step}" for cause, step in TRIALS])
async def test_everybody_crosses_a_minute_before(
    cause: str, step: str, database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    """Without this the trials above would prove nothing."""
    how, (before, after) = CAUSES[cause], STEPS[step]
    trial = await begun(how, means, clock, tmp_path)
    made = await before(trial)
    clock.advance_to(how.at - how.still)
    assert await after(trial, made) >= how.closes
