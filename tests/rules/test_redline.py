"""What a newer agreement changes, paragraph by paragraph."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portal.rules.redline import Change, differences


def body(title: str = "Accord", summary: tuple[str, ...] = ("Un.", "Deux."), **sections: str) -> dict[str, Any]:
    return {"title": title, "summary": summary, "sections": [{"heading": h, "text": t} for h, t in sections.items()]}


OLD = body(Partir="Un clic. L’arrêt est immédiat.\n\n- Un.\n- Deux.")


def test_the_same_text_changes_nothing() -> None:
    assert differences(OLD, OLD) == []


def test_a_changed_paragraph_says_which_words() -> None:
    new = body(Partir="Deux clics. L’arrêt est immédiat.\n\n- Un.\n- Deux.")
    assert differences(OLD, new) == [
        Change("changed", "Partir", (("del", "Un clic."), ("ins", "Deux clics."), ("same", "L’arrêt est immédiat."))),
    ]


def test_what_comes_and_goes_stands_under_its_heading() -> None:
    new = body(Partir="Un clic. L’arrêt est immédiat.\n\n- Un.", Revenir="Quand vous voulez.")
    assert differences(OLD, new) == [
        Change("removed", "Partir", (("del", "Deux."),)),
        Change("added", "Revenir", (("ins", "Quand vous voulez."),)),
    ]


def test_paragraphs_with_nothing_in_common_are_not_mixed() -> None:
    assert [c.kind for c in differences(body(S="Le chat dort bien."), body(S="Rien ne part demain."))] == [
        "removed", "added",
    ]  # fmt: skip


WORDS = st.lists(st.sampled_from(["un", "deux", "trois", "quatre"]), min_size=1, max_size=6).map(" ".join)
BODIES = st.lists(WORDS, min_size=1, max_size=5).map(lambda lines: body(summary=tuple(lines), S="\n\n".join(lines)))


@given(BODIES, BODIES)
def test_every_word_that_comes_or_goes_is_said(old: dict[str, Any], new: dict[str, Any]) -> None:
    found = differences(old, new)

    def words(of: dict[str, Any]) -> int:
        return sum(len(line.split()) for line in of["summary"]) + sum(len(s["text"].split()) for s in of["sections"])

    said = {kind: sum(len(t.split()) for c in found for k, t in c.pieces if k == kind) for kind in ("ins", "del")}
    assert words(new) - words(old) == said["ins"] - said["del"]
    assert (found == []) == (old == new)
