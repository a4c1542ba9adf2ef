"""No and yes weigh the same: one box, one style, one click; no comes first, and nothing is chosen beforehand."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from playwright.sync_api import Page
from served import Letter, NewContext, Site

WIDTHS = (320, 375, 768, 1440)
AS_IT_COMES = {"color_scheme": "light", "forced_colors": "none", "contrast": "no-preference"}
MEDIA = ({}, {"color_scheme": "dark"}, {"forced_colors": "active"}, {"contrast": "more"})
PHONE = {"width": 375, "height": 667}
SMALLEST_TARGET = 44
LONGER_BY_AT_MOST = 1.3

STYLES = """answers => answers.map(a => Object.fromEntries(
  ['', '::before', '::after'].flatMap(part => [...getComputedStyle(a, part || null)].map(
    name => [part + name, getComputedStyle(a, part || null).getPropertyValue(name)]))))"""
BOXES = "answers => answers.map(a => { const b = a.getBoundingClientRect(); return [b.width, b.height]; })"


@dataclass
class Choice:
    """A page with two answers, open in a browser without script."""

    page: Page

    @property
    def answers(self) -> Any:
        return self.page.locator(".answers .answer")

    def differing(self) -> list[str]:
        """The style properties, as computed, in which the two answers differ."""
        no, yes = self.answers.evaluate_all(STYLES)
        assert len(no) > 300
        return [name for name in no.keys() | yes.keys() if no.get(name) != yes.get(name)]


@pytest.fixture(scope="module")
def letters(site: Site) -> dict[str, Letter]:
    return {addressee: site.unanswered(addressee) for addressee in ("self", "parent")}


@pytest.fixture(params=["self", "parent"])
def letter(letters: dict[str, Letter], request: pytest.FixtureRequest) -> Letter:
    return letters[request.param]


@pytest.fixture(params=["fr", "en"])
def choice(letter: Letter, context: NewContext, request: pytest.FixtureRequest) -> Choice:
    page = context(java_script_enabled=False, viewport=PHONE).new_page()
    page.goto(f"/o/{letter.token}?lang={request.param}")
    return Choice(page)


def test_same_box_and_same_style(choice: Choice) -> None:
    for media, width in product(MEDIA, WIDTHS):
        choice.page.emulate_media(**{**AS_IT_COMES, **media})
        choice.page.set_viewport_size({"width": width, "height": 900})
        no, yes = choice.answers.evaluate_all(BOXES)
        assert no == yes, (media, width)
        assert min(no) >= SMALLEST_TARGET, (media, width)
        assert choice.differing() == [], (media, width)


def test_another_style_would_be_seen(choice: Choice) -> None:
    choice.answers.last.evaluate("answer => answer.style.fontWeight = '700'")
    assert "font-weight" in choice.differing()


def test_same_style_when_pointed_at_and_when_focused(choice: Choice) -> None:
    """What the pointer or the focus changes on one answer, it changes on the other."""
    seen = []
    for answer in (choice.answers.first, choice.answers.last):
        for act in (answer.hover, answer.focus):
            act()
            seen.append(answer.evaluate_all(STYLES)[0])
    assert seen[0] == seen[2]
    assert seen[1] == seen[3]


def test_both_are_seen_on_a_phone_without_scrolling(choice: Choice) -> None:
    for answer in choice.answers.all():
        box = answer.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= PHONE["height"]


def test_no_stands_first_and_they_are_about_as_long(choice: Choice) -> None:
    no, yes = (text.strip() for text in choice.answers.all_inner_texts())
    assert no.startswith(("Non, ", "No, "))
    assert yes.startswith(("Oui, ", "Yes, "))
    assert max(len(no), len(yes)) / min(len(no), len(yes)) <= LONGER_BY_AT_MOST


def test_nothing_is_chosen_or_focused_beforehand(choice: Choice) -> None:
    page = choice.page
    assert page.evaluate("document.activeElement === document.body")
    assert page.locator(":checked, [autofocus], [aria-pressed], [aria-current]").count() == 0
    page.keyboard.press("Enter")
    assert choice.answers.count() == 2


def test_one_press_of_the_tab_key_lies_between_them(choice: Choice) -> None:
    choice.answers.first.focus()
    choice.page.keyboard.press("Tab")
    assert choice.answers.last.evaluate("answer => answer === document.activeElement")
    choice.page.keyboard.press("Shift+Tab")
    assert choice.answers.first.evaluate("answer => answer === document.activeElement")


def test_keeping_a_no_and_taking_it_back_have_one_box(site: Site, context: NewContext) -> None:
    page = context().new_page()
    page.goto(f"/o/{site.unanswered().token}")
    page.locator(".answer").first.click()
    page.locator('a[href*="/withdraw"]').click()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        keep, take_back = page.locator(".answers .answer").evaluate_all(BOXES)
        assert keep == take_back, width
