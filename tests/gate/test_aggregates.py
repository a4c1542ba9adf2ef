"""The table of persons that a study publishes: who stands where, what is masked, and what the next table is held to."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import made
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from portal.gate.aggregates import MOST_CELLS, Aggregates, Question, aggregate, published
from portal.gate.protect import table_of, wanted_of
from portal.rules.conditions import StudyConditions
from portal.rules.refusals import Refused
from portal.rules.words import Precision

Row = tuple[str, str | None, int | None]
LEAST = 5
BOTH = {"sex": Precision.FULL, "year_of_birth": Precision.DECADE}


def people(prefix: str, many: int, sex: str | None, decade: int | None = 1980) -> list[Row]:
    return [(made.pseudonym(f"{prefix}{n}"), sex, decade) for n in range(many)]


def write(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """As two files of a release, parted by pseudonym."""
    folder.mkdir()
    kinds = pa.schema([("pseudonym", pa.string()), ("sex", pa.string()), ("year_of_birth", pa.int32())])
    for place, few in enumerate(("01234567", "89abcdef")):
        mine = sorted((row for row in rows if row[0][0] in few), key=repr)
        table = pa.table([[row[n] for row in mine] for n in range(3)], schema=kinds)
        pq.write_table(table, folder / f"{place}.parquet")
    return sorted(folder.iterdir())


def table(folder: Path, rows: Sequence[Row], dimensions: dict[str, Precision] = BOTH, **more: Any) -> Aggregates:
    return aggregate(write(folder, rows), dimensions, least=LEAST, **more)


def test_persons_are_counted_once_each_and_who_shows_two_values_or_none_is_said_so(tmp_path: Path) -> None:
    women, men = people("w", 6, "female"), people("m", 7, "male")
    both = [(pseudonym, sex, 1980) for pseudonym, _, _ in people("b", 7, None) for sex in ("female", "male")]
    both += [(made.pseudonym("other"), sex, 1980) for sex in ("male", "other")]
    found = table(tmp_path / "records", women + women + men + both + people("n", 9, None), {"sex": Precision.FULL})
    assert found.as_csv() == b"sex,persons\nfemale,6\nmale,7\nnone,9\nseveral,8\n*,30\n"
    assert found.hidden == set()


def test_a_small_cell_is_masked_with_those_that_would_tell_it_and_sums_come_last(tmp_path: Path) -> None:
    rows = people("a", 20, "female") + people("b", 30, "female", 1990) + people("c", 40, "male")
    found = table(tmp_path / "records", rows + people("d", 2, "male", 1990))
    assert found.as_csv().decode().splitlines() == [
        "sex,year_of_birth,persons",
        "female,1980,masked", "female,1990,masked", "female,*,50",
        "male,1980,masked", "male,1990,masked", "male,*,42",
        "*,1980,60", "*,1990,32", "*,*,92",
    ]  # fmt: skip


def test_what_was_published_is_read_back_as_it_was(tmp_path: Path) -> None:
    said = json.loads(json.dumps(table(tmp_path / "records", people("a", 20, "female")).as_json()))
    assert said == [
        [[], 20],
        [["sex/full=female"], 20],
        [["sex/full=female", "year_of_birth/decade=1980"], 20],
        [["year_of_birth/decade=1980"], 20],
    ]
    assert published(said)[frozenset({"sex/full=female"})] == 20
    assert published(said).keys() == {frozenset(question) for question, _ in said}


def test_a_number_a_few_less_than_one_that_is_public_is_masked(tmp_path: Path) -> None:
    only_sex = {"sex": Precision.FULL}
    before = table(tmp_path / "before", people("w", 20, "female") + people("m", 20, "male"), only_sex)
    earlier: list[dict[Question, int]] = [published(before.as_json())]
    after = people("w", 19, "female") + people("m", 20, "male")
    assert table(tmp_path / "one", after, only_sex, earlier=earlier).published == {("male",): 20}
    assert table(tmp_path / "two", after, only_sex).published == {("female",): 19, ("male",): 20, ("*",): 39}


def test_more_numbers_than_can_be_checked_are_not_made(tmp_path: Path) -> None:
    """A grid of two words and 665 values has 1998 numbers with its sums; one value more, and it is beyond the most."""
    rows = [row for n in range(665) for sex in ("female", "male") for row in people(f"{n}{sex}", LEAST, sex, n)]
    assert MOST_CELLS == 2000
    assert len(table(tmp_path / "most", rows).published) == 1998
    with pytest.raises(Refused, match="G61") as no:
        table(tmp_path / "beyond", [*rows, *people("more", LEAST, "male", 2026)])
    assert no.value.what.startswith(f"a table of more than {MOST_CELLS} numbers is not made")


def test_a_study_has_the_table_of_those_of_its_columns_that_are_left(tmp_path: Path) -> None:
    write(tmp_path / "records", people("w", 60, "female"))
    terms = made.release_terms()

    def declared(*columns: str) -> Aggregates | None:
        conditions = StudyConditions.model_construct(aggregates=list(columns))
        return table_of(tmp_path / "records", terms, conditions, ())

    assert declared() is None
    assert declared("weight_kg") is None
    found = declared("sex", "weight_kg")
    assert found is not None
    assert found.dimensions == (("sex", "full"),)
    assert found.published == {("female",): 60, ("*",): 60}


def test_a_quasi_identifier_that_the_study_does_not_release_is_refused_by_its_name() -> None:
    asked = StudyConditions.model_construct(
        quasi_identifiers=["sex", "year_of_birth"], generalise={"sex": Precision.ABSENT}, suppressed_at_most=0.2
    )
    wanted = wanted_of(made.release_terms(), asked, 7)
    assert (wanted.least, wanted.coarsest, wanted.at_most) == (7, {"sex": Precision.ABSENT}, 0.2)
    assert wanted.asked == {"sex": Precision.FULL, "year_of_birth": Precision.DECADE}
    more = asked.model_copy(update={"quasi_identifiers": ["weight_kg", "sex", "allergy"]})
    with pytest.raises(Refused) as no:
        wanted_of(made.release_terms(), more, 7)
    assert (no.value.code, no.value.where) == ("G12", "weight_kg, allergy")
