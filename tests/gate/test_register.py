"""A practice's register: what is read from CSV, Parquet and FHIR, and that writing it loses nothing."""

import csv
import gzip
import json
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.gate.register import RegisterRow, read_register, write_register_csv
from portal.gate.register_row import COLUMNS, COUNTRIES
from portal.rules.refusals import RefusedFile
from portal.rules.words import Addressee, Language, Sex

TODAY = date(2026, 11, 24)
ROW = RegisterRow(  # the first patient of the demo's data
    patient_id="00018",
    person_key="ins:157049990786733",
    birth_date="1957-04-16",
    sex=Sex.MALE,
    family_name="Collet",
    birth_name="",
    given_names="Alphonse",
    email="",
    phone="+33639981253",
    address="82, chemin Verdier",
    postcode="38000",
    city="Grenoble",
    country="FR",
    language=Language.EN,
    deceased_on=date(2023, 5, 30),
    representative_name="",
    representative_email="",
    representative_address="",
    representative_kind=None,
    doctor_id="doctor-89990100292",
)
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "practice-10-00018",
    "identifier": [
        {"system": "https://example.org/practice-10/patient", "value": "00018"},
        {"system": "urn:oid:1.2.250.1.213.1.4.11", "value": "157049990786733"},
    ],
    "active": True,
    "gender": "male",
    "birthDate": "1957-04-16",
    "name": [{"use": "official", "family": "Collet", "given": ["Alphonse"]}],
    "address": [{"line": ["82, chemin Verdier"], "city": "Grenoble", "postalCode": "38000", "country": "FR"}],
    "telecom": [{"system": "phone", "value": "+33639981253"}],
    "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]}}],
    "deceasedDateTime": "2023-05-30",
    "managingOrganization": {"reference": "Organization/practice-10"},
    "generalPractitioner": [{"reference": "Practitioner/doctor-89990100292"}],
}
ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


def _holder(code: str, **more: object) -> dict[str, object]:
    return {"relationship": [{"coding": [{"system": ROLES, "code": code}]}], "name": {"family": "Tanguy"}, **more}


FURTHER: dict[str, object] = {
    "name": {"given": ["Margot", "Jeanne"], "family": "Tanguy"},
    "telecom": [
        {"system": "email", "value": "before@example.org", "period": {"end": "2026-01-31"}},
        {"system": "phone", "value": "+33639981253"},
        {"system": "email", "value": "margot@example.org"},
    ],
    "address": {"line": ["Bât. B", "3, rue Haute"], "postalCode": "05000", "city": "Gap"},
}


def _spoken(code: str, **more: object) -> dict[str, object]:
    return {"language": {"coding": [{"code": code}]}, **more}


def _read(path: Path) -> list[RegisterRow]:
    return read_register(path, practice_id="practice-10", today=TODAY)


def _fhir(folder: Path, *resources: dict[str, Any]) -> list[RegisterRow]:
    path = folder / "Patient.ndjson"
    path.write_text("\n\n".join(json.dumps(resource) for resource in resources), encoding="utf-8")
    return _read(path)


# --- FHIR -------------------------------------------------------------------------------------------------------


def test_a_fhir_patient_becomes_a_row(tmp_path: Path) -> None:
    assert _fhir(tmp_path, PATIENT) == [ROW]


def test_a_bulk_folder_and_a_compressed_file_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "Patient.ndjson.gz"
    path.write_bytes(gzip.compress(json.dumps(PATIENT).encode()))
    assert _read(path) == _read(tmp_path) == [ROW]


def test_a_bulk_folder_may_be_uncompressed_and_the_other_usual_name_reads_the_same(tmp_path: Path) -> None:
    assert _fhir(tmp_path, PATIENT) == _read(tmp_path)
    (tmp_path / "Patient.ndjson").rename(tmp_path / "practice-10.2026-11.jsonl")
    assert _read(tmp_path / "practice-10.2026-11.jsonl") == [ROW]


def test_patients_of_another_practice_and_inactive_ones_are_passed_over(tmp_path: Path) -> None:
    other = PATIENT | {"managingOrganization": {"reference": "Organization/practice-1"}}
    longer = PATIENT | {"managingOrganization": {"reference": "Organization/my-practice-10"}}
    assert _fhir(tmp_path, other, PATIENT, longer, PATIENT | {"active": False}) == [ROW]
    with pytest.raises(RefusedFile, match="no_patient_of_practice"):
        _fhir(tmp_path, other, longer)


