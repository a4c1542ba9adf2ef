"""Each batch code in a run of its own: something about the whole is not in order, and nothing passes."""

import shutil
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from kept import refused
from line import RECORD, Line
from world import COLUMNS, World, build, patient, reviewed

from portal.demo.clock import PlayedClock
from portal.flow import govern, permit
from portal.flow import release as flow
from portal.flow.decide import Asked, stand
from portal.flow.means import Means
from portal.records.database import Connection, transact
from portal.records.governance import Authorisation, Observatory, Recipient, Study
from portal.rules.clearance import LATER_CODES, NOT_YET_REACHABLE, RULES, Withheld
from portal.rules.facts import BatchFacts
from portal.rules.words import Purpose

DECADE: dict[str, Any] = {**COLUMNS, "year_of_birth": {"precision": "decade"}}
GIVEN = reviewed().authorisation[0].conditions.model_dump(mode="json")


def asking(**columns: Any) -> dict[str, Any]:
    return {"columns": DECADE | columns, "quasi_identifiers": ["year_of_birth", "sex"]}


LOADED: dict[str, dict[str, Any]] = {
    "G03": {"authorisation__valid_until": date(2026, 4, 1)},
    "G04": {"authorisation__dpia_review_on": date(2026, 4, 1)},
    "G05": {"study__ethics_opinion": ""},
    "G06": {"study__purpose": "drug_safety"},
    "G10": {"study__conditions": asking(height_cm={"precision": "five"})},
    "G12": {
        "authorisation__conditions": {**GIVEN, "columns": DECADE},
        "study__conditions": asking(year_of_birth={"precision": "year"}),
    },
}
"""What is wrong in the reviewed files themselves."""


async def _closed_recipient(world: World) -> None:
    await Recipient.all().update(contract_until=date(2026, 4, 1))


async def _new_study(world: World) -> None:
    await govern.load(world.means, reviewed(study__k=3), actor="operator:1")


async def _no_key(world: World) -> None:
    before = set(_study_keys(world))
    assert before, "the study had a key of its own"
    for path in before:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _study_keys(world: World) -> list[Path]:
    return [path for path in (world.folder / "keys").rglob("*") if "study" in path.name]


HAPPENED: dict[str, Callable[[World], Awaitable[Any]]] = {
    "G01": lambda world: Observatory.all().update(active=False),
    "G02": lambda world: Authorisation.all().delete(),
    "G03": lambda world: govern.suspend_authorisation(world.means, "cnil-1", by=world.dpo),
    "G04": lambda world: Authorisation.all().update(dpia_review_on=None),
    "G05": lambda world: Study.all().update(closed_at=world.clock.now()),
    "G06": lambda world: Study.all().update(purpose=Purpose.INSURANCE),
    "G07": _closed_recipient,
    "G08": _new_study,
    "G13": _no_key,
}
"""What goes wrong later."""

AT_EXTRACTION = {"G01", "G02", "G03", "G04"}
"""The codes that are not about a study."""


async def ready(means: Means, clock: PlayedClock, folder: Path, **changes: Any) -> World:
    world = await build(means, clock, folder, **changes)
    await world.enrol()
    await world.register([patient("1"), patient("2")])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    return world


async def withheld(world: World, asked: Asked) -> tuple[str, ...]:
    async def step(c: Connection) -> tuple[str, ...]:
        verdict = (await stand(world.means, c, asked, cut=0)).verdict
        return verdict.reasons if isinstance(verdict, Withheld) else ()

    return await transact(step)


async def _is_withheld_everywhere(world: World, code: str) -> None:
    assert code in await withheld(world, Asked("demo", "diabetes"))
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


@pytest.mark.parametrize("code", HAPPENED)
async def test_what_happens_later_withholds_everything(
    code: str, database: str, means: Means, clock: PlayedClock, tmp_path: Path
) -> None:
    world = await ready(means, clock, tmp_path)
    await HAPPENED[code](world)
    await _is_withheld_everywhere(world, code)


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
    """G00 (the system itself) is what `decide` says of any unknown word: see tests/rules/test_clearance.py."""
    codes = {rule.code for rule in RULES if rule.grain is BatchFacts}
    assert codes == {"G00", "G09"} | LOADED.keys() | HAPPENED.keys()
    assert not codes & (LATER_CODES.keys() | NOT_YET_REACHABLE.keys())
