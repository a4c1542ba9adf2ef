"""Every code has its sentences and its law; the sheet in docs/ says what the code says."""

from pathlib import Path

import pytest

from portal.rules.clearance import LATER_CODES, RULES
from portal.rules.reasons import REASONS, Seen, sentence, sheet
from portal.rules.words import Language

CODES = {rule.code for rule in RULES} | LATER_CODES.keys()


def test_every_code_has_a_reason_and_no_other() -> None:
    assert set(REASONS) == CODES


def test_the_sheet_in_the_documents_is_made_from_the_table() -> None:
    assert (Path(__file__).parents[2] / "docs" / "reasons.md").read_text(encoding="utf-8") == sheet()


def test_the_desks_sentences_are_all_different_in_both_languages() -> None:
    for language in Language:
        assert len({sentence(code, language) for code in REASONS}) == len(REASONS)


def test_a_sentence_is_told_in_the_language_that_is_asked_for() -> None:
    assert sentence("G41", Language.FR) == REASONS["G41"].fr
    assert sentence("G41", Language.EN) == REASONS["G41"].en


def test_doctors_and_patients_see_about_ten_sentences_at_most() -> None:
    assert len(Seen) <= 10


def test_no_plain_sentence_tells_an_objection_from_a_doubt_about_who_somebody_is() -> None:
    assert {REASONS[code].seen for code in ("G40", "G41", "G42", "G43", "G44", "G45", "G46", "G47")} == {Seen.OUT}
    shown = " ".join(text for seen in Seen for text in seen.value).lower()
    assert not [word for word in ("objec", "oppos", "dit non", "said no") if word in shown]


@pytest.mark.parametrize("code", ["", "G99", "dead_link"])
def test_an_unknown_code_stands_for_itself(code: str) -> None:
    assert sentence(code, Language.FR) == code
