"""A file of records that cannot be read whole is refused whole: with its place, and nothing written."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bulk import CONDITION, ENCOUNTER, OBSERVATION, PATIENT, fhir
from made import record

from portal.gate.filtering import filter_extraction
from portal.rules.refusals import RefusedFile

HEADER = "practice_id,patient_id,doctor_id,recorded_on,provenance,diagnosis,height_cm,sex\n"
GOOD = "p1,001,d1,2025-06-30,entered,J45.0,172,female\n"
SECRET = "Collet-1957"


def csv(text: str | bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "records.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def ndjson(*lines: Any, name: str = "records.ndjson", raw: bytes = b"") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines).encode() + raw
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return path

    return write


def files(**contents: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        below = folder / "folder"
        below.mkdir()
        for name, content in contents.items():
            (below / name.replace("_", ".")).write_bytes(content)
        return below

    return write


def parquet(**columns: pa.Array) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        good = {
            name: pa.array([made.RECORD[name]]) for name in ("practice_id", "patient_id", "recorded_on", "provenance")
        }
        pq.write_table(pa.table(good | {"diagnosis": pa.array(["J45.0"])} | columns), folder / "records.parquet")
        return folder / "records.parquet"

    return write


def damaged(write: Callable[[Path], Path], damage: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def write_damaged(folder: Path) -> Path:
        path = write(folder)
        path.write_bytes(damage(path.read_bytes()))
        return path

    return write_damaged


def contradicting(folder: Path) -> Path:
    made.write_parquet(folder / "by" / "practice_id=p2" / "a.parquet", [record()])
    return folder / "by"


FLAT = {k: str(v) for k, v in made.RECORD.items() if v is not None}
PACKED = ndjson(*[FLAT] * 500, name="records.ndjson.gz")

CASES: list[tuple[str, str, Callable[[Path], Path]]] = [
    ("missing_input", "nothing", lambda folder: folder / "nothing"),
    ("empty_folder", "folder", files()),
    ("empty_folder", "folder", files(_SUCCESS=b"")),
    ("unknown_form", "notes.txt", files(notes_txt=b"x")),
    ("mixed_forms", "folder", files(a_csv=HEADER.encode(), b_ndjson=b"{}\n")),
    ("mixed_forms", "folder", files(Patient_ndjson=b"{}\n", b_csv=HEADER.encode())),
    ("empty_file", "records.csv", csv("")),
    ("missing_column", "column provenance", csv(HEADER.replace("provenance", "source") + GOOD)),
    ("missing_column", "column patient_id", csv("practice_id,recorded_on,provenance\np1,2025-06-30,entered\n")),
    ("duplicate_column", "records.csv", csv(HEADER.replace("sex", "Diagnosis") + GOOD)),
    ("bad_csv", "line 3", csv(HEADER + GOOD + "p1,001\n")),
    ("bad_csv", "line 3", csv(HEADER + GOOD + GOOD.strip() + ",more\n")),
    ("bad_csv", "line 3", csv(HEADER + GOOD + '"p1,001,d1,2025-06-30,entered,J45.0,172,female\n')),
    ("bad_encoding", "line 3", csv((HEADER + GOOD + GOOD.replace("001", "Léa")).encode("latin-1"))),
    ("bad_encoding", "line 1", csv((HEADER + GOOD).encode("utf-16"))),
    ("bad_date", "line 3, column recorded_on", csv(HEADER + GOOD + GOOD.replace("2025-06-30", "30/06/2025"))),
    ("bad_date", "line 2, column recorded_on", csv(HEADER + GOOD.replace("2025-06-30", "2025-02-30"))),
    ("bad_date", "line 2, column recorded_on", csv(HEADER + GOOD.replace("2025-06-30", "2025-06-30T10:00:00"))),
    ("bad_date", "line 2, column recorded_on", csv(HEADER + GOOD.replace("2025-06-30", "infinity"))),
    ("bad_number", "line 2, column height_cm", csv(HEADER + GOOD.replace("172", SECRET))),
    ("bad_number", "line 2, column height_cm", csv(HEADER + GOOD.replace("172", "nan"))),
    ("bad_word", "line 2, column sex", csv(HEADER + GOOD.replace("female", "F"))),
    ("missing_value", "line 2, column practice_id", csv(HEADER + GOOD.replace("p1", ""))),
    ("missing_value", "line 4, column patient_id", csv(HEADER + GOOD * 2 + GOOD.replace("001", '""'))),
    ("bad_json", "line 2", ndjson(FLAT, '{"practice_id": "p1"')),
    ("bad_json", "line 1", ndjson(json.dumps(FLAT, indent=1))),
    ("bad_json", "line 2", ndjson(FLAT, json.dumps(FLAT) * 2)),
    ("bad_json", "line 3", ndjson(FLAT, "", '{"practice_id": "p1"')),
    ("wrong_shape", "line 2", ndjson(FLAT, [1, 2])),
    ("bad_encoding", "line 2", ndjson(FLAT, raw=b'{"practice_id": "\xe9"}\n')),
    ("missing_value", "line 2, column patient_id", ndjson(FLAT, {"practice_id": "p1"})),
    ("bad_date", "line 1, column recorded_on", ndjson(FLAT | {"recorded_on": {"day": SECRET}})),
    ("bad_gzip", "records.ndjson.gz", damaged(PACKED, lambda content: content[: len(content) // 2])),
    ("bad_gzip", "records.ndjson.gz", damaged(PACKED, lambda content: content[:-6] + b"\0\1" + content[-4:])),
    ("bad_gzip", "records.ndjson.gz", damaged(PACKED, lambda content: b"not gzip")),
    ("bad_parquet", "records.parquet", damaged(parquet(), lambda content: content[: len(content) // 2])),
    ("bad_parquet", "records.parquet", damaged(parquet(), lambda content: content[:40] + b"\xff" * 60 + content[100:])),
    ("bad_parquet", "records.parquet", damaged(parquet(), lambda content: b"PAR1")),
    ("wrong_type", "column patient_id", parquet(patient_id=pa.array([1]))),
    ("wrong_type", "column diagnosis", parquet(diagnosis=pa.array([["J45.0"]]))),
    ("wrong_type", "column recorded_on", parquet(recorded_on=pa.array([0], pa.timestamp("us")))),
    ("bad_number", "line 1, column height_cm", parquet(height_cm=pa.array([float("inf")]))),
    ("partition_contradicts", "line 1, column practice_id", contradicting),
    ("missing_patients", "bulk", fhir(Patient=[])),
    ("no_records", "bulk", fhir(Condition=[])),
    ("wrong_resource", "Condition.ndjson, line 2", fhir(Condition=[CONDITION, OBSERVATION])),
    ("wrong_resource", "Patient.ndjson, line 1", fhir(Patient=[CONDITION])),
    ("wrong_shape", "Patient.ndjson", fhir(Patient=[PATIENT | {"identifier": SECRET}])),
    ("wrong_shape", "Condition.ndjson, line 1", fhir(Condition=[CONDITION | {"subject": SECRET}])),
    ("duplicate_patient", "Patient.ndjson, line 2", fhir(Patient=[PATIENT, PATIENT])),
    ("duplicate_patient", "Patient.ndjson, line 2", fhir(Patient=[PATIENT, PATIENT | {"id": "other"}])),
    ("duplicate_encounter", "Encounter.ndjson, line 2", fhir(Encounter=[ENCOUNTER, ENCOUNTER])),
    ("patient_without_number", "Patient.ndjson, line 1", fhir(Patient=[PATIENT | {"identifier": []}])),
    ("missing_value", "Patient.ndjson, line 1", fhir(Patient=[PATIENT | {"managingOrganization": None}])),
    ("bad_date", "Patient.ndjson, line 1", fhir(Patient=[PATIENT | {"birthDate": "1987-02-30"}])),
    ("bad_word", "Patient.ndjson, line 1", fhir(Patient=[PATIENT | {"gender": SECRET}])),
    (
        "unknown_patient",
        "Condition.ndjson, line 2",
        fhir(Condition=[CONDITION, CONDITION | {"subject": {"reference": f"Patient/{SECRET}"}}]),
    ),
    ("unknown_patient", "Condition.ndjson, line 1", fhir(Condition=[CONDITION | {"subject": None}])),
    ("bad_date", "Condition.ndjson, line 1", fhir(Condition=[CONDITION | {"onsetDateTime": "2025-06-30T10:00:00"}])),
    (
        "bad_number",
        "Observation.ndjson, line 1",
        fhir(Observation=[OBSERVATION | {"valueQuantity": {"value": SECRET, "unit": "cm"}}]),
    ),
    ("bad_json", "Encounter.ndjson, line 1", fhir(Encounter=['{"id": '])),
]


@pytest.mark.shows("R8")
@pytest.mark.parametrize(("code", "place", "write"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_a_malformed_file_is_refused_with_its_place_and_nothing_is_written(
    tmp_path: Path, code: str, place: str, write: Callable[[Path], Path]
) -> None:
    permit = made.permit(tmp_path / "permit")
    path = write(tmp_path)
    with pytest.raises(RefusedFile) as refused:
        filter_extraction(permit, path, tmp_path / "out", practice_key=made.PRACTICE_KEY)
    assert refused.value.code == code
    assert place in refused.value.where
    assert not [p for p in tmp_path.iterdir() if "out" in p.name]
    assert all(made.SENTENCE.fullmatch(problem.what) for problem in refused.value.problems)
    said = " ".join(map(str, refused.value.problems)) + str(refused.value)
    assert not {SECRET, "Léa", "30/06/2025"} & set(said.split())
    assert SECRET not in said


def test_the_table_of_malformed_kinds_is_wide() -> None:
    assert len(CASES) >= 14
    assert len({code for code, _, _ in CASES}) >= 10


def test_every_problem_is_named_up_to_twenty(tmp_path: Path) -> None:
    permit = made.permit(tmp_path / "permit")
    path = csv(HEADER + (GOOD + GOOD.replace("172", "tall")) * 30)(tmp_path)
    with pytest.raises(RefusedFile) as refused:
        filter_extraction(permit, path, tmp_path / "out", practice_key=made.PRACTICE_KEY)
    places = [problem.where for problem in refused.value.problems]
    assert places == [f"records.csv, line {line}, column height_cm" for line in range(3, 43, 2)]


@pytest.mark.parametrize(
    "write",
    [
        fhir(),
        fhir(Observation=[OBSERVATION]),
        fhir(Encounter=[]),
        fhir(DocumentReference=[{"resourceType": "DocumentReference", "content": SECRET}]),
        csv(HEADER.replace(",", ";") + GOOD.replace(",", ";")),
        csv("\ufeff" + HEADER + GOOD),
        csv((HEADER + GOOD).replace("\n", "\r\n")),
        csv(HEADER + GOOD.replace("2025-06-30", "")),
        csv(HEADER),
        ndjson(FLAT, "", FLAT | {"unheard_of": [1]}),
    ],
)
def test_what_is_only_unusual_is_read(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    permit = made.permit(tmp_path / "permit")
    filter_extraction(permit, write(tmp_path), tmp_path / "out", practice_key=made.PRACTICE_KEY)
