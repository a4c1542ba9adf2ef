"""Permits, records and keys made for the gate's tests."""

import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import oracle
import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.gate.permit import ALLOWED, ColumnTerm, DoctorSpan, Permit, Terms, read_permit, write_permit
from portal.rules.words import Crossing, Precision, Provenance

KEY = Ed25519PrivateKey.from_private_bytes(b"portal" + bytes(26))
PRACTICE_KEY = Ed25519PrivateKey.from_private_bytes(b"practice" + bytes(24))
FOREIGN_KEY = Ed25519PrivateKey.from_private_bytes(b"foreign" + bytes(25))
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

SENTENCE = re.compile(r"([A-Z](?![A-Z]{2})|[a-z]+[.][a-z]+ ).*[a-z].*\.", re.ASCII)
"""What people are told: from a capital, or the name of a file, to a full stop."""


def pseudonym(of: str) -> str:
    return hashlib.sha256(of.encode()).hexdigest()[:32]


TERMS = Terms(
    permit_id="permit-1",
    crossing=Crossing.EXTRACTION,
    observatory_id="observatory-1",
    study_id=None,
    practices=("p1", "p2"),
    cut=17,
    rule_version="rules-1",
    columns=(
        ColumnTerm("year_of_birth", Precision.YEAR),
        ColumnTerm("sex", Precision.FULL),
        ColumnTerm("diagnosis", Precision.FULL, ("J45.0", "sct|195967001")),
        ColumnTerm("prescription", Precision.FULL, ("atc|R03AC02",)),
        ColumnTerm("height_cm", Precision.FIVE),
        ColumnTerm("test_code", Precision.FULL, ("2571-8", "72166-2")),
        ColumnTerm("test_value", Precision.FULL, ("sct|266919005",)),
        ColumnTerm("test_unit", Precision.FULL),
    ),
    provenance=(Provenance.ENTERED, Provenance.IMPORTED),
    period_from=date(2024, 1, 1),
    period_until=date(2026, 10, 31),
    doctors=(
        DoctorSpan("p1", "d1", pseudonym("d1")),
        DoctorSpan("p1", "d2", pseudonym("d2"), date(2025, 1, 1), date(2025, 12, 31)),
        DoctorSpan("p2", "d3", pseudonym("d3")),
    ),
    unnamed_doctor_ok=("p1",),
    not_before=datetime(2026, 11, 1, tzinfo=UTC),
    expires_at=datetime(2026, 12, 1, tzinfo=UTC),
    serial=3,
)

RECORD: dict[str, Any] = dict.fromkeys(oracle.FLAT) | {
    "practice_id": "p1",
    "patient_id": "001",
    "doctor_id": "d1",
    "recorded_on": date(2025, 6, 30),
    "provenance": "entered",
    "year_of_birth": 1987,
    "sex": "female",
    "diagnosis": "J45.0",
}

Spans = list[tuple[date | None, date | None]]
Allowed = dict[tuple[str, str], tuple[str, Spans]]
ALLOWED_PERSONS: Allowed = {
    ("p1", "001"): (pseudonym("one"), [(None, None)]),
    ("p1", "002"): (pseudonym("two"), [(None, date(2025, 2, 28)), (date(2025, 9, 1), None)]),
    ("p2", "001"): (pseudonym("three"), [(None, None)]),
}


def record(**changes: Any) -> dict[str, Any]:
    return RECORD | changes


def allowed_table(persons: Allowed, holds_until: datetime | None = None) -> pa.Table:
    rows = [
        (practice, key, pseudonym, first, last, holds_until)
        for (practice, key), (pseudonym, spans) in persons.items()
        for first, last in spans
    ]
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(ALLOWED.names)}, schema=ALLOWED)


def permit(folder: Path, terms: Terms = TERMS, persons: Allowed = ALLOWED_PERSONS) -> Permit:
    write_permit(folder, terms, allowed_table(persons), KEY)
    return read_permit(folder, KEY.public_key(), NOW, crossing=terms.crossing)


