"""Generalised, then suppressed: choice, rows and measures against the same rules told in plain Python."""

from collections import Counter, defaultdict
from itertools import combinations, product
from pathlib import Path
from typing import Any

import made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.gate.disclosure import measure, small_cells
from portal.gate.generalise import Wanted, choose, generalise
from portal.gate.protect import Suppressed, coarsen, suppress
from portal.gate.terms import Terms
from portal.rules import ladder
from portal.rules.precision import COLUMNS, PERIODS
from portal.rules.refusals import Refused
from portal.rules.words import Precision as P

NAMES = ("pseudonym", "recorded_week", "year_of_birth", "sex", "weight_kg", "diagnosis")
TYPES = (pa.string(), pa.string(), pa.int32(), pa.string(), pa.int32(), pa.string())
Rows = list[tuple[Any, ...]]

ROWS = st.lists(
    st.tuples(
        st.integers(0, 40).map(lambda n: made.pseudonym(f"s{n}")),
        st.sampled_from(["2024-W52", "2025-W01", "2025-W05", "2025-W14", "2025-W27", "2025-W40"]),
        st.one_of(st.none(), st.integers(1931, 1960)),
        st.sampled_from([None, "female", "male"]),
        st.one_of(st.none(), st.integers(8, 20).map(lambda n: 5 * n)),
        st.sampled_from([None, "cim10|J45.0", "cim10|J45.1", "cim10|J20", "cim10|E11.9", "sct|44054006"]),
    ),
    min_size=1,
    max_size=120,
)


def write(folder: Path, rows: Rows) -> list[Path]:
    """The rows as a release's buckets, by the first digit of the pseudonym; empty ones too."""
    folder.mkdir(parents=True, exist_ok=True)
    for digit in "0123456789abcdef":
        mine = sorted((row for row in rows if row[0][0] == digit), key=repr)
        arrays = [pa.array([row[n] for row in mine], kind) for n, kind in enumerate(TYPES)]
        pq.write_table(pa.table(arrays, names=list(NAMES)), folder / f"{digit}.parquet")
    return sorted(folder.iterdir())


def cells(rows: Rows, places: list[int]) -> dict[tuple[frozenset[Any], ...], set[str]]:
    shown: dict[str, list[set[Any]]] = defaultdict(lambda: [set() for _ in places])
    for row in rows:
        for values, place in zip(shown[row[0]], places, strict=True):
            values |= {row[place]} - {None}
    found: dict[tuple[frozenset[Any], ...], set[str]] = defaultdict(set)
    for person, sets in shown.items():
        found[tuple(frozenset(values) for values in sets)].add(person)
    return found


ORDERS = {
    "recorded_on": ["week", "month", "quarter", "year"],
    "year_of_birth": ["year", "five", "decade", "absent"],
    "sex": ["full", "absent"],
    "weight_kg": ["five", "fifteen", "absent"],
    "diagnosis": ["full", "category", "chapter", "absent"],
}
"""The ladders, written out by hand, from what these rows hold on."""

THURSDAYS = {  # by a calendar on paper
    "2024-W52": ("2024-12", "2024-Q4", 2024), "2025-W01": ("2025-01", "2025-Q1", 2025),
    "2025-W05": ("2025-01", "2025-Q1", 2025), "2025-W14": ("2025-04", "2025-Q2", 2025),
    "2025-W27": ("2025-07", "2025-Q3", 2025), "2025-W40": ("2025-10", "2025-Q4", 2025),
}  # fmt: skip
CODES = {
    "cim10|J45.0": ("cim10|J45", "cim10|X"), "cim10|J45.1": ("cim10|J45", "cim10|X"),
    "cim10|J20": ("cim10|J20", "cim10|X"),
    "cim10|E11.9": ("cim10|E11", "cim10|IV"), "sct|44054006": (None, None),
}  # fmt: skip


def by_hand(column: str, value: Any, step: str) -> Any:
    if value is None or step == "absent":
        return None
    place = ORDERS[column].index(step)
    if place == 0:
        return value
    match column:
        case "recorded_on":
            return THURSDAYS[value][place - 1]
        case "year_of_birth":
            return value - value % (5 if step == "five" else 10)
        case "weight_kg":
            return max(range(0, 200, 15), key=lambda middle: (-abs(middle - value), middle))
    return CODES[value][place - 1]


