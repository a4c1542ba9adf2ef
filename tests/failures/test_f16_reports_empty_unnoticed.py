"""F16 (All of Us, raw-data-repository 4070): the reports of withdrawals were empty for two months, unnoticed.

Here a list is never taken from what a job has left behind: whoever asks for it has what is missing made first.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from world import World

from portal.flow import opt_out, retract
from portal.outside.tokens import pseudonym
from portal.records.people import Patient
from portal.records.retractions import Retraction, open_lines
from portal.rules.words import Scope
from portal.service import one_round


async def says_no(world: World) -> str:
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.EVERYTHING)
    person = (await Patient.get(practice_id="practice-a", number="1")).person_id
    return pseudonym(world.means.ring, "study:diabetes", person.bytes).hex()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_list_is_complete_though_no_worker_ran_for_two_months(
    delivered: tuple[World, str], database: str, tmp_path: Path
) -> None:
    world, release_id = delivered
    named = await says_no(world)
    world.wait(60)
    assert await Retraction.all().count() == 0, "nobody has looked"
    settings = {
        "PORTAL_DATABASE_URL": database,
        "PORTAL_KEYS_DIR": str(world.means.ring.folder),
        "PORTAL_DATA_DIR": str(world.means.data_dir),
    }
    command = ["retractions", "--study", "diabetes", "--out", str(tmp_path / "list"), "--json"]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "portal", *command],
        env={k: v for k, v in os.environ.items() if not k.startswith("PORTAL_")} | settings,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["open"] >= 1
    assert f"{release_id},{named}," in (tmp_path / "list" / "retractions.csv").read_text()
    assert f"Patient/{named}" in (tmp_path / "list" / "deleted-1.ndjson").read_text()


async def test_a_report_that_was_emptied_is_filled_again_by_the_next_round(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    await says_no(world)
    await one_round(world.means, world.post, world.returns, reading=False)
    before = await open_lines("diabetes")
    await Retraction.all().delete()
    assert len(await retract.missing(world.means, "diabetes")) == 1
    await one_round(world.means, world.post, world.returns, reading=False)
    assert await open_lines("diabetes") == before != []
