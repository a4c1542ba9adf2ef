"""A practice's register: CSV, Parquet or FHIR Patient NDJSON in, rows out; a bad file is refused whole."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from portal.gate.register_faults import Faults, refuse
from portal.gate.register_fhir import patients
from portal.gate.register_row import COLUMNS, Column, RegisterRow, read_row

__all__ = ["RegisterRow", "read_register", "write_register_csv"]

DATES = {"birth_date", "deceased_on"}
LARGEST = 128 * 2**20  # bytes once unpacked: far more than any practice has patients

Raw = tuple[str, Mapping[str, str]]  # where it stands, column → text


def read_register(path: Path, *, practice_id: str, today: date) -> list[RegisterRow]:
    """Every patient of the practice in the file, or RefusedFile with each place, code and reason.

    By suffix: `.csv`, `.parquet`, `.ndjson` (the text forms also `.gz`), or a FHIR Bulk Data folder. Of FHIR
    patients, those of other practices are passed over. No refused value is ever repeated.
    """
    path = _patient_file(path) if path.is_dir() else path
    if not path.is_file():
        raise refuse("no_file", "the file")
    faults = Faults()
    fhir = False
    if _suffix(path) in ("ndjson", "jsonl"):
        fhir = True
        raws: Iterator[Raw] = patients(_decoded(path), practice_id=practice_id, today=today, report=faults.add)
    else:
        raws = flat_rows(path, COLUMNS, faults)
    rows = _rows(raws, today, faults)
    faults.refuse_if_any()
    if not rows:
        raise refuse("no_patient_of_practice" if fhir else "no_rows", "the file")
    return rows


def flat_rows(path: Path, columns: Mapping[str, Column], faults: Faults) -> Iterator[Raw]:
    """Where each row of a CSV or Parquet file stands, and its texts by column; RefusedFile for any other file."""
    match _suffix(path):
        case "csv":
            return _csv(_decoded(path), columns, faults)
        case "parquet":
            return _parquet(path, columns, faults)
        case _:
            raise refuse("unknown_format", "the file")


def _suffix(path: Path) -> str:
    return path.name.lower().removesuffix(".gz").rpartition(".")[2]


def write_register_csv(rows: Iterable[RegisterRow], path: Path) -> None:
    """The rows as a CSV register that `read_register` reads back as they are."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def _rows(raws: Iterable[Raw], today: date, faults: Faults) -> list[RegisterRow]:
    rows: dict[str, RegisterRow] = {}
    for place, raw in raws:
        row = read_row(raw, place, today, faults)
        if row and row.patient_id in rows:
            faults.add("duplicate_patient_id", f"{place}, column patient_id")
        elif row:
            rows[row.patient_id] = row
    return list(rows.values())


def _patient_file(folder: Path) -> Path:
    found = [f for f in (folder / "Patient.ndjson", folder / "Patient.ndjson.gz") if f.is_file()]
    if len(found) != 1:
        raise refuse("no_patient_file", "the folder")
    return found[0]


# --- text -------------------------------------------------------------------------------------------------------


def _decoded(path: Path) -> str:
    """The file's text, unpacked, without a byte-order mark; RefusedFile when it is not UTF-8 or too large."""
    data = _bytes(path)
    if data is None:
        raise refuse("bad_gzip", "the file")
    if len(data) > LARGEST:
        raise refuse("too_large", "the file")
    if not data.removeprefix(b"\xef\xbb\xbf").strip():
        raise refuse("empty_file", "the file")
    faults = Faults()
    lines = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            lines.append(line.decode())
        except UnicodeDecodeError:
            faults.add("not_utf8", f"line {number}")
    faults.refuse_if_any()
    return "\n".join(lines)


