"""F23: two tables, or two studies' releases, that differ by one person give that person away.

Here a number that differs from a published one by a few persons is masked, with others so that it cannot be worked
out; and a release that a recipient could lay beside another study's leaves as many out as hide those who are missing.
"""

import csv
from pathlib import Path

import pytest
from line import Line, approved, record
from world import COLUMNS, World, build, load, patient, reviewed

from portal.demo.clock import PlayedClock
from portal.flow import opt_out, release
from portal.flow.means import Means
from portal.records.releases import Release, ReleasePerson
from portal.rules.reviewed import ReviewedFile
from portal.rules.words import Scope, Sex

K = 5
CONDITIONS = reviewed().study[0].conditions.model_dump(mode="json") | {
    "columns": {**COLUMNS, "year_of_birth": {"precision": "decade"}},
    "quasi_identifiers": ["year_of_birth", "sex"],
    "aggregates": ["sex"],
}
NARROWER = CONDITIONS | {
    "columns": {**COLUMNS, "diagnosis": {"precision": "full", "codes": ["sct|44054006"]}},
    "aggregates": [],
}


@pytest.fixture
async def thirty(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> Line:
    """Fifteen women and fifteen men, told; two studies of one laboratory, listed; the last man has another disease."""
    world = await build(means, clock, tmp_path, study__k=K, study__conditions=CONDITIONS)
    means.ring.create("study:asthma")
    second = reviewed(study__k=K, study__conditions=NARROWER).study[0].model_copy(update={"id": "asthma"})
    await load(means, ReviewedFile(study=(second,)), world.operator, world.dpo)
    await world.enrol()
    sexes = {n: Sex.FEMALE if n <= 15 else Sex.MALE for n in range(1, 31)}
    await world.register([patient(str(n), sex=sex) for n, sex in sexes.items()])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    line = Line(world)
    await line.open()
    other = {30: "sct|59621000"}
    await line.receive(
        await line.extract(
            *(record(str(n), sex=s.value, diagnosis=other.get(n, "sct|44054006")) for n, s in sexes.items())
        )
    )
    return line


async def sealed(world: World) -> str:
    release_id = await approved(world)
    await release.seal(world.means, release_id, by=world.operator)
    return release_id


def table(world: World, release_id: str) -> dict[str, str]:
    with (world.means.releases / release_id / "aggregates.csv").open() as file:
        return {row["sex"]: row["persons"] for row in csv.DictReader(file)}


async def persons(release_id: str) -> set[str]:
    there = ReleasePerson.filter(release_id=release_id, left_version=None)
    return {str(one) for one in await there.values_list("person_id", flat=True)}


async def test_a_number_that_is_one_less_than_the_one_published_before_is_masked(thirty: Line) -> None:
    world = thirty.world
    first = await sealed(world)
    assert table(world, first) == {"female": "15", "male": "15", "*": "30"}
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.EVERYTHING)
    second = await sealed(world)
    assert len(await persons(second)) == 29, "her rows are gone, and the recipient hears it as a retraction"
    assert table(world, second) == {"female": "masked", "male": "15", "*": "masked"}


async def test_the_same_table_again_is_published_again(thirty: Line) -> None:
    world = thirty.world
    assert table(world, await sealed(world)) == table(world, await sealed(world))


async def test_another_study_of_the_recipient_hides_the_one_who_is_missing_among_others(thirty: Line) -> None:
    world = thirty.world
    first = await persons(await sealed(world))
    second = await release.prepare(world.means, "asthma", by=world.operator)
    there = await persons(second)
    assert there < first
    assert len(first - there) == K
    assert (await Release.get(id=second)).summary["refused"]["G62"] == K - 1
    again = await release.prepare(world.means, "asthma", by=world.operator)
    assert await persons(again) == there, "the same each time"


async def test_a_release_sealed_meanwhile_is_seen_at_the_seal(thirty: Line) -> None:
    world = thirty.world
    waiting = await release.prepare(world.means, "asthma", by=world.operator)
    await release.approve(world.means, waiting, by=world.dpo, second_factor=True)
    assert len(await persons(waiting)) == 29
    first = await persons(await sealed(world))
    assert await release.seal(world.means, waiting, by=world.operator) == 30 - K
    assert len(first - await persons(waiting)) == K


async def test_who_is_taken_back_from_one_study_makes_no_difference_to_the_other(thirty: Line) -> None:
    """She is named to the recipient as gone, without a reason: hiding her among others would only cost others."""
    world = thirty.world
    await release.serve(world.means, await sealed(world), by=world.recipient)
    await opt_out.object_(world.means, world.links["patient30@example.org"], Scope.EVERYTHING)
    second = await release.prepare(world.means, "asthma", by=world.operator)
    assert (await Release.get(id=second)).summary["refused"]["G62"] == 0
    assert len(await persons(second)) == 29
