"""Keys are bound at their first use, rotated where nothing breaks, and a study's is deleted for good.

The files are changed inside the step, after its entry: a step that fails can be taken again, and so can one that was
killed in between.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from portal.flow.means import Means
from portal.flow.provisional import note_binding
from portal.flow.register_rows import contact_binding
from portal.gate.unfinished import alone_with, left_over, remove
from portal.outside.keys import KEPT, KeyRing
from portal.outside.tokens import open_sealed, pseudonym, seal, sealed_by
from portal.records.database import Connection, NothingToDo, rows, transact, transact_or, write_many
from portal.records.governance import Study
from portal.records.key_bindings import bind, binding
from portal.records.ledger import enter
from portal.rules.refusals import Refused
from portal.rules.words import ReleaseState

AT_ONCE = 1000
"""So many contacts, or objections without a token, are sealed again in one transaction."""

SEALED = frozenset({"contact.sealed", "provisional_objection.sealed"})
"""Every column that the contacts' key has sealed: `reseal` writes them again."""


async def own_key(means: Means, c: Connection, family: str) -> bool:
    """Whether the key that is there is the family's own (G13): the one bound at its first use, and not deleted."""
    if not means.ring.exists(family):
        return False
    bound = await binding(c, family)
    if bound is not None:
        return bound["deleted_at"] is None and bool(bound["fingerprint"] == means.ring.fingerprint(family))
    return await _made_what_is_there(means.ring, c, family)


async def _made_what_is_there(ring: KeyRing, c: Connection, family: str) -> bool:
    """Before a family is bound: what was released or stored under it, by an older version, was made with this key."""
    kind, _, name = family.partition(":")
    statement = {
        "study": "SELECT m.person_id, m.pseudonym FROM release_person m JOIN release r ON r.id = m.release_id "
        "WHERE r.study_id = $1 AND r.state <> 'withdrawn' LIMIT 1",
        "observatory": "SELECT s.person_id, s.pseudonym FROM stored_person s JOIN extraction e "
        "ON e.practice_id = s.practice_id AND e.file_sha256 = s.file_sha256 JOIN permit m ON m.id = e.permit_id "
        "WHERE m.observatory_id = $1 AND s.person_id IS NOT NULL LIMIT 1",
    }[kind]
    found = await rows(c, statement, name)
    return all(pseudonym(ring, family, _bytes(row["person_id"])).hex() == row["pseudonym"] for row in found)


async def refuse_foreign_key(means: Means, c: Connection, family: str) -> None:
    """G13 before any file is opened: what was made under a key that is gone cannot be told from what was altered."""
    if not await own_key(means, c, family):
        raise Refused("G13", "the pseudonym key is not the one that was bound", where=family)


async def bind_key(means: Means, c: Connection, family: str, *, at: datetime, entry: int) -> None:
    """Called by the step that uses the key, after its entry: from its first use on it is the family's one key."""
    if not await bind(c, family, means.ring.fingerprint(family), at=at, entry=entry):
        raise Refused("G13", "the pseudonym key is not the one that was bound", where=family)


# --- rotating ------------------------------------------------------------------------------------------------------


