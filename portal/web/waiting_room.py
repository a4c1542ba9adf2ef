"""What hangs or lies in a waiting room, as the press reads it. It replaces nobody's own notice, and says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.rules.words import Language
from portal.web import render
from portal.web.print_file import blocks_of, square


@dataclass(frozen=True, slots=True)
class Sheet:
    """`text`: the template of its words; `size`: of the letters, in points; `margin` and `square` in millimetres."""

    text: str
    paper: str
    size: float
    margin: int
    square: int


SHEETS: Mapping[str, Sheet] = {
    "poster-a4.pdf": Sheet("poster", "a4", 15, 18, 42),
    "poster-a3.pdf": Sheet("poster", "a3", 21.2, 25, 59),
    "leaflet.pdf": Sheet("leaflet", "a5", 11, 12, 30),
}


def compose_sheet(sheet: Sheet, *, language: Language, base_url: str, **given: Any) -> Mapping[str, Any]:
    """The data of `waiting_room.typ`; `given`: what the kit's papers are filled with. The square leads to the form."""
    authorisation = given["authorisation"]
    given |= {
        "columns": _said(authorisation.conditions["columns"]) if authorisation else [],
        "site": base_url.partition("://")[2],
    }
    title, *blocks = blocks_of(render.page(f"letter/{sheet.text}.txt", language=language, **given))
    *ways, alt = render.page("letter/ways_to_say_no.txt", language=language, **given).strip().splitlines()
    return {
        "title": title["text"],
        "language": language,
        "paper": sheet.paper,
        "size": sheet.size,
        "margin": sheet.margin,
        "square": sheet.square,
        "blocks": [title | {"text": title["text"].replace(". ", ".\n")}, *blocks],
        "ways": ways,
        "qr": square(f"{base_url}/object"),
        "qr_alt": alt,
        "footer": " · ".join([given["observatory"].name, given["seat"], given["observatory"].dpo_contact]),
    }


def _said(columns: Mapping[str, Any]) -> list[str]:
    """What is said of the columns to patients: the date last, and not the unit of a result."""
    return sorted(columns.keys() - {"test_unit"}, key=lambda name: (name == "recorded_on", list(columns).index(name)))
