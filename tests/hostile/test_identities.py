"""R24: nobody who said no is released under another name, number, key or practice. The generator knows who is who."""

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from hostile.identities import ALIKE, PRACTICES, Truth
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.context import TortoiseContext
from world import World, build

from portal.demo.clock import PlayedClock
from portal.flow.means import Means
from portal.outside.clock import SystemClock
from portal.outside.keys import KeyRing
from portal.records.database import configuration
from portal.rules.people import family_sounds

HUMANS = 50
"""Of one world; a seed is a world."""


async def live(world: World, seed: int, humans: int = HUMANS) -> Counter[str]:
    """One world from its first registers to a release, judged after each turn."""
    truth = Truth(world, Random(seed))
    truth.people(humans)
    for human in truth.humans:
        for practice in truth.chance.sample(PRACTICES, truth.chance.choice((1, 2, 2))):
            truth.come(human, practice)
    await world.enrol(1, number="doctor-1")
    await world.enrol(2, number="doctor-2", rpps="10000000002")
    await truth.hand_in()
    await truth.tell()
    assert await truth.leaks() == []

    await truth.say_no(0.2)
    assert await truth.leaks() == [], f"after the first objections, seed {seed}"
    truth.change(0.4)
    await truth.hand_in()
    assert await truth.leaks() == [], f"after new registers, seed {seed}"
    await truth.settle(0.8)
    assert await truth.leaks() == [], f"after doubts were settled, seed {seed}"
    await truth.say_no(0.1)
    assert await truth.leaks() == [], f"after more objections, seed {seed}"
    await truth.undo()
    for human in truth.chance.sample(truth.humans, humans // 10):
        truth.come(human, truth.chance.choice(PRACTICES))
    await truth.hand_in()
    assert await truth.leaks() == [], f"after what was wrong was undone, seed {seed}"
    await truth.settle()
    await truth.tell()
    assert await truth.leaks() == [], f"after everybody was told, seed {seed}"
    assert await truth.released() == [], f"released, seed {seed}"
    return truth.seen


def test_every_pair_of_spellings_sounds_alike() -> None:
    """What does not sound alike and is not known by a key cannot be matched by anybody."""
    assert [pair for pair in ALIKE if not family_sounds(pair[0]) & family_sounds(pair[1])] == []


@pytest.fixture
async def world(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> World:
    return await build(means, clock, tmp_path)


TRIALS = [("sqlite", seed) for seed in (1, 2, 3, 4)] + [("postgres", seed) for seed in (5, 6)]


@pytest.mark.parametrize(("database_url", "seed"), TRIALS, indirect=["database_url"])
@pytest.mark.shows("R24")
async def test_no_record_of_an_objector_is_released(
    world: World, seed: int, record_property: Callable[[str, object], None]
) -> None:
    """Three hundred humans in all."""
    record_property("trials", HUMANS)
    seen = await live(world, seed)
    assert seen["of these, elsewhere"] >= HUMANS / 2
    assert seen["passing"] >= seen["rows looked at"] * 0.3
    assert seen["records released"] >= HUMANS * 0.3


@pytest.mark.long
@pytest.mark.shows("R24")
async def test_ten_thousand_humans_and_no_record_of_an_objector_is_released(
    migrated_sqlite: Path, tmp_path: Path, ring: KeyRing, record_property: Callable[[str, object], None]
) -> None:
    """Two hundred worlds, each in a database of its own."""
    record_property("trials", 200 * HUMANS)
    record_property("seed", 1000)
    seen: Counter[str] = Counter()
    for seed in range(1000, 1200):
        folder = tmp_path / str(seed)
        folder.mkdir()
        shutil.copyfile(migrated_sqlite, folder / "portal.sqlite3")
        clock = PlayedClock(datetime(2026, 3, 2, 9, 0, tzinfo=UTC), SystemClock())
        means = Means(
            clock=clock, ring=KeyRing(shutil.copytree(ring.folder, folder / "keys")), data_dir=folder / "data",
            base_url="http://127.0.0.1:8000", mail_from="notices@example.org", returns_address="r+{ref}@example.org",
            releases_in_plain=True,
        )  # fmt: skip
        EXECUTOR_CACHE.clear()
        async with TortoiseContext() as context:
            await context.init(config=configuration(f"sqlite://{folder}/portal.sqlite3"))
            seen += await live(await build(means, clock, folder), seed)
        shutil.rmtree(folder)
    happened = (
        "by telephone", "written otherwise", "key learned", "key of another", "birth mistyped", "number reused",
        "name mistyped", "wrong entry", "merged", "merged wrongly", "kept apart", "parted",
    )  # fmt: skip
    assert [what for what in happened if seen[what] < 100] == []
