"""Who is in the observatory's store, what must leave it and by when, and which file took the place of which."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model

from portal.records.database import Connection, as_moment, from_json, json_texts, rows, write_many
from portal.records.fields import one_of, together, word
from portal.records.ledger import LogEntry
from portal.records.people import Person, Practice
from portal.records.releases import Extraction
from portal.rules.words import StorePart

CURRENT = (
    "SELECT e.id AS extraction_id, e.practice_id, e.file_name, e.file_sha256, e.rows, e.received_at, "
    "m.observatory_id, m.cut FROM extraction e JOIN permit m ON m.id = e.permit_id WHERE e.file_name <> '' "
    "AND e.id IN (SELECT max(id) FROM extraction GROUP BY practice_id)"
)
"""The files of which the store consists: the newest extraction of each practice, unless nothing of it is left."""


class StoredPerson(Model):
    """Somebody in a file of the store, so that no file is opened to find her. The rows are written before their
    file counts; they count when `CURRENT` names it. `person_id` null: nobody known bears the pseudonym."""

    id = fields.BigIntField(primary_key=True, generated=True)
    practice_id: str
    practice: fields.ForeignKeyRelation[Practice] = fields.ForeignKeyField("portal.Practice", on_delete=fields.RESTRICT)
    file_sha256 = fields.CharField(max_length=64)
    person_id: UUID | None
    person: fields.ForeignKeyNullableRelation[Person] = fields.ForeignKeyField(
        "portal.Person", on_delete=fields.RESTRICT, null=True
    )
    pseudonym = fields.CharField(max_length=32)
    holds_until = fields.DatetimeField(null=True)

    class Meta:
        table = "stored_person"
        unique_together = (("practice", "file_sha256", "pseudonym"),)
        indexes = (Index(fields=("person_id",), name="stored_person_person"),)


class StoreChange(Model):
    """A file of the store that another one, or none (`new_name` empty), has taken the place of: the proof that rows
    have left. `gone_at`: since when the old file is not there any more."""

    id = fields.BigIntField(primary_key=True, generated=True)
    extraction_id: int
    extraction: fields.ForeignKeyRelation[Extraction] = fields.ForeignKeyField(
        "portal.Extraction", on_delete=fields.RESTRICT
    )
    old_name = fields.CharField(max_length=120)
    old_sha256 = fields.CharField(max_length=64)
    new_name = fields.CharField(max_length=120)
    new_sha256 = fields.CharField(max_length=64)
    rows_removed = fields.BigIntField()
    made_at = fields.DatetimeField()
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", related_name="store_changes", on_delete=fields.RESTRICT
    )
    gone_at = fields.DatetimeField(null=True)
    gone_entry_id: int | None
    gone_entry: fields.ForeignKeyNullableRelation[LogEntry] = fields.ForeignKeyField(
        "portal.LogEntry", related_name="store_files_gone", on_delete=fields.RESTRICT, null=True
    )

    class Meta:
        table = "store_change"
        indexes = (
            Index(fields=("extraction_id",), name="store_change_extraction"),
            Index(fields=("entry_id",), name="store_change_entry"),
            Index(fields=("gone_entry_id",), name="store_change_gone_entry"),
        )
        constraints = (together("gone_at", "gone_entry_id", name="store_change_gone"),)


class StoreRetraction(Model):
    """What must leave the store: a person, a doctor's records, or a whole file (`ref` empty). No column says why.
    Erased from `erase_on` on, by `due_on`; `erased_at`: since when no file holds it."""

    id = fields.BigIntField(primary_key=True, generated=True)
    extraction_id: int
    extraction: fields.ForeignKeyRelation[Extraction] = fields.ForeignKeyField(
        "portal.Extraction", on_delete=fields.RESTRICT
    )
    part = word(StorePart)
    ref = fields.CharField(max_length=32)
    erase_on = fields.DateField()
    due_on = fields.DateField()
    made_at = fields.DatetimeField()
    entry_id: int
    entry: fields.ForeignKeyRelation[LogEntry] = fields.ForeignKeyField("portal.LogEntry", on_delete=fields.RESTRICT)
    change_id: int | None
    change: fields.ForeignKeyNullableRelation[StoreChange] = fields.ForeignKeyField(
        "portal.StoreChange", on_delete=fields.RESTRICT, null=True
    )
    alarmed_at = fields.DatetimeField(null=True)
    erased_at = fields.DatetimeField(null=True)

    class Meta:
        table = "store_retraction"
        unique_together = (("extraction", "part", "ref"),)
        indexes = (
            Index(fields=("entry_id",), name="store_retraction_entry"),
            Index(fields=("change_id",), name="store_retraction_change"),
            Index(fields=("erased_at", "due_on"), name="store_retraction_open"),
        )
        constraints = (one_of("part", StorePart, name="store_retraction_part"),)


@dataclass(frozen=True, slots=True)
class File:
    """A file of the store, as the newest committed entry about its practice names it."""

    extraction_id: int
    practice_id: str
    observatory_id: str
    name: str
    sha256: str
    rows: int
    received_at: datetime | None
    doctors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Leaving:
    """What must leave a file, and whether at once or when its day has come."""

    extraction_id: int
    practice_id: str
    part: StorePart
    ref: str
    at_once: bool = True


async def current_files(c: Connection) -> list[File]:
    """Every file of the store, with the accounts of the doctors whose records it may hold."""
    found = await rows(
        c,
        f"SELECT f.*, m.doctors FROM ({CURRENT}) f JOIN extraction e ON e.id = f.extraction_id "
        "JOIN permit m ON m.id = e.permit_id ORDER BY f.practice_id",
    )
    return [
        File(
            int(r["extraction_id"]), r["practice_id"], r["observatory_id"], r["file_name"], r["file_sha256"],
            int(r["rows"]), as_moment(r["received_at"]), tuple(from_json(r["doctors"])),
        )
        for r in found
    ]  # fmt: skip


async def write_present(
    c: Connection, practice_id: str, sha256: str, persons: Sequence[tuple[UUID | None, str, datetime | None]]
) -> None:
    """(person, pseudonym, holds until) of everybody in a file, also one that does not count yet; twice is once."""
    await write_many(
        c,
        "INSERT INTO stored_person (practice_id, file_sha256, person_id, pseudonym, holds_until) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (practice_id, file_sha256, pseudonym) "
        "DO UPDATE SET person_id = excluded.person_id, holds_until = excluded.holds_until",
        [(practice_id, sha256, *one) for one in persons],
    )


async def carry_over(c: Connection, practice_id: str, old: str, new: str, names: str) -> None:
    """Those of the old file whose pseudonym is in the JSON list `names` are in the new one."""
    await rows(
        c,
        "INSERT INTO stored_person (practice_id, file_sha256, person_id, pseudonym, holds_until) "
        "SELECT practice_id, $3, person_id, pseudonym, holds_until FROM stored_person "
        f"WHERE practice_id = $1 AND file_sha256 = $2 AND pseudonym IN ({json_texts(c, 4)}) "
        "ON CONFLICT (practice_id, file_sha256, pseudonym) DO NOTHING",
        practice_id, old, new, names,
    )  # fmt: skip


async def present(c: Connection, practice_id: str, sha256: str) -> int:
    """How many persons are known to be in this file."""
    found = await rows(
        c, "SELECT count(*) AS n FROM stored_person WHERE practice_id = $1 AND file_sha256 = $2", practice_id, sha256
    )
    return int(found[0]["n"])


async def without_persons(c: Connection) -> set[int]:
    """The extractions of files that hold rows and of which nobody knows whose: taken in by an older version."""
    found = await rows(
        c,
        f"SELECT f.extraction_id FROM ({CURRENT}) f WHERE f.rows > 0 AND NOT EXISTS (SELECT 1 FROM stored_person s "
        "WHERE s.practice_id = f.practice_id AND s.file_sha256 = f.file_sha256)",
    )
    return {int(row["extraction_id"]) for row in found}


async def retracted(c: Connection) -> set[tuple[int, str, str]]:
    """(extraction, part, ref) of what has been asked to leave a file that counts."""
    found = await rows(
        c,
        "SELECT x.extraction_id, x.part, x.ref FROM store_retraction x "
        f"WHERE x.extraction_id IN (SELECT extraction_id FROM ({CURRENT}) f)",
    )
    return {(int(r["extraction_id"]), r["part"], r["ref"]) for r in found}


async def due_to_leave(c: Connection, today: date) -> dict[int, list[Leaving]]:
    """What is to be erased now, by extraction."""
    due: dict[int, list[Leaving]] = {}
    for r in await rows(
        c,
        "SELECT x.extraction_id, e.practice_id, x.part, x.ref FROM store_retraction x JOIN extraction e "
        "ON e.id = x.extraction_id WHERE x.change_id IS NULL AND x.erase_on <= $1 ORDER BY x.extraction_id, x.id",
        today,
    ):
        one = Leaving(int(r["extraction_id"]), r["practice_id"], StorePart(r["part"]), r["ref"])
        due.setdefault(one.extraction_id, []).append(one)
    return due


async def files_to_go(c: Connection) -> list[dict[str, Any]]:
    """The changes whose old file has not been seen gone: id, practice_id, old_name, old_sha256."""
    return await rows(
        c,
        "SELECT x.id, e.practice_id, x.old_name, x.old_sha256 FROM store_change x "
        "JOIN extraction e ON e.id = x.extraction_id WHERE x.gone_at IS NULL ORDER BY x.id",
    )


async def change_file(c: Connection, file: File, new: tuple[str, str, int], *, at: datetime, entry: int) -> int:
    """Note that `new` (name, SHA-256, rows; empty when nothing is left) counts in the place of `file`."""
    name, sha256, left = new
    made = await rows(
        c,
        "INSERT INTO store_change (extraction_id, old_name, old_sha256, new_name, new_sha256, rows_removed, made_at, "
        "entry_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id",
        file.extraction_id, file.name, file.sha256, name, sha256, max(0, file.rows - left), at, entry,
    )  # fmt: skip
    return int(made[0]["id"])


async def replace_file(c: Connection, practice_id: str, new: tuple[str, str, int], *, at: datetime, entry: int) -> None:
    """A new extraction takes the place of the practice's file: whatever had to leave that one leaves with it. Called
    by the step that takes it in, after its entry and before its row."""
    for file in [f for f in await current_files(c) if f.practice_id == practice_id]:
        change = await change_file(c, file, new, at=at, entry=entry)
        statement = "UPDATE store_retraction SET change_id = $1 WHERE extraction_id = $2 AND change_id IS NULL"
        await rows(c, statement, change, file.extraction_id)