def coarsened(rows: Rows, steps: dict[str, str]) -> Rows:
    columns = dict(zip(("", *ORDERS), range(len(NAMES)), strict=True))
    made_rows = []
    for row in rows:
        new = list(row)
        for column, step in steps.items():
            new[columns[column]] = by_hand(column, row[columns[column]], step)
        made_rows.append(tuple(new))
    return made_rows


PLACES = {"recorded_on": 1, "year_of_birth": 2, "sex": 3, "weight_kg": 4, "diagnosis": 5}


def best(rows: Rows, coarsest: dict[str, str], least: int, at_most: float) -> tuple[float, int] | None:
    """(loss, persons suppressed) of the choice by the criterion, every combination tried; None when there is none."""
    persons = len({row[0] for row in rows})
    ways = [order[: order.index(coarsest.get(c, order[0])) + 1] for c, order in ORDERS.items()]
    found = []
    for steps in product(*ways):
        chosen = dict(zip(ORDERS, steps, strict=True))
        lost = sum(ORDERS[c].index(s) / (len(ORDERS[c]) - 1) for c, s in chosen.items()) / len(ORDERS)
        sizes = [len(p) for p in cells(coarsened(rows, chosen), list(PLACES.values())).values()]
        below = sum(n for n in sizes if n < least)
        if below <= at_most * persons and below < persons:
            found.append((round(lost, 9), below))
    return min(found, default=None)


def protected(folder: Path, rows: Rows, wanted: Wanted, frozen: dict[str, P] | None = None) -> Suppressed:
    """Both steps over rows as they were filtered; what stays is in the folder."""
    write(folder, rows)
    precision = coarsen(folder, wanted, frozen=frozen)
    return suppress(folder, TERMS, wanted, precision, differing=lambda present: set())


ASKED = {"recorded_on": P.WEEK, "year_of_birth": P.YEAR, "sex": P.FULL, "weight_kg": P.FIVE, "diagnosis": P.FULL}
TERMS: Terms = made.release_terms(columns=tuple(made.ColumnTerm(c, step) for c, step in ASKED.items()))
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def turn(tmp_path: Path) -> Any:
    made_folders = iter(range(10_000))
    return lambda: tmp_path / str(next(made_folders))


@quick
@given(rows=ROWS, least=st.integers(2, 6))
def test_the_measures_are_those_that_plain_python_finds(turn: Any, rows: Rows, least: int) -> None:
    files = write(turn(), rows)
    columns = list(NAMES[1:])
    places = list(PLACES.values())
    groups = cells(rows, places)
    found = measure(files, columns, least=least, sensitive=["diagnosis"])
    sizes = Counter(len(people) for people in groups.values())
    assert dict(found.sizes) == sizes
    assert (found.persons, found.k_min, found.uniques) == (len({r[0] for r in rows}), min(sizes), sizes[1])
    small = {p for people in groups.values() if len(people) < least for p in people}
    assert small_cells(files, columns, least=least) == small
    assert found.persons_below == len(small)
    fours = {
        tuple(columns[n] for n in some): cells(rows, [places[n] for n in some]) for some in combinations(range(5), 4)
    }
    assert {s.quasi_identifiers: (s.k_min, s.uniques) for s in found.subsets} == {
        names: (min(map(len, some.values())), sum(len(p) == 1 for p in some.values())) for names, some in fours.items()
    }


def test_the_three_criteria_say_what_was_measured_and_none_is_met(tmp_path: Path) -> None:
    """Six alike who share a diagnosis, and one who differs in a year; then by two quasi-identifiers only."""
    rows = [(made.pseudonym(f"s{n}"), "2025-W05", 1950 + (n == 6), "male", 70, "cim10|J20") for n in range(7)]
    found = measure(write(tmp_path / "records", rows), NAMES[1:], least=2, sensitive=["diagnosis"])
    assert found.criteria() == {
        "singling_out": {
            "quasi_identifiers": ["recorded_week", "year_of_birth", "sex", "weight_kg", "diagnosis"],
            "k_min": 1, "uniques": 1, "k_min_of_every_four": 1,
        },
        "linkability": {"within_this_study": "one pseudonym a person", "across_studies": "another pseudonym"},
        "inference": {"groups": 2, "groups_sharing_a_value": {"diagnosis": 2}},
    }  # fmt: skip
    assert len(found.subsets) == 5
    with_year = [s for s in found.subsets if "year_of_birth" in s.quasi_identifiers]
    assert [(s.k_min, s.uniques, s.persons_below) for s in with_year] == [(1, 1, 1)] * 4
    (without,) = set(found.subsets) - set(with_year)
    assert (without.k_min, without.uniques, without.persons_below) == (7, 0, 0)
    eight = measure(sorted((tmp_path / "records").iterdir()), NAMES[1:], least=8)
    assert (eight.persons_below, {s.persons_below for s in eight.subsets}) == (7, {7})
    fewer = measure(sorted((tmp_path / "records").iterdir()), ["sex", "weight_kg"], least=8).criteria()
    assert fewer["singling_out"]["k_min_of_every_four"] == fewer["singling_out"]["k_min"] == 7
    assert fewer["inference"] == {"groups": 1, "groups_sharing_a_value": {}}


