"""What the practices' own software hands over: a register from the data, and later one with what has changed."""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path

from portal.gate.register import read_register, write_register_csv
from portal.gate.register_row import RegisterRow
from portal.rules.people import addressee
from portal.rules.postal import window_lines
from portal.rules.refusals import RefusedFile
from portal.rules.words import Addressee


@dataclass(frozen=True)
class Register:
    """One practice's register on a day."""

    rows: tuple[RegisterRow, ...]
    day: date

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_register_csv(self.rows, path)

    def row(self, number: str) -> RegisterRow:
        return next(row for row in self.rows if row.patient_id == number)

    def adult(self, number: str) -> bool:
        """True for somebody who is written to herself (and is still on the list)."""
        return any(row.patient_id == number and to is Addressee.SELF for row, to, _ in self.addressed())

    def addressed(self) -> Iterator[tuple[RegisterRow, Addressee, str]]:
        """Everybody who can be written to by e-mail: the row, to whom, at which address."""
        for row in self.rows:
            to = addressee(row.birth_date, row.representative_kind, self.day)
            address = row.email if to is Addressee.SELF else row.representative_email
            if to is not None and address and row.deceased_on is None:
                yield row, to, address

    def by_post(self) -> Iterator[tuple[RegisterRow, Addressee, str]]:
        """Everybody who can be written to by letter only: the row, to whom, and where, as the register says it."""
        for row in self.rows:
            to = addressee(row.birth_date, row.representative_kind, self.day)
            own = to is Addressee.SELF
            name = f"{row.given_names} {row.family_name}" if own else row.representative_name
            parts = [row.address, row.postcode, row.city, row.country] if own else [row.representative_address]
            mail = row.email if own else row.representative_email
            if to is not None and not mail and window_lines(name, *parts) and row.deceased_on is None:
                yield row, to, "|".join(parts)

    def addresses(self, *, every: int) -> set[str]:
        """Every so-manyth address: those that will turn out not to exist."""
        return set(sorted({address for _, _, address in self.addressed()})[every // 2 :: every])


def first_register(folder: Path, practice_id: str, today: date) -> Register:
    """The practice's patients. A file with a bad row is refused whole: the practice takes it out and tries again."""
    packed = folder / "Patient.ndjson.gz"
    try:
        return Register(tuple(read_register(packed, practice_id=practice_id, today=today)), today)
    except RefusedFile as refused:
        bad = {int(found[1]) for problem in refused.problems if (found := re.match(r"line (\d+)", problem.where))}
    lines = gzip.decompress(packed.read_bytes()).splitlines(keepends=True)
    mended = folder.with_name(f"{folder.name}-mended.ndjson")
    mended.write_bytes(b"".join(line for number, line in enumerate(lines, 1) if number not in bad))
    try:
        return Register(tuple(read_register(mended, practice_id=practice_id, today=today)), today)
    finally:
        mended.unlink()


class Change(StrEnum):
    """What has happened at a practice between its two registers."""

    LEFT = "left"
    MOVED = "moved"
    CORRECTED = "corrected"
    ALONE = "alone"
    DIED = "died"


def second_register(register: Register, told: frozenset[str], today: date, change: Change) -> Register:
    """The register weeks later: two of those told have left, or have a new address, or a corrected birth date, or have
    died; or a child's parent is no longer named."""
    known = sorted(told)
    chosen = set(known[1:6:3])
    if change is Change.ALONE:
        chosen = {row.patient_id for row in register.rows if row.representative_kind is Addressee.PARENT} & told
        chosen = set(sorted(chosen)[:2])
    rows = [_changed(row, change, today) if row.patient_id in chosen else row for row in register.rows]
    return Register(tuple(row for row in rows if row is not None), today)


def _changed(row: RegisterRow, change: Change, today: date) -> RegisterRow | None:
    match change:
        case Change.LEFT:
            return None
        case Change.MOVED:
            return replace(row, email=_new(row.email), representative_email=_new(row.representative_email))
        case Change.CORRECTED:
            day = "11" if row.birth_date.endswith("12") else "12"
            return replace(row, birth_date=row.birth_date[:8] + day) if len(row.birth_date) == 10 else row
        case Change.DIED:
            return replace(row, deceased_on=today - timedelta(days=3))
        case Change.ALONE:
            return replace(
                row,
                representative_kind=None,
                representative_name="",
                representative_email="",
                representative_address="",
            )


def _new(address: str) -> str:
    return f"new.{address}" if address else ""