@pytest.mark.parametrize(
    ("changed", "field", "value"),
    [
        ({"birthDate": "1957"}, "birth_date", "1957"),
        ({"birthDate": "1957-04"}, "birth_date", "1957"),
        ({"deceasedDateTime": "2023-05-30T22:30:00Z"}, "deceased_on", date(2023, 5, 31)),  # the day in Paris
        ({"communication": [{"language": {"coding": [{"code": "ar"}]}}]}, "language", Language.FR),
        ({"communication": [{"language": {"coding": [{"code": "en-GB"}]}}]}, "language", Language.EN),
        ({"communication": [_spoken("fr"), _spoken("en", preferred=True)]}, "language", Language.EN),
        ({"communication": [_spoken("en"), _spoken("fr", preferred=False)]}, "language", Language.EN),
        ({"gender": "unknown"}, "sex", Sex.UNKNOWN),
        ({"identifier": PATIENT["identifier"][:1]}, "person_key", None),
        ({"telecom": [{"system": "email", "value": "A.Collet@Example.ORG"}]}, "email", "A.Collet@example.org"),
        ({"telecom": [{"system": "phone", "value": "06 39 98 12 53"}]}, "phone", "+33639981253"),
        ({"address": [{"line": ["Bât. B", "82, chemin Verdier"]}]}, "address", "Bât. B\n82, chemin Verdier"),
        ({"address": [{"use": "old", "city": "Brest"}, {"city": "Gap"}]}, "city", "Gap"),
        ({"name": [{"use": "maiden", "family": "Roy"}, *PATIENT["name"]]}, "birth_name", "Roy"),
        ({"name": [{"use": "usual", "family": "Roy"}, *PATIENT["name"]]}, "family_name", "Roy"),
        ({"name": [{"use": "usual", "family": "Roy"}, *PATIENT["name"]]}, "birth_name", "Collet"),
        ({"name": [{"use": "usual", "family": "Roy"}, {"family": "Collet", "given": ["A."]}]}, "birth_name", "Collet"),
        ({"name": [{"use": "usual", "family": "Roy", "given": ["Alphonse"]}]}, "birth_name", ""),
        ({"name": [{"family": "Collet", "given": ["Alphonse", "Jean"]}]}, "given_names", "Alphonse Jean"),
        ({"generalPractitioner": [{"reference": "https://e.test/Practitioner/d-1"}]}, "doctor_id", "d-1"),
        ({"contact": [_holder("PRN")]}, "representative_kind", Addressee.PARENT),
        ({"contact": [_holder("GUARD")]}, "representative_kind", Addressee.GUARDIAN),
        ({"contact": [_holder("POWATT")]}, "representative_kind", Addressee.MANDATE),
        ({"contact": [_holder("PRN")]}, "representative_name", "Tanguy"),
        ({"contact": [_holder("PRN", **FURTHER)]}, "representative_name", "Margot Jeanne Tanguy"),
        ({"contact": [_holder("PRN", **FURTHER)]}, "representative_email", "margot@example.org"),
        ({"contact": [_holder("PRN", **FURTHER)]}, "representative_address", "Bât. B\n3, rue Haute\n05000 Gap"),
        ({"contact": [_holder("NBOR")]}, "representative_kind", None),  # a neighbour speaks for nobody
        ({"contact": [_holder("GUARD", period={"end": "2026-11-23"})]}, "representative_kind", None),
        ({"contact": [_holder("GUARD", period={"end": "2026-11"})]}, "representative_kind", Addressee.GUARDIAN),
    ],
)
def test_what_fhir_says_in_other_forms(tmp_path: Path, changed: dict[str, Any], field: str, value: object) -> None:
    (row,) = _fhir(tmp_path, PATIENT | changed)
    assert getattr(row, field) == value


# --- CSV and Parquet --------------------------------------------------------------------------------------------

HEADER = "patient_id,birth_date,sex,family_name,given_names,address"


@pytest.mark.parametrize(
    "text",
    [
        f'{HEADER}\n00018,1957-04-16,male,Collet,Alphonse,"82, chemin Verdier"\n',
        f'\ufeff{HEADER}\r\n00018,1957-04-16,male,Collet,Alphonse,"82, chemin Verdier"\r\n',
        f"{HEADER}\n00018,1957-04-16,male,Collet,Alphonse,82, chemin Verdier\n".replace(",", ";").replace("82;", "82,"),
        f'\n{HEADER}\n\n,,,,,\n 00018 ,1957-04-16, MALE,Collet ,Alphonse,"82, chemin Verdier"\n\n',
        'Given_Names,family_name,sex,birth_date,patient_id,address\nAlphonse,Collet,male,1957-04-16,00018,"82, '
        'chemin Verdier"',
        f"\n{HEADER.replace(',', ';')}\n00018;1957-04-16;male;Collet;Alphonse;82, chemin Verdier\n"
        f"00019;1957;male;Collet;Alphonse;{','.join('x' * 40)}\n",
        f'{HEADER}\n00018,1957-04-16,male,Collet,Alphonse,"82, chemin Verdier"\n'
        f"00019,1957,male,Collet,Alphonse,{';'.join('x' * 40)}\n",
        f'{HEADER}\r00018,1957-04-16,male,Collet,Alphonse,"82, chemin Verdier"\r'
        f"00019,1957,male,Collet,Alphonse,{';'.join('x' * 40)}\r",
    ],
    ids=[
        "commas",
        "mark and CRLF",
        "semicolons",
        "blank lines and spaces",
        "other order, no last line end",
        "semicolons, and values with commas",
        "commas, and values with semicolons",
        "CR alone",
    ],
)
def test_csv_as_spreadsheets_write_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "register.csv"
    path.write_text(text, encoding="utf-8", newline="")
    row = _read(path)[0]
    assert (row.patient_id, row.birth_date, row.sex) == ("00018", "1957-04-16", Sex.MALE)
    assert (row.family_name, row.given_names, row.address) == ("Collet", "Alphonse", "82, chemin Verdier")
    assert (row.language, row.deceased_on, row.person_key, row.email) == (Language.FR, None, None, "")