@quick
@given(rows=ROWS)
def test_a_group_whose_members_all_share_a_value_is_counted(turn: Any, rows: Rows) -> None:
    (shared,) = measure(write(turn(), rows), ["sex"], least=2, sensitive=["diagnosis"]).shared
    has: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        has[row[0]] |= {row[5]} - {None}
    groups = cells(rows, [3]).values()
    assert shared.cells == sum(bool(set.intersection(*(has[person] for person in people))) for people in groups)


@quick
@given(
    rows=ROWS,
    least=st.integers(2, 5),
    at_most=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    coarsest=st.fixed_dictionaries({}, optional={c: st.sampled_from(order) for c, order in ORDERS.items()}),
)
def test_no_other_choice_loses_less_or_suppresses_fewer(
    turn: Any, rows: Rows, least: int, at_most: float, coarsest: dict[str, str]
) -> None:
    folder = turn()
    files = write(folder / "given", rows)
    wanted = Wanted(least, ASKED, {c: P(step) for c, step in coarsest.items()}, at_most)
    expected = best(rows, coarsest, least, at_most)
    if expected is None:
        with pytest.raises(Refused, match="G61"):
            choose(files, wanted)
        return
    choice = choose(files, wanted)
    assert (round(choice.loss, 9), choice.below) == expected

    steps = {c: step.value for c, step in choice.precision.items()}
    changed = choice.changed(ASKED)
    made_files = generalise(files, folder / "made", ASKED, changed) if changed else files
    absent = [PLACES[c] for c, step in steps.items() if step == "absent"]
    wanted_rows = [tuple(v for n, v in enumerate(row) if n not in absent) for row in coarsened(rows, steps)]
    assert Counter(made.rows_of(made_files[0].parent)) == Counter(wanted_rows)


@quick
@given(rows=ROWS, least=st.integers(2, 5))
def test_what_is_protected_reaches_k_and_loses_whole_persons_only(turn: Any, rows: Rows, least: int) -> None:
    folder, coarsest = turn(), {"year_of_birth": P.DECADE, "diagnosis": P.ABSENT, "recorded_on": P.YEAR}
    wanted = Wanted(least, ASKED, coarsest)
    if best(rows, {c: step.value for c, step in coarsest.items()}, least, 1.0) is None:
        with pytest.raises(Refused, match="G61"):
            protected(folder, rows, wanted)
        return
    safe = protected(folder, rows, wanted)
    assert safe.disclosure.k_min >= least
    there = made.rows_of(folder)
    assert {row[0] for row in there} == safe.staying
    assert safe.staying | safe.small == {row[0] for row in rows}
    assert not safe.staying & safe.small
    assert len(there) == sum(row[0] in safe.staying for row in rows)


def told(step: Any) -> tuple[str, str]:
    with pytest.raises(Refused) as no:
        step()
    return no.value.code, no.value.what


ALIKE_ONCE_COARSER: list[tuple[dict[str, P], Rows, list[pa.DataType]]] = [
    (
        {"recorded_on": P.MONTH, "weight_kg": P.FIFTEEN, "diagnosis": P.CATEGORY},
        [("2025-W01", 1950, "male", 75, "cim10|J45.0"), ("2025-W05", 1950, "male", 80, "cim10|J45.1")],
        [pa.string(), pa.string(), pa.int32(), pa.string(), pa.int32(), pa.string()],
    ),
    (
        {"recorded_on": P.YEAR, "year_of_birth": P.DECADE, "sex": P.ABSENT},
        [("2025-W01", 1951, "male", 75, "cim10|J20"), ("2025-W40", 1959, "female", 75, "cim10|J20")],
        [pa.string(), pa.int32(), pa.int32(), pa.int32(), pa.string()],
    ),
]


