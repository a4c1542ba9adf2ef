"""A reviewed TOML file in; what it says, or every place that is off, out."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from portal.rules.refusals import Problem, RefusedFile
from portal.rules.reviewed import ReviewedFile
from portal.rules.toml_lines import Places, lines_of
from portal.rules.wording import texts_called_anonymous

LARGEST = 1_000_000
"""Bytes. A reviewed file is read by people."""

WHAT: Mapping[str, str] = {
    "missing": "this is needed and missing: add it",
    "extra_forbidden": "nothing of this name belongs here: take it out or mend its name",
    "string_too_short": "the text is empty or too short: write it out",
    "string_too_long": "the text is too long: shorten it",
    "string_pattern_mismatch": "not written as it must be (ids: small letters, digits, hyphens; countries: FR)",
    "string_type": "a text is needed: put it in quotes",
    "int_type": "a whole number is needed, without quotes",
    "bool_type": "true or false is needed, without quotes",
    "tuple_type": "a list is needed: put it in [ ]",
    "dict_type": "a table is needed",
    "model_type": "a table is needed",
    "too_short": "the list is too short: add to it",
    "date_type": "a day is needed: 2026-01-31",
    "date_parsing": "not a day of the calendar: write 2026-01-31",
    "union_tag_not_found": 'say what the text is: kind = "notice" or kind = "agreement"',
    "union_tag_invalid": "a text is a notice or an agreement: mend its kind",
}
"""What is wrong and what to do, by the kind of error; any other kind speaks for itself."""


def read_reviewed(path: Path) -> ReviewedFile:
    """A reviewed TOML file, checked whole; RefusedFile names every place that is off by file, line and key."""
    text = _text_of(path)
    raw = _parsed(path.name, text)
    alone = "kind" in raw
    try:
        plain = json.dumps({"text": [raw]} if alone else raw, default=str)
        found = ReviewedFile.model_validate_json(plain, strict=True)
    except (ValidationError, RecursionError) as error:
        places = Places(path.name, lines_of(text))
        raise RefusedFile(_problems(error, places, alone=alone)) from None
    places = Places(path.name, lines_of(text))
    said = list(texts_called_anonymous(raw))
    if said:
        what = "data about single persons are pseudonymised, never anonymous: say so"
        raise RefusedFile([Problem("called_anonymous", places.of(*at), what) for at in said])
    return found.read_from(places)


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError:
        raise _one("toml_unreadable", path.name, "the file cannot be read: check its name and its rights") from None
    if len(content) > LARGEST:
        raise _one("toml_too_large", path.name, f"the file is larger than {LARGEST} bytes: part it")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _one("not_utf8", f"{path.name}, line {line}", "not UTF-8: save the file as UTF-8") from None


def _parsed(name: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        at = re.search(r"\(at (line \d+, column \d+|end of document)\)", str(error))
        where = f"{name}, {at[1]}" if at else name
        raise _one("bad_toml", where, "not TOML from here on: mend the line or the one before it") from None


def _one(code: str, where: str, what: str) -> RefusedFile:
    return RefusedFile([Problem(code, where, what)])


def _problems(error: ValidationError | RecursionError, places: Places, *, alone: bool) -> list[Problem]:
    if isinstance(error, RecursionError):
        return [Problem("toml_too_deep", places.file, "tables or lists stand too deep in each other: flatten them")]
    return [
        Problem(f"toml_{e['type']}", places.of(*_path(e["loc"], alone=alone)), WHAT.get(e["type"], e["msg"]))
        for e in error.errors(include_input=False, include_url=False, include_context=False)
    ]


def _path(loc: tuple[str | int, ...], *, alone: bool) -> tuple[str | int, ...]:
    """A text's own file is no list of texts: without the three steps that lead into it."""
    inside = loc[:2] + loc[3:] if loc[:1] == ("text",) else loc
    return inside[2:] if alone else inside
