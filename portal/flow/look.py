"""The look: has anybody in a list closed since its cut, by an entry or by time? Asked under the log's lock.

An entry names what it touches. Each touched person and all her possible matches are decided again; what an entry
does not name, it touches in full. Only removals apply.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from portal.flow.decide import Asked, refuse_withheld_batch, stand
from portal.flow.means import Means
from portal.records.clearance import decided
from portal.records.database import Connection, is_postgres, json_texts, rows
from portal.records.ledger import Touch, last_entry, touched_since
from portal.records.objections import bound_by
from portal.records.possible_matches import MAY_BE_ONE, MEANT, PUT_IN_DOUBT
from portal.records.standing import PARTED, SETTLED

CLOSES_NOBODY = frozenset(
    {"notice", "outbox", "returns", "permit", "extraction", "release", "account", "client", "contact", "key", "draft"}
    | {"canary", "invitation"}
)
"""Touches that can close nobody: answers noted, mail handed over, permits, releases, sign-ins of humans and programs,
keys, drafts, invitations, and the canary, who is nobody."""

_NARROW = CLOSES_NOBODY | {"person", "patient", "provisional", "doctor", "practice"}
"""Touches that concern the named persons or practices only. Every other kind is looked at in full."""


@dataclass(frozen=True, slots=True)
class Member:
    """A person at a practice in a list, and when she closes by time alone."""

    person_id: UUID
    practice_id: str
    holds_until: datetime | None


@dataclass(frozen=True, slots=True)
class Looked:
    """Who has closed, and the entry up to which that was seen."""

    closed: frozenset[Member]
    seen: int
    narrowed: bool = False
    """True when fewer doctors' records may pass than the list was made for (flow/basis.py)."""
    joined: bool = False
    """True when a release was sealed meanwhile beside which this one has to be looked at again (flow/differ.py)."""

    @property
    def stands(self) -> bool:
        """Nobody and nothing has closed: the list may cross as it is."""
        return not (self.closed or self.narrowed or self.joined)


async def look(means: Means, c: Connection, asked: Asked, *, cut: int, members: Iterable[Member]) -> Looked:
    """Refused when the batch itself has closed (the list goes back); otherwise the members that have.

    Call it inside `transact_alone`: the statements then see every entry that was committed, and none can follow.
    """
    members = frozenset(members)
    seen = await last_entry(c)
    decision = await stand(means, c, asked, cut=seen)
    refuse_withheld_batch(decision)
    by_time = {m for m in members if m.holds_until is not None and m.holds_until <= decision.ground.now}
    touches = await touched_since(c, cut)
    if any(kind not in _NARROW for kind, _ in touches):
        suspects, among, values = members, "", []
    else:
        persons, practices = await _touched(c, touches, cut)
        suspects = frozenset(m for m in members if str(m.person_id) in persons or m.practice_id in practices)
        person = "CAST(p.person_id AS text)" if is_postgres(c) else "p.person_id"
        among = (
            (f"WHERE {person} IN ({json_texts(c, 1)}) OR p.practice_id IN ({json_texts(c, 2)})")
            .replace("$1", "{v1}")
            .replace("$2", "{v2}")
        )
        values = [json.dumps(sorted(persons)), json.dumps(sorted(practices))]
    if not suspects:
        return Looked(frozenset(by_time), seen)
    passing = {
        (str(row["person_id"]), row["practice_id"])
        for row in await decided(
            c,
            decision.thresholds,
            "SELECT person_id, practice_id FROM decided WHERE bits = 0",
            among=among,
            values=values,
        )
    }
    wrong = await wrongly_listed_since(c, cut, asked)
    closed = {
        m
        for m in suspects
        if (str(m.person_id), m.practice_id) not in passing or is_among(wrong, m.person_id, m.practice_id)
    }
    return Looked(frozenset(closed | by_time), seen)


