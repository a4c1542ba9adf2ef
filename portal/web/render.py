"""Pages and mails from templates, in two languages.

The French of the templates is the source; `locale/<language>/LC_MESSAGES/portal.po` holds the others and is compiled
in memory. A name that a template reads and nobody gave is an error, and HTML is escaped everywhere but in `.txt`.
"""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, partial
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from portal.rules.reasons import sentence
from portal.rules.words import Language

PARIS = ZoneInfo("Europe/Paris")
SMALLEST_COUNT = 11
"""Counts below this are never shown (DOMAIN §7: minimum cell)."""

NBSP, THIN = "\u00a0", "\u202f"
MONTHS: Mapping[Language, tuple[str, ...]] = {
    Language.FR: (
        *("janvier", "février", "mars", "avril", "mai", "juin"),
        *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
    ),
    Language.EN: (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}
DEFAULTS: Mapping[str, Any] = {
    "demo": False,  # True: every page says that it is a demonstration
    "viewer": None,  # "doctor", "desk" or "recipient": whose navigation stands in the head
    "at": None,  # the enrolment that a doctor looks at, when she has several
    "stay": {},  # what else the address says
    "own_practices": (),  # of a doctor, when she has several
    "default_language": Language.FR,  # a link says `lang` only when the reader chose another one
    "publisher": "",
    "dpo_email": "",
    "phone": "",
    "post": "",
}
"""What every template may read although a route did not give it."""


def folder(name: str) -> Path:
    """`templates`, `static` or `locale`: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for place in (package / name, package.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"The folder {name} is missing: install the package again.")


def page(name: str, *, language: Language, **context: Any) -> str:
    """The template `name` as text. Its first comment lists what `context` must hold."""
    given = {**DEFAULTS, **context, "language": language}
    link = partial(address, language=language, default=given["default_language"], at=given["at"])
    return environment(language).get_template(name).render(given, link=link)


@cache
def environment(language: Language) -> Environment:
    """The templates of one language; made once, then only read."""
    env = Environment(
        loader=FileSystemLoader(folder("templates")),
        autoescape=select_autoescape(enabled_extensions=("html",), disabled_extensions=("txt",), default=True),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.policies["ext.i18n.trimmed"] = True
    env.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined] # Jinja2's i18n extension adds it when the environment is made
    shown = (day, moment, number, tenths, percent, few, about, country)
    env.filters.update({f.__name__: partial(f, language=language) for f in shown})
    env.filters["paragraphs"] = paragraphs
    env.globals.update(languages=Language, asset=asset, reason=partial(sentence, language=language))
    return env


# --- languages ------------------------------------------------------------------------------------------------------


class _Source(NullTranslations):
    """The French of the templates, with the French plural: 0 and 1 are singular."""

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return msgid1 if n < 2 else msgid2


@cache
def translations(language: Language) -> NullTranslations:
    """The catalogue of one language, compiled in memory from its .po file."""
    if language is Language.FR:
        return _Source()
    with (folder("locale") / language / "LC_MESSAGES" / "portal.po").open("rb") as file:
        catalogue = read_po(file, locale=language.value)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def address(path: str, *, language: Language, default: Language, at: int | None = None) -> str:
    """`path` in the language of the page: no cookie remembers a patient's choice, so the address does. A doctor's pages
    also say at which practice, `at`, when she has several: two windows of hers never mean each other's patients."""
    said = {} if at is None or not path.startswith("/doctor") else {"at": str(at)}
    said |= {} if language == default else {"lang": str(language)}
    return f"{path}{'&' if '?' in path else '?'}{urlencode(said)}" if said else path


@cache
def asset(name: str) -> str:
    """The address of a file in `static`; it changes with the file, so that browsers may keep it for ever."""
    digest = hashlib.sha256((folder("static") / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"


# --- words ----------------------------------------------------------------------------------------------------------


def day(value: date | str, *, language: Language) -> str:
    """1er mai 2026 | 1 May 2026. A moment is shown as its day in Paris; a text is an ISO date, as stored texts hold."""
    if isinstance(value, str):
        value = date.fromisoformat(value)
    if isinstance(value, datetime):
        value = value.astimezone(PARIS)
    first = "er" if language is Language.FR and value.day == 1 else ""
    return f"{value.day}{first}{NBSP}{MONTHS[language][value.month - 1]} {value.year}"


def moment(value: datetime, *, language: Language) -> str:
    """2 mars 2026 à 14 h 05 | 2 March 2026, 14:05 (Paris). The moment must know its zone."""
    if value.tzinfo is None:
        raise ValueError("A moment without a zone cannot be shown.")
    local = value.astimezone(PARIS)
    if language is Language.FR:
        return f"{day(local, language=language)} à {local.hour}{NBSP}h{NBSP}{local.minute:02}"
    return f"{day(local, language=language)}, {local.hour:02}:{local.minute:02} (Paris)"


def number(value: int, *, language: Language) -> str:
    """12 345 | 12,345"""
    return f"{value:,}".replace(",", THIN) if language is Language.FR else f"{value:,}"


def tenths(value: float | Decimal, *, language: Language) -> str:
    """2,5 | 2.5, to one decimal, halves up."""
    shown = f"{Decimal(str(value)).quantize(Decimal('0.1'), ROUND_HALF_UP):f}".removesuffix(".0")
    return shown.replace(".", ",") if language is Language.FR else shown


def percent(ratio: float | Decimal, *, language: Language) -> str:
    """2,5 % | 2.5%, to one decimal, halves up."""
    shown = tenths(Decimal(str(ratio)) * 100, language=language)
    return f"{shown}{NBSP}%" if language is Language.FR else f"{shown}%"


def few(value: int, *, language: Language) -> str:
    """A count of persons; a small one is masked, and so is zero: it would tell as much."""
    if value >= SMALLEST_COUNT:
        return number(value, language=language)
    return f"moins de{NBSP}{SMALLEST_COUNT}" if language is Language.FR else f"fewer than {SMALLEST_COUNT}"


def about(value: int, *, language: Language) -> str:
    """A count for the public: masked when small, else to the nearest ten."""
    return few(value if value < SMALLEST_COUNT else (value + 5) // 10 * 10, language=language)


def country(code: str, *, language: Language) -> str:
    """France for FR; a code that nobody knows is shown as it is."""
    return str(Locale(language.value).territories.get(code, code))


def paragraphs(text: str) -> list[list[str]]:
    """A plain text as blocks; a block of one line is a paragraph, a block of `- ` lines a list."""
    blocks = []
    for block in text.strip().split("\n\n"):
        lines = [line.strip() for line in block.splitlines()]
        listed = all(line.startswith("- ") for line in lines)
        blocks.append([line[2:] for line in lines] if listed else [type(text)(" ").join(lines)])
    return blocks
