"""The files of a release: written outside every lock, whole or not at all, and put in their place after the commit."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow.parquet as pq

from portal.flow.basis import Basis
from portal.flow.decide import Decision
from portal.flow.differ import beside, tables
from portal.flow.look import Member
from portal.flow.means import Means
from portal.flow.permit import Passing, allowed_table, make_terms
from portal.gate.aggregates import Question
from portal.gate.filtering import filter_release
from portal.gate.folders import sha256_of, write_whole
from portal.gate.manifest import head_of, write_release_files
from portal.gate.naming import refuse_identifiers
from portal.gate.permit import read_permit, write_permit
from portal.gate.protect import Differing, protect, table_of, wanted_of
from portal.gate.signature import canonical
from portal.gate.terms import Terms
from portal.outside.tokens import pseudonym
from portal.rules.differing import to_withhold
from portal.rules.refusals import Refused
from portal.rules.words import Crossing, Precision


@dataclass(frozen=True, slots=True)
class Draft:
    """An assembled release: who is in it under which pseudonym, and the manifest's hash."""

    manifest_sha256: str
    members: dict[Member, str]
    summary: dict[str, Any]


async def assemble(
    means: Means,
    release_id: str,
    basis: Basis,
    *,
    reference_year: int,
    approved: Mapping[str, Any] | None = None,
) -> Draft:
    """Filter, look for identifiers, generalise, suppress, measure, write and sign, in a thread. `approved`: the summary
    that was approved; its steps and its counts stay, and nothing but persons can still go.

    Refused G11 when a value could name somebody, G61 or G62 when nothing is left or k cannot be reached.
    """
    study = basis.decision.ground.study
    if study is None:
        raise Refused("G05", "there is no such study", status=404)
    others, earlier = await beside(means, study), await tables(study)
    return await asyncio.to_thread(_assemble, means, release_id, basis, reference_year, approved, others, earlier)


def _assemble(
    means: Means,
    release_id: str,
    basis: Basis,
    reference_year: int,
    approved: Mapping[str, Any] | None,
    others: list[frozenset[UUID]],
    earlier: list[dict[Question, int]],
) -> Draft:
    decision = basis.decision
    study, conditions = decision.ground.study, decision.ground.study_conditions
    if study is None or conditions is None:
        raise Refused("G05", "there is no such study", status=404)
    work = means.data_dir / "work" / release_id
    shutil.rmtree(work, ignore_errors=True)
    stored = _stored(means, basis)
    names = _pseudonyms(means, decision, basis.listed)
    terms = make_terms(
        decision, permit_id=release_id, practices=tuple(practice for practice, _, _ in basis.files),
        spans=basis.spans, unnamed=basis.unnamed, serial=1,
    )  # fmt: skip
    counts, files, permit_sha256 = _filtered(means, work / "all", terms, names, stored, reference_year)
    if not files:
        raise Refused("G61", "no record of anybody who passes is in the store: there is nothing to release")
    refuse_identifiers(files, terms.columns)
    safe = protect(
        files, work / "safe", terms, wanted_of(terms, conditions, study.k),
        differing=_differing(means, study.id, others, study.k),
        frozen=None if approved is None else {c: Precision(step) for c, step in approved.get("precision", {}).items()},
    )  # fmt: skip
    table = table_of(safe, conditions, earlier)
    part = work / "release"
    _take(safe.files, part / "records")
    refused = {**basis.refused, "G61": len(safe.small), "G62": len(safe.close)}
    frozen = (
        {"refused": refused, "cost": safe.cost}
        if approved is None
        else {k: approved.get(k, {}) for k in ("refused", "cost")}
    )
    head = head_of(safe.terms, release_id=release_id, permit_sha256=permit_sha256, more={"k": study.k})
    manifest_sha256 = write_release_files(
        part,
        head=head,
        terms=safe.terms,
        refused=frozen["refused"],
        disclosure=safe.disclosure,
        key=means.ring.signing_key(),
        cost=frozen["cost"],
        aggregates=table.as_csv() if table else None,
    )
    (work / "all" / "permit").rename(work / "permit")
    summary = frozen | {
        "rows": sum(pq.read_metadata(file).num_rows for file in (part / "records").glob("*.parquet")),
        "persons": safe.disclosure.persons,
        "k_min": safe.disclosure.k_min,
        "uniques": safe.disclosure.uniques,
        "suppressed": len(safe.small | safe.close),
        "copies": counts.by_reason.get("G60", 0),
        "precision": {column: step.value for column, step in safe.precision.items()},
        "aggregates": table.as_json() if table else [],
    }
    gone = safe.small | safe.close
    members = {member: value[2] for member, value in names.items() if value[2] in safe.present and value[2] not in gone}
    return Draft(manifest_sha256, members, summary)


