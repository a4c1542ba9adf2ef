"""Each batch code in a run of its own: something about the whole is not in order, and nothing passes."""

import shutil
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from kept import refused
from line import RECORD, Line, approved
from world import COLUMNS, World, build, paris, patient, reviewed

from portal.demo.clock import PlayedClock
from portal.flow import govern, permit
from portal.flow import release as flow
from portal.flow.batch import facts_now
from portal.flow.decide import Asked, stand, verdicts
from portal.flow.means import Means
from portal.gate.permit import read_permit
from portal.records.database import Connection, transact
from portal.records.governance import Authorisation, Observatory, Study
from portal.records.releases import Release
from portal.rules.clearance import LATER_CODES, RULES, Withheld, decide
from portal.rules.facts import BatchFacts
from portal.rules.refusals import Refused
from portal.rules.reviewed import ReviewedFile
from portal.rules.words import Crossing, Purpose, ReleaseState

GIVEN = reviewed().authorisation[0].conditions.model_dump(mode="json")
ASKED = reviewed().study[0].conditions.model_dump(mode="json")

LOADED: dict[str, dict[str, Any]] = {
    "G03": {"authorisation__valid_until": date(2026, 4, 1)},
    "G04": {"authorisation__dpia_review_on": date(2026, 4, 1)},
    "G05": {"study__ethics_opinion": ""},
    "G07": {"recipient__contract_until": date(2026, 4, 1)},
}
"""What the reviewed files themselves say."""

Event = Callable[[World], Awaitable[Any]]


def narrower(**conditions: Any) -> Event:
    """The authorisation gives less from now on: a new version is loaded and approved."""

    async def happens(world: World) -> None:
        changed = reviewed(authorisation__conditions={**GIVEN, **conditions})
        await world.load(ReviewedFile(authorisation=changed.authorisation))

    return happens


def columns(**changes: Any) -> dict[str, Any]:
    return {name: grant for name, grant in {**COLUMNS, **changes}.items() if grant}


def other_recipient(**changes: Any) -> Event:
    async def happens(world: World) -> None:
        changed = reviewed(**{f"recipient__{name}": value for name, value in changes.items()})
        await world.load(ReviewedFile(recipient=changed.recipient))

    return happens


async def _another_study(world: World) -> None:
    await world.load(reviewed(study__k=3))


async def _key_lost(world: World, name: str) -> None:
    keys = [path for path in (world.folder / "keys").rglob("*") if name in path.name]
    assert keys, "there was a key"
    for path in keys:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


HAPPENED: list[tuple[str, str, Event]] = [
    ("G00", "the signing key is lost", lambda world: _key_lost(world, "signing")),
    ("G01", "the observatory is closed", lambda world: Observatory.all().update(active=False)),
    ("G02", "the authorisation is gone", lambda world: Authorisation.all().delete()),
    ("G03", "it is suspended", lambda world: govern.suspend_authorisation(world.means, "cnil-1", by=world.dpo)),
    ("G04", "no impact assessment", lambda world: Authorisation.all().update(dpia_review_on=None)),
    ("G05", "the study is closed", lambda world: govern.close_study(world.means, "diabetes", by=world.operator)),
    ("G06", "its purpose is no longer given", narrower(purposes=["drug_safety"])),
    ("G06", "its purpose is banned", lambda world: Study.all().update(purpose=Purpose.INSURANCE)),
    ("G07", "the country is no longer covered", narrower(countries=["BE"])),
    ("G07", "the category is no longer covered", narrower(recipient_categories=["health_agency"])),
    ("G07", "the recipient has moved", other_recipient(country="US")),
    ("G07", "it may be kept less long", narrower(retention_months=12)),
    ("G08", "it is listed anew", _another_study),
    ("G08", "its recipient is another house", other_recipient(name="Un autre laboratoire")),
    ("G10", "a column is no longer given", narrower(columns=columns(diagnosis=None))),
    ("G10", "a code is no longer given",
     narrower(columns=columns(diagnosis={"precision": "full", "codes": ["sct|44054006"]}))),
    ("G12", "a precision is no longer given", narrower(columns=columns(recorded_on={"precision": "month"}))),
    ("G12", "groups must be larger", narrower(k=5)),
    ("G12", "one trait more is measured", narrower(quasi_identifiers=["sex", "year_of_birth", "diagnosis"])),
    ("G13", "the study's key is lost", lambda world: _key_lost(world, "study")),
]  # fmt: skip
"""What happens later, each in a run of its own."""

