"""A text of marked lines as a file to be edited: Rich Text Format, which every word processor opens and keeps."""

from collections.abc import Iterator
from typing import Any

from portal.rules.words import Language

_SIZES = {"h1": 32, "h2": 26, "h3": 22}  # half points
_LANGUAGES = {Language.FR: 1036, Language.EN: 2057}


def rich_text(text: dict[str, Any]) -> bytes:
    """The data of `text.typ` (title, language, blocks) as an RTF document. Headings are headings, lists are lists."""
    styles = "".join(
        rf"{{\s{level}\outlinelevel{level - 1}\b\fs{size} heading {level};}}"
        for level, size in enumerate(_SIZES.values(), 1)
    )
    head = (
        rf"{{\rtf1\ansi\ansicpg1252\deff0\deflang{_LANGUAGES[text['language']]}\uc1"
        rf"{{\fonttbl{{\f0\fswiss Arial;}}}}{{\stylesheet{{\s0 Normal;}}{styles}}}"
        rf"{{\info{{\title {escaped(text['title'])}}}}}\paperw11906\paperh16838\margl1134\margr1134\f0\fs21"
    )
    return "\n".join([head, *_paragraphs(text["blocks"]), "}"]).encode("ascii")


def _paragraphs(blocks: list[dict[str, Any]]) -> Iterator[str]:
    for block in blocks:
        kind = block["kind"]
        if kind in _SIZES:
            level = list(_SIZES).index(kind) + 1
            style = rf"\s{level}\outlinelevel{level - 1}\keepn\sb240\sa100\b\fs{_SIZES[kind]}"
            yield rf"{{\pard{style} {escaped(block['text'])}\par}}"
        elif kind == "list":
            yield from (rf"{{\pard\fi-284\li284\sa60 \bullet\tab {escaped(item)}\par}}" for item in block["items"])
        else:
            yield rf"{{\pard\sa120 {escaped(block['text'])}\par}}"


def escaped(text: str) -> str:
    r"""Nothing of it is read as a command: \, { and } are escaped, what is not ASCII is written as UTF-16 units."""
    return "".join(_escaped(sign) for sign in text)


def _escaped(sign: str) -> str:
    if sign in "\\{}":
        return "\\" + sign
    if " " <= sign <= "~":
        return sign
    units = memoryview(sign.encode("utf-16-le")).cast("H")
    return "".join(rf"\u{unit - 0x10000 if unit > 0x7FFF else unit}?" for unit in units)
