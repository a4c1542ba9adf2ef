"""Who of those in the observatory's store may not be there any more."""

from uuid import UUID

from portal.records.clearance import Thresholds, decided
from portal.records.database import Connection, rows
from portal.records.objections import BOUND
from portal.records.rights_requests import CHANGED_BY_RIGHT
from portal.records.standing import LAST_SETTLED, PARTED
from portal.records.stored import CURRENT, Leaving
from portal.rules.clearance import ORDER
from portal.rules.words import StorePart

_PRESENT = (
    "SELECT f.extraction_id, f.practice_id, f.observatory_id, f.cut, s.person_id, s.pseudonym "
    f"FROM ({CURRENT}) f JOIN stored_person s ON s.practice_id = f.practice_id AND s.file_sha256 = f.file_sha256"
)

_TAKEN_BACK = (
    f"SELECT b.person_id, o.scope, o.scope_ref, o.withdrawal_id FROM ({BOUND}) b "
    "JOIN objection o ON o.id = b.objection_id WHERE o.withdrawal_id IS NOT NULL"
)

_PARTED = (
    f"SELECT s.extraction_id, s.practice_id, s.person_id, s.pseudonym FROM ({_PRESENT}) s JOIN ({PARTED}) x "
    "ON x.ref = CAST(s.person_id AS text) AND x.practice_id = s.practice_id AND x.entry_id > s.cut"
)
"""Rows came under one pseudonym of who were two, as is known since."""


async def persons_closed(c: Connection, thresholds: Thresholds, *, rests: frozenset[str]) -> list[Leaving]:
    """Whoever is in the observatory's files and has against her more than `rests`, or is nobody's patient there, or
    after the permit by which her rows came took an objection back, which counts for later records only, was granted an
    erasure or a rectification (G46), or was parted from somebody whose rows came under her pseudonym."""
    against = (1 << len(ORDER)) - 1 - sum(1 << ORDER[code] for code in rests)
    closed = await decided(
        c,
        thresholds,
        f"SELECT s.extraction_id, s.practice_id, s.pseudonym FROM ({_PRESENT}) s LEFT JOIN (SELECT DISTINCT person_id, "
        f"practice_id FROM decided WHERE bits >= 0 AND (bits & {against}) = 0) stands ON "
        "stands.person_id = s.person_id AND stands.practice_id = s.practice_id "
        "WHERE s.observatory_id = $1 AND stands.person_id IS NULL",
    )
    lifted = await rows(
        c,
        f"SELECT s.extraction_id, s.practice_id, s.pseudonym FROM ({_PRESENT}) s JOIN ({_TAKEN_BACK}) b "
        f"ON b.person_id = s.person_id LEFT JOIN ({LAST_SETTLED}) x ON x.ref = CAST(s.person_id AS text) "
        "WHERE s.observatory_id = $1 AND (b.withdrawal_id > s.cut OR x.entry > s.cut) AND "
        "(b.scope = 'everything' OR (b.scope = 'observatory' AND b.scope_ref = $1) "
        "OR (b.scope = 'practice' AND b.scope_ref = s.practice_id))",
        thresholds.observatory_id,
    )
    changed = await rows(
        c,
        f"SELECT s.extraction_id, s.practice_id, s.pseudonym FROM ({_PRESENT}) s JOIN ({CHANGED_BY_RIGHT}) g "
        "ON g.person_id = s.person_id WHERE s.observatory_id = $1 AND s.cut < g.entry",
        thresholds.observatory_id,
    )
    parted = await rows(c, f"{_PARTED} WHERE s.observatory_id = $1", thresholds.observatory_id)
    found = {(int(r["extraction_id"]), r["practice_id"], r["pseudonym"]) for r in [*closed, *lifted, *changed, *parted]}
    return [Leaving(extraction, practice, StorePart.PERSON, name) for extraction, practice, name in sorted(found)]


async def parted_since_stored(c: Connection) -> set[tuple[UUID, str]]:
    """(person, practice): of these the store holds rows that are partly somebody else's, until the practice extracts
    again."""
    return {(UUID(str(row["person_id"])), row["practice_id"]) for row in await rows(c, _PARTED)}
