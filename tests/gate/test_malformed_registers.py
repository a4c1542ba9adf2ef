"""A bad register is refused whole: every row, column and reason is named, and no value is repeated."""

import gzip
import io
import json
import traceback
from contextlib import suppress
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.gate.register import LARGEST, read_register
from portal.gate.register_faults import LISTED, WHAT
from portal.gate.register_row import COLUMNS
from portal.rules.refusals import Problem, RefusedFile

TODAY = date(2026, 11, 24)
GOOD = {
    "patient_id": "00018",
    "person_key": "157049990786733",
    "birth_date": "1957-04-16",
    "sex": "male",
    "family_name": "Collet",
    "given_names": "Alphonse",
    "email": "alphonse@example.org",
    "phone": "+33639981253",
    "address": "82 chemin Verdier",
    "country": "FR",
    "language": "en",
    "deceased_on": "2023-05-30",
    "representative_name": "Margot Tanguy",
    "representative_email": "margot@example.org",
    "representative_kind": "mandate",
}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "https://example.org/practice-10/patient", "value": "00018"}],
    "gender": "male",
    "birthDate": "1957-04-16",
    "name": [{"family": "Collet", "given": ["Alphonse"]}],
    "managingOrganization": {"reference": "Organization/practice-10"},
}
PRIVATE = ("Collet", "Alphonse", "1570499", "1957", "39981253", "Verdier", "Tanguy", "00018", "alphonse@")
HEADER = ",".join(GOOD)
LINE = ",".join(GOOD.values())


def changed(**values: str) -> bytes:
    """A file whose line 3 is bad: those values in place of the good ones."""
    bad = GOOD | {"patient_id": "00019"} | values
    return f"{HEADER}\n{LINE}\n{','.join(bad.values())}\n".encode()


def header(*names: str) -> bytes:
    return f"{','.join(names)}\n{','.join('Collet' for _ in names)}\n".encode()


def fhir(**values: object) -> bytes:
    """A FHIR file whose line 2 is bad."""
    good = PATIENT | {"identifier": [{"system": "https://example.org/practice-10/patient", "value": "00017"}]}
    return f"{json.dumps(good)}\n{json.dumps(PATIENT | values)}\n".encode()


def parquet(**columns: pa.Array) -> bytes:
    table = pa.table({name: pa.array([value, value]) for name, value in GOOD.items()} | columns)
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


_not_text = pa.Array.from_buffers(
    pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
)
_holder = {
    "relationship": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "PRN"}]}],
    "name": {"family": "Tanguy"},
}