AT_EXTRACTION = {"G00", "G01", "G02", "G03", "G04"}
"""The codes that are not about a study."""


async def ready(means: Means, clock: PlayedClock, folder: Path, **changes: Any) -> World:
    world = await build(means, clock, folder, **changes)
    await world.enrol()
    await world.register([patient("1"), patient("2")])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    return world


async def withheld(world: World, asked: Asked, *, without: str = "") -> tuple[str, ...]:
    """The codes that close the batch; `without` the rule of one code."""

    async def step(c: Connection) -> tuple[str, ...]:
        decision = await stand(world.means, c, asked, cut=0)
        facts = await facts_now(world.means, c, decision.ground)
        verdict = decide(facts, rules=tuple(rule for rule in RULES if rule.code != without))
        assert without or verdict == decision.verdict
        return verdict.reasons if isinstance(verdict, Withheld) else ()

    return await transact(step)


async def _is_withheld_everywhere(world: World, code: str) -> None:
    codes = await withheld(world, Asked("demo", "diabetes"))
    assert code in codes
    assert await withheld(world, Asked("demo", "diabetes"), without=code) == tuple(c for c in codes if c != code)
    async with refused(code):
        await flow.prepare(world.means, "diabetes", by=world.operator)
    if code in AT_EXTRACTION:
        assert code in await withheld(world, Asked("demo"))
        async with refused(code):
            await permit.issue(
                world.means,
                observatory_id="demo",
                practice_id="practice-a",
                by=world.operator,
                out=world.folder / "out",
            )
        assert not (world.folder / "out").exists()


