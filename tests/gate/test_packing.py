"""Records packed into numbers: unpacking gives them back, and sorting the numbers sorts the records."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_filtering import CASES

from portal.gate import filtering
from portal.gate.buckets import write_packed, write_unsorted
from portal.gate.engine import Limits, engine
from portal.gate.filtering import filter_extraction, filter_release
from portal.gate.folders import sha256_of
from portal.gate.outputs import SOURCE_DAY, outputs, packing
from portal.gate.packing import Digit, Packing, Text
from portal.gate.permit import ALLOWED, KIND, ColumnTerm, DoctorSpan, Permit, read_permit
from portal.gate.record_facts import doctor_pseudonyms, judged, load_allowed, load_terms
from portal.gate.signature import canonical, sign
from portal.gate.terms import Terms, as_payload
from portal.rules.precision import COLUMNS, STEPS, rounded, year_of_birth
from portal.rules.refusals import Refused, RefusedFile
from portal.rules.words import Crossing, Precision

WORDS = ["", "a", "ab", "b", "é"]


def digit(name: str, size: int) -> Digit:
    return Digit(name, f"r.{name}", pa.array([*range(size), None], pa.int32()))


SIZES = {"a": 1, "b": 4095, "c": 4096, "d": 2**17, "e": 2**18, "f": 3, "t": 0, "g": 7, "h": 5}
FORM = Packing([digit(name, size) if size else Text(name, f"r.{name}") for name, size in SIZES.items()])
ROWS = st.tuples(*(st.none() | (st.integers(0, n - 1) if n else st.sampled_from(WORDS)) for n in SIZES.values()))


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=40))
def test_packed_rows_come_back_sorted_by_all_their_columns(
    rows: list[tuple[int | str | None, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("packed") / "rows.parquet"
    types = [pa.int32() if size else pa.string() for size in SIZES.values()]
    columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)]
    with engine(Limits()) as con:
        con.register("given", pa.table(columns, names=list(SIZES)))
        written = write_packed(con, f"SELECT {FORM.packed('true')} FROM given r", FORM, file)
        wanted = con.execute("SELECT * FROM given ORDER BY ALL").fetchall()
    assert written == len(rows)
    assert [tuple(row.values()) for row in pq.read_table(file).to_pylist()] == wanted


def test_a_key_never_grows_beyond_a_whole_number() -> None:
    keys = [key.name if isinstance(key, Text) else sum(d.bits for d in key) for key in FORM.keys]
    assert keys == [44, 21, "t", 6]  # 63 bits would be one too many


def released_once_more(tmp_path: Path, terms: Terms, records: list[dict[str, Any]], asked: ColumnTerm) -> list[Any]:
    """The rows of a release with one column more, made from the extraction of these records, by `sick_leave_days`."""
    terms = replace(terms, columns=(*terms.columns, ColumnTerm("sick_leave_days", Precision.UNIT)))
    source, extraction = made.write_parquet(tmp_path / "r.parquet", records), tmp_path / "extraction"
    filter_extraction(made.permit(tmp_path / "permit", terms), source, extraction, practice_key=made.PRACTICE_KEY)
    kept: made.Allowed = {
        (practice, name): (name, [(None, None)]) for (practice, _), (name, _) in made.ALLOWED_PERSONS.items()
    }
    columns = (*(c for c in terms.columns if c.name != asked.name), asked)
    release = made.permit(tmp_path / "second", replace(made.release_terms(terms), columns=columns), kept)
    filter_release(release, [extraction / "records" / "all.parquet"], tmp_path / "out", reference_year=2026, buckets=1)
    return sorted(pq.read_table(tmp_path / "out" / "all.parquet").to_pylist(), key=lambda row: row["sick_leave_days"])


def unpacked(permit: Permit, source: Path, year: int | None) -> Counter[tuple[Any, ...]]:
    """The rows that pass, from the columns that nothing packs."""
    with engine(Limits()) as con:
        filtering._load(con, permit.terms, [source])
        persons = load_allowed(con, permit)
        for table, names in (("person_name", persons), ("doctor_name", pa.array(doctor_pseudonyms(permit.terms)))):
            con.register(table, pa.table({"place": pa.array(range(len(names))), "name": names}))
        named = (
            f"SELECT j.* REPLACE (p.name AS person, d.name AS doctor_place) FROM ({judged(permit.terms)}) j "
            "JOIN person_name p ON p.place = j.person LEFT JOIN doctor_name d ON d.place = j.doctor_place "
            "WHERE reason IS NULL"
        )
        rows = con.sql(f"SELECT DISTINCT {', '.join(outputs(permit.terms, year))} FROM ({named})").to_arrow_table()
        if SOURCE_DAY in rows.column_names:
            rows = rows.drop_columns([SOURCE_DAY])
        assert rows.column_names == packing(permit.terms, persons, year).schema.names
        return Counter(tuple(row.values()) for row in rows.to_pylist())


@pytest.mark.parametrize("when", [Precision.WEEK, Precision.MONTH, Precision.QUARTER, Precision.YEAR])
def test_columns_that_nothing_packs_hold_the_same(tmp_path: Path, when: Precision) -> None:
    """What `portal extract --engine spark` reads, against the filter's own files."""
    records = [made.record(**changes) for _, changes in CASES if changes.get("height_cm", 0) < 300]
    records += [made.record(height_cm=151.0 + n, recorded_on=date(2025, 1 + n, 28), sex="male") for n in range(12)]
    records.append(made.record(socio_professional_category="31", year_of_birth=1902))
    terms = replace(
        made.TERMS, columns=(*made.TERMS.columns, ColumnTerm("socio_professional_category", Precision.FULL))
    )
    permit = made.permit(tmp_path / "permit", terms)
    filter_extraction(permit, made.write_parquet(tmp_path / "r.parquet", records), tmp_path / "extraction",
                      practice_key=made.PRACTICE_KEY)  # fmt: skip
    store = tmp_path / "extraction" / "records" / "all.parquet"
    assert unpacked(permit, tmp_path / "r.parquet", None).keys() == set(made.rows_of(store.parent))
    kept: made.Allowed = {
        (practice, name): (made.pseudonym(name), [(None, None)])
        for (practice, _), (name, _) in made.ALLOWED_PERSONS.items()
    }
    coarser = {"diagnosis": Precision.CATEGORY, "year_of_birth": Precision.DECADE}
    columns = tuple(replace(c, precision=coarser.get(c.name, c.precision)) for c in terms.columns)
    columns += (ColumnTerm("recorded_on", when),)
    release = made.permit(tmp_path / "second", made.release_terms(terms, columns=columns), kept)
    filter_release(release, [store], tmp_path / "out", reference_year=2026)
    assert unpacked(release, store, 2026) == Counter(made.rows_of(tmp_path / "out"))


