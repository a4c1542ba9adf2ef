"""What the tests of the story share."""

import asyncio
import shutil
from pathlib import Path

import pytest
from story.made import Made
from story.playing import GROUND, START
from world import World, begun


@pytest.fixture
def made() -> Made:
    return Made()


@pytest.fixture(scope="session")
def seed(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a world that has just begun; `world.copied` makes others of it."""
    folder = tmp_path_factory.mktemp("seed") / "world"
    shutil.copytree(migrated_sqlite.parent, folder)
    return folder


@pytest.fixture(scope="session")
def first(seed: Path) -> World:
    return asyncio.run(begun(seed, START, **GROUND))
