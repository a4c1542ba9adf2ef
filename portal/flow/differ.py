"""G62: what else a recipient, or everybody, can lay beside a release. Read when it is written, asked again when sealed.

docs/decisions/0012-differencing.md says what is compared with what. Reads only.
"""

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from portal.flow.means import Means
from portal.flow.retract import missing
from portal.gate.aggregates import Question, published
from portal.records.database import Connection, from_json, rows, transact
from portal.records.governance import Study


@dataclass(frozen=True, slots=True)
class Beside:
    """persons: of each other release that the recipient has or may have. tables: every public one."""

    persons: list[frozenset[UUID]]
    tables: list[dict[Question, int]]


async def beside(means: Means, study: Study) -> Beside:
    """What a release of this study can be laid beside now."""
    return Beside(await _persons(means, study), await _tables(study))


async def _persons(means: Means, study: Study) -> list[frozenset[UUID]]:
    """The persons of each sealed release of the recipient's other studies, without those who are taken back: whom a
    retraction names is known to the recipient as gone, for no reason."""

    async def read(c: Connection) -> list[tuple[str, str, str, str]]:
        found = await rows(
            c,
            "SELECT r.study_id, m.release_id, m.person_id, m.practice_id FROM release_person m "
            "JOIN release r ON r.id = m.release_id JOIN study s ON s.id = r.study_id "
            "WHERE r.state = 'sealed' AND s.recipient_id = $1 AND s.id <> $2 AND (m.left_version IS NULL OR EXISTS "
            "(SELECT 1 FROM delivery d WHERE d.release_id = m.release_id AND d.version < m.left_version)) "
            "AND NOT EXISTS (SELECT 1 FROM retraction x WHERE x.release_id = m.release_id "
            "AND x.person_id = m.person_id AND x.practice_id = m.practice_id)",
            study.recipient_id,
            study.id,
        )
        return [(r["study_id"], r["release_id"], str(r["person_id"]), r["practice_id"]) for r in found]

    found = await transact(read)
    going = {
        (one.release_id, one.person_id, one.practice_id)
        for other in {study_id for study_id, *_ in found}
        for one in await missing(means, other)
    }
    lists: dict[str, set[UUID]] = defaultdict(set)
    for _, release_id, person_id, practice_id in found:
        if (release_id, person_id, practice_id) not in going:
            lists[release_id].add(UUID(person_id))
    return [frozenset(lists[release_id]) for release_id in sorted(lists)]


async def _tables(study: Study) -> list[dict[Question, int]]:
    """Every table of the observatory that is public: of all its studies, this one's earlier ones too."""

    async def read(c: Connection) -> list[dict[Question, int]]:
        found = await rows(
            c,
            "SELECT r.id, r.summary FROM release r JOIN study s ON s.id = r.study_id "
            "WHERE r.state = 'sealed' AND s.observatory_id = $1 ORDER BY r.id",
            study.observatory_id,
        )
        return [published(from_json(row["summary"]).get("aggregates", [])) for row in found]

    return await transact(read)


async def sealed_since(c: Connection, *, release_id: str, cut: int) -> bool:
    """True when another release of the observatory or the recipient was sealed after this one was written: it has to
    be written again, with that one beside it. Asked under the log's lock."""
    found = await rows(
        c,
        "SELECT 1 AS one FROM release r JOIN study s ON s.id = r.study_id WHERE r.state = 'sealed' AND r.id <> $1 "
        "AND r.entry_id > $2 AND EXISTS (SELECT 1 FROM study o JOIN release q ON q.study_id = o.id WHERE q.id = $1 "
        "AND (o.observatory_id = s.observatory_id OR o.recipient_id = s.recipient_id)) LIMIT 1",
        release_id,
        cut,
    )
    return bool(found)
