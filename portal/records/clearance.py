"""facts.sql with its holes filled, and the verdict table that it joins."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from portal.records.database import Connection, rows, transact, write_many
from portal.records.objections import BOUND
from portal.records.people import TOLD_ALONE
from portal.records.possible_matches import CONTESTED, MAY_BE_ONE, MEANT, dated
from portal.rules.facts import PersonFacts, Text
from portal.rules.verdicts import verdict_table

_FACTS = Path(__file__).with_name("facts.sql").read_text(encoding="utf-8")


@cache
def rule_version() -> str:
    """SHA-256 of the verdict table: permits and manifests say by which rules they were decided."""
    return hashlib.sha256(json.dumps(verdict_table(PersonFacts)).encode()).hexdigest()


async def renew_verdicts() -> bool:
    """Make the verdict table say what the rules say; True when it had to be written."""

    async def step(c: Connection) -> bool:
        version = await rows(c, "SELECT rules_sha256 FROM verdict_version WHERE id = 1")
        if version and version[0]["rules_sha256"] == rule_version():
            return False
        await rows(c, "DELETE FROM verdict")
        await rows(c, "DELETE FROM verdict_version")
        await write_many(c, "INSERT INTO verdict (key, bits, reason) VALUES ($1, $2, $3)", verdict_table(PersonFacts))
        await rows(c, "INSERT INTO verdict_version (id, rules_sha256) VALUES (1, $1)", rule_version())
        return True

    return await transact(step)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Everything that facts.sql compares with, worked out in Python. `texts`: the word of each notice text.
    `agreements`: those that count, each with the first day on which a newer one has replaced it (None: none has)."""

    observatory_id: str
    study_id: str
    registers_since: datetime
    today: date
    reflected_before: datetime
    silent_before: datetime
    posted_before: datetime
    texts: tuple[tuple[str, Text], ...]
    agreements: tuple[tuple[int, date | None], ...]


async def decided(
    c: Connection,
    thresholds: Thresholds,
    tail: str,
    *,
    among: str = "",
    values: Sequence[Any] = (),
) -> list[dict[str, Any]]:
    """Run facts.sql for a crossing and read from `decided` with `tail`.

    `among` narrows the patients (a WHERE clause on p), with `values` as its parameters from `{v1}` on.
    """
    t = thresholds
    parameters: list[Any] = [
        t.observatory_id, t.study_id, t.registers_since, t.today, t.reflected_before, t.silent_before, t.posted_before
    ]  # fmt: skip
    whens = []
    for text_id, word in t.texts:
        parameters.append(text_id)
        whens.append(f"WHEN ${len(parameters)} THEN {int(word)}")
    ends = []
    for agreement_id, replaced_on in t.agreements:
        parameters.append(replaced_on)
        ends.append(f"WHEN {agreement_id} THEN ${len(parameters)}::date")
    for place, value in enumerate(values, 1):
        parameters.append(value)
        among = among.replace(f"{{v{place}}}", f"${len(parameters)}")
        tail = tail.replace(f"{{v{place}}}", f"${len(parameters)}")
    statement = _FACTS.format(
        texts=" ".join(whens) or "WHEN NULL THEN 2",
        agreements=", ".join(str(agreement_id) for agreement_id, _ in t.agreements) or "NULL",
        agreement_ends=" ".join(ends) or "WHEN NULL THEN closes_on",
        among=among,
        bound=BOUND,
        contested=CONTESTED,
        may_be_one=MAY_BE_ONE,
        meant=MEANT,
        told_alone=TOLD_ALONE,
        mine_dated=dated("mine.person_id"),
        theirs_dated=dated("theirs.person_id"),
    )
    return await rows(c, statement + tail, *parameters)
