"""Masked tables attacked: an exhaustive reader works out all that the published numbers allow, and finds too little."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.rules.masking import ALL, differing, masked, width, with_sums

LEAST = 3
FAR = 8
"""No masked inner number is tried beyond this: the greatest in these tables plus what must be possible."""

SQUARE = st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("xy")), st.integers(0, 5), min_size=2)
ONE_WAY = st.dictionaries(st.tuples(st.sampled_from("abcd")), st.integers(0, 5), min_size=1)
CELLS = st.one_of(SQUARE, ONE_WAY)


def worlds(table: dict[Any, int], hidden: set[Any]) -> Iterator[dict[Any, int]]:
    """Every table of inner numbers that would have been published as this one: row by row, sums checked."""
    inner = sorted(key for key in table if ALL not in key)
    sums = [key for key in table if ALL in key]
    choices = [range(FAR + 1) if key in hidden else [table[key]] for key in inner]
    rows = sorted({key[0] for key in inner})
    by_row = [
        [
            numbers
            for numbers in product(*(c for key, c in zip(inner, choices, strict=True) if key[0] == row))
            if len(inner[0]) == 1 or (row, ALL) in hidden or sum(numbers) == table[row, ALL]
        ]
        for row in rows
    ]
    for chosen in product(*by_row):
        world = dict(zip(inner, [n for numbers in chosen for n in numbers], strict=True))
        for key in sums:
            world[key] = sum(n for of, n in world.items() if ALL not in of and _under(of, key))
        if all(world[key] == table[key] for key in sums if key not in hidden):
            yield world


def _under(cell: Any, sums: Any) -> bool:
    return all(s in (ALL, c) for c, s in zip(cell, sums, strict=True))


def possible(table: dict[Any, int], hidden: set[Any]) -> dict[Any, set[int]]:
    found: dict[Any, set[int]] = {key: set() for key in hidden}
    for world in worlds(table, hidden):
        for key in hidden:
            found[key].add(world[key])
    return found


@settings(max_examples=40, deadline=None)
@given(cells=CELLS, more=st.integers(0, 2))
def test_no_masked_number_can_be_told_to_fewer_values_than_the_limit(cells: dict[Any, int], more: int) -> None:
    table = with_sums(cells)
    also = set(sorted(table)[:more])
    hidden = masked(table, least=LEAST, also=also)
    assert also <= hidden
    assert all(n >= LEAST for key, n in table.items() if key not in hidden)
    for key, values in possible(table, hidden).items():
        assert len(values) >= LEAST, key
        assert table[key] in values


@settings(max_examples=40, deadline=None)
@given(cells=CELLS, data=st.data())
def test_what_a_reader_can_work_out_is_computed_exactly(cells: dict[Any, int], data: st.DataObject) -> None:
    """Whatever is masked, also too little."""
    table = with_sums(cells)
    hidden = data.draw(st.sets(st.sampled_from(sorted(table)), min_size=1, max_size=5))
    for key, values in possible(table, hidden).items():
        assert min(width(table, hidden, key, enough=LEAST), LEAST) == min(max(values) - min(values), LEAST), key


def test_a_table_of_nine_cells_is_attacked_too() -> None:
    """One small number: three others hide it."""
    table = with_sums({(row, column): 5 for row in "abc" for column in "xyz"} | {("b", "y"): 1})
    hidden = masked(table, least=LEAST)
    assert len(hidden) == 4
    assert all(len(values) >= LEAST for values in possible(table, hidden).values())


def test_a_small_number_alone_in_its_row_and_column_takes_three_others_along() -> None:
    table = with_sums({("f", "old"): 2, ("f", "young"): 40, ("m", "old"): 50, ("m", "young"): 60})
    assert masked(table, least=11) == {("f", "old"), ("f", "young"), ("m", "old"), ("m", "young")}
    assert masked(with_sums({("f",): 30, ("m",): 40}), least=11) == set()
    assert masked(with_sums({("f",): 3, ("m",): 40, ("o",): 60}), least=11) == {("f",), ("m",)}


def test_a_number_as_great_as_the_limit_is_shown() -> None:
    assert masked(with_sums({("f",): 11, ("m",): 40}), least=11) == set()
    assert masked(with_sums({("f",): 10, ("m",): 40}), least=11) == {("f",), ("m",)}


def test_small_numbers_that_hide_each_other_too_little_take_a_great_one_along() -> None:
    """Of 3 persons in two cells a reader knows each cell to four values; five is the limit."""
    assert masked(with_sums({("a",): 2, ("b",): 1, ("c",): 50}), least=5) == {("a",), ("b",), ("c",)}
    assert masked(with_sums({("a",): 2, ("b",): 2, ("c",): 50}), least=5) == {("a",), ("b",)}


def test_the_smallest_that_hides_enough_is_taken_and_an_inner_number_before_a_sum() -> None:
    assert masked(with_sums({("a",): 3, ("b",): 40, ("c",): 30, ("d",): 50}), least=5) == {("a",), ("c",)}
    square = with_sums({("f", "x"): 3, ("f", "y"): 40, ("m", "x"): 50, ("m", "y"): 60})
    assert not [key for key in masked(square, least=5) if ALL in key]


def test_a_table_of_nobody_is_empty() -> None:
    assert with_sums({}) == {}
    assert masked({}, least=5) == set()


def test_a_table_of_few_persons_shows_nothing_not_even_how_many() -> None:
    table = with_sums({("f", "old"): 2, ("m", "old"): 3})
    assert masked(table, least=11) == set(table)


def test_empty_cells_are_masked_like_small_ones() -> None:
    table = with_sums({("f", "old"): 20, ("m", "young"): 20})
    assert {("f", "young"), ("m", "old")} <= masked(table, least=11)


def test_three_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="one or two"):
        with_sums({("a", "b", "c"): 1})


@pytest.mark.parametrize(
    ("before", "close"), [(57, False), (56, True), (47, True), (46, False), (58, True), (68, False)]
)
def test_a_number_that_differs_from_a_published_one_by_a_few_is_found(before: int, close: bool) -> None:
    asked, other = frozenset({"sex/full=female"}), frozenset({"sex/full=male"})
    found = differing({asked: 57, other: 900}, [{other: 900}, {asked: before}], least=11)
    assert found == ({asked} if close else set())