@pytest.mark.parametrize(("steps", "kinds", "types"), ALIKE_ONCE_COARSER, ids=["month", "year"])
def test_what_is_coarser_is_as_little_so_as_makes_them_alike(
    tmp_path: Path, steps: dict[str, P], kinds: Rows, types: list[pa.DataType]
) -> None:
    """Two of a kind and two of another are four alike; somebody of whom nothing is known makes a fifth stand apart."""
    rows = [(made.pseudonym(f"s{n}"), *kinds[n % 2]) for n in range(4)]
    rows.append((made.pseudonym("unknown"), kinds[0][0], None, None, None, None))
    coarsest = {"recorded_on": P.YEAR, "year_of_birth": P.ABSENT, "diagnosis": P.CHAPTER, "weight_kg": P.ABSENT}
    wanted = Wanted(4, ASKED, {**coarsest, "sex": P.ABSENT, **steps}, at_most=0.2)
    write(tmp_path / "records", rows)
    assert coarsen(tmp_path / "records", wanted) == ASKED | steps
    said = {column: step.value for column, step in steps.items()}
    absent = [PLACES[column] for column, step in steps.items() if step is P.ABSENT]
    expected = [tuple(v for n, v in enumerate(row) if n not in absent) for row in coarsened(rows, said)]
    assert Counter(made.rows_of(tmp_path / "records")) == Counter(expected)
    (files,) = {pq.read_schema(file) for file in (tmp_path / "records").iterdir()}
    assert files.types == types
    safe = suppress(tmp_path / "records", TERMS, wanted, ASKED | steps, differing=lambda present: set())
    assert (safe.small, safe.disclosure.k_min) == ({made.pseudonym("unknown")}, 4)
    assert {c.name: c.precision for c in safe.terms.columns} == {
        column: step for column, step in (ASKED | steps).items() if step is not P.ABSENT
    }
    assert safe.cost["generalised"] == {c: [ASKED[c].value, step.value] for c, step in steps.items()}
    assert 0 < safe.cost["information_loss"] < 1
    assert safe.cost["information_loss"] == round(safe.cost["information_loss"], 4)


def test_what_cannot_be_protected_is_refused_and_why(tmp_path: Path) -> None:
    rows = [(made.pseudonym(f"s{n}"), "2025-W05", 1950, "male", 70, None) for n in range(15)]
    assert told(lambda: coarsen(tmp_path, Wanted(3, ASKED)))[0] == "G61"
    assert told(lambda: coarsen(tmp_path, Wanted(3, ASKED)))[1].startswith("no record of anybody")
    many = {column: ladder.ladder(column) for column in COLUMNS}
    wanted = Wanted(3, {c: order[0] for c, order in many.items()}, {c: order[-1] for c, order in many.items()})
    code, what = told(lambda: choose([], wanted))
    assert (code, what.split(":")[0]) == ("G61", "the study allows too many ways to generalise")
    alone = [(row[0], row[1], 1950 + n, *row[3:]) for n, row in enumerate(rows)]
    assert told(lambda: choose(write(tmp_path / "a", alone), Wanted(3, ASKED)))[0] == "G61"
    records = write(tmp_path / "b", rows)[0].parent
    assert told(lambda: suppress(records, TERMS, Wanted(3, ASKED), ASKED, differing=lambda present: present)) == (
        "G62", "a k of 3 cannot be reached with those who pass",
    )  # fmt: skip
    records = write(tmp_path / "c", alone)[0].parent
    assert told(lambda: suppress(records, TERMS, Wanted(3, ASKED), ASKED, differing=lambda present: set()))[0] == "G61"


def test_what_it_cost_is_told_where_it_is_many(tmp_path: Path) -> None:
    """Thirteen of fifteen may not leave; each has two records."""
    rows = [
        (made.pseudonym(f"s{n}"), week, 1950, "male", 70, None) for n in range(15) for week in ("2025-W05", "2025-W14")
    ]
    gone = {made.pseudonym(f"s{n}") for n in range(13)}
    records = write(tmp_path / "records", rows)[0].parent
    safe = suppress(records, TERMS, Wanted(2, ASKED), ASKED, differing=lambda present: present & gone)
    assert (safe.cost["suppressed_persons"], safe.cost["suppressed_rows"]) == ("13", "26")
    assert (safe.cost["generalised"], safe.cost["information_loss"]) == ({}, 0)


