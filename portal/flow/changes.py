"""What changed for a practice since it last asked, in the order of the log: whom to look at again, never why."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from portal.flow.look import CLOSES_NOBODY
from portal.records.database import Connection, as_moment, is_postgres, rows, transact
from portal.records.possible_matches import MAY_BE_ONE, PUT_IN_DOUBT

WINDOW = 5000
"""Entries of the log that one answer looks through."""


class About(StrEnum):
    """Whom a change may concern: these patients, the practice as a whole, or everybody."""

    PATIENTS = "patients"
    PRACTICE = "practice"
    EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class Change:
    at: datetime
    about: About
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """`next`: what to ask for then. `more`: there is more now."""

    changes: tuple[Change, ...]
    next: int
    more: bool


async def changes_since(practice_id: str, since: int) -> Changes:
    """The entries from place `since` of the log on that may change what this practice may send; reads only.

    An entry gets its place within seconds, after every entry that was committed before it, so nothing is ever passed
    over. What changed is not said, and entries of every kind are mixed.
    """

    async def step(c: Connection) -> Changes:
        places = await rows(
            c, "SELECT place FROM log_place WHERE place >= $1 ORDER BY place LIMIT $2", since, WINDOW + 1
        )
        more = len(places) > WINDOW
        until = places[WINDOW]["place"] if more else (places[-1]["place"] + 1 if places else since)
        found = await rows(c, _statement(c), since, until, practice_id)
        return Changes(tuple(_changes(found)), until, more)

    return await transact(step)


def _statement(c: Connection) -> str:
    """Touches of the window, joined to the patients here: by their persons, and by whoever may be the same person."""
    person = "CAST(t.ref AS uuid)" if is_postgres(c) else "t.ref"
    narrow = ", ".join(f"'{kind}'" for kind in sorted(CLOSES_NOBODY | {"person", "patient", "doctor", "practice"}))
    hers = "SELECT t.place, t.at, 'patients' AS about, n.number FROM touch t {join} WHERE t.kind = {kind}"
    by_row = "JOIN {rows} q ON q.{key} = {ref} JOIN near n ON n.person_id = q.person_id"
    parts = (
        hers.format(kind="'person'", join=f"JOIN near n ON n.person_id = {person}"),
        hers.format(kind="'patient'", join=by_row.format(rows="patient", key="id", ref="CAST(t.ref AS bigint)")),
        hers.format(kind="'patient'",
                    join=by_row.format(rows="former_person", key="patient_id", ref="CAST(t.ref AS bigint)")),
        hers.format(kind="'practice' AND t.ref <> $3",
                    join=by_row.format(rows="patient", key="practice_id", ref="t.ref")),
        f"SELECT t.place, t.at, 'patients' AS about, n.number FROM touch t JOIN ({PUT_IN_DOUBT}) x "
        "ON x.entry_id = t.entry_id JOIN near n ON n.person_id = x.person_id WHERE t.kind = 'practice'",
        "SELECT t.place, t.at, 'practice', '' FROM touch t WHERE t.kind = 'practice' AND t.ref = $3",
        f"SELECT t.place, t.at, 'everybody', '' FROM touch t WHERE t.kind NOT IN ({narrow})",
    )  # fmt: skip
    return f"{_WINDOW} {' UNION '.join(parts)} ORDER BY place, about, number"


_WINDOW = f"""
WITH RECURSIVE touch AS (
    SELECT g.place, g.entry_id, l.at, t.kind, t.ref FROM log_place g
    JOIN log_entry l ON l.id = g.entry_id JOIN log_touch t ON t.entry_id = l.id WHERE g.place >= $1 AND g.place < $2
),
met AS (
    SELECT p.number, p.person_id FROM patient p WHERE p.practice_id = $3
    UNION SELECT p.number, theirs.person_id FROM patient p JOIN person_token mine ON mine.person_id = p.person_id
    JOIN person_token theirs ON theirs.kind = mine.kind AND theirs.token = mine.token WHERE p.practice_id = $3
),
may_be_one AS ({MAY_BE_ONE}),
near AS (
    SELECT number, person_id FROM met
    UNION SELECT m.number, k.person_id FROM met m
    JOIN person_token mine ON mine.person_id = m.person_id AND mine.kind LIKE 'key:%'
    JOIN person_token k ON k.kind = mine.kind AND k.token = mine.token
    UNION SELECT n.number, m.other_id FROM near n JOIN may_be_one m ON m.person_id = n.person_id
)
"""


def _changes(found: list[dict[str, Any]]) -> list[Change]:
    """One for each place; the widest of what it is about."""
    by_place: dict[int, list[dict[str, Any]]] = {}
    for row in found:
        by_place.setdefault(row["place"], []).append(row)
    made = []
    for there in by_place.values():
        at = as_moment(there[0]["at"])
        abouts = {About(row["about"]) for row in there}
        about = next(each for each in (About.EVERYBODY, About.PRACTICE, About.PATIENTS) if each in abouts)
        if at is not None:
            numbers = {row["number"] for row in there} - {""} if about is About.PATIENTS else ()
            made.append(Change(at, about, tuple(sorted(numbers))))
    return made
