"""F15 (TORCH's documentation): a request that says nothing about consent was answered with everybody.

Here what is not asked is not given: a list that is missing or empty lets nobody through, a patient of whom nothing
is known does not pass, and a study that does not say what it asks for is refused.
"""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from kept import refused
from line import Line, record
from pydantic import ValidationError
from world import World, patient

from portal.flow import release
from portal.flow.decide import Asked, verdicts
from portal.gate.permit import read_permit
from portal.records.governance import Study
from portal.records.notices import Notice
from portal.records.objections import Objection
from portal.rules.clearance import Withheld
from portal.rules.refusals import Refused
from portal.rules.reviewed import StudyFile
from portal.rules.words import Crossing


async def _permit(world: World) -> tuple[Line, Path]:
    line = Line(world, turn=1)
    await line.open()
    folder = await line.extract(*(record(str(n)) for n in (1, 2, 3)))
    return line, folder.parent / "permit"


async def test_f15_a_permit_without_a_list_lets_nobody_through(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    _, permit = await _permit(world)
    (permit / "allowed.parquet").unlink()
    with pytest.raises(Refused, match="permit_missing"):
        read_permit(permit, world.means.ring.public_key(), world.clock.now(), crossing=Crossing.EXTRACTION)


async def test_f15_an_empty_list_lets_nobody_through(delivered: tuple[World, str]) -> None:
    """Nobody has been told: no notice, and no objection either."""
    world, _ = delivered
    await Objection.all().delete()
    await Notice.all().delete()
    line, permit = await _permit(world)
    assert pq.read_metadata(permit / "allowed.parquet").num_rows == 0
    assert line.counted is not None
    assert (line.counted.records_in, line.counted.passed, line.counted.not_in_permit) == (3, 0, 3)


async def test_f15_a_patient_of_whom_nothing_is_known_does_not_pass(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    await world.register([patient(str(n)) for n in (1, 2, 3, 9)])
    for asked in (Asked("demo"), Asked("demo", "diabetes")):
        _, found = await verdicts(world.means, asked)
        assert {v.number: v.reasons for v in found if v.reasons} == {"9": ("G50",)}


@pytest.mark.parametrize("asked", [Asked("demo", "unknown"), Asked("unknown"), Asked("unknown", "unknown")])
async def test_f15_a_request_that_names_nothing_that_is_known_gets_nothing(
    asked: Asked, delivered: tuple[World, str]
) -> None:
    world, _ = delivered
    verdict, _ = await verdicts(world.means, asked)
    assert isinstance(verdict, Withheld)


@pytest.mark.parametrize("missing", ["purpose", "k", "recipient", "conditions"])
def test_f15_a_study_that_does_not_say_what_it_asks_for_is_refused(missing: str) -> None:
    said = {"id": "s1", "observatory": "demo", "recipient": "lab", "title": "t", "question": "what is asked for?",
            "purpose": "drug_safety", "k": 5, "conditions": {}}  # fmt: skip
    with pytest.raises(ValidationError, match=missing):
        StudyFile.model_validate({name: value for name, value in said.items() if name != missing})


async def test_f15_a_study_whose_conditions_are_gone_gets_nothing(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    await Study.all().update(conditions={})
    async with refused("G06"):
        await release.prepare(world.means, "diabetes", by=world.operator)
