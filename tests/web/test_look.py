"""How the pages look and read: contrast, weight, words, translations, typography, the two answers."""

import gzip
import html
import re
import tomllib
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from jinja2 import UndefinedError

from portal.rules.reading import BARS, notice_reading, reading
from portal.rules.reviewed import REQUIRED_ITEMS
from portal.rules.words import Language, Reader
from portal.web import render

TEXTS = Path(render.__file__).parents[1] / "demo" / "texts"
TEMPLATES = sorted(p for p in render.folder("templates").rglob("*") if p.suffix in (".html", ".txt"))
PATIENT = [p for p in TEMPLATES if p.parent.name == "patient"]
WINTER, SUMMER = datetime(2026, 3, 2, 13, 5, tzinfo=UTC), datetime(2026, 7, 2, 12, 5, tzinfo=UTC)
CSS = (render.folder("static") / "portal.css").read_text()

# --- colours and weight -----------------------------------------------------------------------------------------------


def tokens(scheme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{\s*(?:color-scheme: light dark;)?([^}]*)\}", CSS)[:2]
    found = dict(re.findall(r"--([\w-]+): (#\w+);", light))
    return found | (dict(re.findall(r"--([\w-]+): (#\w+);", dark)) if scheme == "dark" else {})


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_colour_is_readable_on_every_background(scheme: str) -> None:
    colours = tokens(scheme)
    for ground in ("ground", "panel"):
        for text in ("ink", "soft", "link", "visited", "ok", "warn", "bad"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        assert contrast(colours["edge"], colours[ground]) >= 3, ground
    assert contrast(colours["halo-ink"], colours["halo"]) >= 4.5


def test_style_is_small_and_asks_nobody_else() -> None:
    assert len(gzip.compress(CSS.encode())) <= 6_000
    assert "url(" not in CSS
    assert "@import" not in CSS


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: str(p.relative_to(render.folder("templates"))))
def test_template_says_what_it_needs_and_holds_no_style_or_script(path: Path) -> None:
    source = path.read_text()
    assert source.startswith("{#")
    assert not re.search(
        r"<script|<style|\sstyle=|\son\w+=|javascript:|https?://(?!www\.cnil\.fr|www\.w3\.org)", source
    )


# --- languages --------------------------------------------------------------------------------------------------------


def messages() -> set[str | tuple[str, ...]]:
    env, found = render.environment(Language.FR), set()
    for path in TEMPLATES:
        for _, _, message in env.extract_translations(path.read_text()):
            words = (message,) if isinstance(message, str) else tuple(m for m in message if m)
            found.add(words if len(words) > 1 else words[0])
    return found


def catalogue() -> dict[str | tuple[str, ...], tuple[str, ...]]:
    with (render.folder("locale") / "en" / "LC_MESSAGES" / "portal.po").open("rb") as file:
        read = read_po(file, locale="en")
    assert not read.obsolete
    assert not any(m.fuzzy for m in read if m.id)
    return {m.id: (m.string,) if isinstance(m.string, str) else m.string for m in read if m.id}


def test_every_message_is_translated_and_no_translation_is_left_over() -> None:
    english = catalogue()
    assert set(english) == messages()
    assert all(all(words) for words in english.values())


def test_translations_hold_the_same_names() -> None:
    for french, english in catalogue().items():
        wanted = set(re.findall(r"%\(\w+\)s", french if isinstance(french, str) else french[0]))
        for words in english:
            assert set(re.findall(r"%\(\w+\)s", words)) == wanted, french


def french_texts() -> list[str]:
    found = [m for words in messages() for m in ((words,) if isinstance(words, str) else words)]
    return found + [line for p in sorted(TEXTS.glob("*-fr.toml")) for line in strings(tomllib.loads(p.read_text()))]


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [s for v in value.values() for s in strings(v)]
    if isinstance(value, list):
        return [s for v in value for s in strings(v)]
    return [value] if isinstance(value, str) else []


