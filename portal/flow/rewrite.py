"""A file of the store is written again without what must leave it: whole or not at all, with proof.

The new file is written beside the old one, outside every lock; from one commit on it is the one that counts; the old
one is deleted afterwards. Killed at any point, the store is one of the two, since it consists only of the files that
committed entries name.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from portal.flow.means import Means
from portal.gate.folders import sha256_of
from portal.gate.store import StoreBusy, StoredFile, delete, erase, persons, prune
from portal.records.database import Connection, NothingToDo, rows, transact, transact_alone, transact_or, write_many
from portal.records.ledger import Touch, enter
from portal.records.stored import (
    File,
    Leaving,
    carry_over,
    change_file,
    current_files,
    due_to_leave,
    files_to_go,
    present,
)
from portal.rules.waiting import paris_day
from portal.rules.words import StorePart

AT_ONCE = 12
"""So many old files are confirmed gone by one entry: its summary names each."""


async def erase_due(means: Means) -> int:
    """Write again, without what must leave, every file from which something must leave now; returns how many.

    A file that is missing or altered stays as it is: its retractions stay open and are overdue after their day.
    """
    due = await transact(lambda c: _due(means, c))
    files = {file.extraction_id: file for file in await transact(current_files)}
    done = sum([await _rewrite(means, files[number], due[number]) for number in sorted(due.keys() & files.keys())])
    await confirm_gone(means)
    return done


async def _due(means: Means, c: Connection) -> dict[int, list[Leaving]]:
    return await due_to_leave(c, paris_day(await means.now(c)))


async def _rewrite(means: Means, file: File, leaving: Sequence[Leaving]) -> bool:
    """False, and everything as it was, when the file is not the one that counts, or another call is at it."""
    path = means.store / file.practice_id / file.name
    try:
        if await asyncio.to_thread(sha256_of, path) != file.sha256:
            return False
        new, names = await asyncio.to_thread(_write, path, leaving)
        if new is not None:
            sha256, staying = new.sha256, json.dumps(names)
            await transact(lambda c: carry_over(c, file.practice_id, file.sha256, sha256, staying))
        await transact_alone(lambda c: _commit(means, c, file, new, leaving, len(names)))
    except (FileNotFoundError, StoreBusy, NothingToDo):
        return False
    finally:
        await sweep(means, file.practice_id)
    return True


def _write(path: Path, leaving: Sequence[Leaving]) -> tuple[StoredFile | None, list[str]]:
    """What stays, as a file beside the old one, and who is in it."""
    if any(one.part is StorePart.FILE for one in leaving):
        return None, []
    refs = {part: {one.ref for one in leaving if one.part is part} for part in StorePart}
    new = erase(path, persons=refs[StorePart.PERSON], doctors=refs[StorePart.DOCTOR])
    return new, [] if new is None else persons([new.path])["pseudonym"].to_pylist()


async def _commit(
    means: Means, c: Connection, file: File, new: StoredFile | None, leaving: Sequence[Leaving], inside: int
) -> None:
    """From this commit on the new file counts. Given up when another file came in, or the new one is not there."""
    now = await means.now(c)
    after = "none is left" if new is None else f"new file {new.sha256}"
    removed = file.rows - (0 if new is None else new.rows)
    entry = await enter(
        c, "store_rewritten", actor="system", at=now, touches=[("extraction", file.practice_id)],
        summary=f"{file.practice_id}, {removed} rows less, old file {file.sha256}, {after}",
    )  # fmt: skip
    current = {f.extraction_id: f for f in await current_files(c)}.get(file.extraction_id)
    whole = new is None or (new.path.is_file() and await present(c, file.practice_id, new.sha256) == inside)
    if current is None or current.sha256 != file.sha256 or not whole:
        raise NothingToDo
    counts = ("", "", 0) if new is None else (new.path.name, new.sha256, new.rows)
    change = await change_file(c, file, counts, at=now, entry=entry)
    statement = "UPDATE extraction SET file_name = $1, file_sha256 = $2, rows = $3 WHERE id = $4"
    await rows(c, statement, *counts, file.extraction_id)
    await write_many(
        c,
        "UPDATE store_retraction SET change_id = $1 "
        "WHERE extraction_id = $2 AND part = $3 AND ref = $4 AND change_id IS NULL",
        [(change, file.extraction_id, one.part, one.ref) for one in leaving],
    )


async def sweep(means: Means, practice_id: str) -> None:
    """Delete the practice's files that no committed entry names. Under the log's lock, so that a file which is there
    when its entry is committed stays there."""

    async def step(c: Connection) -> None:
        kept = [file.name for file in await current_files(c) if file.practice_id == practice_id]
        prune(means.store, practice_id, keep=kept[0] if kept else "")

    await transact_alone(step)


async def confirm_gone(means: Means) -> int:
    """See that the old files are gone, and only then say of what they held that it is erased. Returns how many."""
    named = {(file.practice_id, file.name) for file in await transact(current_files)}
    gone = [
        g
        for g in await transact(files_to_go)
        if (g["practice_id"], g["old_name"]) in named or delete(means.store, g["practice_id"], g["old_name"])
    ]
    return sum([await _confirm(means, gone[n : n + AT_ONCE]) for n in range(0, len(gone), AT_ONCE)])


async def _confirm(means: Means, gone: Sequence[dict[str, Any]]) -> int:
    async def record(c: Connection) -> int:
        now = await means.now(c)
        touches: list[Touch] = [("extraction", practice) for practice in sorted({g["practice_id"] for g in gone})]
        summary = ", ".join(f"{g['old_sha256'][:16]} gone" for g in gone)
        entry = await enter(c, "store_erased", actor="system", at=now, touches=touches, summary=summary)
        await write_many(
            c,
            "UPDATE store_change SET gone_at = $1, gone_entry_id = $2 WHERE id = $3 AND gone_at IS NULL",
            [(now, entry, g["id"]) for g in gone],
        )
        confirmed = await rows(c, "SELECT count(*) AS n FROM store_change WHERE gone_entry_id = $1", entry)
        if not confirmed[0]["n"]:
            raise NothingToDo
        await write_many(
            c,
            "UPDATE store_retraction SET erased_at = $1 WHERE change_id = $2 AND erased_at IS NULL",
            [(now, g["id"]) for g in gone],
        )
        held = {(file.practice_id, file.sha256) for file in await current_files(c)}
        await write_many(
            c,
            "DELETE FROM stored_person WHERE practice_id = $1 AND file_sha256 = $2",
            [key for g in gone if (key := (g["practice_id"], g["old_sha256"])) not in held],
        )
        return int(confirmed[0]["n"])

    return await transact_or(record, nothing=0)
