"""Two lists that a recipient can lay side by side never differ by a few, and nobody can choose who is left out."""

from hypothesis import given
from hypothesis import strategies as st

from portal.rules.differing import few, to_withhold

NAMES = st.frozensets(st.integers(0, 30).map(str))


@given(present=NAMES, others=st.lists(NAMES, max_size=3), least=st.integers(1, 7))
def test_what_stays_differs_from_no_list_by_a_few(
    present: frozenset[str], others: list[frozenset[str]], least: int
) -> None:
    out = to_withhold(present, others, least=least)
    assert out <= present
    staying = present - out
    for other in others:
        new, gone = len(staying - other), len(other - staying)
        assert staying.isdisjoint(other) or ((new == 0 or new >= least) and (gone == 0 or gone >= least))


@given(present=NAMES, others=st.lists(NAMES, max_size=3), least=st.integers(1, 7))
def test_nobody_is_left_out_where_nothing_is_close(
    present: frozenset[str], others: list[frozenset[str]], least: int
) -> None:
    if not any(few(present, other, least=least) for other in others):
        assert to_withhold(present, others, least=least) == set()


def test_one_who_is_missing_is_hidden_among_as_many_as_the_limit() -> None:
    earlier = {f"{n:02}" for n in range(30)}
    out = to_withhold(earlier - {"17"}, [earlier], least=5)
    assert out == {"00", "01", "02", "03"}, "by the order of keyed names"
    assert to_withhold(earlier - {"17"}, [earlier], least=5) == out, "and the same each time"


def test_a_few_who_are_new_are_left_out_and_as_many_as_the_limit_are_not() -> None:
    earlier = {f"{n:02}" for n in range(30)}
    assert to_withhold(earlier | {"a", "b"}, [earlier], least=3) == {"a", "b"}
    assert to_withhold(earlier | {"a", "b", "c"}, [earlier], least=3) == set()


def test_lists_with_nobody_in_common_are_not_compared() -> None:
    assert to_withhold({"a", "b"}, [{"c"}], least=5) == set()