def test_the_last_days_that_are_accepted_and_a_language_with_its_country(tmp_path: Path) -> None:
    path = tmp_path / "register.2026.csv"
    path.write_text(
        f"{HEADER},deceased_on,language\n1,1880,male,Collet,Alphonse,,{TODAY},en-GB\n"
        f"2,{TODAY},female,Collet,Alice,,{TODAY},\n",
        encoding="utf-8",
    )
    row, newborn = _read(path)
    assert (newborn.birth_date, newborn.deceased_on) == (str(TODAY), TODAY)
    assert (row.birth_date, row.deceased_on, row.language) == ("1880", TODAY, Language.EN)


def test_a_line_break_inside_quotes_stays_in_the_address(tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_bytes(f'{HEADER}\r\n1,1957,male,Collet,Alphonse,"Bât. B\r\nGap"\r\n'.encode())
    assert _read(path)[0].address == "Bât. B\nGap"


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_reads_as_csv_does(tmp_path: Path, kind: pa.DataType) -> None:
    write_register_csv([ROW], tmp_path / "register.csv")
    with (tmp_path / "register.csv").open(encoding="utf-8", newline="") as file:
        table = pa.Table.from_pylist(list(csv.DictReader(file)))
    columns = {name: table[name].cast(pa.string()).cast(kind) for name in table.column_names}
    columns["birth_date"] = pa.array([date(1957, 4, 16)])
    columns["email"] = pa.nulls(1)
    pq.write_table(pa.table(columns), tmp_path / "register.parquet")
    assert _read(tmp_path / "register.parquet") == _read(tmp_path / "register.csv") == [ROW]


# --- rows -------------------------------------------------------------------------------------------------------


def test_a_row_shows_nothing_of_the_patient() -> None:
    assert repr(ROW) == str(ROW) == "<RegisterRow with a patient_id>"


def test_the_countries_are_the_249_of_iso_3166() -> None:
    assert len(COUNTRIES) == 249
    assert {"FR", "RE", "GP", "TF", "BE", "MC"} < COUNTRIES


def test_the_columns_are_the_fields_of_a_row() -> None:
    assert set(COLUMNS) == set(RegisterRow.__slots__)


_shown = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_text = st.text(_shown, max_size=40).map(lambda text: text.strip())
_named = _text.filter(bool)
_address = st.lists(_named, max_size=3).map("\n".join)
_email = st.sampled_from(["", "alphonse@example.org", "a+b@cabinet.test", "élodie@example.org"])
_days = st.dates(date(1900, 1, 1), date(2000, 1, 1))
_holders = st.none() | st.tuples(_named, _email, _address, st.sampled_from(list(Addressee)[1:]))


@st.composite
def rows(draw: st.DrawFn) -> RegisterRow:
    holder = draw(_holders) or ("", "", "", None)
    return RegisterRow(
        patient_id=draw(_named),
        person_key=draw(st.sampled_from([None, "ins:157049990786733", "niss:85073003328", "id:AB-12"])),
        birth_date=draw(st.just("") | _days.map(str) | _days.map(lambda day: str(day.year))),
        sex=draw(st.sampled_from(Sex)),
        family_name=draw(_named),
        birth_name=draw(_text),
        given_names=draw(_named),
        email=draw(_email),
        phone=draw(st.sampled_from(["", "+33639981253", "+4915112345678"])),
        address=draw(_address),
        postcode=draw(_text.filter(lambda text: len(text) <= 20)),
        city=draw(_text),
        country=draw(st.just("") | st.sampled_from(sorted(COUNTRIES))),
        language=draw(st.sampled_from(Language)),
        deceased_on=draw(st.none() | st.dates(date(2001, 1, 1), TODAY)),
        representative_name=holder[0],
        representative_email=holder[1],
        representative_address=holder[2],
        representative_kind=holder[3],
        doctor_id=draw(_text),
    )


@settings(deadline=None)
@given(written=st.lists(rows(), min_size=1, max_size=5, unique_by=lambda row: row.patient_id))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, written: list[RegisterRow]) -> None:
    path = tmp_path_factory.mktemp("register") / "register.csv"
    write_register_csv(written, path)
    assert _read(path) == written
