"""The files of a release: written outside every lock of the database, whole or not at all, kept encrypted.

Filtered once from the store, then only made smaller: somebody who leaves is taken out of the files as they were kept.
"""

import asyncio
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from portal.flow.basis import Basis
from portal.flow.look import Member
from portal.flow.means import Means
from portal.flow.permit import Passing, allowed_table, make_terms
from portal.gate.age import identity_of
from portal.gate.disclosure import Disclosure, measure, small_cells
from portal.gate.drafts import keep, open_kept, work_folder
from portal.gate.filtering import filter_release
from portal.gate.folders import sha256_of
from portal.gate.manifest import head_of, write_release_files
from portal.gate.permit import read_permit, write_permit
from portal.gate.shrinking import take_out
from portal.gate.terms import Terms
from portal.outside.tokens import pseudonym
from portal.records.governance import Study
from portal.rules.refusals import Refused
from portal.rules.words import Crossing


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
    refused: Mapping[str, int] | None = None,
) -> Draft:
    """Filter from the store, suppress small cells, measure, write, sign and keep, in a thread. `refused`: persons by
    code as they were counted at the approval.

    Refused G61 when nothing is left or k cannot be reached.
    """
    return await asyncio.to_thread(_filtered, means, release_id, basis, version, reference_year, refused)


async def reduce(means: Means, draft: Draft, basis: Basis, *, version: int, refused: Mapping[str, int]) -> Draft:
    """The draft as it was kept, without whoever is not listed in `basis` any more; k is measured again."""
    return await asyncio.to_thread(_reduced, means, draft, basis, version, refused)


def _filtered(
    means: Means, release_id: str, basis: Basis, version: int, reference_year: int, refused: Mapping[str, int] | None
) -> Draft:
    stored, names, terms = _stored(means, basis), _pseudonyms(means, basis), _terms(release_id, basis)
    with work_folder(means.work, release_id) as work:
        _write_permit(means, work / "wide", terms, names)
        permit = read_permit(work / "wide", means.ring.public_key(), terms.not_before, crossing=Crossing.RELEASE)
        filter_release(permit, stored, work / "draft" / "release" / "records", reference_year=reference_year)
        return _finished(means, work / "draft", release_id, basis, names, terms, version, refused)


def _reduced(means: Means, draft: Draft, basis: Basis, version: int, refused: Mapping[str, int]) -> Draft:
    names, terms = _pseudonyms(means, basis), _terms(draft.release_id, basis)
    staying = {name for _, _, name in names.values()}
    if not staying <= set(draft.members.values()):
        raise Refused("G72", "the list is no subset of the approved one", where=draft.release_id)
    with opened(means, draft.release_id, draft.manifest_sha256) as part:
        take_out(part / "release" / "records", set(draft.members.values()) - staying)
        shutil.rmtree(part / "permit")
        return _finished(means, part, draft.release_id, basis, names, terms, version, refused)


@contextmanager
def opened(means: Means, release_id: str, manifest_sha256: str) -> Iterator[Path]:
    """The kept files in plain, for as long as they are worked on: `release/` and `permit/`.

    Refused G71 when they are not those that were kept.
    """
    with work_folder(means.work, release_id) as work:
        open_kept(kept_at(means, release_id, manifest_sha256), work / "draft", _own_identity(means))
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
    refused: Mapping[str, int] | None,
) -> Draft:  # fmt: skip
    """Small cells out, measured, papers written and signed, all of it kept."""
    records = part / "release" / "records"
    small, measured = _safe(records, release_id, basis)
    names = {member: value for member, value in names.items() if value[2] not in small}
    permit_sha256 = _write_permit(means, part / "permit", terms, names)
    refused = dict(refused) if refused is not None else {**basis.refused, "G61": len(small)}
    study, _ = _study(basis)
    head = head_of(terms, release_id=release_id, version=version, permit_sha256=permit_sha256, more={"k": study.k})
    manifest_sha256 = write_release_files(
        part / "release", head=head, terms=terms, refused=refused, disclosure=measured, key=means.ring.signing_key()
    )
    keep(part, kept_at(means, release_id, manifest_sha256), _own_identity(means))
    present = _present(records)
    summary = {
        "rows": sum(pq.read_metadata(file).num_rows for file in records.glob("*.parquet")),
        "persons": measured.persons,
        "k_min": measured.k_min,
        "uniques": measured.uniques,
        "suppressed": len(small),
        "refused": refused,
        "basis": basis.as_json(),
    }
    members = {member: value[2] for member, value in names.items() if value[2] in present}
    return Draft(release_id, version, basis.decision.cut, manifest_sha256, members, summary)


def _safe(records: Path, release_id: str, basis: Basis) -> tuple[set[str], Disclosure]:
    """Whom the study's k suppresses, taken out of the files; then what is measured of the rest. Refused G61."""
    study, quasi_identifiers = _study(basis)
    files = sorted(records.glob("*.parquet"))
    if not any(pq.read_metadata(file).num_rows for file in files):
        raise Refused("G61", "no record of anybody who passes is in the store: there is nothing to release")
    small = small_cells(files, quasi_identifiers, least=study.k)
    take_out(records, small)
    measured = measure(files, quasi_identifiers, least=study.k)
    if not measured.persons or measured.k_min < study.k:
        raise Refused("G61", f"the study's k of {study.k} cannot be reached with those who pass", where=release_id)
    return small, measured


def _study(basis: Basis) -> tuple[Study, Sequence[str]]:
    study, conditions = basis.decision.ground.study, basis.decision.ground.study_conditions
    if study is None or conditions is None:
        raise Refused("G05", "there is no such study", status=404)
    return study, conditions.quasi_identifiers


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


def _present(records: Path) -> set[str]:
    found: set[str] = set()
    for file in records.glob("*.parquet"):
        found |= set(pq.read_table(file, columns=["pseudonym"])["pseudonym"].unique().to_pylist())
    return found