CSV: list[tuple[str, bytes, str]] = [
    # code, the file, where
    ("empty_file", b"", "the file"),
    ("empty_file", b"\xef\xbb\xbf\r\n \n", "the file"),
    ("not_utf8", changed(family_name="Collet é").decode().encode("cp1252"), "line 3"),
    ("not_utf8", LINE.encode("utf-16"), "line 1"),
    ("no_header", f"{LINE}\n{LINE}\n".encode(), "line 1"),
    ("no_header", changed().replace(b",", b"\t"), "line 1"),
    ("unknown_column", header(*GOOD, "Collet"), "line 1, column 16"),
    ("unknown_column", header(*GOOD, ""), "line 1, column 16"),
    ("duplicate_column", header(*GOOD, "email"), "line 1, column email"),
    ("missing_column", header(*list(GOOD)[:5]), "line 1, column given_names"),
    ("no_rows", f"{HEADER}\n\n".encode(), "the file"),
    ("no_rows", b",,,\n\n", "the file"),
    ("bad_csv", b'"Collet', "line 1"),
    ("wrong_number_of_fields", f"{HEADER}\n{LINE},Collet\n".encode(), "line 2"),
    ("wrong_number_of_fields", f"{HEADER}\n00018,1957\n".encode(), "line 2"),
    ("bad_csv", f'{HEADER}\n{LINE}\n"Collet,Alphonse\n'.encode(), "line 3"),
    ("bad_csv", f'{HEADER}\n"Collet"Alphonse,{LINE}\n'.encode(), "line 2"),
    ("missing_value", changed(patient_id=" "), "line 3, column patient_id"),
    ("missing_value", changed(family_name=""), "line 3, column family_name"),
    ("missing_value", changed(given_names="\u3000"), "line 3, column given_names"),
    ("duplicate_patient_id", changed(patient_id=" 00018"), "line 3, column patient_id"),
    ("bad_date", changed(birth_date="1957-02-31"), "line 3, column birth_date"),
    ("bad_date", changed(birth_date="16/04/1957"), "line 3, column birth_date"),
    ("bad_date", changed(birth_date="1957-04-16T00:00:00"), "line 3, column birth_date"),
    ("bad_date", changed(birth_date="１９57"), "line 3, column birth_date"),
    ("bad_date", changed(deceased_on="2023"), "line 3, column deceased_on"),
    ("date_in_future", changed(birth_date="2026-11-25"), "line 3, column birth_date"),
    ("date_in_future", changed(birth_date="2027"), "line 3, column birth_date"),
    ("date_in_future", changed(deceased_on="2026-11-25"), "line 3, column deceased_on"),
    ("before_1880", changed(birth_date="1857-04-16"), "line 3, column birth_date"),
    ("died_before_birth", changed(deceased_on="1957-04-15"), "line 3, column deceased_on"),
    ("died_before_birth", changed(birth_date="2024"), "line 3, column deceased_on"),
    ("bad_sex", changed(sex="masculin"), "line 3, column sex"),
    ("bad_email", changed(email="alphonse@"), "line 3, column email"),
    ("bad_email", changed(representative_email="Tanguy"), "line 3, column representative_email"),
    ("bad_phone", changed(phone="39981253"), "line 3, column phone"),
    ("bad_phone", changed(phone="chez Tanguy"), "line 3, column phone"),
    ("bad_country", changed(country="FRANCE"), "line 3, column country"),
    ("bad_country", changed(country="XK"), "line 3, column country"),
    ("bad_language", changed(language="de"), "line 3, column language"),
    ("bad_representative_kind", changed(representative_kind="self"), "line 3, column representative_kind"),
    ("representative_without_name", changed(representative_name=""), "line 3, column representative_name"),
    (
        "representative_without_name",
        changed(representative_name="", representative_kind=""),
        "line 3, column representative_name",
    ),
    (
        "representative_without_name",
        f"{HEADER},representative_address\n{LINE.partition(',Margot')[0]},,,,3 rue Haute\n".encode(),
        "line 2, column representative_name",
    ),
    ("representative_without_kind", changed(representative_kind=""), "line 3, column representative_kind"),
    ("bad_person_key", changed(person_key="157049990786734"), "line 3, column person_key"),
    ("bad_person_key", changed(person_key="ins:1570499907867"), "line 3, column person_key"),
    ("too_long", changed(given_names="Alphonse" * 26), "line 3, column given_names"),
    ("control_character", changed(family_name="Collet\0"), "line 3, column family_name"),
    ("control_character", changed(family_name="Col\u202elet"), "line 3, column family_name"),
    ("control_character", changed(family_name="Collet\u2028"), "line 3, column family_name"),
    ("control_character", changed(family_name="\u2029Collet"), "line 3, column family_name"),
    ("control_character", changed(family_name='"Col\nlet"'), "line 3, column family_name"),
    ("control_character", changed(address='"82\rchemin Verdier"'), "line 3, column address"),
]
FHIR: list[tuple[str, bytes, str]] = [
    ("bad_json", b'{"resourceType": "Patient", "Collet"', "line 1"),
    ("bad_json", b"\n" + b"[" * 100_000, "line 2"),
    ("not_a_patient_resource", fhir(resourceType="Person"), "line 2"),
    ("not_a_patient_resource", b'"Collet"\n', "line 1"),
    ("no_practice_number", fhir(identifier=[]), "line 2, element identifier"),
    (
        "no_patient_of_practice",
        fhir().replace(b"Organization/practice-10", b"Organization/practice-1"),
        "the file",
    ),
    ("bad_shape", fhir(name="Collet"), "line 2, element name"),
    ("bad_shape", fhir(contact={"name": "Tanguy"}), "line 2, element contact"),
    ("bad_shape", fhir(birthDate=1957), "line 2, element birthDate"),
    ("bad_shape", fhir(managingOrganization="Collet"), "line 2, element managingOrganization"),
    ("bad_shape", fhir(name=[{"family": "Collet", "given": "Alphonse"}]), "line 2, element given"),
    ("bad_shape", fhir(name=[{"family": "Collet", "given": [1957]}]), "line 2, element given"),
    ("deceased_without_date", fhir(deceasedBoolean=True), "line 2, element deceasedBoolean"),
    ("deceased_without_date", fhir(deceasedBoolean="yes"), "line 2, element deceasedBoolean"),
    ("bad_date", fhir(deceasedDateTime="2023-05-30T22:30:00"), "line 2, column deceased_on"),
    ("several_representatives", fhir(contact=[_holder, _holder]), "line 2, element contact"),
    ("missing_value", fhir(name=[]), "line 2, column family_name"),
    ("control_character", fhir(name=[{"family": "Collet\ud800"}]), "line 2, column family_name"),
    ("not_utf8", fhir() + b"\xff\n", "line 3"),
]
PARQUET: list[tuple[str, bytes, str]] = [
    ("unreadable_parquet", b"PAR1Collet", "the file"),
    ("unreadable_parquet", parquet()[:-9], "the file"),
    ("duplicate_patient_id", parquet(), "row 2, column patient_id"),
    ("unknown_column", parquet(Collet=pa.array(["", ""])), "the schema, column 16"),
    ("wrong_type", parquet(patient_id=pa.array([18, 19])), "the schema, column patient_id"),
    ("wrong_type", parquet(family_name=pa.array([TODAY, TODAY])), "the schema, column family_name"),
    ("not_utf8", parquet(family_name=_not_text), "the schema, column family_name"),
    (
        "bad_date",
        parquet(birth_date=pa.array([2**30, 1]).cast(pa.int32()).cast(pa.date32())),
        "the schema, column birth_date",
    ),
]
OTHER: list[tuple[str, str, bytes, str]] = [
    ("unknown_format", "register.xlsx", b"PK", "the file"),
    ("bad_gzip", "Patient.ndjson.gz", gzip.compress(fhir())[:-20], "the file"),
    ("bad_gzip", "Patient.ndjson.gz", fhir(), "the file"),
    ("too_large", "register.csv.gz", gzip.compress(b" " * (LARGEST + 1)), "the file"),
    ("no_file", "nothing/register.csv", b"", "the file"),
    ("no_patient_file", "", b"", "the folder"),
]
CASES = (
    [(code, "register.csv", data, where) for code, data, where in CSV]
    + [(code, "Patient.ndjson", data, where) for code, data, where in FHIR]
    + [(code, "register.parquet", data, where) for code, data, where in PARQUET]
    + OTHER
)


