"""Whether an older text told its reader of everything that a newer one covers."""

from typing import Any

import pytest

from portal.rules.conditions import NoticeCoverage, tells_as_much

PLAIN: dict[str, Any] = {
    "purposes": ["public_health_research"], "columns": ["sex"], "recipients": ["public_research"], "countries": ["FR"],
    "retention_months": 36, "general_clause": False, "all_sources": False, "teleservice": False,
}  # fmt: skip
WIDER: list[dict[str, Any]] = [
    {"purposes": ["public_health_research", "drug_safety"]}, {"columns": ["sex", "diagnosis"]},
    {"recipients": ["public_research", "industry"]}, {"countries": ["FR", "BE"]}, {"retention_months": 37},
    {"general_clause": True}, {"all_sources": True}, {"teleservice": True},
]  # fmt: skip


def covers(**changes: Any) -> NoticeCoverage:
    return NoticeCoverage.model_validate(PLAIN | changes)


@pytest.mark.parametrize("change", WIDER, ids=[next(iter(change)) for change in WIDER])
def test_a_text_that_covers_more_is_not_told_by_one_that_covers_less(change: dict[str, Any]) -> None:
    assert tells_as_much(covers(**change), covers())
    assert not tells_as_much(covers(), covers(**change))
    assert tells_as_much(covers(**change), covers(**change))


def test_the_same_coverage_tells_as_much() -> None:
    assert tells_as_much(covers(), covers())