def _bytes(path: Path) -> bytes | None:
    """At most one byte more than LARGEST; None when the compressed file is damaged."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        try:
            return file.read(LARGEST + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            return None


def _csv(text: str, columns: Mapping[str, Column], faults: Faults) -> Iterator[Raw]:
    """Rows by the physical line on which they begin; blank lines are passed over."""
    lines = _csv_lines(text, faults)
    start, header = next(lines, (1, None))
    names = _header(header, f"line {start}", columns, faults) if header else []
    if not names:
        return
    for number, fields in lines:
        if len(fields) != len(names):
            faults.add("wrong_number_of_fields", f"line {number}")
        else:
            yield f"line {number}", dict(zip(names, fields, strict=True))


def _csv_lines(text: str, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    first = text.lstrip().partition("\n")[0].partition("\r")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","  # Excel in French writes semicolons
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield start, fields
            start = reader.line_num + 1
    except csv.Error:
        faults.add("bad_csv", f"line {start}")


def _header(names: Sequence[str], place: str, columns: Mapping[str, Column], faults: Faults) -> list[str]:
    """The columns' names; none, with every reason in `faults`, when they are not a register's.

    An unknown one is named by its number: where the header is missing, it is somebody's data.
    """
    cleaned = [name.strip().lower() for name in names]
    if not columns.keys() & set(cleaned):
        faults.add("no_header", place)
        return []
    wrong = [("unknown_column", str(i)) for i, name in enumerate(cleaned, 1) if name not in columns]
    wrong += [("duplicate_column", name) for name in columns if cleaned.count(name) > 1]
    wrong += [
        ("missing_column", name) for name, column in columns.items() if column.column_required and name not in cleaned
    ]
    for code, name in wrong:
        faults.add(code, f"{place}, column {name}")
    return [] if wrong else cleaned


# --- Parquet ----------------------------------------------------------------------------------------------------


def _parquet(path: Path, wanted: Mapping[str, Column], faults: Faults) -> Iterator[Raw]:
    try:
        with pq.ParquetFile(path) as file:
            schema, unpacked = file.schema_arrow, _unpacked(file.metadata)
        names = _header(schema.names, "the schema", wanted, faults)
        if unpacked > LARGEST:
            raise refuse("too_large", "the file")
        table = _table(path, schema) if names else pa.table({})
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise refuse("unreadable_parquet", "the file") from None
    columns = [_texts(name, table.column(i), faults) for i, name in enumerate(names)]
    for number, values in enumerate(zip(*columns, strict=False), 1):  # a refused column is empty: no rows
        yield f"row {number}", dict(zip(names, values, strict=True))


def _unpacked(file: pq.FileMetaData) -> int:
    """Bytes once unpacked, as the file says itself, and at least one for each cell. Of its columns nothing is asked
    before they are read: pyarrow ends the process over some damage there."""
    said = sum(file.row_group(i).total_byte_size for i in range(file.num_row_groups))
    return int(max(said, file.num_rows * len(COLUMNS)))


def _table(path: Path, schema: pa.Schema) -> pa.Table:
    """The file with each distinct text once, as a file of a few hundred bytes may hold a long one a million times;
    RefusedFile when all of them written out would be too large."""
    texts = [field.name for field in schema if _is_text(field.type) and not pa.types.is_null(field.type)]
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        table = file.read()
    if sum(_written_out(chunk) for column in table.columns for chunk in column.chunks) > LARGEST:
        raise refuse("too_large", "the file")
    return table


def _written_out(chunk: pa.Array) -> int:
    """Bytes of the texts of a column, each as often as it stands there."""
    if not pa.types.is_dictionary(chunk.type):
        return int(chunk.nbytes)
    return int(pc.sum(pc.take(pc.binary_length(chunk.dictionary), chunk.indices)).as_py() or 0)


def _texts(name: str, column: pa.ChunkedArray, faults: Faults) -> list[str]:
    """The column as texts, null as empty; none, with the reason in `faults`, when it is not text."""
    dates = name in DATES and pa.types.is_date(column.type)
    if not dates and not _is_text(column.type):
        faults.add("wrong_type", f"the schema, column {name}")
        return []
    try:
        return ["" if value is None else str(value) for value in column.to_pylist()]
    except (ValueError, OverflowError):  # bytes that are no text, a date beyond the year 9999
        faults.add("bad_date" if dates else "not_utf8", f"the schema, column {name}")
        return []


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_string = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(test(kind) for test in is_string)
