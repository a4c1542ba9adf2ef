"""The contacts of a register, written: the patient's, her representative's, and further holders of authority."""

from collections.abc import Sequence
from typing import Any

from portal.records.database import Connection, write_many

Line = tuple[int, str, bytes, str | None, str | None, str | None, str | None, int, str, str]
"""rank, addressee, sealed, email_index, postal_index, reader_index, unreachable_reason, import, practice, number"""

_PUT = (
    "INSERT INTO contact (patient_id, rank, addressee, sealed, email_index, postal_index, reader_index, "
    "unreachable_reason, import_batch_id) "
    "SELECT id, $1, $2, $3, $4, $5, $6, $7, $8 FROM patient WHERE practice_id = $9 AND number = $10 "
    "ON CONFLICT (patient_id, rank) DO UPDATE SET addressee = excluded.addressee, sealed = excluded.sealed, "
    "email_index = excluded.email_index, postal_index = excluded.postal_index, reader_index = excluded.reader_index, "
    "unreachable_reason = {reason}, "
    "import_batch_id = excluded.import_batch_id"
)
_OF_PATIENT = "patient_id = (SELECT id FROM patient WHERE practice_id = $1 AND number = $2)"


async def put_contacts(c: Connection, practice_id: str, numbers: Sequence[str], lines: Sequence[Line]) -> None:
    """The register's own contacts of these patients; a representative who is gone goes. Why one cannot be reached
    stays, while she is the same."""
    named = {line[-1] for line in lines if line[0] == 1}
    alone: list[tuple[Any, ...]] = [(practice_id, number) for number in numbers if number not in named]
    await write_many(c, f"DELETE FROM contact WHERE rank = 1 AND {_OF_PATIENT}", alone)
    same = "CASE WHEN contact.reader_index = excluded.reader_index THEN contact.unreachable_reason END"
    await write_many(c, _PUT.format(reason=same), lines)


async def put_holders(c: Connection, practice_id: str, numbers: Sequence[str], lines: Sequence[Line]) -> None:
    """The second file's holders in place of those known of these patients. A line of rank 1 gives a reason only."""
    patients = [(practice_id, number) for number in numbers]
    await write_many(c, f"DELETE FROM contact WHERE rank > 1 AND {_OF_PATIENT}", patients)
    await write_many(c, f"UPDATE contact SET unreachable_reason = NULL WHERE rank = 1 AND {_OF_PATIENT}", patients)
    further = [line for line in lines if line[0] > 1]
    await write_many(c, _PUT.format(reason="excluded.unreachable_reason"), further)
    reasons = [(practice_id, line[-1], line[6]) for line in lines if line[0] == 1]
    await write_many(c, f"UPDATE contact SET unreachable_reason = $3 WHERE rank = 1 AND {_OF_PATIENT}", reasons)
