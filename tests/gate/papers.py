"""A permit, an extraction, a store and a release made from a few records, for the tests that follow or spoil them."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import made
from made import record

from portal.gate.disclosure import measure, small_cells
from portal.gate.filtering import Counts, filter_extraction, filter_release
from portal.gate.manifest import head_of, write_release_files
from portal.gate.permit import Terms
from portal.gate.store import StoredFile, accept, read_extraction
from portal.rules.precision import PERSON_COLUMNS

PEOPLE = 40


def records() -> list[dict[str, Any]]:
    """Forty persons at one practice: enough for cells of more than one, and one who is alone in hers."""
    made_records = []
    for n in range(PEOPLE):
        person = {
            "patient_id": f"{n:03}",
            "year_of_birth": 1931 if n == 0 else 1980 + n % 20,
            "sex": ("female", "male")[n % 2],
        }
        made_records += [
            record(**person, recorded_on=date(2025, 1, 1 + n % 28)),
            record(**person, diagnosis=None, height_cm=150.0 + n, recorded_on=date(2025, 6, 1 + n % 28)),
        ]
    return made_records


def persons() -> made.Allowed:
    return {("p1", f"{n:03}"): (made.pseudonym(f"o{n}"), [(None, None)]) for n in range(PEOPLE)}


def study_persons() -> made.Allowed:
    """The same persons in a release's list: the observatory's pseudonym → the study's."""
    return {("p1", made.pseudonym(f"o{n}")): (made.pseudonym(f"s{n}"), [(None, None)]) for n in range(PEOPLE)}


def extraction(folder: Path, terms: Terms = made.TERMS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    permit = made.permit(folder / "permit", terms, persons())
    path = made.write_parquet(folder / "records.parquet", records())
    filter_extraction(permit, path, folder / "extraction", practice_key=made.PRACTICE_KEY)
    return folder / "extraction"


def stored(folder: Path) -> StoredFile:
    read_extraction(extraction(folder), made.PRACTICE_KEY.public_key())
    return accept(folder / "extraction", folder / "store", "p1", drop=set(), name="entry-1")


def release(folder: Path, *, without_small_cells: bool = False, **terms: Any) -> tuple[Path, Counts]:
    """A release folder, from the practice's records on."""
    file = stored(folder)
    release_terms = made.release_terms(**terms)
    permit = made.permit(folder / "release-permit", release_terms, study_persons())
    part = folder / "release"
    counts = filter_release(permit, [file.path], part / "records", reference_year=2026, buckets=16)
    if without_small_cells:
        small = small_cells(sorted((part / "records").iterdir()), quasi(permit.terms), least=5)
        kept = {key: value for key, value in study_persons().items() if value[0] not in small}
        permit = made.permit(folder / "smaller-permit", release_terms, kept)
        part = folder / "smaller"
        counts = filter_release(permit, [file.path], part / "records", reference_year=2026, buckets=16)
    seal(part, release_terms, permit.sha256)
    return part, counts


def quasi(terms: Terms) -> list[str]:
    return [c.name for c in terms.columns if c.name in PERSON_COLUMNS]


def seal(part: Path, terms: Terms, permit_sha256: str, **changes: Any) -> str:
    """Writes, or writes again, the papers of a release by the portal's key."""
    head = replace(head_of(terms, release_id="release-1", permit_sha256=permit_sha256), **changes)
    disclosure = measure(sorted((part / "records").glob("*.parquet")), quasi(terms), least=5)
    refused = {"G41": 4, "G45": 2, "G50": 31, "G61": 1}
    return write_release_files(part, head=head, terms=terms, refused=refused, disclosure=disclosure, key=made.KEY)
