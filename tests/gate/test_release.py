"""From the practice's records to a verified release: store, release, papers, and what is measured."""

from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import made
import oracle
import papers
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from portal.gate.disclosure import measure, small_cells
from portal.gate.filtering import filter_extraction, filter_release
from portal.gate.permit import ColumnTerm
from portal.gate.store import accept, persons, prune, read_extraction
from portal.gate.verify import verify_release
from portal.rules.refusals import Refused
from portal.rules.words import Precision

DATA = Path(__file__).parents[2] / "portal" / "demo" / "records"


def test_a_release_of_the_demos_records_holds_the_oracles_rows_generalised(tmp_path: Path) -> None:
    records = oracle.flat_from_fhir(DATA)
    terms, allowed = made.real_terms(records)
    rows, counts = oracle.judge(records, made.as_oracle(terms), allowed)
    permit = made.permit(tmp_path / "permit", terms, allowed)
    filter_extraction(permit, DATA, tmp_path / "extraction", practice_key=made.PRACTICE_KEY)
    store = sorted((tmp_path / "extraction" / "records").iterdir())
    release_terms = made.release_terms(terms)
    in_study = {(p, name): (made.pseudonym("study" + name), spans) for (p, _), (name, spans) in allowed.items()}
    release_permit = made.permit(tmp_path / "release-permit", release_terms, in_study)
    found = filter_release(release_permit, store, tmp_path / "records", reference_year=2026)
    columns = [name for name in oracle.FLAT if name in {c.name for c in terms.columns}]
    of_a_day = {(oracle.release_row(row, made.pseudonym("study" + row[1]), columns, 2026), row[3]) for row in rows}
    wanted = Counter(row for row, _ in of_a_day)
    assert Counter(made.rows_of(tmp_path / "records")) == wanted
    assert found.passed + found.by_reason["G60"] == counts["passed"] == found.records_in
    assert found.passed == len(of_a_day) < counts["passed"], "the data hold copies"
    names = pq.read_schema(tmp_path / "records" / "0.parquet").names
    assert names == ["pseudonym", "recorded_week", *columns]


def test_a_release_verifies_and_says_what_it_is(tmp_path: Path) -> None:
    folder, counts = papers.release(tmp_path)
    verified = verify_release(folder, made.KEY.public_key())
    assert (verified.rows, verified.persons, verified.log_entry) == (counts.passed, papers.PEOPLE, None)
    assert (verified.k_min, verified.uniques) == (1, 1)
    readme = (folder / "README.md").read_text()
    assert "pseudonymised personal data" in readme
    assert "données à caractère personnel pseudonymisées" in readme
    assert "anonymous" not in readme.replace("not anonymous", "").replace("not\nanonymous", "")
    assert (
        folder / "counts.csv"
    ).read_text() == "class,persons\nnotice,31\noutput,<11\nperson,<11\npractice,<11\nrecord,<11\n"


def test_a_release_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    first, _ = papers.release(tmp_path / "a")
    second, _ = papers.release(tmp_path / "b")
    assert made.bytes_of(first) == made.bytes_of(second)


def test_one_person_leaving_rewrites_one_small_file(tmp_path: Path) -> None:
    file = papers.stored(tmp_path)
    folders = []
    for place, leave in enumerate((set(), {("p1", made.pseudonym("o7"))})):
        kept = {key: value for key, value in papers.study_persons().items() if key not in leave}
        permit = made.permit(tmp_path / f"permit{place}", made.release_terms(), kept)
        filter_release(permit, [file.path], tmp_path / str(place), reference_year=2026)
        folders.append(made.bytes_of(tmp_path / str(place)))
    changed = [name for name in folders[0] if folders[0][name] != folders[1][name]]
    assert changed == [f"{made.pseudonym('s7')[0]}.parquet"]


def test_neither_practice_nor_day_nor_doctor_nor_other_pseudonyms_are_in_a_release(tmp_path: Path) -> None:
    folder, _ = papers.release(tmp_path)
    everything = (
        b"".join(p.read_bytes() for p in (folder / "records").iterdir())
        + repr(made.rows_of(folder / "records")).encode()
    )
    for n in range(papers.PEOPLE):
        assert made.pseudonym(f"o{n}").encode() not in everything
    for doctor in made.TERMS.doctors:
        assert doctor.pseudonym.encode() not in everything
    rows = made.rows_of(folder / "records")
    assert not any(isinstance(value, date) for row in rows for value in row)
    assert {row[1] for row in rows} <= {f"2025-W{week:02}" for week in range(1, 53)}