def test_french_is_set_as_french() -> None:
    for text in french_texts():
        assert not re.search(r"(?<!\u202f)[;!?]", text), text
        assert not re.search(r"(?<!\u00a0)(?<!https)(?<!http):|(?<!\u00a0)»|«(?!\u00a0)", text), text
        assert not re.search(r"'|\.\.\.|(?<![\w(])[E]tude", text), text


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (render.day(date(2026, 5, 1), language=Language.FR), "1er\u00a0mai 2026"),
        (render.day(date(2026, 5, 1), language=Language.EN), "1\u00a0May 2026"),
        (render.day(datetime(2026, 4, 30, 22, 30, tzinfo=UTC), language=Language.FR), "1er\u00a0mai 2026"),
        (
            render.moment(datetime(2026, 3, 2, 13, 5, tzinfo=UTC), language=Language.FR),
            "2\u00a0mars 2026 à 14\u00a0h\u00a005",
        ),
        (
            render.moment(datetime(2026, 7, 2, 12, 5, tzinfo=UTC), language=Language.EN),
            "2\u00a0July 2026, 14:05 (Paris)",
        ),
        (render.number(12345, language=Language.FR), "12\u202f345"),
        (render.number(12345, language=Language.EN), "12,345"),
        (render.percent(0.025, language=Language.FR), "2,5\u00a0%"),
        (render.percent(Decimal("0.5"), language=Language.EN), "50%"),
        (render.few(0, language=Language.FR), "moins de\u00a011"),
        (render.few(10, language=Language.EN), "fewer than 11"),
        (render.few(11, language=Language.EN), "11"),
        (render.about(1237, language=Language.EN), "1,240"),
        (render.about(3, language=Language.EN), "fewer than 11"),
    ],
)
def test_dates_and_numbers_are_written_as_people_write_them(shown: str, wanted: str) -> None:
    assert shown == wanted


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("reader", Reader)
def test_notice_can_be_read_by_its_reader(reader: Reader, language: Language) -> None:
    measured = notice_reading(tomllib.loads((TEXTS / f"notice-{reader}-{language}.toml").read_text()))
    assert measured.within(BARS[reader]), str(measured)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("reader", Reader)
def test_notice_says_all_that_the_law_asks(reader: Reader, language: Language) -> None:
    notice = tomllib.loads((TEXTS / f"notice-{reader}-{language}.toml").read_text())
    assert set(notice["items"]) == set(notice["headings"]) == REQUIRED_ITEMS
    assert all(strings(item)[0].strip() for item in notice["items"].values())
    assert len(notice["facts"]) == 8
    assert (notice["language"], notice["reader"]) == (language, reader)
    adult = tomllib.loads((TEXTS / "notice-adult-fr.toml").read_text())
    for same in ("observatory", "version", "date", "covers"):
        assert notice[same] == adult[same]
    without = [key for key, item in notice["items"].items() if isinstance(item, dict)]
    assert without == [key for key, item in adult["items"].items() if isinstance(item, dict)]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("reader", Reader)
def test_notice_names_whom_to_reach_and_by_when(reader: Reader, language: Language) -> None:
    """What a simpler text may not lose: addresses, waits, the law's articles, the number of the authorisation."""
    items = tomllib.loads((TEXTS / f"notice-{reader}-{language}.toml").read_text())["items"]
    kept = {
        "controller": "contact@example.org",
        "dpo": "dpo@example.org",
        "purposes": "30",
        "objection_effect": "30",
        "complaint": "www.cnil.fr/fr/plaintes",
        "authorisation": "DEMO-2026-001",
        "minors": "15",
    }
    for key, words in kept.items():
        assert words in items[key], key
    for article in (r"6\W+1\W+e", r"9\W+2\W+i"):
        assert re.search(article, items["legal_basis"]), article


def everything_said() -> list[str]:
    english = [w for words in catalogue().values() for w in words]
    files = [s for p in sorted(TEXTS.glob("*.toml")) for s in strings(tomllib.loads(p.read_text()))]
    return french_texts() + english + files


def test_nothing_is_called_anonymous() -> None:
    for text in everything_said():
        assert not re.search(r"(?<!pas )(?<!not )anonym", text.lower()), text


def test_nobody_is_thanked_pushed_or_asked_twice() -> None:
    pushing = r"\bmerci|êtes-vous sûr|are you sure|thank|\bvital|dommage|sorry|malheureusement|unfortunately|sécurisé"
    for text in everything_said():
        assert not re.search(pushing, text.lower()), text
    for path in PATIENT:
        assert not re.search(r"\bchecked\b|<details|<dialog|<textarea", path.read_text()), path.name


# --- the patient's page -----------------------------------------------------------------------------------------------