def _differing(means: Means, study_id: str, others: list[frozenset[UUID]], least: int) -> Differing:
    """Other releases' persons by the pseudonyms that they have, or would have, in this study."""
    named = [{pseudonym(means.ring, f"study:{study_id}", one.bytes).hex() for one in persons} for persons in others]
    return lambda present: to_withhold(present, named, least=least)


def _take(files: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in files:
        file.rename(folder / file.name)


def _stored(means: Means, basis: Basis) -> list[Path]:
    """The files that committed entries name, byte for byte; nothing else in the folder is looked at."""
    files = []
    for practice, name, sha256 in basis.files:
        path = means.store / practice / name
        if not path.is_file() or sha256_of(path) != sha256:
            raise Refused("G00", "a file of the store is missing or altered", where=f"store/{practice}", status=503)
        files.append(path)
    if not files:
        raise Refused("empty_store", "the store is empty: receive an extraction first")
    return files


Named = dict[Member, tuple[Passing, str, str]]
"""Each member with her key in the store (observatory's pseudonym) and her pseudonym in the study, as hex."""


def _pseudonyms(means: Means, decision: Decision, listed: list[Passing]) -> Named:
    asked = decision.ground.asked
    inside, outside = f"observatory:{asked.observatory_id}", f"study:{asked.study_id}"
    named: Named = {}
    for one in listed:
        person = one.member.person_id.bytes
        named[one.member] = (
            one,
            pseudonym(means.ring, inside, person).hex(),
            pseudonym(means.ring, outside, person).hex(),
        )
    return named


def _filtered(
    means: Means, work: Path, terms: Terms, names: Named, stored: list[Path], reference_year: int
) -> tuple[Any, list[Path], str]:
    permitted = set(terms.practices)
    table = allowed_table(
        (p.member.practice_id, key, name, p) for p, key, name in names.values() if p.member.practice_id in permitted
    )
    work.mkdir(parents=True)
    sha256 = write_permit(work / "permit", terms, table, means.ring.signing_key())
    permit = read_permit(work / "permit", means.ring.public_key(), terms.not_before, crossing=Crossing.RELEASE)
    counts = filter_release(permit, stored, work / "records", reference_year=reference_year)
    return counts, sorted((work / "records").glob("*.parquet")), sha256


def place(means: Means, release_id: str, manifest_sha256: str, proof: Mapping[str, Any]) -> Path:
    """Put a sealed release where it is served from, with its proof, by one rename. Again after a crash: the same."""
    final = means.releases / release_id
    draft = means.data_dir / "work" / release_id / "release"
    if not final.exists():
        if not draft.is_dir() or sha256_of(draft / "manifest.json") != manifest_sha256:
            raise Refused("G71", "the files of this release are not those that were sealed", where=release_id)
        write_whole(draft / "proof.json", canonical(proof))
        final.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(final)
        shutil.rmtree(draft.parent, ignore_errors=True)
    return placed(means, release_id, manifest_sha256)


def placed(means: Means, release_id: str, manifest_sha256: str) -> Path:
    """The folder of a sealed release; Refused G71 when it is not there or not the one that was sealed."""
    final = means.releases / release_id
    if not final.is_dir() or sha256_of(final / "manifest.json") != manifest_sha256:
        raise Refused("G71", "the files of this release are not those that were sealed", where=release_id, status=503)
    return final
