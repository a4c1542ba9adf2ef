"""Which form the records have, and where a file that cannot be read breaks."""

import gzip
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, NoReturn, cast

import duckdb

from portal.rules.refusals import Problem, RefusedFile

RESOURCES = ("Patient", "Encounter", "Condition", "MedicationRequest", "AllergyIntolerance", "Observation")
"""The FHIR resources that are read; the others of a Bulk Data folder are never opened."""


class Form(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"
    NDJSON = "ndjson"
    FHIR = "fhir"


_ENDINGS = {
    ".csv": Form.CSV, ".csv.gz": Form.CSV, ".parquet": Form.PARQUET,
    ".ndjson": Form.NDJSON, ".ndjson.gz": Form.NDJSON,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """The files to read, all of one form. `resource_of` names a file's FHIR resource."""

    form: Form
    files: tuple[Path, ...]

    def of(self, resource: str) -> tuple[Path, ...]:
        return tuple(file for file in self.files if resource_of(file) == resource)


def refuse(code: str, where: str, what: str) -> NoReturn:
    raise RefusedFile([Problem(code, where, what)])


def resource_of(file: Path) -> str | None:
    """`Condition` for Condition.ndjson.gz, Condition.1.ndjson, 2.Condition.ndjson."""
    return next((part for part in re.split(r"[._-]", file.name) if part in RESOURCES), None)


def recognise(sources: Sequence[Path]) -> Found:
    """Files and folders, all of one form; hidden files and those that begin with _ are passed over."""
    files = [file for source in sources for file in _below(source)]
    if not files:
        refuse("empty_folder", ", ".join(source.name for source in sources), "There are no files to read.")
    if any(_form(file) is Form.NDJSON and resource_of(file) for file in files):
        return _bulk_data(files)
    for file in files:
        if _form(file) is None:
            refuse("unknown_form", file.name, "Records are .csv, .parquet, .ndjson or .ndjson.gz files.")
    forms = {_form(file) for file in files}
    if len(forms) > 1:
        refuse("mixed_forms", files[0].parent.name, "A folder holds files of one form.")
    return _checked(Found(cast("Form", forms.pop()), tuple(files)))


def _below(source: Path) -> list[Path]:
    if not source.exists():
        refuse("missing_input", source.name, "There is nothing of this name.")
    if source.is_file():
        return [source]
    files = sorted(file for file in source.rglob("*") if file.is_file())
    return [file for file in files if not any(part[0] in "._" for part in file.relative_to(source).parts)]


def _form(file: Path) -> Form | None:
    return next((form for ending, form in _ENDINGS.items() if file.name.endswith(ending)), None)


def _bulk_data(files: Sequence[Path]) -> Found:
    folder = files[0].parent.name
    if {_form(file) for file in files} & {Form.CSV, Form.PARQUET}:
        refuse("mixed_forms", folder, "A Bulk Data folder holds no CSV or Parquet files.")
    read = Found(Form.FHIR, tuple(file for file in files if _form(file) is Form.NDJSON and resource_of(file)))
    if not read.of("Patient"):
        refuse("missing_patients", folder, "Patient.ndjson says whose the records are: it is missing.")
    if {resource_of(file) for file in read.files} <= {"Patient", "Encounter"}:
        refuse("no_records", folder, "The folder holds patients but no records.")
    return _checked(read)


def _checked(found: Found) -> Found:
    for file in found.files:
        if file.name.endswith(".gz"):
            _check_gzip(file)
    return found


def _check_gzip(file: Path) -> None:
    """The checksum at the end too, which the engine does not look at."""
    try:
        with gzip.open(file) as stream:
            while stream.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error):
        refuse("bad_gzip", file.name, "Cut off, damaged, or not gzip: copy the file again.")


def opened(file: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(file) if file.name.endswith(".gz") else file.open("rb"))


def refuse_unreadable(file: Path, error: duckdb.Error) -> NoReturn:
    """Says where a file breaks, never what stands there: the engine's own message repeats the line."""
    said = str(error)
    if _form(file) is Form.NDJSON:
        _refuse_json(file)
    line = re.search(r"(?:in line|Line:) (\d+)", said)
    where = f"{file.name}, line {line[1]}" if line else file.name
    if "unicode" in said or "UTF-8" in said or "utf-8" in said:
        refuse("bad_encoding", where, "The file is not UTF-8.")
    if "CSV Error" in said:
        refuse("bad_csv", where, "The line does not have the header's columns, or a quote is not closed.")
    if "JSON transform" in said:
        refuse("wrong_shape", where, "The line is JSON, but not of the shape of a record.")
    if _form(file) is Form.PARQUET:
        refuse("bad_parquet", where, "Cut off, damaged, or not Parquet.")
    refuse("unreadable_file", where, "The file cannot be read.")


def _refuse_json(file: Path) -> None:
    """Refuses at the first line that is not a JSON object; returns when there is none."""
    with opened(file) as stream:
        for place, line in enumerate(stream, start=1):
            where = f"{file.name}, line {place}"
            try:
                value = json.loads(line.decode()) if line.strip() else {}
            except UnicodeDecodeError:
                refuse("bad_encoding", where, "The line is not UTF-8.")
            except ValueError:
                refuse("bad_json", where, "The line is not JSON: one whole record a line.")
            if not isinstance(value, dict):
                refuse("wrong_shape", where, "The line is JSON, but not a record.")