async def rotate(means: Means, family: str, *, actor: str) -> None:
    """Put a new key in the place of the family's. Refused where what the old one made would lose its meaning."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        old = means.ring.fingerprint(family)
        summary = f"{family}, in place of {old}"
        await enter(c, "key_rotated", actor=actor, at=now, touches=[("key", family)], summary=summary)
        if family in KEPT:
            raise Refused("key_kept", "what this key made cannot be made again: it is not rotated", where=family)
        if family.startswith(("study:", "observatory:")):
            await _refuse_in_use(c, family)
            await rows(c, "DELETE FROM key_binding WHERE family = $1", family)
        means.ring.rotate(family)

    await transact(step)


async def _refuse_in_use(c: Connection, family: str) -> None:
    """A pseudonym that somebody has been given must stay the same: his data could not be linked, nor taken back."""
    kind, _, name = family.partition(":")
    bound = await binding(c, family)
    if bound is not None and bound["deleted_at"] is not None:
        raise Refused("G13", "the key of this study was deleted for good", where=family)
    column = "r.study_id" if kind == "study" else "s.observatory_id"
    used = await rows(
        c,
        f"SELECT 1 AS one FROM release r JOIN study s ON s.id = r.study_id WHERE {column} = $1 "
        "AND r.state <> 'withdrawn' LIMIT 1",
        name,
    )
    stored = await rows(
        c,
        "SELECT 1 AS one FROM extraction e JOIN permit m ON m.id = e.permit_id WHERE m.observatory_id = $1 LIMIT 1",
        name,
    )
    if used or stored:
        what = "releases or a store exist under its pseudonyms: it is not rotated"
        raise Refused("key_in_use", what, where=family)


async def reseal(means: Means, *, after: int = 0, at_once: int = AT_ONCE) -> tuple[int, int]:
    """Seal the next contacts, `at_once` from row `after` on, with the current key; after the last, the objections
    without a token. Returns (last contact, how many); (0, 0) at the end. Each call is whole: interrupted, it goes on
    where it was."""

    async def step(c: Connection) -> tuple[int, int]:
        now = await means.now(c)
        entry_of = [("key", "contacts")]
        await enter(c, "contacts_resealed", actor="system", at=now, touches=entry_of, summary=f"after row {after}")
        found = await rows(
            c,
            "SELECT k.id, k.sealed, k.addressee, k.rank, p.practice_id, p.number FROM contact k "
            "JOIN patient p ON p.id = k.patient_id WHERE k.id > $1 AND substr(k.sealed, 1, 9) <> $2 "
            "ORDER BY k.id LIMIT $3",
            after, _current(means), at_once,
        )  # fmt: skip
        bound = [(r, contact_binding(r["practice_id"], r["number"], r["addressee"], r["rank"])) for r in found]
        await _put(c, _again(means, bound))
        said = [] if found else await _reseal_objections(means, c)
        if not found and not said:
            raise NothingToDo
        return (int(found[-1]["id"]) if found else after), len(found) + len(said)

    return await transact_or(step, nothing=(0, 0))


def _again(means: Means, bound: Sequence[tuple[Any, str]]) -> list[tuple[bytes, Any, bytes]]:
    """(sealed with the current key, row, as it was read) of each row, beside what its value is bound to."""
    return [
        (seal(means.ring, open_sealed(means.ring, bytes(row["sealed"]), to), to), row["id"], bytes(row["sealed"]))
        for row, to in bound
    ]


async def _put(c: Connection, again: list[tuple[bytes, int, bytes]]) -> None:
    """(sealed again, row, as it was read): a contact that was changed meanwhile keeps the change."""
    await write_many(c, "UPDATE contact SET sealed = $1 WHERE id = $2 AND sealed = $3", again)


async def _reseal_objections(means: Means, c: Connection) -> list[Any]:
    """The next notes of objections without a token that a former key has sealed: they never change otherwise."""
    found = await rows(
        c,
        "SELECT id, sealed FROM provisional_objection WHERE substr(sealed, 1, 9) <> $1 ORDER BY id LIMIT $2",
        _current(means), AT_ONCE,
    )  # fmt: skip
    again = _again(means, [(row, note_binding(row["id"])) for row in found])
    await write_many(c, "UPDATE provisional_objection SET sealed = $1 WHERE id = $2 AND sealed = $3", again)
    return found


async def sealed_with_former(means: Means) -> int:
    """How many contacts and objections without a token are still sealed with a former key."""
    return await transact(lambda c: _sealed_with_former(means, c))


async def _sealed_with_former(means: Means, c: Connection) -> int:
    counts = " UNION ALL ".join(
        f"SELECT count(*) AS n FROM {table} WHERE substr({column}, 1, 9) <> $1"
        for table, column in sorted(name.split(".") for name in SEALED)
    )
    return sum(int(row["n"]) for row in await rows(c, counts, _current(means)))


async def forget(means: Means, family: str, *, actor: str) -> int:
    """Delete the former keys of the contacts, once nothing at all is sealed with them; returns how many keys. Let a day
    pass: a register that is being read in may still be sealed with the former one."""

    async def step(c: Connection) -> int:
        now = await means.now(c)
        await enter(c, "key_forgotten", actor=actor, at=now, touches=[("key", family)], summary=family)
        if await _sealed_with_former(means, c):
            raise Refused(
                "key_in_use", "contacts or objections are still sealed with a former key: rotate goes on", where=family
            )
        return means.ring.forget(family)

    if family != "contacts":
        raise Refused("key_in_use", "only former keys of the contacts can be known to open nothing", where=family)
    return await transact(step)


def _current(means: Means) -> bytes:
    return sealed_by(means.ring.bytes_of("contacts"))


# --- deleting ------------------------------------------------------------------------------------------------------


async def delete_study_key(means: Means, study_id: str, *, actor: str) -> None:
    """Unlink a study for good: its key, every pseudonym that the portal keeps beside a person, and the files that it
    keeps of the study's releases, are deleted.

    Afterwards nothing of it is prepared, sealed, served or taken back (G13); another key of its name is not its own.
    Refused while its recipient has something to delete. Killed after the commit: the same call deletes the file.
    """
    family = f"study:{study_id}"

    async def step(c: Connection) -> None:
        now = await means.now(c)
        entry = await enter(c, "study_key_deleted", actor=actor, at=now, touches=[("study", study_id)], summary=family)
        await _refuse_open_retractions(c, study_id)
        bound = await binding(c, family)
        if bound is not None and bound["deleted_at"] is not None:
            raise NothingToDo
        fingerprint = means.ring.fingerprint(family) if bound is None else bound["fingerprint"]
        await bind(c, family, fingerprint, at=now, entry=entry)
        await rows(c, "UPDATE key_binding SET deleted_at = $1, entry_id = $2 WHERE family = $3", now, entry, family)
        of_the_study = "release_id IN (SELECT id FROM release WHERE study_id = $1)"
        await rows(c, f"UPDATE release_person SET pseudonym = '' WHERE {of_the_study}", study_id)
        await rows(c, f"UPDATE retraction SET pseudonym = '' WHERE {of_the_study}", study_id)
        await rows(
            c,
            "UPDATE release SET state = $1, entry_id = $2 WHERE study_id = $3 AND state IN ('prepared', 'approved')",
            ReleaseState.WITHDRAWN, entry, study_id,
        )  # fmt: skip

    if not await Study.exists(id=study_id):
        raise Refused("unknown_study", "there is no such study", where=study_id, status=404)
    await transact_or(step, nothing=None)
    means.ring.delete(family)
    for release in await transact(lambda c: rows(c, "SELECT id FROM release WHERE study_id = $1", study_id)):
        name = str(release["id"])
        async with alone_with(means.lock(name)):
            files = [means.drafts / name, means.releases / name, *left_over(means.work, name)]
            await asyncio.to_thread(remove, files)


async def _refuse_open_retractions(c: Connection, study_id: str) -> None:
    found = await rows(
        c,
        "SELECT 1 AS one FROM retraction x JOIN release r ON r.id = x.release_id WHERE r.study_id = $1 "
        "AND x.acknowledged_at IS NULL LIMIT 1",
        study_id,
    )
    if found:
        raise Refused("retractions_open", "its recipient has rows to delete: the pseudonyms are needed", where=study_id)


def _bytes(person_id: object) -> bytes:
    return bytes.fromhex(str(person_id).replace("-", ""))
