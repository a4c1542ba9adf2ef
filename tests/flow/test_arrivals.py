"""An extraction on its way in: two requests at once, what is refused, what lies about too long."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable
from datetime import timedelta
from pathlib import Path

import pytest
from line import RECORDS, Line, in_store

from portal.flow import arrivals, permit
from portal.flow.arrivals import Arriving
from portal.gate.unfinished import if_alone_with
from portal.records.ledger import LogEntry
from portal.rules.refusals import Refused

PRACTICE = "practice-a"


async def announced(line: Line) -> tuple[Path, Arriving]:
    extraction = await line.extract(*RECORDS)
    there = await arrivals.announce(line.world.means, PRACTICE, (extraction / "extraction.jws").read_bytes())
    return extraction, there


async def sent(line: Line) -> tuple[Path, Arriving]:
    """Everything has arrived, and waits to be taken in."""
    extraction, there = await announced(line)
    for name in there.files:
        content = (extraction / name).read_bytes()
        await arrivals.append(line.world.means, PRACTICE, there.id, name, offset=0, part=content)
    return extraction, there


def folder_of(line: Line, there: Arriving) -> Path:
    return line.world.means.incoming / hashlib.sha256(PRACTICE.encode()).hexdigest()[:16] / there.id


async def outcome(act: Awaitable[object]) -> str:
    try:
        await act
    except Refused as no:
        return no.code
    return "done"


async def test_taken_in_twice_at_once_it_is_stored_once(line: Line) -> None:
    _, there = await sent(line)
    means = line.world.means
    twice = [arrivals.take_in(means, PRACTICE, there.id, actor="software:x") for _ in range(2)]
    assert sorted(await asyncio.gather(*map(outcome, twice))) == ["busy", "done"]
    assert len(in_store(line.world)) == 3
    assert await LogEntry.filter(kind="extraction_received").count() == 1


async def test_nothing_is_added_while_it_is_taken_in(line: Line) -> None:
    """Whoever has a token but not the practice's key could put another file behind the one that was just verified."""
    _, there = await sent(line)
    means, (name,) = line.world.means, there.files
    taking = asyncio.create_task(outcome(arrivals.take_in(means, PRACTICE, there.id, actor="software:x")))
    size, refused = (folder_of(line, there) / name).stat().st_size, set[str]()
    for _ in range(400):
        if taking.done():
            break
        await asyncio.sleep(0.002)
        refused.add(await outcome(arrivals.append(means, PRACTICE, there.id, name, offset=size, part=b"more")))
    assert await taking == "done"
    assert refused <= {"busy", "unknown_extraction"}
    assert "busy" in refused


async def test_announced_again_while_it_is_taken_in_nothing_is_spoilt(line: Line) -> None:
    extraction, there = await sent(line)
    means, statement = line.world.means, (extraction / "extraction.jws").read_bytes()
    taking = asyncio.create_task(outcome(arrivals.take_in(means, PRACTICE, there.id, actor="software:x")))
    said = set[str]()
    for _ in range(400):
        if taking.done():
            break
        await asyncio.sleep(0.002)
        said.add(await outcome(arrivals.announce(means, PRACTICE, statement)))
    assert await taking == "done"
    assert said <= {"done", "busy", "already_received"}
    assert await outcome(arrivals.announce(means, PRACTICE, statement)) == "already_received"
    assert not folder_of(line, there).exists()


async def test_two_parts_at_once_and_one_at_another_place_never_mix(line: Line) -> None:
    extraction, there = await announced(line)
    means, (name,) = line.world.means, there.files
    content = (extraction / name).read_bytes()
    at_once = [arrivals.append(means, PRACTICE, there.id, name, offset=0, part=content[:100]) for _ in range(4)]
    ends = await asyncio.gather(*map(outcome, at_once))
    assert ends.count("done") == 1
    assert set(ends) <= {"done", "busy", "other_offset"}
    for offset in (0, 99, 101, 10**9):
        part = arrivals.append(means, PRACTICE, there.id, name, offset=offset, part=b"x")
        assert await outcome(part) == "other_offset"
    assert (await arrivals.arriving(means, PRACTICE, there.id)).files == {name: 100}


@pytest.mark.parametrize(
    "name", ["../../x.parquet", "records/../extraction.jws", "extraction.jws", "records/", "/etc/x"]
)
async def test_only_an_announced_file_is_written(line: Line, name: str) -> None:
    _, there = await announced(line)
    act = arrivals.append(line.world.means, PRACTICE, there.id, name, offset=0, part=b"x")
    assert await outcome(act) == "unknown_file"


async def test_an_older_statement_sent_again_is_refused_and_does_not_stay(line: Line) -> None:
    extraction, there = await announced(line)
    means, statement = line.world.means, (extraction / "extraction.jws").read_bytes()
    await permit.issue(
        means, observatory_id="demo", practice_id=PRACTICE, by=line.world.operator, out=line.world.folder / "newer"
    )
    assert await outcome(arrivals.announce(means, PRACTICE, statement)) == "permit_superseded"
    assert not folder_of(line, there).exists()


async def test_two_permits_at_once_are_two_or_one_is_busy(line: Line) -> None:
    world = line.world
    acts = [
        permit.issue(world.means, observatory_id="demo", practice_id=PRACTICE, by=world.operator, out=world.folder / n)
        for n in ("one", "two", "three")
    ]
    ends = await asyncio.gather(*map(outcome, acts))
    assert set(ends) <= {"done", "busy"}
    assert "done" in ends


async def test_what_lies_about_too_long_is_cleared_away_and_a_register_sooner(line: Line) -> None:
    """A register that a killed server was reading holds names in clear: an hour, not two days."""
    _, there = await announced(line)
    means = line.world.means
    left = means.incoming / "request~left"
    left.mkdir()
    (left / "register.csv").write_text("a name")

    def aged(path: Path, age: timedelta) -> None:
        at = (means.clock.now() - age).timestamp()
        os.utime(path, (at, at))

    for path in (folder_of(line, there), left, left / "register.csv"):
        aged(path, timedelta(minutes=50))
    await arrivals.clear_arrivals(means)
    assert left.exists()
    aged(left, timedelta(minutes=70))
    await arrivals.clear_arrivals(means)
    assert not left.exists()
    assert folder_of(line, there).exists()
    aged(folder_of(line, there), timedelta(days=3))
    with if_alone_with(folder_of(line, there).with_suffix(".lock")) as alone:
        assert alone
    await arrivals.clear_arrivals(means)
    assert not folder_of(line, there).exists()
