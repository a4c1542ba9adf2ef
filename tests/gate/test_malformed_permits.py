"""Malformed permits (R8): `portal extract` refuses each with its place, and writes nothing.

Each is signed by the portal's own key, so that it is not the signature that refuses it; what is signed by nobody, or
by somebody else, is in tests/gate/test_tampering.py.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from portal.extract_command import extract
from portal.gate.folders import sha256_of
from portal.gate.permit import ALLOWED, KIND, write_permit
from portal.gate.signature import canonical, sign
from portal.gate.terms import as_payload
from portal.outside.keys import KeyRing, public_pem
from portal.rules.refusals import Refused

TERMS = replace(made.TERMS, not_before=datetime(2020, 1, 1, tzinfo=UTC), expires_at=datetime(2120, 1, 1, tzinfo=UTC))
Change = Callable[[dict[str, Any]], object]
FIELDS = sorted(as_payload(TERMS))
MAY_BE_NULL = {"study_id"}
LISTS = ("columns", "doctors", "practices", "provenance", "unnamed_doctor_ok")
TEXTS = ("permit_id", "observatory_id", "rule_version", "list_sha256")
NUMBERS = ("cut", "serial")
DAYS = ("period_from", "period_until")
MOMENTS = ("not_before", "expires_at")


def takes_out(name: str) -> Change:
    return lambda p: p.pop(name)


def says(name: str, value: Any) -> Change:
    return lambda p: p.update({name: value})


def inside(table: str, **changes: Any) -> Change:
    """The first column or doctor says something else."""
    return lambda p: p[table][0].update(changes)


def terms() -> Iterator[tuple[str, Change]]:
    """Every field taken out, null and of another kind; every inner field; and what cannot be meant."""
    for name in FIELDS:
        yield f"{name} is missing", takes_out(name)
        if name not in MAY_BE_NULL:
            yield f"{name} is null", says(name, None)
    for name in LISTS:
        yield f"{name} is a text", says(name, "p1")
        yield f"{name} holds a number", says(name, [1])
    for name in TEXTS:
        yield f"{name} is a number", says(name, 1)
    for name in NUMBERS:
        yield f"{name} is a text", says(name, "1")
        yield f"{name} is true", says(name, True)
        yield f"{name} is a fraction", says(name, 1.5)
    for name in DAYS:
        yield f"{name} is no day", says(name, "2025-02-30")
        yield f"{name} is a number", says(name, 20250101)
    for name in MOMENTS:
        yield f"{name} is no moment", says(name, "today")
        yield f"{name} has no zone", says(name, "2026-11-01T00:00:00")
    for name in ("name", "precision", "codes"):
        yield f"a column without {name}", lambda p, n=name: p["columns"][0].pop(n)
    for name in ("practice_id", "doctor_id", "pseudonym", "recorded_from", "recorded_until"):
        yield f"a doctor without {name}", lambda p, n=name: p["doctors"][0].pop(n)
    yield "one field more", says("note", "")
    yield "a crossing that is none", says("crossing", "export")
    yield "a study in an extraction", says("study_id", "study-1")
    yield "a release without a study", says("crossing", "release")
    yield "no practice", says("practices", [])
    yield "a doctor of another practice", inside("doctors", practice_id="p9")
    yield "a doctor's day that is none", inside("doctors", recorded_from="yesterday")
    yield "a column that no record has", inside("columns", name="postcode")
    yield "a column twice", lambda p: p["columns"].append(p["columns"][0])
    yield "a precision that is none", inside("columns", precision="exact")
    yield "a precision that the column cannot have", inside("columns", precision="fifteen")
    yield "codes as a text", inside("columns", codes="J45.0")
    yield "codes that are numbers", inside("columns", codes=[45])
    yield "a provenance that is none", says("provenance", ["copied"])
    yield "an end of the period before its beginning", says("period_until", "2020-01-01")
    yield "an end before the beginning", says("expires_at", "2019-01-01T00:00:00+00:00")


def table_without(name: str) -> Callable[[pa.Table], pa.Table]:
    return lambda t: t.drop_columns([name])


def table_with(name: str, value: Any, kind: pa.DataType | None = None) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        values = pa.array([value] * table.num_rows, kind or table.schema.field(name).type)
        return table.set_column(place, name, values)

    return change


TABLES: dict[str, Callable[[pa.Table], pa.Table]] = {
    **{f"the list has no {name}": table_without(name) for name in ALLOWED.names},
    **{f"{name} may be null": table_with(name, None) for name in ("practice_id", "patient_id", "pseudonym")},
    "the numbers are numbers": table_with("patient_id", 1, pa.int64()),
    "the days are texts": table_with("recorded_from", "2025-01-01", pa.string()),
    "the moments know their zone": table_with("holds_until", made.NOW, pa.timestamp("us", tz="UTC")),
    "a practice that the terms do not name": lambda t: as_listed(table_with("practice_id", "p9")(t)),
    "one person with two pseudonyms": lambda t: pa.concat_tables(
        [t, as_listed(table_with("pseudonym", made.pseudonym("other"))(t))]
    ),
    "one column more": lambda t: t.append_column("name", pa.array(["x"] * t.num_rows)),
    "the columns in another order": lambda t: t.select(ALLOWED.names[::-1]),
}


def as_listed(table: pa.Table) -> pa.Table:
    """With the columns that cannot be null marked so again."""
    return table.cast(ALLOWED)


BYTES: dict[str, tuple[str, bytes]] = {
    "an empty list": ("allowed.parquet", b""),
    "a list that is no Parquet": ("allowed.parquet", b"PAR1"),
    "a list as CSV": ("allowed.parquet", b"practice_id,patient_id,pseudonym\np1,001,x\n"),
}
PAYLOADS: dict[str, bytes] = {
    "terms that are no JSON": b"permit",
    "terms that are a list": b"[]",
    "terms that are a text": b'"permit"',
    "terms that are null": b"null",
    "terms that are no UTF-8": b"\xff\xfe",
    "empty terms": b"",
    "terms twice over": b"{}{}",
    "terms that are not a number": b'{"cut": NaN}',
}
FOLDERS: dict[str, Callable[[Path], object]] = {
    "no statement": lambda folder: (folder / "permit.jws").unlink(),
    "no list": lambda folder: (folder / "allowed.parquet").unlink(),
    "a statement that is a folder": lambda folder: _as_folder(folder / "permit.jws"),
    "a list that is a folder": lambda folder: _as_folder(folder / "allowed.parquet"),
    "a list that was not signed": lambda folder: (folder / "allowed.parquet").write_bytes(b"PAR1"),
}


def _as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def signed_again(folder: Path, payload: bytes) -> None:
    (folder / "permit.jws").write_bytes(sign(KIND, payload, made.KEY))


def with_terms(change: Change) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        payload = json.loads(canonical(as_payload(replace(TERMS, list_sha256=sha256_of(folder / "allowed.parquet")))))
        change(payload)
        signed_again(folder, canonical(payload))

    return spoil


def with_list(write: Callable[[Path], object]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        write(folder / "allowed.parquet")
        with_terms(lambda p: None)(folder)

    return spoil


def rewritten(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], object]:
    return lambda path: pq.write_table(change(pq.read_table(path)), path)


CASES: dict[str, Callable[[Path], object]] = {
    **{name: with_terms(change) for name, change in terms()},
    **{name: with_list(rewritten(change)) for name, change in TABLES.items()},
    **{name: with_list(lambda path, c=content: path.write_bytes(c)) for name, (_, content) in BYTES.items()},
    **{name: lambda folder, c=content: signed_again(folder, c) for name, content in PAYLOADS.items()},
    **FOLDERS,
}


@pytest.fixture
def practice(tmp_path: Path) -> Path:
    """A practice's computer: a permit, records, its own key and the portal's public one."""
    write_permit(tmp_path / "permit", TERMS, made.allowed_table(made.ALLOWED_PERSONS), made.KEY)
    made.write_parquet(tmp_path / "records.parquet", [made.record()])
    KeyRing(tmp_path / "keys").create("practice:p1")
    (tmp_path / "portal.pub").write_bytes(public_pem(made.KEY.public_key()))
    return tmp_path


def extracts(folder: Path) -> None:
    extract(
        folder / "permit", folder / "records.parquet", folder / "out", folder / "portal.pub", sign_with=folder / "keys"
    )


def test_the_good_permit_itself_lets_the_record_out(practice: Path) -> None:
    extracts(practice)
    assert (practice / "out" / "extraction.jws").is_file()


@pytest.mark.shows("R8")
@pytest.mark.parametrize("name", CASES)
def test_a_malformed_permit_is_refused_with_its_place_and_nothing_is_written(name: str, practice: Path) -> None:
    CASES[name](practice / "permit")
    before = sorted(practice.rglob("*"))
    with pytest.raises(Refused) as no:
        extracts(practice)
    assert no.value.code.startswith("permit_")
    assert no.value.where in ("permit.jws", "allowed.parquet", "permit")
    assert sorted(practice.rglob("*")) == before


def test_there_are_many_kinds() -> None:
    assert len(CASES) >= 110
