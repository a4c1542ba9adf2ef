"""The filter: a permit and records in, the records that may pass out. No database, no network.

It knows who is in the permit and not why somebody is not. Nothing gets its name before every line could be read.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import duckdb
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.gate.buckets import counted, write_sorted, write_unsorted
from portal.gate.columns import Records, read_records
from portal.gate.engine import JOIN_AS_WRITTEN, NO_LIMITS, Limits, engine, select
from portal.gate.extraction import write_statement
from portal.gate.folders import whole_folder
from portal.gate.outputs import packing
from portal.gate.permit import Permit
from portal.gate.record_facts import judged, load_allowed, load_terms
from portal.gate.terms import Terms
from portal.rules.clearance import RULES, Rule
from portal.rules.refusals import Refused
from portal.rules.words import Crossing

STORE_NAMES = {"patient_id": "pseudonym", "doctor_id": "doctor_pseudonym"}
"""In the store a patient is her pseudonym there, and so is a doctor."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Every record once: passed, of somebody not in the permit, or under the first reason against the record."""

    records_in: int
    passed: int
    not_in_permit: int
    by_reason: dict[str, int] = field(default_factory=dict)


def filter_extraction(
    permit: Permit,
    records: Path,
    out: Path,
    *,
    practice_key: Ed25519PrivateKey,
    buckets: int = 1,
    limits: Limits = NO_LIMITS,
) -> Counts:
    """Writes the extraction folder `out`, signed by the practice. RefusedFile for input that cannot be read whole."""
    expect(permit, Crossing.EXTRACTION)
    with whole_folder(out) as part:
        counts, rows = _pass(permit, (records,), part / "records", None, buckets, limits)
        write_statement(part, permit, asdict(counts), rows, practice_key)
    return counts


def filter_release(
    permit: Permit,
    store: Sequence[Path],
    out: Path,
    *,
    reference_year: int,
    buckets: int = 16,
    limits: Limits = NO_LIMITS,
) -> Counts:
    """Writes the folder `out` with the released rows of these store files. Ages are those of `reference_year`."""
    expect(permit, Crossing.RELEASE)
    with whole_folder(out) as part:
        counts, _ = _pass(permit, store, part / "records", reference_year, buckets, limits)
        for file in sorted((part / "records").iterdir()):
            file.rename(part / file.name)
        (part / "records").rmdir()
    return counts


def record_reasons(
    terms: Terms, records: Path, *, permit: Permit | None = None, rules: tuple[Rule, ...] = RULES
) -> pa.Table:
    """(practice_id, patient_id, first_reason, n) over all records, also of those in no permit.

    Whether a record lies in a span that its person had objected to is only known with the `permit`.
    """
    with engine(NO_LIMITS) as con:
        read = _load(con, terms, (records,), rules)
        if permit:
            load_allowed(con, permit)
        query = select("problem, practice_id, patient_id, reason AS first_reason, count(*) AS n", f"({judged(terms)})")
        with _readable(read):
            found = con.sql(f"{query} GROUP BY ALL ORDER BY ALL").to_arrow_table()
        if found["problem"].null_count < found.num_rows:
            read.refuse_problems()
        return found.drop_columns("problem")


def expect(permit: Permit, crossing: Crossing) -> None:
    """Refused where the permit is for the other crossing."""
    if permit.terms.crossing is not crossing:
        raise Refused("permit_wrong_crossing", f"The permit is not for a {crossing.value}.", where="permit.jws")


def _pass(
    permit: Permit, sources: Sequence[Path], folder: Path, reference_year: int | None, buckets: int, limits: Limits
) -> tuple[Counts, dict[str, int]]:
    unsorted, spill = folder.with_name("unsorted"), folder.with_name("spill")
    with engine(limits) as con:
        read = _load(con, permit.terms, sources)
        pa.default_memory_pool().release_unused()  # of the list, which has been checked; the engine needs it now
        form = packing(permit.terms, load_allowed(con, permit), reference_year)
        records = select(f"*, {_REFUSED} AS refused", f"({judged(permit.terms)})")
        with _readable(read):
            write_unsorted(con, records, form, unsorted, buckets, limits)
        found = counted(con, unsorted)
        if _PROBLEM in found:
            read.refuse_problems()
            raise Refused("records_changed", "The records changed while they were read: start again.", where="records")
    folder.mkdir()
    with engine(limits, spill=spill) as con:
        written = write_sorted(con, unsorted, form, folder, buckets)
    shutil.rmtree(unsorted, ignore_errors=True)
    shutil.rmtree(spill, ignore_errors=True)
    counts = _counts(found)
    return (without_copies(counts, sum(written.values())) if form.behind else counts), written


_PROBLEM, _NOBODY = "problem", "nobody"
_REFUSED = f"CASE WHEN problem IS NOT NULL THEN '{_PROBLEM}' WHEN person IS NULL THEN '{_NOBODY}' ELSE reason END"
"""Why a record does not pass: it cannot be read, its person is not in the permit, or the reason against it."""


def _load(
    con: duckdb.DuckDBPyConnection, terms: Terms, sources: Sequence[Path], rules: tuple[Rule, ...] = RULES
) -> Records:
    con.execute(JOIN_AS_WRITTEN)
    load_terms(con, terms, rules)
    names = STORE_NAMES if terms.crossing is Crossing.RELEASE else {}
    return read_records(con, sources, [term.name for term in terms.columns], names=names)


@contextmanager
def _readable(records: Records) -> Iterator[None]:
    """RefusedFile with the place where the engine stumbled over a file."""
    try:
        yield
    except duckdb.Error as error:
        records.refuse_unreadable(error)
        raise


def without_copies(counts: Counts, written: int) -> Counts:
    """A record that stood there twice has passed once; its copies are withheld (G60)."""
    copies = counts.passed - written
    return replace(counts, passed=written, by_reason={**counts.by_reason, "G60": copies}) if copies else counts


def _counts(found: dict[str | None, int]) -> Counts:
    return Counts(
        records_in=sum(found.values()),
        passed=found.get(None, 0),
        not_in_permit=found.get(_NOBODY, 0),
        by_reason={reason: n for reason, n in found.items() if reason not in {None, _NOBODY}},
    )
