"""The oracle where several things stand against a record: which code counts, and what would pass without a cause."""

from collections.abc import Callable
from pathlib import Path

import pytest
from story.made import RARE, Made, at, concept
from story.oracle import CAUSES

Change = Callable[[Made], object]


def test_a_record_counts_once_under_its_first_code(made: Made, tmp_path: Path) -> None:
    made.objection()
    made.story["notices"].clear()
    made.its["meta"]["source"] = "https://x/teleservice_auto"
    expected = made.judged(tmp_path)
    assert expected.withheld == {"G30": 1}
    assert expected.reasons("p1", "1")["permit"] == ["G41", "G50"]


def test_what_fails_at_the_extraction_comes_before_what_fails_at_the_release(made: Made, tmp_path: Path) -> None:
    made.its["code"] = concept(RARE)  # G33, at the release only
    made.story["notices"].clear()
    assert made.judged(tmp_path).withheld == {"G50": 1}


def test_of_two_notices_the_one_with_the_better_text_is_judged(made: Made, tmp_path: Path) -> None:
    made.another_text(at("02-01"))
    made.story["notices"].append(made.notice | {"text": "other"})
    made.notice["outcome"] = "bounced"
    assert made.judged(tmp_path).withheld == {"G55": 1}


def test_a_practice_that_passes_without_an_extraction_is_a_broken_story(made: Made, tmp_path: Path) -> None:
    made.story["extractions"].clear()
    with pytest.raises(ValueError, match="no accepted extraction"):
        made.judged(tmp_path)


@pytest.mark.parametrize(
    ("cause", "change"),
    [
        ("doctor_left", lambda m: m.doctor_left(at("02-02"), received_at=None)),
        ("objection", lambda m: m.objection()),
        ("bounced", lambda m: m.notice.update(outcome="bounced")),
        ("no_notice", lambda m: m.story["notices"].clear()),
        ("too_young", lambda m: m.notice.update(sent_at=at("02-20"))),
    ],
)
def test_without_its_cause_and_only_then_the_record_passes(
    made: Made, tmp_path: Path, cause: str, change: Change
) -> None:
    change(made)
    expected = made.judged(tmp_path)
    assert expected.passed == 0
    assert [other for other in CAUSES if expected.without(other).passed] == [cause]
