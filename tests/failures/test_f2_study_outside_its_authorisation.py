"""F2 (IQVIA, SAN-2026-008): studies went on outside what had been authorised.

Here a study that asks for more is refused when its file is loaded; one whose authorisation becomes narrower releases
nothing more, not even what was approved before; and what the law bans is no purpose of any study.
"""

from typing import Any

import pytest
from kept import dump, refused
from line import approved
from pydantic import ValidationError
from world import COLUMNS, World, reviewed

from portal.flow import govern, release
from portal.records.governance import Study
from portal.rules.refusals import RefusedFile
from portal.rules.reviewed import ReviewedFile

GIVEN = reviewed().authorisation[0].conditions.model_dump(mode="json")
ASKED = reviewed().study[0].conditions.model_dump(mode="json")
MORE: dict[str, dict[str, Any]] = {
    "G06": {"study__purpose": "care_evaluation"},
    "G07": {"study__conditions": {**ASKED, "retention_months": 120}},
    "G10": {"study__conditions": {**ASKED, "columns": {**COLUMNS, "height_cm": {"precision": "five"}}}},
    "G12": {"authorisation__conditions": {**GIVEN, "k": 11}},
    "G32": {"study__conditions": {**ASKED, "period_from": "2010-01-01"}},
}
LESS: dict[str, dict[str, Any]] = {
    "G06": {"purposes": ["care_evaluation"]},
    "G07": {"countries": ["BE"]},
    "G10": {"columns": {**COLUMNS, "diagnosis": {"precision": "full", "codes": ["sct|44054006"]}}},
    "G12": {"columns": {**COLUMNS, "year_of_birth": {"precision": "decade"}, "recorded_on": {"precision": "month"}}},
}


@pytest.mark.parametrize("code", MORE)
async def test_f2_a_study_that_asks_for_more_is_refused_when_it_is_loaded(
    code: str, delivered: tuple[World, str]
) -> None:
    world, _ = delivered
    file = reviewed(study__id="asthma", **MORE[code])
    before = await dump()
    with pytest.raises(RefusedFile) as no:
        await govern.load(world.means, file, actor=world.operator.actor)
    assert {problem.code for problem in no.value.problems} == {code}
    assert await dump() == before
    assert not await Study.exists(id="asthma")


@pytest.mark.parametrize("code", LESS)
async def test_f2_a_study_whose_authorisation_becomes_narrower_releases_nothing_more(
    code: str, delivered: tuple[World, str]
) -> None:
    world, served = delivered
    waiting = await approved(world)
    narrower = reviewed(authorisation__conditions={**GIVEN, **LESS[code]})
    await world.load(ReviewedFile(authorisation=narrower.authorisation))
    async with refused(code):
        await release.seal(world.means, waiting, by=world.operator)
    async with refused(code):
        await release.serve(world.means, served, by=world.recipient)
    async with refused(code):
        await release.prepare(world.means, "diabetes", by=world.operator)


@pytest.mark.parametrize("use", ["health_product_promotion", "insurance"])
async def test_f2_what_the_law_bans_is_no_purpose_of_any_study(use: str, delivered: tuple[World, str]) -> None:
    world, served = delivered
    with pytest.raises(ValidationError, match="banned by law"):
        reviewed(study__purpose=use)
    with pytest.raises(ValidationError, match="banned use"):
        reviewed(authorisation__conditions={**GIVEN, "purposes": [use]})
    await Study.all().update(purpose=use)
    async with refused("G06"):
        await release.serve(world.means, served, by=world.recipient)
