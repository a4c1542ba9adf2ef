"""Synthetic records of many practices and the permit for them: seeded, written as a stream, kept under var/bench.

Three quarters of the input is as records are: a stable person, one code or result a record, free of any real
person. About 80 % pass: 89 % of the persons are in the permit, and one record in nine of theirs stays for its
provenance, its date or its code.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.measure import CACHE
from portal.gate.permit import ALLOWED, ColumnTerm, DoctorSpan, Permit, Terms, read_permit, write_permit
from portal.rules.words import Crossing, Precision, Provenance

KEY = Ed25519PrivateKey.from_private_bytes(b"portal" + bytes(26))
PRACTICE_KEY = Ed25519PrivateKey.from_private_bytes(b"practice" + bytes(24))
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PATIENTS = 3_000
"""In one practice."""

DIAGNOSES = [f"{chr(65 + i // 16)}{i % 16 * 6:02}.{i % 9}" for i in range(400)]
DRUGS = [f"{chr(65 + i // 12)}0{1 + i % 9}AB{i % 90:02}" for i in range(300)]
TESTS = [f"{2000 + i}-{i % 10}" for i in range(40)]
UNITS = ["mg/dL", "g/L", "mmol/L", "%"]
COLUMNS = ("year_of_birth", "sex", "weight_kg", "diagnosis", "prescription", "test_code", "test_value", "test_unit")


@dataclass(frozen=True)
class Made:
    """A folder with one `practice_id=…` partition a practice, and the permit over all of them."""

    records: int
    practices: int
    folder: Path
    permit_folder: Path

    @property
    def files(self) -> str:
        return str(self.folder / "*" / "*.parquet")

    @property
    def sizes(self) -> str:
        return f"{self.records:,} records of {self.practices * PATIENTS:,} patients at {self.practices:,} practices"

    def permit(self) -> Permit:
        return read_permit(self.permit_folder, KEY.public_key(), NOW, crossing=Crossing.EXTRACTION)


def made(records: int, practices: int = 1_000, first: int = 0) -> Made:
    """The records and their permit, made once. `first`: the number of the first practice."""
    of = f"{practices}-from-{first}" if first else str(practices)
    folder, permit = CACHE / f"records-{records}-{of}", CACHE / f"permit-{of}"
    found = Made(records, practices, folder, permit)
    numbers = range(first, first + practices)
    if not permit.exists():
        _write_permit(permit, numbers)
    if not (folder / "_made").exists():
        _write_records(folder, records // practices, numbers)
        (folder / "_made").touch()
    return found


def _name(practice: int) -> str:
    return f"practice-{practice:04}"


def _write_records(folder: Path, each: int, practices: range) -> None:
    with duckdb.connect() as con:
        for table, values in {"dx": DIAGNOSES, "rx": DRUGS, "tests": TESTS, "units": UNITS}.items():
            con.execute(f"CREATE TABLE {table} AS SELECT ?::VARCHAR[] AS l", [values])
        for practice in practices:
            part = folder / f"practice_id={_name(practice)}"
            part.mkdir(parents=True, exist_ok=True)
            query = _RECORDS.format(p=practice, n=each, patients=PATIENTS)
            con.execute(f"COPY ({query}) TO '{part}/records.parquet' (FORMAT parquet, COMPRESSION zstd)")


_RECORDS = """
WITH drawn AS (SELECT hash(i + {p} * 1000000000::BIGINT) AS h FROM range({n}) t(i)),
parts AS (SELECT (h % {patients})::INT AS patient, (h >> 12) % 1000 AS a, (h >> 22) % 1000 AS b, (h >> 32) % 1000 AS k,
    ((h >> 42) % 4000)::INT AS days, ((h >> 54) % 1024)::INT AS x FROM drawn),
persons AS (SELECT *, hash(patient + {p} * {patients} + 77) AS of FROM parts)
SELECT (100000 + {p}) || lpad(patient::VARCHAR, 5, '0') AS patient_id,
    CASE WHEN a >= 20 THEN (1000000 + {p}) || '00' || (of % 3) END AS doctor_id,
    DATE '2015-11-01' + days AS recorded_on,
    CASE WHEN a >= 950 THEN 'teleservice_auto' WHEN a >= 940 THEN 'unknown' WHEN a >= 880 THEN 'imported'
        ELSE 'entered' END AS provenance,
    (1930 + (of >> 8) % 90)::INT AS year_of_birth,
    CASE WHEN (of >> 20) % 2 = 0 THEN 'female' ELSE 'male' END AS sex,
    CASE WHEN b < 50 THEN 'sct|91936005' END AS allergy,
    CASE WHEN k >= 900 THEN (50 + x % 50)::DOUBLE END AS weight_kg,
    CASE WHEN k < 400 THEN (SELECT l FROM dx)[1 + ((x * x) // 2622) % 400] END AS diagnosis,
    CASE WHEN k >= 400 AND k < 750 THEN (SELECT l FROM rx)[1 + ((x * x) // 3500) % 300] END AS prescription,
    CASE WHEN k >= 750 AND k < 900 THEN (SELECT l FROM tests)[1 + x % 40] END AS test_code,
    CASE WHEN k >= 750 AND k < 900 THEN (x / 8.0)::DECIMAL(6, 1)::VARCHAR END AS test_value,
    CASE WHEN k >= 750 AND k < 900 THEN (SELECT l FROM units)[1 + x % 4] END AS test_unit
FROM persons
"""


def _write_permit(folder: Path, practices: range) -> None:
    sites = [_name(p) for p in practices]
    terms = Terms(
        permit_id="bench", crossing=Crossing.EXTRACTION, observatory_id="observatory", study_id=None,
        practices=tuple(sites), cut=1, rule_version="bench", columns=tuple(_columns()),
        provenance=(Provenance.ENTERED, Provenance.IMPORTED),
        period_from=date(2016, 1, 1), period_until=date(2026, 10, 31),
        doctors=tuple(_doctors(practices)), unnamed_doctor_ok=tuple(sites),
        not_before=datetime(2026, 11, 1, tzinfo=UTC), expires_at=datetime(2026, 12, 1, tzinfo=UTC), serial=1,
    )  # fmt: skip
    with duckdb.connect() as con:
        query = (
            "SELECT printf('practice-%04d', p) AS practice_id, "
            "(100000 + p) || lpad(i::VARCHAR, 5, '0') AS patient_id, md5(p || '/' || i) AS pseudonym, "
            "NULL::DATE AS recorded_from, "
            "CASE WHEN hash(i * p + 5) % 50 = 0 THEN DATE '2026-01-01' END AS recorded_until, "
            "NULL::TIMESTAMP AS holds_until "
            f"FROM range({practices.start}, {practices.stop}) a(p), range({PATIENTS}) b(i) "
            f"WHERE hash(p * {PATIENTS} + i + 1) % 100 < 89"
        )
        write_permit(folder, terms, con.sql(query).to_arrow_table().cast(ALLOWED), KEY)


def _columns() -> Iterable[ColumnTerm]:
    codes = {"diagnosis": DIAGNOSES[:385], "prescription": DRUGS, "test_code": TESTS, "test_value": ["sct|266919005"]}
    for name in COLUMNS:
        yield ColumnTerm(name, Precision.FULL, tuple(sorted(set(codes[name]))) if name in codes else None)


def _doctors(practices: range) -> Iterable[DoctorSpan]:
    for practice in practices:
        for place in range(3):
            number = f"{1000000 + practice}00{place}"
            yield DoctorSpan(_name(practice), number, hashlib.sha256(number.encode()).hexdigest()[:32])