def notice_page(language: Language, state: str = "not_answered", **changed: object) -> str:
    said_no = state.startswith("no_")
    context: dict[str, object] = {
        "here": "/o/abc",
        "token": "abc",
        "state": state,
        "represented": None,
        "doctor": "Dr A. <b>",
        "practice": "Cabinet & Cie",
        "since": date(2026, 5, 1),
        "observatory": {"name": "Soins de ville", "controller": "Exploitant", "dpo_email": "dpo@example.org"},
        "today": date(2026, 11, 24),
        "first_use": date(2026, 12, 24),
        "answered_at": None if state == "not_answered" else datetime(2026, 11, 24, 9, tzinfo=UTC),
        "reference": "K7QF-2M9D" if said_no else None,
        "mine": said_no,
        "said": (),
        "studies": {},
        "readings": ("easy",),
        "text": tomllib.loads((TEXTS / f"notice-adult-{language}.toml").read_text()),
    }
    return render.page("patient/notice.html", language=language, **(context | changed))


STATES = ("not_answered", "answered_yes", "no_everything", "no_observatory", "no_part", "taken_back")


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("represented", [None, "Camille"])
def test_the_two_answers_weigh_the_same_and_no_comes_first(language: Language, represented: str | None) -> None:
    shown = notice_page(language, represented=represented)
    buttons = re.findall(r'<button class="answer" formaction="([^"]+)">([^<]+)</button>', shown)
    assert [b[0].rsplit("/", 1)[1].split("?")[0] for b in buttons] == ["object", "keep"]
    lengths = [len(html.unescape(words)) for _, words in buttons]
    assert max(lengths) <= 1.3 * min(lengths), buttons
    assert shown.count("<button") == 2
    assert shown.index("<button") < shown.index("<h2")


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("state", STATES)
def test_page_says_the_state_and_offers_the_other_way(language: Language, state: str) -> None:
    shown = notice_page(language, state)
    assert ('class="answers"' in shown) != state.startswith("no_")
    assert ("/o/abc/withdraw" in shown) == state.startswith("no_")
    assert "Dr A. &lt;b&gt;" in shown
    assert "Cabinet &amp; Cie" in shown
    assert not re.search(r"<script|<style|style=|checked", shown)
    assert not re.search(r"[a-zé][.!?][A-ZÀ-Ý]", re.sub(r"<[^>]+>", " ", shown))


def test_a_no_said_elsewhere_is_shown_and_cannot_be_lifted_here() -> None:
    shown = notice_page(Language.FR, "no_everything", mine=False)
    assert "Un non est enregistré." in shown
    assert "/o/abc/withdraw" not in shown


def test_stored_texts_keep_the_order_of_reading_whatever_the_database_did_to_it() -> None:
    notice = tomllib.loads((TEXTS / "notice-adult-fr.toml").read_text())
    headings = [*notice["headings"].values()]
    shuffled = notice | {"headings": dict(sorted(notice["headings"].items())), "date": notice["date"].isoformat()}
    shown = html.unescape(notice_page(Language.FR, text=shuffled).split('class="document"')[1])
    places = [shown.index(f"<h3>{words}</h3>") for words in headings]
    assert places == sorted(places)


def test_links_keep_the_language_that_the_reader_chose() -> None:
    assert 'href="/o/abc/part?lang=en"' in notice_page(Language.EN)
    assert 'href="/o/abc/part"' in notice_page(Language.EN, default_language=Language.EN)
    assert 'href="/o/abc?lang=fr"' in notice_page(Language.EN, default_language=Language.EN)


@pytest.mark.parametrize("language", Language)
def test_patient_page_can_be_read_by_an_adult(language: Language) -> None:
    shown = notice_page(language).split("<main", 1)[1].split('id="notice"')[0].split(">", 1)[1]
    text = html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"</(p|li|h\d|dt|dd|button|a)>", "\n", shown)))
    assert reading(text).within(BARS[Reader.ADULT]), str(reading(text))


def test_a_missing_name_is_an_error_and_not_a_blank() -> None:
    with pytest.raises(UndefinedError):
        render.page("patient/kept.html", language=Language.FR, here="/o/abc/kept")


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("addressee", ["self", "parent"])
def test_mail_subject_tells_nothing_to_those_who_see_it(language: Language, addressee: str) -> None:
    subject = render.page("mail/subject.txt", language=language, addressee=addressee).strip()
    assert subject
    assert "\n" not in subject
    assert not re.search(r"santé|health|Camille|médecin|doctor", subject)
