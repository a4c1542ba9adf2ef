"""The same records as FHIR, CSV and Parquet, and in folders by practice: the same rows leave, under the same counts.

The flat forms are written from what the oracle's own reader finds in the FHIR resources.
"""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from story.made import EXTRACTED, STUDIED, Inputs
from story.oracle_reading import SYSTEMS, Record, read_records
from story.plans import PRACTICES, RECORDS, Said
from story.saying import add_encounters, add_record

from portal.demo.bulk import SHIPPED, part
from portal.flow.govern import read_reviewed
from portal.gate.filtering import Counts, filter_extraction, filter_release
from portal.gate.permit import ALLOWED, Permit, read_permit, write_permit
from portal.gate.store import accept
from portal.gate.terms import ColumnTerm, DoctorSpan, Terms
from portal.rules.words import Crossing, Precision, Provenance

FEW, MANY = 15, 1_000
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
KEY, PRACTICE_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
PRACTICE = PRACTICES[0]

FLAT = pa.schema([
    ("practice_id", pa.string()), ("patient_id", pa.string()), ("doctor_id", pa.string()),
    ("recorded_on", pa.date32()), ("provenance", pa.string()), ("year_of_birth", pa.int32()), ("sex", pa.string()),
    ("allergy", pa.string()), ("diagnosis", pa.string()), ("prescription", pa.string()), ("height_cm", pa.float64()),
    ("weight_kg", pa.float64()), ("test_code", pa.string()), ("test_value", pa.string()), ("test_unit", pa.string()),
])  # fmt: skip

TERMS = Terms(
    permit_id="a-permit", crossing=Crossing.EXTRACTION, observatory_id="demo", study_id=None, practices=(PRACTICE,),
    cut=1, rule_version="", columns=(), provenance=(Provenance.ENTERED, Provenance.IMPORTED),
    period_from=date(2020, 1, 1), period_until=date(2026, 12, 31),
    doctors=(DoctorSpan(PRACTICE, f"{PRACTICE}-first", "d1", date(2025, 6, 11)),
             DoctorSpan(PRACTICE, f"{PRACTICE}-second", "d2")),
    unnamed_doctor_ok=(PRACTICE,), not_before=NOW, expires_at=NOW + timedelta(days=1), serial=1,
)  # fmt: skip

Allowed = Mapping[str, date | None]
"""From which day on the records of each patient in the permit may pass."""


# --- the forms --------------------------------------------------------------------------------------------------


def flat(folder: Path) -> list[dict[str, Any]]:
    """The records of a FHIR folder `records/<practice>/` in the flat form."""
    return [_row(record) for record in read_records(folder)]


def _row(record: Record) -> dict[str, Any]:
    row = dict.fromkeys(FLAT.names) | {
        "practice_id": record.practice, "patient_id": record.patient, "doctor_id": record.doctor or None,
        "recorded_on": record.day, "provenance": record.provenance or None, "year_of_birth": record.year,
        "sex": record.sex,
    }  # fmt: skip
    row |= record.cells
    if row["test_value"] is not None:
        row["test_value"] = _text(row["test_value"])
    return row


def _text(value: Any) -> str:
    if isinstance(value, dict):
        coding = value["coding"][0]
        return f"{SYSTEMS.get(coding['system'], coding['system'])}|{coding['code']}"
    return str(value)


def as_csv(rows: list[dict[str, Any]], folder: Path, names: Iterable[str] = FLAT.names) -> None:
    folder.mkdir(parents=True)
    with (folder / "records.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(names), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def as_parquet(rows: list[dict[str, Any]], folder: Path, names: Iterable[str] = FLAT.names) -> None:
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=FLAT).select(list(names)), folder / "records.parquet")


def in_folders(rows: list[dict[str, Any]], folder: Path, write: Callable[..., None]) -> None:
    """By practice, as `practice_id=…`, without the column."""
    for practice in {row["practice_id"] for row in rows}:
        theirs = [row for row in rows if row["practice_id"] == practice]
        write(theirs, folder / f"practice_id={practice}", FLAT.names[1:])


def every_form(folder: Path, practice: str) -> dict[str, Path]:
    """The FHIR records of one practice, and the same in each flat form beside them."""
    rows = [row for row in flat(folder) if row["practice_id"] == practice]
    forms = {name: folder / "forms" / name for name in ("csv", "parquet", "csv by practice", "parquet by practice")}
    as_csv(rows, forms["csv"])
    as_parquet(rows, forms["parquet"])
    in_folders(rows, forms["csv by practice"], as_csv)
    in_folders(rows, forms["parquet by practice"], as_parquet)
    return {"fhir": folder / "records" / practice} | forms


# --- through the filter, twice ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Crossed:
    """What came of records in one form: both counts, and the bytes of the released files."""

    extracted: Counts
    released: Counts
    files: dict[str, bytes]