def release_terms(terms: Terms = TERMS, **changes: Any) -> Terms:
    """The same terms for a release, where doctors go by their pseudonyms and the decade of birth is asked for."""
    columns = tuple(replace(c, precision=Precision.DECADE) if c.name == "year_of_birth" else c for c in terms.columns)
    doctors = tuple(replace(d, doctor_id=d.pseudonym) for d in terms.doctors)
    basic = {"crossing": Crossing.RELEASE, "study_id": "study-1", "columns": columns, "doctors": doctors}
    return replace(terms, **(basic | changes))


def real_terms(records: list[dict[str, Any]]) -> tuple[Terms, Allowed]:
    """Terms over the demo's data: common codes listed, every fifth doctor missing, every third person missing."""
    practices = sorted({r["practice_id"] for r in records})
    doctors = sorted({(r["practice_id"], r["doctor_id"]) for r in records if r["doctor_id"]})
    persons = sorted({(r["practice_id"], r["patient_id"]) for r in records})
    split: Spans = [(None, date(2024, 12, 31)), (date(2025, 7, 1), None)]

    def common(column: str) -> tuple[str, ...]:
        return tuple(code for code, _ in Counter(r[column] for r in records if r[column]).most_common(40))

    terms = replace(
        TERMS,
        practices=tuple(practices),
        columns=(
            ColumnTerm("year_of_birth", Precision.YEAR),
            ColumnTerm("sex", Precision.FULL),
            ColumnTerm("socio_professional_category", Precision.FULL),
            *(ColumnTerm(name, Precision.FULL, common(name)) for name in sorted(oracle.CODED)),
            ColumnTerm("height_cm", Precision.FIVE),
            ColumnTerm("weight_kg", Precision.FIVE),
            ColumnTerm("test_value", Precision.FULL, ("sct|266919005",)),
            ColumnTerm("test_unit", Precision.FULL, tuple(oracle.UNITS_OF_DATA)),
        ),
        doctors=tuple(
            DoctorSpan(practice, doctor, pseudonym(doctor), date(2025, 1, 1) if place % 3 == 0 else None)
            for place, (practice, doctor) in enumerate(doctors)
            if place % 5
        ),
        unnamed_doctor_ok=tuple(practices[::2]),
    )
    allowed = {
        person: (pseudonym("/".join(person)), split if place % 7 == 0 else [(None, None)])
        for place, person in enumerate(persons)
        if place % 3
    }
    return terms, allowed


def as_oracle(terms: Terms) -> dict[str, Any]:
    """The terms in the oracle's plain form."""
    return {
        "doctors": {(d.practice_id, d.doctor_id): (d.recorded_from, d.recorded_until) for d in terms.doctors},
        "doctor_pseudonyms": {d.doctor_id: d.pseudonym for d in terms.doctors},
        "unnamed_doctor_ok": set(terms.unnamed_doctor_ok),
        "provenance": {word.value for word in terms.provenance},
        "period": (terms.period_from, terms.period_until),
        "columns": {c.name: c.codes for c in terms.columns},
    }


def write_csv(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, oracle.FLAT)
        writer.writeheader()
        writer.writerows(records)
    return path


def write_ndjson(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    lines = (json.dumps({k: v for k, v in r.items() if v is not None}, default=str) for r in records)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


_TYPES = {"recorded_on": pa.date32(), "year_of_birth": pa.int32(), "height_cm": pa.float64(), "weight_kg": pa.float64(),
          "sick_leave_days": pa.int32()}  # fmt: skip


def write_parquet(path: Path, records: Sequence[dict[str, Any]], *, without: str = "") -> Path:
    columns = {
        name: pa.array([r[name] for r in records], _TYPES.get(name, pa.string()))
        for name in oracle.FLAT
        if name != without
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def write_partitions(folder: Path, records: Sequence[dict[str, Any]]) -> Path:
    for practice in {r["practice_id"] for r in records}:
        mine = [r for r in records if r["practice_id"] == practice]
        write_parquet(folder / f"practice_id={practice}" / "part-0.parquet", mine, without="practice_id")
    return folder


def rows_of(folder: Path, names: str = "*.parquet") -> list[tuple[Any, ...]]:
    """Every row in the Parquet files of a folder."""
    return [
        tuple(row.values())
        for path in sorted(folder.glob(names))
        for row in pq.read_table(path, partitioning=None).to_pylist()
    ]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
