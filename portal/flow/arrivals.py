"""An extraction on its way in: announced by its signed statement, sent in parts, resumed where it was cut off, taken in
when it is whole.

Whatever would refuse it at the end refuses it before the first byte: a practice that has left sends nothing.
"""

import asyncio
import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from portal.flow.means import Means
from portal.flow.receive import Received, permit_of, practice_key, receive, refuse_superseded
from portal.gate.extraction import read_statement
from portal.gate.folders import files_below, write_whole
from portal.gate.unfinished import if_alone_with
from portal.records.database import transact
from portal.rules.refusals import Refused

STATEMENT = "extraction.jws"
LARGEST = 8 * 2**30
"""Bytes of one extraction: a hundred times what the largest practice has."""

KEPT = timedelta(days=2)
"""Longer than a permit lives, so whatever is older can never be taken in."""

REQUEST = "request~"
"""How the folder of one request's files begins its name: a register in clear, a permit."""

LONGEST_REQUEST = timedelta(hours=1)
"""No request takes so long: what lies about longer was left by a killed process."""


@dataclass(frozen=True, slots=True)
class Arriving:
    """`files`: by name, the bytes that have arrived of each announced file."""

    id: str
    files: dict[str, int]


async def announce(means: Means, practice_id: str, statement: bytes) -> Arriving:
    """Keep the signed statement, once nothing speaks against taking in what it announces; the same again finds it."""
    key, named = await practice_key(practice_id), hashlib.sha256(statement).hexdigest()
    folder = _folder(means, practice_id, named)
    with _alone_with(folder):
        await asyncio.to_thread(_keep_statement, folder, statement)
        try:
            announced = read_statement(folder / STATEMENT, key)
            permit = await permit_of(practice_id, announced.permit_sha256)
            await transact(lambda c: refuse_superseded(means, c, permit))
        except Refused:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
        return await _arriving(means, practice_id, named)


@contextmanager
def _alone_with(folder: Path) -> Iterator[None]:
    """Refused("busy") while somebody else writes to this extraction, or takes it in."""
    with if_alone_with(folder.with_suffix(".lock")) as alone:
        if not alone:
            raise Refused("busy", "another request is at work on this extraction: wait and ask again", status=409)
        yield


def _keep_statement(folder: Path, statement: bytes) -> None:
    (folder / "records").mkdir(parents=True, exist_ok=True)
    write_whole(folder / STATEMENT, statement)


async def arriving(means: Means, practice_id: str, named: str) -> Arriving:
    """How much has arrived; Refused("unknown_extraction") for what was not announced, or has been taken in."""
    return await _arriving(means, practice_id, named)


async def _arriving(means: Means, practice_id: str, named: str) -> Arriving:
    folder = _folder(means, practice_id, named)
    if not (folder / STATEMENT).is_file():
        raise Refused("unknown_extraction", "announce this extraction first", where="extraction", status=404)
    announced = read_statement(folder / STATEMENT, await practice_key(practice_id))
    there = {name: path.stat().st_size for name, path in files_below(folder).items()}
    return Arriving(named, {name: there.get(name, 0) for name in announced.files})


async def append(means: Means, practice_id: str, named: str, name: str, *, offset: int, part: bytes) -> Arriving:
    """Add a part at the end of one announced file. Refused("other_offset") when it does not begin where the file ends:
    ask how much has arrived, and go on from there."""
    folder = _folder(means, practice_id, named)
    with _alone_with(folder):
        there = await _arriving(means, practice_id, named)
        if name not in there.files:
            raise Refused("unknown_file", "the statement announces no such file", where="file", status=404)
        if sum(there.files.values()) + len(part) > LARGEST:
            raise Refused("too_large", "an extraction is never so large", where="file", status=413)
        await asyncio.to_thread(_append, folder / name, offset, part)
        return await _arriving(means, practice_id, named)


def _append(path: Path, offset: int, part: bytes) -> None:
    with path.open("ab") as file:
        if file.tell() != offset:
            raise Refused("other_offset", "the file does not end there: ask how much has arrived", where="offset")
        file.write(part)


async def take_in(means: Means, practice_id: str, named: str, *, actor: str) -> Received:
    """Everything is there: decide again, and store. What is refused for good does not stay, whatever it is.

    Meanwhile no part is added: what is stored is what was verified.
    """
    folder = _folder(means, practice_id, named)
    with _alone_with(folder):
        await _arriving(means, practice_id, named)
        try:
            done = await receive(means, folder, practice_id=practice_id, actor=actor)
        except Refused as no:
            if no.code not in ("busy", "store_busy", "extraction_missing_file"):
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return done


async def clear_arrivals(means: Means) -> int:
    """Removes what was announced and never completed, and what a killed request left; returns how many."""
    now = means.clock.now()
    return await asyncio.to_thread(
        _clear, means.incoming, (now - KEPT).timestamp(), (now - LONGEST_REQUEST).timestamp()
    )


def _clear(incoming: Path, announced_before: float, asked_before: float) -> int:
    requests = set(incoming.glob(f"{REQUEST}*"))
    old = [path for path in requests if _older(path, asked_before)]
    old += [path for path in incoming.glob("*/*") if path.parent not in requests and _older(path, announced_before)]
    for path in old:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(old)


def _older(path: Path, moment: float) -> bool:
    """Whether it is older; what is gone meanwhile is not."""
    try:
        return path.stat().st_mtime < moment
    except FileNotFoundError:
        return False


def _folder(means: Means, practice_id: str, named: str) -> Path:
    if len(named) != 64 or not set(named) <= set("0123456789abcdef"):
        raise Refused("unknown_extraction", "announce this extraction first", where="extraction", status=404)
    return means.incoming / hashlib.sha256(practice_id.encode()).hexdigest()[:16] / named