def cross(source: Path, out: Path, terms: Terms, study: tuple[ColumnTerm, ...], allowed: Allowed) -> Crossed:
    (practice,) = terms.practices
    granted = _permit(out / "permit", terms, {number: (_name(number), day) for number, day in allowed.items()})
    extracted = filter_extraction(granted, source, out / "extraction", practice_key=PRACTICE_KEY)
    stored = accept(out / "extraction", out / "store", practice, drop=(), name="extraction")
    doctors = tuple(replace(doctor, doctor_id=doctor.pseudonym) for doctor in terms.doctors)
    wanted = replace(terms, crossing=Crossing.RELEASE, study_id="study", columns=study, doctors=doctors)
    listed = {_name(number): (_name(_name(number)), day) for number, day in allowed.items()}
    released = filter_release(
        _permit(out / "release-permit", wanted, listed), [stored.path], out / "release", reference_year=2026
    )
    files = {file.name: file.read_bytes() for file in sorted((out / "release").iterdir())}
    return Crossed(extracted, released, files)


def _permit(folder: Path, terms: Terms, listed: Mapping[str, tuple[str, date | None]]) -> Permit:
    lines = [
        {"practice_id": terms.practices[0], "patient_id": key, "pseudonym": name, "recorded_from": day}
        for key, (name, day) in listed.items()
    ]
    write_permit(folder, terms, pa.Table.from_pylist(lines, schema=ALLOWED), KEY)
    return read_permit(folder, KEY.public_key(), NOW, crossing=terms.crossing)


def _name(number: str) -> str:
    return sha256(number.encode()).hexdigest()[:32]


def columns(given: Mapping[str, Any]) -> tuple[ColumnTerm, ...]:
    return tuple(
        ColumnTerm(name, Precision(spec["precision"]), tuple(spec["codes"]) if spec.get("codes") else None)
        for name, spec in given.items()
    )


def assert_every_form_is_one(folder: Path, terms: Terms, study: tuple[ColumnTerm, ...], allowed: Allowed) -> Crossed:
    """Equal counts, and released files of equal bytes."""
    crossed = {
        name: cross(source, folder / "crossed" / name, terms, study, allowed)
        for name, source in every_form(folder, terms.practices[0]).items()
    }
    for name, what in crossed.items():
        assert what.extracted == crossed["fhir"].extracted, name
        assert what.released == crossed["fhir"].released, name
        assert what.files == crossed["fhir"].files, name
    return crossed["fhir"]


# --- the tests ----------------------------------------------------------------------------------------------------


def test_generated_records_leave_alike_from_every_form(tmp_path: Path, how_many: Callable[[int, int], int]) -> None:
    numbers, passed = count(), 0

    @settings(max_examples=how_many(FEW, MANY), deadline=None, database=None, derandomize=True, print_blob=True)
    @given(st.lists(RECORDS, min_size=1, max_size=12))
    def check(records: list[Said]) -> None:
        nonlocal passed
        inputs, folder = Inputs(), tmp_path / str(next(numbers))
        add_encounters(inputs, PRACTICE)
        for number in "012":
            inputs.known(number, PRACTICE, birth=f"19{number}7-05-05", sex="female")
        for said in records:
            add_record(inputs, said, str(said.person % 3), PRACTICE)
        inputs.write_records(folder)
        terms = replace(TERMS, columns=columns(EXTRACTED))
        allowed = {"0": None, "1": date(2026, 1, 1)}
        passed += assert_every_form_is_one(folder, terms, columns(STUDIED), allowed).released.passed

    check()
    assert passed


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's records, parted by practice."""
    folder = tmp_path_factory.mktemp("real")
    part(SHIPPED, folder / "records")
    return folder


def test_the_records_of_a_practice_of_the_demo_leave_alike_from_every_form(real: Path) -> None:
    practice = min((real / "records").iterdir(), key=lambda folder: (_size(folder), folder.name)).name
    ground = read_reviewed(SHIPPED.parent / "observatory.toml").model_dump(mode="json")
    given, asked = ground["authorisation"][0]["conditions"], ground["study"][0]["conditions"]
    rows = [row for row in flat(real) if row["practice_id"] == practice]
    doctors = sorted({row["doctor_id"] for row in rows if row["doctor_id"]})
    terms = replace(
        TERMS, practices=(practice,), columns=columns(given["columns"]), unnamed_doctor_ok=(),
        doctors=tuple(DoctorSpan(practice, doctor, _name(doctor)) for doctor in doctors),
    )  # fmt: skip
    numbers = sorted({row["patient_id"] for row in rows})
    crossed = assert_every_form_is_one(real, terms, columns(asked["columns"]), dict.fromkeys(numbers[1:]))
    assert crossed.extracted.records_in == len(rows)
    assert crossed.released.passed > 100
    assert crossed.extracted.not_in_permit
    assert {"G33", "G34"} <= crossed.extracted.by_reason.keys()


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