@pytest.mark.parametrize(
    ("when", "name", "value"),
    [
        (Precision.WEEK, "recorded_week", "2025-W01"),
        (Precision.MONTH, "recorded_month", "2025-01"),
        (Precision.YEAR, "recorded_year", 2025),
    ],
)
def test_a_day_leaves_as_week_month_or_year(tmp_path: Path, when: Precision, name: str, value: str | int) -> None:
    columns = (ColumnTerm("recorded_on", when), ColumnTerm("diagnosis", Precision.CATEGORY, ("J45.0",)))
    folder, _ = papers.release(tmp_path, columns=columns)
    table = pa.concat_tables(pq.read_table(p) for p in sorted((folder / "records").iterdir()))
    assert table.column_names == ["pseudonym", name, "diagnosis"]
    assert value in table[name].to_pylist()
    assert set(table["diagnosis"].to_pylist()) == {"cim10|J45"}
    assert verify_release(folder, made.KEY.public_key()).manifest["columns"][name] == when.value


def test_a_code_that_has_no_chapter_does_not_leave(tmp_path: Path) -> None:
    terms = made.release_terms(columns=(ColumnTerm("diagnosis", Precision.CHAPTER, ("sct|195967001", "J45.0")),))
    file = papers.stored(tmp_path)
    permit = made.permit(tmp_path / "release-permit", terms, papers.study_persons())
    counts = filter_release(permit, [file.path], tmp_path / "records", reference_year=2026)
    assert counts.passed == papers.PEOPLE
    assert {row[2] for row in made.rows_of(tmp_path / "records")} == {"cim10|X"}


def test_small_cells_are_found_and_the_others_stay_as_they_are(tmp_path: Path) -> None:
    folder, _ = papers.release(tmp_path / "whole")
    files = sorted((folder / "records").iterdir())
    people: dict[str, tuple[object, ...]] = {row[0]: (row[2], row[3]) for row in made.rows_of(folder / "records")}
    sizes = Counter(people.values())
    found = measure(files, ["year_of_birth", "sex"], least=5)
    assert (found.persons, found.k_min, found.uniques) == (40, 1, 1)
    assert dict(found.sizes) == Counter(sizes.values())
    assert found.persons_below == sum(n for n in sizes.values() if n < 5)
    assert small_cells(files, ["year_of_birth", "sex"], least=5) == {p for p, cell in people.items() if sizes[cell] < 5}
    assert small_cells(files, ["year_of_birth", "sex"], least=min(n for n in sizes.values() if n > 1)) == {
        person for person, cell in people.items() if sizes[cell] == 1
    }
    smaller, _ = papers.release(tmp_path / "smaller", without_small_cells=True)
    assert verify_release(smaller, made.KEY.public_key()).k_min >= 5
    assert measure(files, [], least=5).sizes == ((40, 1),)


def test_the_store_drops_who_no_longer_passes_and_keeps_one_file(tmp_path: Path) -> None:
    extraction = papers.extraction(tmp_path)
    first = accept(extraction, tmp_path / "store", "p1", drop=set(), name="entry-1")
    again = accept(extraction, tmp_path / "store", "p1", drop=set(), name="entry-1")
    assert first == again
    gone = {made.pseudonym("o7"), made.pseudonym("o8")}
    second = accept(extraction, tmp_path / "store", "p1", drop=gone, name="entry-2")
    assert second.rows == first.rows - 4
    assert not gone & set(pq.read_table(second.path, partitioning=None)["pseudonym"].to_pylist())
    assert first.path.exists()
    assert prune(tmp_path / "store", "p1", keep=second.path.name) == 1
    assert list((tmp_path / "store" / "p1").iterdir()) == [second.path]
    assert second.path.name == f"entry-2.{second.sha256[:12]}.parquet"
    people = persons([second.path]).to_pylist()
    assert len(people) == papers.PEOPLE - 2
    assert people[0].keys() == {"practice_id", "pseudonym", "year_of_birth", "sex", "n"}
    assert {person["n"] for person in people} == {2}
    assert persons([]).num_rows == 0


def test_the_store_refuses_rows_of_another_practice_and_names_that_are_paths(tmp_path: Path) -> None:
    extraction = papers.extraction(tmp_path)
    for practice, name, code in [
        ("p2", "e", "extraction_foreign_practice"),
        ("../p1", "e", "store_name"),
        ("p1", "a/b", "store_name"),
    ]:
        with pytest.raises(Refused) as refused:
            accept(extraction, tmp_path / "store", practice, drop=set(), name=name)
        assert refused.value.code == code
    assert not [p for p in tmp_path.rglob("*.parquet") if "store" in p.parts]


def test_an_extraction_says_under_which_permit_it_was_made(tmp_path: Path) -> None:
    folder = papers.extraction(tmp_path, replace(made.TERMS, serial=9))
    found = read_extraction(folder, made.PRACTICE_KEY.public_key())
    assert (found.serial, found.practices, found.rows) == (9, ("p1", "p2"), 2 * papers.PEOPLE)
    assert found.permit_sha256 == made.permit(tmp_path / "same", replace(made.TERMS, serial=9), papers.persons()).sha256
