"""The demo's count: every record once, passed or under its first failing code.

The driver joins the practices' own counts to the portal's verdicts, which the product itself never does.
"""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from portal.demo.cast import Part
from portal.demo.driver import OBSERVATORY, STUDY, Play
from portal.flow.assemble import opened
from portal.flow.decide import Asked, PatientVerdict, verdicts
from portal.gate.filtering import record_reasons
from portal.gate.permit import Permit, read_permit
from portal.gate.terms import Terms
from portal.outside.tokens import pseudonym
from portal.records.releases import Release
from portal.rules.clearance import ORDER
from portal.rules.words import Crossing

COPY, SMALL_CELL, CLOSED_SINCE = "G60", "G61", "G70"

Verdicts = dict[tuple[str, str], PatientVerdict]
PRACTICE_CODE = {Part.NOT_ENROLLED: "G20", Part.NOT_SIGNED: "G22", Part.NOT_VERIFIED: "G21"}
"""Practices that never had a permit: nothing of theirs is known to the portal, so the driver says why."""


async def at_release(p: Play) -> tuple[Verdicts, Permit]:
    """The portal's verdicts and the release's own permit, to be read between preparing and sealing."""
    _, found = await verdicts(p.stage.means, Asked(OBSERVATORY, STUDY))
    folder = p.stage.folder / "permit-of-the-release"
    prepared = await Release.get(id=p.release_id)
    with opened(p.stage.means, prepared.id, prepared.manifest_sha256) as kept:
        shutil.copytree(kept / "permit", folder)
    permit = read_permit(folder, p.stage.means.ring.public_key(), p.now, crossing=Crossing.RELEASE)
    return {(v.practice_id, v.number): v for v in found}, permit


def count(p: Play, at_prepare: Verdicts, permit: Permit) -> dict[str, Any]:
    """`records_in`, `passed`, `withheld` by code; they add up (ValueError if they ever did not)."""
    withheld: Counter[str] = Counter()
    records_in = 0
    some_terms = next(iter(p.permits.values())).terms
    for role in p.roles:
        given = p.permits.get(role.practice.id)
        terms = given.terms if given else replace(some_terms, practices=(role.practice.id,), doctors=())
        for practice, number, code, n in _first_crossing(p, terms, given, role.practice.id):
            records_in += n
            reason = _first(code, _person(p, practice, number, role.part))
            if reason:
                withheld[reason] += n
    passed = 0
    released = _released(p.stage.folder / "release")
    named = _by_pseudonym(p, at_prepare)
    for key, practice, code, n in _second_crossing(p, permit):
        verdict = named.get((practice, key))
        reason = _first(code, verdict.reasons if verdict else ("G40",))
        if reason is None and verdict and _name(p, f"study:{STUDY}", verdict) not in released:
            reason = CLOSED_SINCE if _closed_since(p, verdict) else SMALL_CELL
        if reason:
            withheld[reason] += n
        else:
            passed += n
    if copies := passed - _rows(p.stage.folder / "release"):
        passed, withheld[COPY] = passed - copies, copies
    shutil.rmtree(p.stage.folder / "permit-of-the-release")
    if passed + sum(withheld.values()) != records_in:
        raise ValueError("the funnel does not add up")
    codes = sorted(withheld, key=lambda c: (ORDER.get(c, len(ORDER)), c))
    return {"records_in": records_in, "passed": passed, "withheld": {code: withheld[code] for code in codes}}


def _first_crossing(
    p: Play, terms: Terms, permit: Permit | None, practice: str
) -> list[tuple[str, str, str | None, int]]:
    table = record_reasons(terms, p.records / practice, permit=permit)
    return [tuple(row.values()) for row in table.to_pylist()]


def _second_crossing(p: Play, permit: Permit) -> list[tuple[str, str, str | None, int]]:
    rows: list[tuple[str, str, str | None, int]] = []
    for file in sorted(p.stage.means.store.glob("*/*.parquet")):
        for row in record_reasons(permit.terms, file, permit=permit).to_pylist():
            rows.append((row["patient_id"], row["practice_id"], row["first_reason"], row["n"]))
    return rows


def _person(p: Play, practice: str, number: str, part: Part) -> tuple[str, ...]:
    if part in PRACTICE_CODE:
        return (PRACTICE_CODE[part],)
    verdict = p.at_permit.get((practice, number))
    if verdict is None:
        return ("G40",)
    return verdict.reasons or p.at_arrival[practice, number].reasons


def _first(code: str | None, reasons: tuple[str, ...]) -> str | None:
    return min([*([code] if code else []), *reasons], key=lambda c: ORDER[c], default=None)


def _name(p: Play, family: str, verdict: PatientVerdict) -> str:
    return pseudonym(p.stage.means.ring, family, verdict.person_id.bytes).hex()


def _by_pseudonym(p: Play, found: Verdicts) -> dict[tuple[str, str], PatientVerdict]:
    return {(v.practice_id, _name(p, f"observatory:{OBSERVATORY}", v)): v for v in found.values()}


def _released(folder: Path) -> set[str]:
    names: set[str] = set()
    for file in sorted((folder / "records").glob("*.parquet")):
        names |= set(pq.read_table(file, columns=["pseudonym"])["pseudonym"].to_pylist())
    return names


def _rows(folder: Path) -> int:
    return sum(pq.read_metadata(file).num_rows for file in (folder / "records").glob("*.parquet"))


def _closed_since(p: Play, verdict: PatientVerdict) -> bool:
    """True when the driver itself saw her say no between the preparation and the seal."""
    prepared = p.story.told["release"]["prepared_at"]
    return any(
        (o["practice_id"], o["patient_id"]) == (verdict.practice_id, verdict.number) and o["at"] >= prepared
        for o in p.story.told["objections"]
    )
