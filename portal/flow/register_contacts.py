"""The contacts of a register as they are kept: the patient's, her representative's, further holders of authority."""

from collections.abc import Iterable
from typing import Any

from portal.flow.register_rows import Prepared, SealedContact
from portal.records.database import Connection, write_many

_PUT_CONTACT = (
    "INSERT INTO contact (patient_id, rank, addressee, sealed, email_index, reader_index, unreachable_reason, "
    "import_batch_id) SELECT id, $1, $2, $3, $4, $5, $6, $7 FROM patient WHERE practice_id = $8 AND number = $9 "
    "ON CONFLICT (patient_id, rank) DO UPDATE SET addressee = excluded.addressee, sealed = excluded.sealed, "
    "email_index = excluded.email_index, reader_index = excluded.reader_index, unreachable_reason = {reason}, "
    "import_batch_id = excluded.import_batch_id"
)
_OF_PATIENT = "patient_id = (SELECT id FROM patient WHERE practice_id = $1 AND number = $2)"


async def write_contacts(c: Connection, changed: Iterable[Prepared], practice_id: str, batch: int) -> None:
    """The register's own contacts; why its representative cannot be reached stays, while she is the same."""
    changed = list(changed)
    alone = [(practice_id, ready.row.patient_id) for ready in changed if len(ready.contacts) == 1]
    await write_many(c, f"DELETE FROM contact WHERE rank = 1 AND {_OF_PATIENT}", alone)
    same = "CASE WHEN contact.reader_index = excluded.reader_index THEN contact.unreachable_reason END"
    lines = [_line(contact, ready, practice_id, batch) for ready in changed for contact in ready.contacts]
    await write_many(c, _PUT_CONTACT.format(reason=same), lines)


async def write_holders(c: Connection, prepared: list[Prepared], practice_id: str, batch: int) -> None:
    """The second file's holders in place of those known of these patients."""
    numbers = [(practice_id, ready.row.patient_id) for ready in prepared]
    await write_many(c, f"DELETE FROM contact WHERE rank > 1 AND {_OF_PATIENT}", numbers)
    await write_many(c, f"UPDATE contact SET unreachable_reason = NULL WHERE rank = 1 AND {_OF_PATIENT}", numbers)
    lines = [_line(contact, ready, practice_id, batch) for ready in prepared for contact in ready.further]
    await write_many(c, _PUT_CONTACT.format(reason="excluded.unreachable_reason"), [x for x in lines if x[0] > 1])
    reasons = [(practice_id, ready.row.patient_id, h.unreachable_reason) for ready in prepared for h in ready.further
               if h.rank == 1]  # fmt: skip
    await write_many(c, f"UPDATE contact SET unreachable_reason = $3 WHERE rank = 1 AND {_OF_PATIENT}", reasons)


def _line(contact: SealedContact, ready: Prepared, practice_id: str, batch: int) -> tuple[Any, ...]:
    return (
        contact.rank, str(contact.addressee), contact.sealed, contact.email_index, contact.reader_index,
        contact.unreachable_reason, batch, practice_id, ready.row.patient_id,
    )  # fmt: skip