async def test_when_all_is_in_order_both_crossings_are_open(
    database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    world = await ready(means, clock, tmp_path)
    assert await withheld(world, Asked("demo")) == await withheld(world, Asked("demo", "diabetes")) == ()
    line = Line(world)
    await line.open()
    assert (await line.receive(await line.extract(RECORD))).rows == 1


@pytest.mark.parametrize("code", LOADED)
async def test_a_file_that_says_so_withholds_everything(
    code: str, database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    await _is_withheld_everywhere(await ready(means, clock, tmp_path, **LOADED[code]), code)


@pytest.mark.parametrize(("code", "what", "happens"), HAPPENED, ids=[f"{c}-{w}" for c, w, _ in HAPPENED])
async def test_what_happens_later_withholds_everything(
    code: str, what: str, happens: Event, database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    world = await ready(means, clock, tmp_path)
    assert await withheld(world, Asked("demo", "diabetes")) == ()
    await happens(world)
    await _is_withheld_everywhere(world, code)


UNTIL_MIDNIGHT: dict[str, tuple[str, dict[str, Any]]] = {
    "the authorisation expires": ("G03", {"authorisation__valid_until": date(2026, 4, 11)}),
    "the review of the impact assessment is due": ("G04", {"authorisation__dpia_review_on": date(2026, 4, 12)}),
    "the contract ends": ("G07", {"recipient__contract_until": date(2026, 4, 11)}),
}


@pytest.mark.shows("R23")
@pytest.mark.parametrize("what", UNTIL_MIDNIGHT)
async def test_what_ends_at_midnight_in_paris_ends_between_the_approval_and_the_seal(
    what: str, database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    code, said = UNTIL_MIDNIGHT[what]
    world, _ = await _stored(means, clock, tmp_path, **said)
    clock.advance_to(paris(2026, 4, 11, 23, 50))
    release_id, served = await approved(world), await approved(world)
    await flow.seal(means, served, by=world.operator)
    assert (await Release.get(id=release_id)).holds_until == paris(2026, 4, 12, 0, 0)
    clock.advance_to(paris(2026, 4, 11, 23, 59))
    await flow.serve(means, served, by=world.recipient)
    clock.advance_to(paris(2026, 4, 12, 0, 0))
    async with refused(code):
        await flow.seal(means, release_id, by=world.operator)
    async with refused(code):
        await flow.serve(means, served, by=world.recipient)
    assert (await Release.get(id=release_id)).state == ReleaseState.APPROVED


@pytest.mark.shows("R23")
@pytest.mark.parametrize("what", list(UNTIL_MIDNIGHT)[:2])
async def test_what_ends_at_midnight_ends_an_extraction_under_way(
    what: str, database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    code, said = UNTIL_MIDNIGHT[what]
    _, line = await _stored(means, clock, tmp_path, **said)
    clock.advance_to(paris(2026, 4, 11, 23, 50))
    folder = await line.extract(RECORD)
    clock.advance_to(paris(2026, 4, 12, 0, 0))
    with pytest.raises(Refused, match="permit_expired"):
        read_permit(folder.parent / "permit", means.ring.public_key(), clock.now(), crossing=Crossing.EXTRACTION)
    async with refused(code, "permit_expired"):
        await line.receive(folder)


async def _stored(means: Means, clock: PlayedClock, folder: Path, **said: Any) -> tuple[World, Line]:
    world = await ready(means, clock, folder, **said)
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(RECORD, {**RECORD, "patient_id": "2"}))
    return world, line


async def test_an_extraction_asks_for_the_columns_and_the_precision_of_the_observatorys_authorisation(
    database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    world = await ready(means, clock, tmp_path)
    await narrower(columns=columns(year_of_birth={"precision": "decade"}, sex=None), quasi_identifiers=[])(world)
    line = Line(world)
    await line.open()
    folder = await line.extract(RECORD)
    terms = read_permit(
        folder.parent / "permit", means.ring.public_key(), clock.now(), crossing=Crossing.EXTRACTION
    ).terms
    assert {c.name: str(c.precision) for c in terms.columns} == {
        "recorded_on": "week", "year_of_birth": "decade", "diagnosis": "full",
    }  # fmt: skip
    (file,) = (folder / "records").glob("*.parquet")
    (row,) = pq.read_table(file, partitioning=None).to_pylist()
    assert row["year_of_birth"] == 1960
    assert "sex" not in row


async def test_a_study_passes_no_record_outside_its_own_period(
    database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    world = await ready(means, clock, tmp_path, study__conditions={**ASKED, "period_until": date(2025, 6, 29)})
    line = Line(world)
    await line.open()
    inside = {**RECORD, "recorded_on": "2025-06-29"}
    both = [{**row, "patient_id": number} for row in (inside, RECORD) for number in ("1", "2")]
    assert (await line.receive(await line.extract(*both))).rows == 4
    release_id = await flow.prepare(means, "diabetes", by=world.operator)
    assert (await Release.get(id=release_id)).summary["rows"] == 2


async def test_conditions_that_cannot_be_read_give_nothing(
    database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    """As an older version kept them, before retention and banned uses were part of them."""
    world = await ready(means, clock, tmp_path)
    older = {name: value for name, value in GIVEN.items() if name not in ("retention_months", "banned_uses")}
    await Authorisation.all().update(conditions=older)
    assert {"G06", "G07", "G10", "G12"} <= set(await withheld(world, Asked("demo", "diabetes")))
    assert await withheld(world, Asked("demo")) == ("G10", "G12")


async def test_a_suspended_authorisation_stands_in_nobodys_way(
    database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    world = await ready(means, clock, tmp_path)
    await govern.suspend_authorisation(means, "cnil-1", by=world.dpo)
    assert await withheld(world, Asked("demo")) == ("G03",)
    shorter = reviewed(authorisation__id="cnil-2", authorisation__valid_until=date(2026, 12, 31))
    await world.load(ReviewedFile(authorisation=shorter.authorisation))
    assert await withheld(world, Asked("demo")) == ()


async def test_a_text_that_told_of_a_shorter_retention_does_not_cover(
    database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    """The texts say sixty months; both crossings may keep longer from now on."""
    world = await ready(means, clock, tmp_path)
    await narrower(retention_months=61)(world)
    _, told = await verdicts(means, Asked("demo"))
    assert {patient.reasons for patient in told} == {("G53",)}
    _, told = await verdicts(means, Asked("demo", "diabetes"))
    assert {patient.reasons for patient in told} == {()}, "the study itself keeps for sixty months"


async def test_who_is_not_entitled_gets_nothing(
    database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    world = await ready(means, clock, tmp_path)
    assert await withheld(world, Asked("demo", "diabetes", requester_entitled=False)) == ("G09",)
    async with refused("G09"):
        await flow.prepare(means, "diabetes", by=world.recipient)


@pytest.mark.parametrize("asked", [Asked("nowhere"), Asked("demo", "nothing"), Asked("nowhere", "nothing")])
async def test_what_nobody_knows_is_withheld(
    asked: Asked, database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    assert await withheld(await build(means, clock, tmp_path), asked)


def test_every_batch_code_has_its_run() -> None:
    codes = {rule.code for rule in RULES if rule.grain is BatchFacts}
    assert codes == {"G09"} | LOADED.keys() | {code for code, _, _ in HAPPENED}
    assert not codes & LATER_CODES.keys()