def refusal(path: Path) -> RefusedFile:
    with pytest.raises(RefusedFile) as caught:
        read_register(path, practice_id="practice-10", today=TODAY)
    return caught.value


@pytest.mark.shows("R8")
@pytest.mark.parametrize(
    ("code", "name", "data", "where"), CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)]
)
def test_a_bad_file_is_refused_with_its_place(tmp_path: Path, code: str, name: str, data: bytes, where: str) -> None:
    path = tmp_path / name
    if path.parent.is_dir() and not path.is_dir():
        path.write_bytes(data)
    refused = refusal(path)
    assert Problem(code, where, WHAT[code]) in refused.problems
    assert refused.status == 422
    said = "".join(traceback.format_exception(refused)) + "".join(map(str, refused.problems))
    assert not [value for value in PRIVATE if value in said]


def test_every_bad_row_is_named_once_by_physical_line(tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    good = '00020,1957,male,Collet,Alphonse,"Bât. B\nGap"\n'
    path.write_text(
        f"patient_id,birth_date,sex,family_name,given_names,address\n{good}00021,57,M,,Alphonse,\n\n00022,1957\n"
        f"{good}00023,1957,male,Collet,Alphonse,\n00023,1957,male,Collet,Alphonse,\n",
        encoding="utf-8",
    )
    assert [(problem.where, problem.code) for problem in refusal(path).problems] == [
        ("line 4, column birth_date", "bad_date"),
        ("line 4, column sex", "bad_sex"),
        ("line 4, column family_name", "missing_value"),
        ("line 6", "wrong_number_of_fields"),
        ("line 7, column patient_id", "duplicate_patient_id"),
        ("line 10, column patient_id", "duplicate_patient_id"),
    ]


def test_a_header_that_is_wrong_is_told_alone(tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_bytes(header(*list(GOOD)[:5]))
    assert [problem.code for problem in refusal(path).problems] == ["missing_column"]


def test_a_small_parquet_file_of_more_rows_than_a_register_has_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "register.parquet"
    pq.write_table(pa.table({"patient_id": pa.nulls(LARGEST // len(COLUMNS) + 1)}), path)
    assert path.stat().st_size < 2**20
    assert refusal(path).problems == [Problem("too_large", "the file", WHAT["too_large"])]


def test_a_flood_of_problems_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_text(f"{HEADER}\n" + "Collet\n" * (LISTED + 234), encoding="utf-8")
    refused = refusal(path)
    assert [problem.code for problem in refused.problems[LISTED:]] == ["more_problems"]
    assert str(refused.problems[-1]).startswith("the file: 234 more problems are not listed")


# --- whatever the bytes, rows or a refusal ------------------------------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_elements = st.sampled_from(
    [*PATIENT, "contact", "telecom", "address", "communication", "generalPractitioner", "deceasedDateTime", "active"]
)
_inner = st.sampled_from(["period", "use", "system", "value", "name", "relationship", "language", "coding", "line"])
_fields = st.text(max_size=12) | st.sampled_from(list(GOOD.values()))


def _rows_or_refusal(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with suppress(RefusedFile):
        assert read_register(path, practice_id="practice-10", today=TODAY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bytes")


@settings(deadline=None)
@given(data=st.binary(max_size=200), name=st.sampled_from(["r.csv", "r.ndjson", "r.parquet", "r.ndjson.gz"]))
def test_any_bytes(folder: Path, data: bytes, name: str) -> None:
    _rows_or_refusal(folder / name, data)


@settings(deadline=None)
@given(data=st.lists(_fields, min_size=len(GOOD), max_size=len(GOOD)), quote=st.booleans())
def test_any_fields(folder: Path, data: list[str], quote: bool) -> None:
    fields = [f'"{field}"' if quote else field for field in data]
    _rows_or_refusal(folder / "r.csv", f"{HEADER}\n{','.join(fields)}\n".encode(errors="replace"))


@settings(deadline=None)
@given(element=_elements, value=_json | st.lists(st.dictionaries(_inner, _json, max_size=3), max_size=2))
def test_any_fhir_element(folder: Path, element: str, value: object) -> None:
    _rows_or_refusal(folder / "r.ndjson", json.dumps(PATIENT | {element: value}).encode())


@settings(deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=6))
def test_any_damage_to_parquet(folder: Path, flips: list[tuple[int, int]]) -> None:
    data = bytearray(parquet())
    for place, byte in flips:
        data[place % len(data)] = byte
    _rows_or_refusal(folder / "r.parquet", bytes(data))


def _read_with_each_byte_of_the_footer_lost(path: Path) -> None:
    data = parquet()
    footer = int.from_bytes(data[-8:-4], "little") + 8
    for place in range(len(data) - footer, len(data)):
        _rows_or_refusal(path, data[:place] + b"\0" + data[place + 1 :])


@pytest.mark.shows("R8")
def test_no_damage_to_the_footer_ends_the_process(tmp_path: Path) -> None:
    """In a process of its own: what this prevents is its end."""
    reader = get_context("spawn").Process(
        target=_read_with_each_byte_of_the_footer_lost, args=(tmp_path / "r.parquet",)
    )
    reader.start()
    reader.join()
    assert reader.exitcode == 0


def test_a_small_file_that_says_a_long_text_a_thousand_times_is_never_written_out(tmp_path: Path) -> None:
    path, text = tmp_path / "register.parquet", pa.array(["x" * 200_000])
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 2_000, pa.int32()), text)
    pq.write_table(pa.table(dict.fromkeys(COLUMNS, column)), path, compression="zstd")
    assert path.stat().st_size < 100_000
    before = pa.total_allocated_bytes()
    with pytest.raises(RefusedFile) as no:
        read_register(path, practice_id="p1", today=date(2026, 3, 2))
    assert [problem.code for problem in no.value.problems] == ["too_large"]
    assert pa.total_allocated_bytes() - before < 2**24
