"""What a practice's program is told, in one small file: where the portal is, who it is, where its files lie."""

import re
import tomllib
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from portal.rules.refusals import Problem, Refused, RefusedFile
from portal.rules.toml_lines import Places, lines_of

TEMPLATE = """\
# What `portal practice …` works with. No secret belongs in here: the key lies in the folder `keys`.
# A relative name is looked for beside this file.

portal = "https://portal.example.org"   # the address of the portal
practice = "my-practice"                # the id of the practice, as its doctor sees it at /doctor/software
client = ""                             # shown there too, once the key of `portal practice keys` was pasted

keys = "keys"                           # the practice's own key: whoever can read it can send in its name
portal_key = "portal.pub"               # the public key of the portal, handed over by its operator

register = "register.csv"               # all patients (CSV, Parquet, FHIR NDJSON); out if other software sends them
records = "records"                     # a file or a folder
work = "work"                           # made by this program, with its log; nobody else should read it

# part_kib = 1024                       # how much is sent at once
# patience = 120                        # for how many seconds a request is tried again on a bad line
"""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

WHAT = {
    "missing": "this is needed and missing: add it",
    "extra_forbidden": "nothing of this name belongs here: take it out or mend its name",
    "string_type": "a text is needed: put it in quotes",
    "path_type": "a name is needed: put it in quotes",
    "int_type": "a whole number is needed, without quotes",
    "string_pattern_mismatch": "not written as it must be: letters, digits, dots, hyphens",
}
"""What is wrong and what to do, by the kind of error; any other kind speaks for itself."""


def _portal(url: str) -> str:
    """The address without a slash at its end. https, unless the portal is on this very machine."""
    parts = urlsplit(url)
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc or not parts.hostname:
        raise ValueError("write the portal's address alone, as https://portal.example.org")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("the data would travel in clear: the address begins with https://")
    return url.rstrip("/")


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class PracticeFile(BaseModel):
    """The configuration; every path absolute or beside the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    portal: Annotated[str, AfterValidator(_portal)]
    practice: Id
    client: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""
    keys: Path
    portal_key: Path
    register_file: Annotated[Path | None, Field(alias="register")] = None
    records: Path
    work: Path
    part_kib: Annotated[int, Field(strict=True, ge=1, le=16_384)] = 1024
    patience: Annotated[int, Field(strict=True, ge=0, le=3600)] = 120

    @property
    def family(self) -> str:
        """The name of the practice's key."""
        return f"practice:{self.practice}"


def read_practice_file(path: Path) -> PracticeFile:
    """The configuration; RefusedFile names every entry that is missing or off, by line and key."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except (OSError, UnicodeDecodeError):
        raise Refused("config_unreadable", "the file cannot be read as UTF-8 text", where=path.name) from None
    except ValueError as error:
        at = re.search(r"line \d+, column \d+", str(error))
        where = f"{path.name}, {at[0]}" if at else path.name
        raise Refused("bad_toml", "not TOML from here on: mend the line or the one before it", where=where) from None
    try:
        found = PracticeFile.model_validate(raw)
    except ValidationError as error:
        places = Places(path.name, lines_of(text))
        found_off = error.errors(include_input=False, include_url=False, include_context=False)
        raise RefusedFile(
            [
                Problem(f"config_{e['type']}", places.of(*e["loc"]), WHAT.get(e["type"], e["msg"].split(", ", 1)[-1]))
                for e in found_off
            ]
        ) from None
    beside = path.resolve().parent
    return found.model_copy(
        update={
            name: beside / value
            for name in ("keys", "portal_key", "register_file", "records", "work")
            if (value := getattr(found, name)) is not None
        }
    )


def refuse_unready(file: PracticeFile, name: str, *, has_key: bool) -> None:
    """RefusedFile with everything that the configuration names and that is not there yet, each with what to do."""
    checks = [
        (not has_key, "keys", "the practice has no key yet: `portal practice keys`"),
        (not file.client, "client", "paste the key of `portal practice keys` at /doctor/software, write the id here"),
        (not file.portal_key.is_file(), "portal_key", "the file is not there: ask the portal's operator for it"),
        (file.register_file is not None and not file.register_file.exists(), "register", "there is no such file"),
        (not file.records.exists(), "records", "there is no such file or folder"),
    ]
    problems = [Problem("config_not_ready", f"{name}, {key}", what) for wrong, key, what in checks if wrong]
    if problems:
        raise RefusedFile(problems)