async def wrongly_listed_since(c: Connection, cut: int, asked: Asked) -> set[tuple[str, str]]:
    """Whom a list made at the cut must not hold any more, though no fact stands against her now. (person, practice):
    the practice when it is about what that one holds only, else "".

    Who took back an objection that covered this crossing: it counts for later records only. Also before the cut, when
    it was settled since who she is: it may not have been known to be hers. And who was parted at this practice: rows
    of both were taken for hers.
    """
    settled = await rows(c, f"SELECT DISTINCT ref FROM ({SETTLED}) x WHERE entry_id > $1", cut)
    lifted = (
        "SELECT id, person_id, patient_id, withdrawal_id, "
        "CASE WHEN scope = 'practice' THEN scope_ref ELSE '' END AS practice_id FROM objection "
        f"WHERE {'withdrawal_id IS NOT NULL' if settled else 'withdrawal_id > $1'} "
        "AND NOT (scope = 'observatory' AND scope_ref <> $2) AND NOT (scope = 'study' AND scope_ref <> $3)"
    )
    found = await rows(
        c,
        f"WITH lifted AS ({lifted}) SELECT b.person_id, o.practice_id "
        f"FROM lifted o JOIN ({bound_by('lifted')}) b ON b.objection_id = o.id "
        f"WHERE o.withdrawal_id > $1 OR CAST(b.person_id AS text) IN ({json_texts(c, 4)})",
        cut, asked.observatory_id, asked.study_id or "", json.dumps([row["ref"] for row in settled]),
    )  # fmt: skip
    parted = await rows(c, f"SELECT ref AS person_id, practice_id FROM ({PARTED}) x WHERE entry_id > $1", cut)
    return {(str(row["person_id"]), row["practice_id"]) for row in [*found, *parted]}


def is_among(listed: set[tuple[str, str]], person_id: UUID | str, practice_id: str) -> bool:
    """True when one of the `wrongly_listed_since` is she, for what this practice holds."""
    return not listed.isdisjoint({(str(person_id), ""), (str(person_id), practice_id)})


async def _touched(c: Connection, touches: set[Touch], cut: int) -> tuple[set[str], set[str]]:
    """The persons (with all their possible matches) and the practices that the touches name; and whom a register since
    the cut has put in doubt at another practice, whatever has become of the key that led to them."""
    refs: dict[str, list[str]] = {}
    for kind, ref in touches:
        if kind not in CLOSES_NOBODY:
            refs.setdefault(kind, []).append(ref)
    practices = set(refs.get("practice", []))
    if refs.get("doctor"):
        account = "CAST(account_id AS text)"
        found = await rows(
            c,
            f"SELECT DISTINCT practice_id FROM enrolment WHERE {account} IN ({json_texts(c, 1)})",
            json.dumps(refs["doctor"]),
        )
        practices |= {row["practice_id"] for row in found}
    doubted = await rows(c, f"SELECT x.person_id FROM ({PUT_IN_DOUBT}) x WHERE x.entry_id > $1", cut)
    persons = set(refs.get("person", [])) | await _patients_of(c, practices)
    persons |= {str(row["person_id"]) for row in doubted}
    if refs.get("patient"):
        found = await rows(
            c,
            f"SELECT person_id FROM patient WHERE CAST(id AS text) IN ({json_texts(c, 1)}) "
            f"UNION SELECT person_id FROM former_person WHERE CAST(patient_id AS text) IN ({json_texts(c, 1)})",
            json.dumps(refs["patient"]),
        )
        persons |= {str(row["person_id"]) for row in found}
    if refs.get("provisional"):
        found = await rows(
            c,
            f"SELECT m.person_id FROM ({MEANT}) m WHERE CAST(m.provisional_id AS text) IN ({json_texts(c, 1)})",
            json.dumps(refs["provisional"]),
        )
        persons |= {str(row["person_id"]) for row in found}
    return persons | await _possible_matches(c, persons), practices


async def _patients_of(c: Connection, practices: set[str]) -> set[str]:
    """A register that comes in tells of persons who may be patients elsewhere too: of a death, of a clash of keys."""
    found = await rows(
        c,
        f"SELECT DISTINCT person_id FROM patient WHERE practice_id IN ({json_texts(c, 1)})",
        json.dumps(sorted(practices)),
    )
    return {str(row["person_id"]) for row in found}


async def _possible_matches(c: Connection, persons: set[str]) -> set[str]:
    """Also of those who bear the same key, and of all who may be one with these while a doubt is open."""
    person = "CAST(hers.person_id AS text)" if is_postgres(c) else "hers.person_id"
    found = await rows(
        c,
        f"WITH RECURSIVE may_be_one AS ({MAY_BE_ONE}), "
        f"known AS (SELECT kind, token, person_id FROM person_token hers WHERE {person} IN ({json_texts(c, 1)})), "
        "near AS (SELECT person_id FROM known UNION SELECT k.person_id FROM known JOIN person_token k "
        "ON k.kind = known.kind AND k.token = known.token WHERE known.kind LIKE 'key:%' "
        "UNION SELECT m.other_id FROM near JOIN may_be_one m ON m.person_id = near.person_id) "
        "SELECT person_id FROM near UNION "
        "SELECT mine.person_id FROM near JOIN person_token theirs ON theirs.person_id = near.person_id "
        "JOIN person_token mine ON mine.kind = theirs.kind AND mine.token = theirs.token",
        json.dumps(sorted(persons)),
    )
    return {str(row["person_id"]) for row in found}
