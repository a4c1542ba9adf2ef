"""How hard a text is to read: words, sentences, long words, and the bar of each reader."""

import pytest

from portal.rules.reading import BARS, Reading, notice_reading, reading
from portal.rules.words import Reader


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Reading(0, 0, 0)),
        ("… !", Reading(0, 0, 0)),
        ("Vous pouvez dire non.", Reading(4, 4, 4)),
        ("Voici vos données.", Reading(3, 3, 3 + 100 / 3)),
        ("Dire non. C’est votre droit", Reading(3, 4, 3)),
        ("Non\u00a0: aucune raison. Oui\u202f?\u00a0Oui.", Reading(1.25, 2, 1.25)),
        ("Écrivez à dpo@example.org", Reading(5, 5, 5 + 2 * 20)),
        ("- Votre sexe\n- Votre poids", Reading(2, 2, 2)),
    ],
)
def test_a_text_is_measured(text: str, wanted: Reading) -> None:
    found = reading(text)
    assert (found.mean, found.longest) == (wanted.mean, wanted.longest)
    assert found.lix == pytest.approx(wanted.lix)


def test_a_notice_is_measured_in_all_that_stands_below_its_headings() -> None:
    body = {
        "title": "un deux trois quatre cinq six",
        "headings": {"dpo": "un deux trois quatre"},
        "objection": "Oui.",
        "facts": [{"question": "un deux trois", "answer": "Non."}],
        "items": {"dpo": "Oui.", "transfers": {"not_applicable": "un deux"}},
    }
    assert notice_reading(body) == Reading(8 / 5, 3, 8 / 5)


@pytest.mark.parametrize("reader", Reader)
def test_at_the_bar_a_text_is_within_it_and_one_step_above_it_is_not(reader: Reader) -> None:
    bar = BARS[reader]
    assert bar.within(bar)
    for over in ((0.1, 0, 0), (0, 1, 0), (0, 0, 0.1)):
        assert not Reading(bar.mean + over[0], bar.longest + over[1], bar.lix + over[2]).within(bar)
