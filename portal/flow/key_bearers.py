"""Who bears the national keys of a register that comes in: patients, and persons whose patient is somebody else now."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from portal.flow.register_rows import Prepared, is_key
from portal.records.database import Connection, json_texts, rows

Bearer = dict[str, Any]
"""person_id, practice_id and number, birth_date and sex. `practice_id` None: no patient stands for her any more; then
`tokens` are those by which she was known, and `stood` the patients (practice, number) who stood for her."""


async def bearers_of(c: Connection, prepared: Sequence[Prepared]) -> dict[str, list[Bearer]]:
    """Who already bears one of the national keys of these rows, by keyed token: not who a patient was who still bears
    it, for that is another question."""
    wanted = sorted({token for ready in prepared for kind, token in ready.tokens if is_key(kind)})
    found = await rows(
        c,
        "SELECT t.token, t.person_id, p.practice_id, p.number, p.birth_date, p.sex FROM person_token t "
        "LEFT JOIN patient p ON p.person_id = t.person_id "
        f"WHERE t.kind LIKE 'key:%' AND t.token IN ({json_texts(c, 1)})",
        json.dumps(wanted),
    )
    known, stood = await _gone(c, {str(row["person_id"]) for row in found if row["practice_id"] is None})
    bearers: dict[str, list[Bearer]] = defaultdict(list)
    there = {(row["token"], row["practice_id"], row["number"]) for row in found}
    for row in found:
        person = str(row["person_id"])
        if not any((row["token"], *patient) in there for patient in stood[person]):
            bearers[row["token"]].append({**row, "tokens": known[person], "stood": stood[person]})
    return bearers


async def _gone(c: Connection, persons: set[str]) -> tuple[dict[str, set[Any]], dict[str, set[Any]]]:
    known: dict[str, set[Any]] = defaultdict(set)
    stood: dict[str, set[Any]] = defaultdict(set)
    if persons:
        listed, among = json.dumps(sorted(persons)), f"CAST({{}} AS text) IN ({json_texts(c, 1)})"
        by_what = f"SELECT person_id, kind, token FROM person_token WHERE {among.format('person_id')}"
        for row in await rows(c, by_what, listed):
            known[str(row["person_id"])].add((row["kind"], row["token"]))
        by_whom = (
            "SELECT f.person_id, p.practice_id, p.number FROM former_person f JOIN patient p ON p.id = f.patient_id "
            f"WHERE {among.format('f.person_id')}"
        )
        for row in await rows(c, by_whom, listed):
            stood[str(row["person_id"])].add((row["practice_id"], row["number"]))
    return known, stood


def a_bearer(person: UUID, practice_id: str, ready: Prepared) -> Bearer:
    """This row, as the bearer of its own key."""
    there = {"person_id": person, "practice_id": practice_id, "number": ready.row.patient_id}
    return there | {"birth_date": ready.row.birth_date, "sex": str(ready.row.sex), "tokens": set(), "stood": set()}


def is_alike(bearer: Bearer, ready: Prepared) -> bool:
    """Whether nothing tells the bearer of a row's key apart from that row: the same birth and sex; of somebody for whom
    no patient stands, the same name and birth (a year, where one of them is known by no more)."""
    if bearer["practice_id"] is None:
        mine = {token for token in ready.tokens if not is_key(token[0])}
        both_dated = all(any(kind == "name_date" for kind, _ in one) for one in (mine, bearer["tokens"]))
        return any(kind == "name_date" or not both_dated for kind, _ in mine & bearer["tokens"])
    return (bearer["birth_date"], bearer["sex"]) == (ready.row.birth_date, str(ready.row.sex))


def rows_of(bearers: Iterable[Bearer]) -> list[tuple[str, str]]:
    """(practice, number) of the patients who stand for them."""
    return [(one["practice_id"], one["number"]) for one in bearers if one["practice_id"] is not None]
