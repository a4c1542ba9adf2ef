"""The files of a release: written outside every lock of the database, whole or not at all, kept encrypted.

Filtered once from the store, then only made smaller: somebody who leaves is taken out of the files as they were kept.
"""

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from portal.flow.basis import Basis
from portal.flow.differ import Beside, beside
from portal.flow.look import Member
from portal.flow.means import Means
from portal.flow.permit import Passing, allowed_table, make_terms
from portal.gate.age import identity_of
from portal.gate.filtering import filter_release
from portal.gate.folders import sha256_of
from portal.gate.manifest import head_of, write_release_files
from portal.gate.naming import refuse_identifiers
from portal.gate.permit import read_permit, write_permit
from portal.gate.protect import coarsen, suppress, table_of, wanted_of
from portal.gate.shrinking import take_out
from portal.gate.terms import Terms
from portal.gate.unfinished import keep, open_kept, work_folder
from portal.outside.tokens import pseudonym
from portal.records.governance import Study
from portal.rules.conditions import StudyConditions
from portal.rules.differing import to_withhold
from portal.rules.refusals import Refused
from portal.rules.words import Crossing, Precision


@dataclass(frozen=True, slots=True)
class Draft:
    """An assembled version of a release: who is in it under which pseudonym, what it stands on, its manifest's hash."""

    release_id: str
    version: int
    cut: int
    manifest_sha256: str
    members: dict[Member, str]
    summary: dict[str, Any]


async def assemble(
    means: Means,
    release_id: str,
    basis: Basis,
    *,
    version: int,
    reference_year: int,
    approved: Mapping[str, Any] | None = None,
) -> Draft:
    """Filter from the store, look for identifiers, generalise, suppress, measure, write, sign and keep, in a thread.

    approved: the summary of what was approved: its steps and its counts stay, and only persons can still go.
    Refused G11 when a value could name somebody, G61 or G62 when nothing is left or k cannot be reached.
    """
    other = await beside(means, _study(basis)[0])
    return await asyncio.to_thread(_filtered, means, release_id, basis, version, reference_year, approved, other)


async def reduce(means: Means, draft: Draft, basis: Basis, *, version: int, approved: Mapping[str, Any]) -> Draft:
    """The draft as it was kept, without whoever is not listed in `basis` any more; k is measured again."""
    other = await beside(means, _study(basis)[0])
    return await asyncio.to_thread(_reduced, means, draft, basis, version, approved, other)


def _filtered(
    means: Means, release_id: str, basis: Basis, version: int, reference_year: int,
    approved: Mapping[str, Any] | None, other: Beside,
) -> Draft:  # fmt: skip
    stored, names, terms = _stored(means, basis), _pseudonyms(means, basis), _terms(release_id, basis)
    study, conditions = _study(basis)
    wanted = wanted_of(terms, conditions, study.k)
    with work_folder(means.work, release_id) as work:
        _write_permit(means, work / "wide", terms, names)
        permit = read_permit(work / "wide", means.ring.public_key(), terms.not_before, crossing=Crossing.RELEASE)
        records = work / "draft" / "release" / "records"
        filter_release(permit, stored, records, reference_year=reference_year)
        refuse_identifiers(sorted(records.glob("*.parquet")), terms.columns)
        precision = coarsen(records, wanted, frozen=None if approved is None else _precision(approved))
        return _finished(means, work / "draft", release_id, basis, names, terms, version, approved, precision, other)


def _reduced(
    means: Means, draft: Draft, basis: Basis, version: int, approved: Mapping[str, Any], other: Beside
) -> Draft:
    names, terms = _pseudonyms(means, basis), _terms(draft.release_id, basis)
    staying = {name for _, _, name in names.values()}
    if not staying <= set(draft.members.values()):
        raise Refused("G72", "the list is no subset of the approved one", where=draft.release_id)
    study, conditions = _study(basis)
    precision = {**wanted_of(terms, conditions, study.k).asked, **_precision(approved)}
    with opened(means, draft.release_id, draft.manifest_sha256) as part:
        take_out(part / "release" / "records", set(draft.members.values()) - staying)
        shutil.rmtree(part / "permit")
        return _finished(means, part, draft.release_id, basis, names, terms, version, approved, precision, other)


def _precision(summary: Mapping[str, Any]) -> dict[str, Precision]:
    """The steps of the quasi-identifiers, as they were approved."""
    return {column: Precision(step) for column, step in summary.get("precision", {}).items()}


