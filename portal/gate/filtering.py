"""The filter: a permit and records in, the records that may pass out. No database, no network.

It knows who is in the permit and not why somebody is not. Nothing is written before every line could be read.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import duckdb
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.gate.buckets import SOURCE_DAY, write_sorted, write_unsorted
from portal.gate.cells import is_number
from portal.gate.columns import Records, read_records, released
from portal.gate.engine import NO_LIMITS, Limits, engine, select
from portal.gate.extraction import write_statement
from portal.gate.folders import whole_folder
from portal.gate.permit import Permit
from portal.gate.record_facts import judged, load_allowed, load_terms
from portal.gate.terms import Terms
from portal.rules.clearance import RULES, Rule
from portal.rules.precision import COLUMNS, Kind, released_name
from portal.rules.refusals import Refused
from portal.rules.words import Crossing, Precision

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
            load_allowed(con, permit.allowed_path, permit.read_at)
        _count(read, terms)
        query = select("practice_id, patient_id, reason AS first_reason, count(*) AS n", f"({judged(terms)})")
        return con.sql(f"{query} GROUP BY ALL ORDER BY ALL").to_arrow_table()


def expect(permit: Permit, crossing: Crossing) -> None:
    """Refused where the permit is for the other crossing."""
    if permit.terms.crossing is not crossing:
        raise Refused("permit_wrong_crossing", f"The permit is not for a {crossing.value}.", where="permit.jws")


def _pass(
    permit: Permit, sources: Sequence[Path], folder: Path, reference_year: int | None, buckets: int, limits: Limits
) -> tuple[Counts, dict[str, int]]:
    terms, folder_of_passing = permit.terms, folder.with_name("unsorted")
    with engine(limits) as con:
        read = _load(con, terms, sources)
        load_allowed(con, permit.allowed_path, permit.read_at)
        counts = _count(read, terms)
        rows = select(
            ", ".join(outputs(terms, reference_year)),
            f"({judged(terms)})",
            "WHERE person IS NOT NULL AND reason IS NULL",
        )
        found = write_unsorted(con, rows, folder_of_passing, buckets)
    folder.mkdir()
    with engine(limits, spill=folder.with_name("spill")) as con:
        once = terms.crossing is Crossing.RELEASE
        written = write_sorted(con, folder_of_passing, folder, buckets, once=once)
    shutil.rmtree(folder_of_passing)
    shutil.rmtree(folder.with_name("spill"), ignore_errors=True)
    if found != counts.passed:
        raise Refused("records_changed", "The records changed while they were read: start again.", where="records")
    return without_copies(counts, sum(written.values())), written


def without_copies(counts: Counts, written: int) -> Counts:
    """A record that stood there twice has passed once; its copies are withheld (G60)."""
    copies = counts.passed - written
    return replace(counts, passed=written, by_reason={**counts.by_reason, "G60": copies}) if copies else counts


def _load(
    con: duckdb.DuckDBPyConnection, terms: Terms, sources: Sequence[Path], rules: tuple[Rule, ...] = RULES
) -> Records:
    release = terms.crossing is Crossing.RELEASE
    load_terms(con, terms, full_codes=not release, rules=rules)
    wanted = [term.name for term in terms.columns]
    return read_records(con, sources, wanted, names=STORE_NAMES if release else {})


def _count(records: Records, terms: Terms) -> Counts:
    """Counts every record once, in the same pass that tries to read it; RefusedFile if one cannot be read."""
    grouped = select(
        "problem IS NOT NULL, person IS NOT NULL, reason, count(*)", f"({judged(terms)})", "GROUP BY ALL ORDER BY ALL"
    )
    try:
        rows = records.con.execute(grouped).fetchall()
    except duckdb.Error as error:
        records.refuse_unreadable(error)
        raise
    if any(problem for problem, *_ in rows):
        records.refuse_problems()
    by_reason = {reason: n for _, there, reason, n in rows if there and reason}
    return Counts(
        records_in=sum(row[3] for row in rows),
        passed=sum(n for _, there, reason, n in rows if there and not reason),
        not_in_permit=sum(n for _, there, _, n in rows if not there),
        by_reason=by_reason,
    )


def outputs(terms: Terms, reference_year: int | None) -> list[str]:
    """The columns that leave, in the order of rules/precision.py; in an extraction with the gate columns, in a
    release with the source day until copies are found."""
    asked = [name for name in COLUMNS if terms.precision_of(name) and name != "recorded_on"]
    values = [f"{_value(terms, name, reference_year)} AS {name}" for name in asked]
    if terms.crossing is Crossing.EXTRACTION:
        return ["practice_id", "person AS pseudonym", "doctor_pseudonym", "recorded_on", "provenance", *values]
    when = terms.precision_of("recorded_on") or Precision.WEEK
    day = f"{released('recorded_on', when, 'recorded_on', reference_year)} AS {released_name('recorded_on', when)}"
    return ["person AS pseudonym", day, *values, f"recorded_on AS {SOURCE_DAY}"]


def _value(terms: Terms, name: str, reference_year: int | None) -> str:
    precision = terms.precision_of(name) or Precision.FULL
    if COLUMNS[name].kind is Kind.RESULT:
        return f"CASE WHEN {is_number(name)} THEN {name} ELSE code_{name} END"
    return f"code_{name}" if COLUMNS[name].listed else released(name, precision, name, reference_year)
