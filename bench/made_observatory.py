"""A small observatory whose patients were told: the one that the tests begin with, on PostgreSQL."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench.measure import ROOT
from portal.demo.clock import PlayedClock
from portal.flow.means import Means
from portal.outside.clock import SystemClock
from portal.outside.keys import KeyRing
from portal.records.clearance import renew_verdicts
from portal.records.database import opened
from portal.records.migrations import migrate

sys.path.append(str(ROOT / "tests"))
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def means_in(folder: Path, clock: PlayedClock) -> Means:
    return Means(
        clock=clock, ring=KeyRing(folder / "keys"), data_dir=folder / "data", base_url="http://127.0.0.1:8000",
        mail_from="notices@observatory.example.org", returns_address="returns+{ref}@observatory.example.org",
        releases_in_plain=True,
    )  # fmt: skip


def make(url: str, folder: Path, patients: int) -> list[str]:
    """Migrates, enrols a doctor, tells so many patients, lets forty days pass; the tokens of their links."""
    migrate(url, ROOT / "alembic")
    return asyncio.run(_make(url, folder, patients))


async def _make(url: str, folder: Path, patients: int) -> list[str]:
    from world import build, patient

    clock = PlayedClock(START, SystemClock())
    means = means_in(folder, clock)
    for family in ("contacts", "blind", "links", "matching", "signing", "releases"):
        means.ring.create(family)
    async with opened(url):
        await renew_verdicts()
        world = await build(means, clock, folder)
        await world.enrol()
        await world.register([patient(str(number), family_name=f"Nom{number}") for number in range(1, patients + 1)])
        await world.tell()
        world.wait(40)
        await world.read_returns()
        return list(world.links.values())