@contextmanager
def opened(means: Means, release_id: str, manifest_sha256: str) -> Iterator[Path]:
    """The kept files in plain, for as long as they are worked on: `release/` and `permit/`.

    Refused G71 when they are not those that were kept.
    """
    with work_folder(means.work, release_id) as work:
        open_kept(
            kept_at(means, release_id, manifest_sha256),
            work / "draft",
            *map(identity_of, means.ring.all_bytes_of("releases")),
        )
        manifest = work / "draft" / "release" / "manifest.json"
        if not manifest.is_file() or sha256_of(manifest) != manifest_sha256:
            raise Refused("G71", "the files of this release are not those that were kept", where=release_id, status=503)
        yield work / "draft"


def kept_at(means: Means, release_id: str, manifest_sha256: str) -> Path:
    """Where a draft is kept."""
    return means.drafts / release_id / manifest_sha256


def _own_identity(means: Means) -> str:
    return identity_of(means.ring.bytes_of("releases"))


def _finished(
    means: Means, part: Path, release_id: str, basis: Basis, names: "Named", terms: Terms, version: int,
    approved: Mapping[str, Any] | None, precision: Mapping[str, Precision], other: Beside,
) -> Draft:  # fmt: skip
    """Small cells and small differences out, measured, papers written and signed, all of it kept."""
    records = part / "release" / "records"
    study, conditions = _study(basis)
    named = [{pseudonym(means.ring, f"study:{study.id}", p.bytes).hex() for p in persons} for persons in other.persons]
    safe = suppress(
        records, terms, wanted_of(terms, conditions, study.k), precision,
        differing=lambda present: to_withhold(present, named, least=study.k),
    )  # fmt: skip
    names = {member: value for member, value in names.items() if value[2] in safe.staying}
    permit_sha256 = _write_permit(means, part / "permit", terms, names)
    refused = {**basis.refused, "G61": len(safe.small), "G62": len(safe.close)}
    said = approved or {"refused": refused, "cost": safe.cost}
    table = table_of(records, safe.terms, conditions, other.tables)
    more = {"k": study.k}
    head = head_of(safe.terms, release_id=release_id, version=version, permit_sha256=permit_sha256, more=more)
    manifest_sha256 = write_release_files(
        part / "release", head=head, terms=safe.terms, refused=said["refused"], disclosure=safe.disclosure,
        key=means.ring.signing_key(), cost=said.get("cost"), aggregates=table.as_csv() if table else None,
    )  # fmt: skip
    keep(part, kept_at(means, release_id, manifest_sha256), _own_identity(means))
    summary = {
        "rows": sum(pq.read_metadata(file).num_rows for file in records.glob("*.parquet")),
        "persons": safe.disclosure.persons,
        "k_min": safe.disclosure.k_min,
        "uniques": safe.disclosure.uniques,
        "suppressed": len(safe.small | safe.close),
        "refused": dict(said["refused"]),
        "cost": dict(said.get("cost", {})),
        "precision": {column: step.value for column, step in precision.items()},
        "aggregates": table.as_json() if table else [],
        "basis": basis.as_json(),
    }
    members = {member: value[2] for member, value in names.items()}
    return Draft(release_id, version, basis.decision.cut, manifest_sha256, members, summary)


def _study(basis: Basis) -> tuple[Study, StudyConditions]:
    study, conditions = basis.decision.ground.study, basis.decision.ground.study_conditions
    if study is None or conditions is None:
        raise Refused("G05", "there is no such study", status=404)
    return study, conditions


def _terms(release_id: str, basis: Basis) -> Terms:
    return make_terms(
        basis.decision, permit_id=release_id, practices=tuple(practice for practice, _, _ in basis.files),
        spans=basis.spans, unnamed=basis.unnamed, serial=1,
    )  # fmt: skip


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


def _pseudonyms(means: Means, basis: Basis) -> Named:
    asked = basis.decision.ground.asked
    inside, outside = f"observatory:{asked.observatory_id}", f"study:{asked.study_id}"
    named: Named = {}
    for one in basis.listed:
        person = one.member.person_id.bytes
        named[one.member] = (
            one,
            pseudonym(means.ring, inside, person).hex(),
            pseudonym(means.ring, outside, person).hex(),
        )
    return named


def _write_permit(means: Means, folder: Path, terms: Terms, names: Named) -> str:
    permitted = set(terms.practices)
    table = allowed_table(
        (p.member.practice_id, key, name, p) for p, key, name in names.values() if p.member.practice_id in permitted
    )
    return write_permit(folder, terms, table, means.ring.signing_key())
