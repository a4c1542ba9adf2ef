"""A "no" says what, where and how it is answered; a refused file names its first problem and how many more."""

import pytest

from portal.rules.refusals import Problem, Problems, Refused, RefusedFile


def test_a_refusal_says_its_place_first_and_its_code_last() -> None:
    assert str(Refused("bad_date", "no such day", where="line 2")) == "line 2: no such day [bad_date]"
    assert str(Refused("bad_date", "no such day")) == "no such day [bad_date]"
    assert str(Problem("bad_date", "line 2", "no such day")) == "line 2: no such day [bad_date]"


def test_a_refusal_is_a_conflict_unless_it_says_otherwise() -> None:
    plain = Refused("G12", "too fine")
    assert (plain.code, plain.what, plain.where, plain.status) == ("G12", "too fine", "", 409)
    assert Refused("unknown", "there is none", status=404).status == 404


@pytest.mark.parametrize(("many", "more"), [(1, ""), (2, " (and 1 more)"), (5, " (and 4 more)")])
def test_a_refused_file_keeps_every_problem_and_shows_the_first(many: int, more: str) -> None:
    problems = Problems()
    for line in range(1, many + 1):
        problems.add("bad_date", f"line {line}", "no such day")
    no = RefusedFile(problems.found)
    assert no.problems == [Problem("bad_date", f"line {line}", "no such day") for line in range(1, many + 1)]
    assert (no.code, no.where, no.status) == ("bad_date", "line 1", 422)
    assert str(no) == f"line 1: no such day{more} [bad_date]"
