"""A practice's second file: further holders of parental authority, or why one cannot be told. Refused whole."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

from portal.gate.register import flat_rows
from portal.gate.register_faults import Faults
from portal.gate.register_row import COLUMNS, BadValue, Column, RegisterRow, read_values
from portal.rules.words import Addressee, Unreachable

MOST = 9  # holders of one patient


@dataclass(frozen=True, slots=True, repr=False)
class Holder:
    """Who else may decide for a patient, in the order of the practice's file."""

    patient_id: str
    rank: int
    kind: Addressee
    name: str
    email: str
    address: str
    unreachable_reason: Unreachable | None = None

    @classmethod
    def first_of(cls, row: RegisterRow) -> Self:
        """The register's own representative, who has rank 1. The row must name one."""
        if row.representative_kind is None:
            raise ValueError("the row names no representative")
        return cls(
            row.patient_id, 1, row.representative_kind, row.representative_name, row.representative_email,
            row.representative_address,
        )  # fmt: skip

    def __repr__(self) -> str:
        return "<Holder of a patient_id>"


def _rank(text: str, today: date) -> int:
    if not (text.isdecimal() and text.isascii() and 1 <= int(text[:3]) <= MOST):
        raise BadValue("bad_rank")
    return int(text)


def _reason(text: str, today: date) -> Unreachable | None:
    if text and text.lower() not in set(Unreachable):
        raise BadValue("bad_unreachable_reason")
    return Unreachable(text.lower()) if text else None


def _required(column: Column) -> Column:
    return Column(column.longest, column.read, column.lines, column_required=True, value_required=True)


HOLDER_COLUMNS: dict[str, Column] = {
    "patient_id": COLUMNS["patient_id"],
    "rank": Column(3, _rank, column_required=True, value_required=True),
    "representative_name": _required(COLUMNS["representative_name"]),
    "representative_email": COLUMNS["representative_email"],
    "representative_address": COLUMNS["representative_address"],
    "representative_kind": _required(COLUMNS["representative_kind"]),
    "unreachable_reason": Column(40, _reason),
}


def read_holders(path: Path, rows: Iterable[RegisterRow], *, today: date) -> dict[str, list[Holder]]:
    """The further holders by patient, in the order of their ranks, or RefusedFile with each place and reason.

    A line of rank 1 repeats the register's own representative, to say why that one cannot be told.
    """
    faults = Faults()
    register = {row.patient_id: row for row in rows}
    found: dict[str, dict[int, Holder]] = {}
    for place, raw in flat_rows(path, HOLDER_COLUMNS, faults):
        values, wrong = read_values(HOLDER_COLUMNS, raw, today)
        if not wrong:
            holder = Holder(
                values["patient_id"], values["rank"], values["representative_kind"], values["representative_name"],
                values["representative_email"], values["representative_address"], values["unreachable_reason"],
            )  # fmt: skip
            theirs = found.setdefault(holder.patient_id, {})
            wrong = _beside(holder, register.get(holder.patient_id), theirs)
            theirs.setdefault(holder.rank, holder)
        for code, name in wrong:
            faults.add(code, f"{place}, column {name}")
    faults.refuse_if_any()
    return {number: [theirs[rank] for rank in sorted(theirs)] for number, theirs in found.items()}


def _beside(holder: Holder, row: RegisterRow | None, theirs: dict[int, Holder]) -> list[tuple[str, str]]:
    """(code, column) of what is wrong beside the register and the rows above."""
    if row is None:
        return [("unknown_patient", "patient_id")]
    first = [] if row.representative_kind is None else [Holder.first_of(row)]
    if holder.rank == 1:
        same = any(_who(holder) == _who(one) for one in first)
        return ([] if same else [("rank_one_differs", "rank")]) + ([("duplicate_rank", "rank")] if 1 in theirs else [])
    if holder.rank in theirs:
        return [("duplicate_rank", "rank")]
    others = [*first, *(one for rank, one in theirs.items() if rank > 1)]
    return [("same_holder_twice", "representative_name")] if _who(holder) in map(_who, others) else []


def _who(holder: Holder) -> tuple[Addressee, str]:
    return holder.kind, " ".join(holder.name.casefold().split())
