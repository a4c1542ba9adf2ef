"""The worker is killed at any moment while it sends: nobody's notice is lost or changed, and a copy is a copy."""

import asyncio
import hashlib
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from forked import forked
from killed_worker import Place, work
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.demo.mailbox import DemoMailbox
from portal.flow.campaign import start_campaign
from portal.flow.means import Means
from portal.flow.notify import CLAIM
from portal.records.notices import Notice, OutboxItem
from portal.rules.words import NoticeState


async def queued(means: Means, clock: PlayedClock, folder: Path, number: int) -> World:
    """So many people whose notices wait in the outbox."""
    world = await build(means, clock, folder)
    await world.enrol()
    await world.register([patient(str(n)) for n in range(1, number + 1)])
    done = await start_campaign(means, observatory_id="demo", practice_id="practice-a", by=world.operator)
    assert done.queued == number
    return world


@dataclass
class Workers:
    """Workers over one database and one mail server, each waking after the claims of the last one have run out."""

    world: World
    url: str
    box: DemoMailbox

    def started(self) -> BaseProcess:
        self.world.clock.advance_to(self.world.clock.now() + CLAIM + timedelta(seconds=1))
        place = Place(self.url, self.world.folder, self.world.clock.now(), self.box.port)
        return forked(work, place)

    async def killed(self, after: int, linger: float) -> None:
        """A worker is killed once so many more mails have arrived, and a moment."""
        enough, process = self.box.kept._kept + after, self.started()
        while self.box.kept._kept < enough and process.is_alive():  # noqa: ASYNC110 - another process sends, and sets no event here
            await asyncio.sleep(0.001)
        await asyncio.sleep(linger)
        process.kill()
        await asyncio.to_thread(process.join)

    async def to_the_end(self) -> None:
        process = self.started()
        await asyncio.to_thread(process.join)
        assert process.exitcode == 0


async def all_arrived(box: DemoMailbox) -> int:
    """Each notice arrived at its reader under its own reference, each copy like the first but for its date; returns
    how many copies there were."""
    copies: dict[str, list[bytes]] = defaultdict(list)
    readers: dict[str, set[str]] = defaultdict(set)
    for path in box.kept.folder.glob("*.eml"):
        raw = path.read_bytes()
        reference = re.search(rb"^Return-Path: <returns\+([\w-]+)@", raw)
        named = re.search(rb"^Message-ID: <([\w-]+)@", raw, re.M)
        reader = re.search(rb"^Delivered-To: (\S+)", raw, re.M)
        assert reference is not None
        assert named is not None
        assert reader is not None
        assert reference[1] == named[1]
        copies[reference[1].decode()].append(re.sub(rb"(?m)^Date: .*\r\n", b"", raw))
        readers[reader[1].decode()].add(reference[1].decode())
    notices = {str(n.id): n for n in await Notice.all()}
    assert copies.keys() == notices.keys(), "a notice was lost"
    assert all(len(references) == 1 for references in readers.values()), "a copy came under another reference"
    for reference, those in copies.items():
        assert len(set(those)) == 1, "a copy was changed"
        token = re.search(rb"/o/([\w-]{43})", those[0].replace(b"=\r\n", b""))
        assert token
        assert hashlib.sha256(token[1]).hexdigest() == notices[reference].token_hash
        assert notices[reference].state == NoticeState.SENT
    assert not await OutboxItem.filter(done_at=None).exists()
    return sum(len(those) - 1 for those in copies.values())


async def waits_again(box: DemoMailbox) -> None:
    """As before anything was sent."""
    await Notice.all().update(state=NoticeState.QUEUED, sent_at=None, server_answer=None, text_sha256=None)
    await OutboxItem.all().update(done_at=None, claimed_until=None, attempts=0)
    shutil.rmtree(box.kept.folder)
    box.kept.folder.mkdir()


@pytest.mark.shows("R10")
async def test_a_worker_killed_at_any_moment_loses_and_changes_no_notice(
    database: str,
    means: Means,
    clock: PlayedClock,
    tmp_path: Path,
    how_many: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    chance, kills, people = random.Random(3), how_many(20, 1000), 60
    record_property("trials", kills)
    world, copied = await queued(means, clock, tmp_path, people), 0
    async with DemoMailbox(tmp_path / "mail") as box:
        workers = Workers(world, database, box)
        for _ in range(kills):
            await workers.killed(chance.randint(0, people), chance.uniform(0, 0.02))
            await workers.to_the_end()
            copied += await all_arrived(box)
            await waits_again(box)
    assert copied > 0, "no kill fell between a sending and its record"


@pytest.mark.shows("R10")
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_ten_kills_on_the_way_lose_none_of_many_notices(
    database: str,
    means: Means,
    clock: PlayedClock,
    tmp_path: Path,
    how_many: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    chance, people, kills = random.Random(4), how_many(600, 10_000), 10
    record_property("trials", kills)
    world = await queued(means, clock, tmp_path, people)
    async with DemoMailbox(tmp_path / "mail") as box:
        workers = Workers(world, database, box)
        for _ in range(kills):
            await workers.killed(chance.randint(1, people // kills), chance.uniform(0, 0.02))
        await workers.to_the_end()
        copied = await all_arrived(box)
    record_property("copies", copied)
    assert copied <= kills * 50, "more than the batches under way were sent again"
