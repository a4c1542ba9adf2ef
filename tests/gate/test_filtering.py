"""The filter against an oracle in plain Python: files in, files out, the same from every form."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import made
import oracle
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import record

from portal.gate.cells import day
from portal.gate.engine import Limits, engine
from portal.gate.filtering import Counts, filter_extraction, filter_release, record_reasons
from portal.gate.permit import ColumnTerm, Terms, read_permit, write_permit
from portal.rules.refusals import Refused, RefusedFile
from portal.rules.words import Crossing, Precision, Provenance

DATA = Path(__file__).parents[2] / "portal" / "demo" / "records"
"""The synthetic patients that the demo runs on."""

CASES: list[tuple[str, dict[str, Any]]] = [
    ("passed", {}),
    ("passed", {"diagnosis": "J450"}),
    ("passed", {"diagnosis": "cim10|J45.0"}),
    ("passed", {"diagnosis": "http://hl7.org/fhir/sid/icd-10|J45.0"}),
    ("passed", {"diagnosis": "http://snomed.info/sct|195967001"}),
    ("passed", {"diagnosis": None, "prescription": "R03AC02"}),
    ("passed", {"diagnosis": None, "height_cm": 172.5}),
    ("passed", {"diagnosis": None, "test_code": "2571-8", "test_value": "113.8", "test_unit": "mg/dL"}),
    ("passed", {"diagnosis": None, "test_code": "loinc|72166-2", "test_value": "sct|266919005"}),
    ("passed", {"doctor_id": None, "recorded_on": date(2025, 6, 1)}),
    ("passed", {"patient_id": "002", "recorded_on": date(2025, 2, 28)}),
    ("passed", {"practice_id": "p2", "doctor_id": "d3"}),
    ("passed", {"recorded_on": date(2024, 1, 1)}),
    ("passed", {"recorded_on": date(2026, 10, 31)}),
    ("passed", {"allergy": "sct|735029006"}),  # nobody asked for allergies: not read
    ("not_in_permit", {"patient_id": "003"}),
    ("not_in_permit", {"practice_id": "p2", "patient_id": "002"}),
    ("not_in_permit", {"practice_id": "p3"}),
    ("G25", {"doctor_id": "d2", "recorded_on": date(2024, 12, 31)}),
    ("G25", {"doctor_id": "d2", "recorded_on": date(2026, 1, 1), "provenance": "teleservice_auto"}),
    ("G25", {"doctor_id": None, "recorded_on": date(2024, 6, 1)}),
    ("G30", {"provenance": "teleservice_auto"}),
    ("G31", {"provenance": "unknown"}),
    ("G31", {"provenance": None}),
    ("G31", {"provenance": "Entered"}),
    ("G32", {"recorded_on": date(2023, 12, 31)}),
    ("G32", {"recorded_on": date(2026, 11, 1)}),
    ("G32", {"recorded_on": None}),
    ("G32", {"patient_id": "002", "recorded_on": date(2025, 3, 1)}),
    ("G33", {"diagnosis": "Z59.0"}),
    ("G33", {"diagnosis": "sct|J45.0"}),
    ("G33", {"diagnosis": " J45.0"}),
    ("G33", {"diagnosis": None}),
    ("G33", {"prescription": "R03AC03"}),
    ("G33", {"diagnosis": None, "test_code": "32624-9", "test_value": "1"}),
    ("G33", {"diagnosis": None, "test_code": "2571-8", "test_value": "a word"}),
    ("passed", {"diagnosis": None, "test_code": "2571-8", "test_value": "12345678"}),
    ("G33", {"diagnosis": None, "test_code": "2571-8", "test_value": "123456789"}),
    ("G33", {"diagnosis": None, "test_code": "2571-8", "test_value": "0612345678"}),
    ("G33", {"diagnosis": None, "test_code": "2571-8", "test_value": "157049990786733"}),
    ("G33", {"diagnosis": None, "test_code": "2571-8", "test_value": "1", "test_unit": "Mme Collet"}),
    ("G33", {"diagnosis": None, "test_value": "12"}),
    ("G33", {"diagnosis": None, "height_cm": 612345678}),
    ("G34", {"doctor_id": "d9"}),
    ("G34", {"doctor_id": "d3"}),
    ("G34", {"practice_id": "p2", "doctor_id": None}),
]


def extract(folder: Path, records: Path, terms: Terms = made.TERMS, **more: Any) -> Counts:
    permit = made.permit(folder / "permit", terms)
    return filter_extraction(permit, records, folder / "out", practice_key=made.PRACTICE_KEY, **more)


@pytest.mark.parametrize(("expected", "changes"), CASES, ids=lambda value: str(value)[:60])
def test_each_record_counts_once_under_its_first_reason(tmp_path: Path, expected: str, changes: dict[str, Any]) -> None:
    counts = extract(tmp_path, made.write_csv(tmp_path / "records.csv", [record(**changes)]))
    assert counts == Counts(
        records_in=1,
        passed=int(expected == "passed"),
        not_in_permit=int(expected == "not_in_permit"),
        by_reason={expected: 1} if expected.startswith("G") else {},
    )
    assert len(made.rows_of(tmp_path / "out" / "records")) == counts.passed


def test_records_in_one_file_count_as_each_does_alone(tmp_path: Path) -> None:
    """By the filter, and by whoever asks for the reasons without writing anything."""
    wanted = Counter(expected for expected, _ in CASES)
    path = made.write_csv(tmp_path / "records.csv", [record(**changes) for _, changes in CASES])
    counts = extract(tmp_path, path)
    assert Counter({"passed": counts.passed, "not_in_permit": counts.not_in_permit} | counts.by_reason) == wanted
    assert counts.records_in == len(CASES)
    permit = made.permit(tmp_path / "again")
    found: Counter[str] = Counter()
    for row in record_reasons(made.TERMS, path, permit=permit).to_pylist():
        there = (row["practice_id"], row["patient_id"]) in made.ALLOWED_PERSONS
        found[(row["first_reason"] or "passed") if there else "not_in_permit"] += row["n"]
    assert found == wanted
    spans_unknown = record_reasons(made.TERMS, path).to_pylist()
    assert sum(row["n"] for row in spans_unknown) == len(CASES)
    objected = [
        row["first_reason"] for row in spans_unknown if (row["practice_id"], row["patient_id"]) == ("p1", "002")
    ]
    assert objected == [None]
    path.write_text(path.read_text() + "p1,001,d1,30/06/2025,entered" + "," * (len(oracle.FLAT) - 5) + "\n")
    with pytest.raises(RefusedFile, match="bad_date"):
        record_reasons(made.TERMS, path)


def test_a_permit_is_for_its_own_crossing(tmp_path: Path) -> None:
    permit, store = made.permit(tmp_path / "permit"), made.write_csv(tmp_path / "r.csv", [record()])
    release = made.permit(tmp_path / "release", made.release_terms())
    for crossing, way in (
        ("release", lambda: filter_release(permit, [store], tmp_path / "out", reference_year=2026)),
        ("extraction", lambda: filter_extraction(release, store, tmp_path / "out", practice_key=made.PRACTICE_KEY)),
    ):
        with pytest.raises(Refused) as no:
            way()
        assert (no.value.code, no.value.where) == ("permit_wrong_crossing", "permit.jws")
        assert no.value.what == f"The permit is not for a {crossing}."
    assert not (tmp_path / "out").exists()


def test_the_made_records_pass_as_the_oracle_says_from_every_form(tmp_path: Path) -> None:
    records = [record(**changes) for _, changes in CASES if "height_cm" not in changes or changes["height_cm"] < 300]
    rows, counts = oracle.judge(records, made.as_oracle(made.TERMS), made.ALLOWED_PERSONS)
    forms = {
        "csv": made.write_csv(tmp_path / "records.csv", records),
        "ndjson": made.write_ndjson(tmp_path / "records.ndjson", records),
        "parquet": made.write_parquet(tmp_path / "records.parquet", records),
        "partitions": made.write_partitions(tmp_path / "by-practice", records),
    }
    written = set()
    for name, path in forms.items():
        (tmp_path / name).mkdir(exist_ok=True)
        found = extract(tmp_path / name, path)
        assert Counter(made.rows_of(tmp_path / name / "out" / "records")) == rows, name
        assert Counter({"passed": found.passed, "not_in_permit": found.not_in_permit} | found.by_reason) == counts
        written.add((tmp_path / name / "out" / "records" / "all.parquet").read_bytes())
    assert len(written) == 1


def test_the_demos_records_pass_as_the_oracle_says_from_fhir_csv_and_parquet(tmp_path: Path) -> None:
    records = oracle.flat_from_fhir(DATA)
    terms, allowed = made.real_terms(records)
    rows, counts = oracle.judge(records, made.as_oracle(terms), allowed)
    permit = made.permit(tmp_path / "permit", terms, allowed)
    forms = {
        "fhir": DATA,
        "csv": made.write_csv(tmp_path / "records.csv", records),
        "partitions": made.write_partitions(tmp_path / "by-practice", records),
    }
    written = set()
    for name, path in forms.items():
        out = tmp_path / f"out-{name}"
        found = filter_extraction(permit, path, out, practice_key=made.PRACTICE_KEY)
        assert Counter({"passed": found.passed, "not_in_permit": found.not_in_permit} | found.by_reason) == counts
        assert Counter(made.rows_of(out / "records")) == rows
        written.add((out / "records" / "all.parquet").read_bytes())
    assert len(written) == 1
    assert min(counts.values()) > 0
    assert set(counts) == {"passed", "not_in_permit", "G25", "G30", "G31", "G32", "G33", "G34"}


def test_the_same_input_gives_the_same_bytes_with_one_thread_and_with_two(tmp_path: Path) -> None:
    records = oracle.flat_from_fhir(DATA)
    permit = made.permit(tmp_path / "permit", *made.real_terms(records))
    outs = []
    for threads, source in ((1, records), (2, records[::-1])):
        path = made.write_parquet(tmp_path / f"{threads}.parquet", source)
        out = tmp_path / f"out-{threads}"
        filter_extraction(
            permit, path, out, practice_key=made.PRACTICE_KEY, buckets=16, limits=Limits(threads, "300MB")
        )
        outs.append(made.bytes_of(out))
    assert outs[0] == outs[1]
    assert len(outs[0]) == 17


def test_a_long_csv_for_many_persons_is_not_held_in_memory(tmp_path: Path) -> None:
    """The engine cannot tell how long a CSV is: left to itself it would hold the records, not the persons."""
    row = made.record(
        patient_id="123456", prescription="R03AC02", test_code="2571-8", test_value="113.8", test_unit="mg/dL",
        height_cm=170,
    )  # fmt: skip
    line = ",".join("" if value is None else str(value) for value in row.values())
    source, many = tmp_path / "records.csv", 600_000
    source.write_text("\n".join([",".join(row), *[line] * many]) + "\n")
    persons = {("p1", f"{n:06}"): (made.pseudonym(str(n)), [(None, None)]) for n in range(300_000)}
    permit = made.permit(tmp_path / "permit", persons=persons)
    limits = Limits(threads=2, memory="260MB")
    counts = filter_extraction(permit, source, tmp_path / "out", practice_key=made.PRACTICE_KEY, limits=limits)
    assert counts.passed == many


def test_reasons_by_person_add_up_to_the_filters_own_counts(tmp_path: Path) -> None:
    records = oracle.flat_from_fhir(DATA)
    terms, allowed = made.real_terms(records)
    permit = made.permit(tmp_path / "permit", terms, allowed)
    counts = filter_extraction(permit, DATA, tmp_path / "out", practice_key=made.PRACTICE_KEY)
    by_person = record_reasons(terms, DATA, permit=permit).to_pylist()
    summed: Counter[str] = Counter()
    for row in by_person:
        there = (row["practice_id"], row["patient_id"]) in allowed
        summed[(row["first_reason"] or "passed") if there else "not_in_permit"] += row["n"]
    assert summed == Counter({"passed": counts.passed, "not_in_permit": counts.not_in_permit} | counts.by_reason)


CANARIES = ("Durand-Canari", "canari@example.org", "0699988877", "289077512345678")


def test_nothing_that_was_refused_or_not_asked_for_is_in_the_output(tmp_path: Path) -> None:
    refused = [
        record(patient_id=CANARIES[0], diagnosis="J45.0"),
        record(diagnosis=CANARIES[0]),
        record(allergy=CANARIES[1], medical_history=CANARIES[2], test_unit=None),
        record(diagnosis=None, test_code="2571-8", test_value=CANARIES[3]),
        record(diagnosis=None, test_code="2571-8", test_value="1", test_unit=CANARIES[0]),
        record(doctor_id=CANARIES[2]),
        record(provenance=CANARIES[1]),
    ]
    counts = extract(tmp_path, made.write_csv(tmp_path / "records.csv", [record(), *refused]))
    assert counts.passed == 2  # the plain one, and the one whose canaries stand in columns nobody asked for
    everything = b"".join(made.bytes_of(tmp_path / "out").values())
    decoded = repr(made.rows_of(tmp_path / "out" / "records")).encode()
    for canary in CANARIES:
        assert canary.encode() not in everything + decoded
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "permit", "records.csv"]


def test_a_coded_column_without_a_list_lets_nothing_pass(tmp_path: Path) -> None:
    terms = replace(made.TERMS, columns=(ColumnTerm("diagnosis", Precision.FULL, None),))
    assert extract(tmp_path, made.write_csv(tmp_path / "r.csv", [record()]), terms).by_reason == {"G33": 1}


def test_a_code_leaves_an_extraction_as_it_is_listed_whatever_a_release_will_show(tmp_path: Path) -> None:
    terms = replace(made.TERMS, columns=(ColumnTerm("diagnosis", Precision.CHAPTER, ("J45.0",)),))
    extract(tmp_path, made.write_csv(tmp_path / "r.csv", [record(diagnosis="J450")]), terms)
    assert [row[-1] for row in made.rows_of(tmp_path / "out" / "records")] == ["cim10|J45.0"]


def test_automatic_imports_do_not_pass_even_where_the_terms_name_them(tmp_path: Path) -> None:
    terms = replace(made.TERMS, provenance=tuple(Provenance))
    records = [record(provenance=word) for word in ("teleservice_auto", "unknown")]
    counts = extract(tmp_path, made.write_csv(tmp_path / "r.csv", records), terms)
    assert counts.by_reason == {"G30": 1, "G31": 1}


def test_a_person_whose_time_ran_out_before_the_permit_was_read_does_not_pass(tmp_path: Path) -> None:
    records = made.write_csv(tmp_path / "r.csv", [record()])
    now = made.NOW.replace(tzinfo=None)  # the list is in UTC
    for place, holds_until in enumerate((now, now + timedelta(microseconds=1))):
        folder = tmp_path / str(place)
        write_permit(folder, made.TERMS, made.allowed_table(made.ALLOWED_PERSONS, holds_until), made.KEY)
        permit = read_permit(folder, made.KEY.public_key(), made.NOW, crossing=Crossing.EXTRACTION)
        counts = filter_extraction(permit, records, tmp_path / f"out{place}", practice_key=made.PRACTICE_KEY)
        assert counts.passed == place


def test_an_output_that_exists_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(Refused, match="output_exists"):
        extract(tmp_path, made.write_csv(tmp_path / "r.csv", [record()]))
    assert not list((tmp_path / "out").iterdir())


def test_days_are_days_in_paris_on_both_sides_of_every_change_of_the_clock() -> None:
    """The engine's own calendar against Python's, at and around midnight, from 1980 to 2037."""
    moments = [
        datetime(year, month, d, hour, minute, second, tzinfo=UTC)
        for year in range(1980, 2038)
        for month, days in ((1, (1, 15)), (3, range(24, 32)), (7, (1,)), (9, range(23, 31)), (10, range(23, 32)))
        for d in days
        for hour, minute, second in ((21, 59, 59), (22, 0, 0), (22, 59, 59), (23, 0, 0), (0, 59, 59), (1, 0, 0))
    ]
    with engine(Limits()) as con:
        con.register("moment", pa.table({"said": [moment.isoformat() for moment in moments]}))
        found = [row[0] for row in con.execute(f"SELECT {day('said')} FROM moment").fetchall()]
    assert found == [m.astimezone(oracle.PARIS).date() for m in moments]


def test_no_column_but_the_named_ones_leaves(tmp_path: Path) -> None:
    extract(tmp_path, made.write_csv(tmp_path / "r.csv", [record()]))
    names = pq.read_schema(tmp_path / "out" / "records" / "all.parquet").names
    assert names == ["practice_id", "pseudonym", "doctor_pseudonym", "recorded_on", "provenance"] + [
        name for name in oracle.FLAT if name in {c.name for c in made.TERMS.columns}
    ]