def test_once_approved_nothing_is_generalised_further(tmp_path: Path) -> None:
    """Six alike and two who stand apart: at approval only the years were made coarser."""
    rows = [(made.pseudonym(f"s{n}"), "2025-W05", 1951 + n % 2, "male", 70, None) for n in range(6)]
    rows += [(made.pseudonym(f"t{n}"), "2025-W05", 1951, "female", 70, None) for n in range(2)]
    wanted = Wanted(4, ASKED, {"year_of_birth": P.DECADE, "sex": P.ABSENT}, at_most=0.3)
    write(tmp_path / "a", rows)
    approved = coarsen(tmp_path / "a", wanted)
    assert approved == ASKED | {"year_of_birth": P.FIVE}
    first = suppress(tmp_path / "a", TERMS, wanted, approved, differing=lambda present: set())
    assert first.cost["generalised"] == {"year_of_birth": ["year", "five"]}
    assert (first.cost["suppressed_persons"], first.cost["suppressed_rows"]) == ("<11", "<11")
    fewer = protected(tmp_path / "b", rows[:5], wanted, approved)
    assert fewer.disclosure.k_min == 5
    with pytest.raises(Refused, match="G61"):
        protected(tmp_path / "c", [*rows[:3], *rows[6:]], wanted, approved)


def test_whoever_makes_a_small_difference_goes_and_small_cells_are_looked_for_again(tmp_path: Path) -> None:
    rows = [(made.pseudonym(f"s{n}"), "2025-W05", 1950 + 10 * (n // 4), "male", 70, None) for n in range(12)]
    one = rows[0][0]
    write(tmp_path / "records", rows)
    wanted = Wanted(4, ASKED)
    safe = suppress(tmp_path / "records", TERMS, wanted, ASKED, differing=lambda present: present & {one})
    assert (safe.close, safe.small) == ({one}, {row[0] for row in rows[1:4]})
    assert safe.staying == {row[0] for row in rows[4:]}


def test_a_persons_files_may_lie_anywhere(tmp_path: Path) -> None:
    """The shortcut, file by file, is taken only where statistics show that nobody is in two files."""
    rows = [(made.pseudonym(f"s{n}"), "2025-W05", 1950 + n % 3, "male", None, None) for n in range(9)]
    for name, some in (("a", rows), ("b", [(r[0], r[1], 1990, *r[3:]) for r in rows[:4]])):
        table = pa.table([pa.array([r[n] for r in some], kind) for n, kind in enumerate(TYPES)], names=list(NAMES))
        pq.write_table(table, tmp_path / f"{name}.parquet")
    found = measure(sorted(tmp_path.iterdir()), ["year_of_birth"], least=2)
    assert (found.persons, found.uniques) == (9, 3)


@pytest.mark.parametrize("column", COLUMNS)
def test_every_ladder_goes_down_in_steps_that_keep_alike_what_was_alike(column: str) -> None:
    """Two values that are one at a step are one at every later step, whatever was asked for."""
    values: dict[str, list[Any]] = {
        "recorded_on": [f"2025-W{n:02}" for n in range(1, 53)] + ["2026-W01", "2024-W52"],
        "year_of_birth": list(range(1931, 2027)),
        "sex": ["female", "male"],
        "socio_professional_category": ["31", "37", "5", "52"],
    }
    numbers = list(range(20, 280)) if COLUMNS[column].kind.value == "number" else []
    codes = ["cim10|J45.0", "cim10|J45.1", "cim10|E11", "atc|A10BA02", "atc|A02", "sct|1"]
    order = ladder.ladder(column)
    asked = [(value, value) for value in values.get(column, numbers or codes)]
    for step in order[1:]:
        before = dict(asked)
        now = {v: None if w is None else ladder.coarser(column, w, step) for v, w in before.items()}
        for one, other in combinations(now, 2):
            if before[one] == before[other]:
                assert now[one] == now[other]
        direct = {v: ladder.coarser(column, v, step) for v in now}
        assert now == direct, "one step after the other, or at once"
        asked = list(now.items())


def test_a_week_belongs_to_the_month_of_its_thursday_and_a_day_always_stays() -> None:
    assert {
        week: tuple(ladder.coarser("recorded_on", week, step) for step in (P.MONTH, P.QUARTER, P.YEAR))
        for week in THURSDAYS
    } == THURSDAYS
    assert ladder.ladder("recorded_on") == tuple(PERIODS)
    with pytest.raises(ValueError, match="left out"):
        ladder.steps("recorded_on", P.WEEK, P.ABSENT)