@pytest.mark.parametrize("first", [date(2024, 1, 1), date(2023, 12, 31), date(2024, 2, 29), date(2022, 7, 2)])
@pytest.mark.parametrize("precision", [Precision.WEEK, Precision.MONTH, Precision.QUARTER, Precision.YEAR])
def test_every_day_of_the_period_leaves_as_its_own_period(tmp_path: Path, precision: Precision, first: date) -> None:
    """Around new year too, where an ISO week belongs to another year than its days, and from any day of the week."""
    days = [first + timedelta(n) for n in range(1000)]
    terms = replace(made.TERMS, period_from=first, period_until=days[-1])
    records = [made.record(recorded_on=day, sick_leave_days=n) for n, day in enumerate(days)]
    rows = released_once_more(tmp_path, terms, records, ColumnTerm("recorded_on", precision))
    name = {Precision.WEEK: "%G-W%V", Precision.MONTH: "%Y-%m", Precision.QUARTER: "%Y-Q{}", Precision.YEAR: "%Y"}
    wanted = [day.strftime(name[precision]).format((day.month + 2) // 3) for day in days]
    assert [str(row[f"recorded_{precision.value}"]) for row in rows] == wanted


@pytest.mark.parametrize("name", [name for name, column in COLUMNS.items() if column.bounds and name[0] != "s"])
def test_every_number_leaves_at_every_precision(tmp_path: Path, name: str) -> None:
    lowest, highest = COLUMNS[name].bounds or (0, 0)
    numbers = list(range(lowest, highest + 1))
    own = ColumnTerm(name, COLUMNS[name].precisions[0])
    terms = replace(made.TERMS, columns=(*(c for c in made.TERMS.columns if c.name != name), own))
    records = [made.record(sick_leave_days=n, **{name: number}) for n, number in enumerate(numbers)]
    for precision in COLUMNS[name].precisions:
        rows = released_once_more(tmp_path / precision.value, terms, records, ColumnTerm(name, precision))
        if name == "year_of_birth":
            wanted = [year_of_birth(number, precision, 2026) for number in numbers]
        else:
            wanted = [rounded(number, STEPS[precision]) for number in numbers]
        assert [row[name] for row in rows] == wanted


def test_the_bounds_of_every_number_come_through(tmp_path: Path) -> None:
    terms = replace(made.TERMS, columns=tuple(ColumnTerm(n, Precision.FULL) for n, c in COLUMNS.items() if c.bounds))
    bounds = {name: COLUMNS[name].bounds for name in COLUMNS if COLUMNS[name].bounds}
    records = [
        made.record(diagnosis=None, sex=None, **{name: b[place] for name, b in bounds.items() if b}) for place in (0, 1)
    ]
    far = [made.record(diagnosis=None, sex=None, year_of_birth=1e99), made.record(diagnosis=None, height_cm=1e18)]
    source = made.write_csv(tmp_path / "r.csv", [*records, *far])
    permit = made.permit(tmp_path / "permit", terms)
    counts = filter_extraction(permit, source, tmp_path / "out", practice_key=made.PRACTICE_KEY)
    assert (counts.passed, counts.by_reason) == (2, {"G33": 2})
    rows = pq.read_table(tmp_path / "out" / "records" / "all.parquet").to_pylist()
    assert [{name: row[name] for name in bounds} for row in rows] == [
        {name: b[place] for name, b in bounds.items() if b} for place in (0, 1)
    ]


def test_many_records_are_in_order_whatever_the_threads(tmp_path: Path) -> None:
    """More than one group of rows, more than one thread."""
    practices = [f"p{n}" for n in range(40)]
    persons = {(p, f"{n:03}"): (made.pseudonym(p + str(n)), [(None, None)]) for p in practices for n in range(100)}
    terms = replace(made.TERMS, practices=tuple(practices), unnamed_doctor_ok=tuple(practices),
                    doctors=tuple(DoctorSpan(p, "d1", made.pseudonym(p)) for p in practices))  # fmt: skip
    records = [
        made.record(practice_id=p, patient_id=n, recorded_on=date(2025, 1, 1) + timedelta(k))
        for k in range(40) for p, n in persons
    ]  # fmt: skip
    source = made.write_parquet(tmp_path / "r.parquet", records)
    permit = made.permit(tmp_path / "permit", terms, persons)
    filter_extraction(permit, source, tmp_path / "out", practice_key=made.PRACTICE_KEY, limits=Limits(threads=2))
    file = tmp_path / "out" / "records" / "all.parquet"
    rows = pq.read_table(file, columns=["practice_id", "pseudonym", "recorded_on"]).to_pylist()
    found = [tuple(row.values()) for row in rows]
    assert len(found) == len(records)
    assert found == sorted(found)
    assert pq.ParquetFile(file).num_row_groups == 2


def test_of_a_refused_record_only_the_reason_is_ever_written(tmp_path: Path) -> None:
    """Looked at between the two steps, when the packed rows are on the disk."""
    refused = [made.record(patient_id="003"), made.record(diagnosis="Z59.0"), made.record(provenance="unknown")]
    source = made.write_csv(tmp_path / "r.csv", [made.record(), *refused])
    permit = made.permit(tmp_path / "permit")
    with engine(Limits()) as con:
        filtering._load(con, permit.terms, [source])
        form = packing(permit.terms, load_allowed(con, permit), None)
        records = f"SELECT *, {filtering._REFUSED} AS refused FROM ({judged(permit.terms)})"
        write_unsorted(con, records, form, tmp_path / "unsorted", 16, Limits())
    rows = [row for f in (tmp_path / "unsorted").rglob("*.parquet") for row in pq.ParquetFile(f).read().to_pylist()]
    filled = [{name: value for name, value in row.items() if value is not None} for row in rows if row["refused"]]
    assert sorted(map(str, filled)) == ["{'refused': 'G31'}", "{'refused': 'G33'}", "{'refused': 'nobody'}"]
    assert len(rows) == 4


def test_a_line_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path) -> None:
    source = made.write_csv(tmp_path / "r.csv", [made.record(), made.record(recorded_on="30/06/2025")])
    with pytest.raises(RefusedFile, match="bad_date"):
        filter_extraction(made.permit(tmp_path / "permit"), source, tmp_path / "out", practice_key=made.PRACTICE_KEY)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["permit", "r.csv"]


def test_a_permit_of_thousands_of_doctors_can_be_read(tmp_path: Path) -> None:
    doctors = tuple(DoctorSpan("p1", f"d{n}", made.pseudonym(str(n))) for n in range(4000))
    assert len(made.permit(tmp_path / "permit", replace(made.TERMS, doctors=doctors)).terms.doctors) == 4000


@pytest.mark.parametrize("change", ["order", "two pseudonyms", "not a pseudonym", "foreign practice"])
def test_a_list_that_does_not_fit_is_refused_across_its_pieces(tmp_path: Path, change: str) -> None:
    """The list is read in pieces of 131,072 rows: the fault lies on their border."""
    people = {("p1", f"{n:06}"): (made.pseudonym(str(n)), [(None, None)]) for n in range(131_073)}
    keys = sorted(people)
    rows = [(*key, people[key][0]) for key in keys]
    match change:
        case "order":
            rows[131_071], rows[131_072] = rows[131_072], rows[131_071]
        case "two pseudonyms":
            rows[131_072] = (*rows[131_071][:2], rows[131_072][2])
        case "not a pseudonym":
            rows[131_072] = (*rows[131_072][:2], "M. Durand")
        case _:
            rows[131_072] = ("p9", *rows[131_072][1:])
    places = [*zip(*rows, strict=True), *([None] * len(rows) for _ in range(3))]
    table = pa.table([pa.array(c, f.type) for c, f in zip(places, ALLOWED, strict=True)], schema=ALLOWED)
    pq.write_table(table, tmp_path / "allowed.parquet")
    terms = replace(made.TERMS, list_sha256=sha256_of(tmp_path / "allowed.parquet"))
    (tmp_path / "permit.jws").write_bytes(sign(KIND, canonical(as_payload(terms)), made.KEY))
    with pytest.raises(Refused, match="permit_malformed"):
        read_permit(tmp_path, made.KEY.public_key(), made.NOW, crossing=Crossing.EXTRACTION)


def test_a_persons_place_is_that_of_her_pseudonym_among_all(tmp_path: Path) -> None:
    """More persons than one thread of the engine numbers; every third comes twice, for her span is in two parts."""
    practice, spans = made.TERMS.practices[0], [(None, date(2020, 1, 1)), (date(2021, 1, 1), None)]
    persons: made.Allowed = {
        (practice, f"{n:06}"): (made.pseudonym(str(n)), spans if n % 3 == 0 else spans[:1]) for n in range(150_000)
    }
    with engine(Limits(threads=2)) as con:
        load_terms(con, made.TERMS)
        names = load_allowed(con, made.permit(tmp_path / "permit", made.TERMS, persons)).to_pylist()
        places = dict(con.execute("SELECT patient_id, (place, prefix) FROM person").fetchall())
        parts = con.execute("SELECT count(*), min(len(spans)) FROM person_spans").fetchone()
    assert names == sorted(who for who, _ in persons.values())
    assert {patient: (names[place], prefix) for patient, (place, prefix) in places.items()} == {
        patient: (who, int(who[:2], 16)) for (_, patient), (who, _) in persons.items()
    }
    assert parts == (50_000, 2)


def test_a_file_tells_the_least_and_greatest_of_the_columns_that_order_its_rows(tmp_path: Path) -> None:
    source = made.write_csv(tmp_path / "r.csv", [made.record()])
    filter_extraction(made.permit(tmp_path / "permit"), source, tmp_path / "out", practice_key=made.PRACTICE_KEY)
    group = pq.ParquetFile(tmp_path / "out" / "records" / "all.parquet").metadata.row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    told = [column.path_in_schema for column in columns if column.is_stats_set and column.statistics.has_min_max]
    assert told == ["practice_id", "pseudonym"]
