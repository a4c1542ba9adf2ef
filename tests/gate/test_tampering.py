"""Whatever is changed in a permit, an extraction or a release is found, offline and by name."""

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import made
import papers
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from portal.gate import extraction, manifest
from portal.gate.folders import sha256_of
from portal.gate.permit import KIND, read_permit, write_permit
from portal.gate.signature import canonical, sign
from portal.gate.store import read_extraction
from portal.gate.terms import as_payload
from portal.gate.verify import verify_release
from portal.rules.refusals import Refused
from portal.rules.words import Crossing

Spoil = Callable[[Path], object]


def flip(name: str, place: int = -20) -> Spoil:
    def spoil(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[place] ^= 1
        (folder / name).write_bytes(content)

    return spoil


def cut(name: str) -> Spoil:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-1])


def delete(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def add(name: str, content: bytes = b"x") -> Spoil:
    return lambda folder: (folder / name).write_bytes(content)


def swap(one: str, other: str) -> Spoil:
    def spoil(folder: Path) -> None:
        a, b = (folder / one).read_bytes(), (folder / other).read_bytes()
        (folder / one).write_bytes(b)
        (folder / other).write_bytes(a)

    return spoil


def rewrite(name: str, change: Callable[[pa.Table], pa.Table]) -> Spoil:
    return lambda folder: pq.write_table(change(pq.read_table(folder / name, partitioning=None)), folder / name)


def forge(name: str, kind: str, change: Callable[[dict[str, Any]], object], key: Any = made.KEY, to: str = "") -> Spoil:
    """Signs a changed statement again, with the right key or another; `to` also writes it in plain."""

    def spoil(folder: Path) -> None:
        payload = json.loads(_payload(folder / name))
        change(payload)
        content = canonical(payload)
        (folder / name).write_bytes(sign(kind, content, key))
        if to:
            (folder / to).write_bytes(content)

    return spoil


def _payload(statement: Path) -> bytes:
    part = statement.read_bytes().split(b".")[1]
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for each in spoils:
            each(folder)

    return spoil


# --- permits ------------------------------------------------------------------------------------------------


def list_with(name: str, value: Any) -> Spoil:
    """Another list, signed by the portal itself: what a fault of its own would make."""

    def spoil(folder: Path) -> None:
        table = pq.read_table(folder / "allowed.parquet")
        column = pa.array([value] * table.num_rows, table.schema.field(name).type)
        schema = table.schema
        pq.write_table(
            table.set_column(schema.get_field_index(name), schema.field(name), column), folder / "allowed.parquet"
        )
        sha = sha256_of(folder / "allowed.parquet")
        forge("permit.jws", KIND, lambda p: p.update(list_sha256=sha))(folder)

    return spoil


def terms_with(**changes: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        terms = replace(made.TERMS, list_sha256=sha256_of(folder / "allowed.parquet"), **changes)
        (folder / "permit.jws").write_bytes(sign(KIND, canonical(as_payload(terms)), made.KEY))

    return spoil


PERMITS: list[tuple[str, Spoil]] = [
    ("permit_missing", delete("permit.jws")),
    ("permit_missing", delete("allowed.parquet")),
    ("permit_missing", lambda folder: shutil.rmtree(folder)),
    ("permit_signature", flip("permit.jws", 10)),
    ("permit_signature", flip("permit.jws", 200)),
    ("permit_signature", flip("permit.jws", -10)),
    ("permit_signature", cut("permit.jws")),
    ("permit_signature", add("permit.jws", b"")),
    ("permit_signature", add("permit.jws", b"\xff.\xff.\xff")),
    ("permit_signature", forge("permit.jws", KIND, lambda p: None, made.FOREIGN_KEY)),
    ("permit_signature", forge("permit.jws", manifest.KIND, lambda p: None)),
    ("permit_altered_list", flip("allowed.parquet")),
    ("permit_altered_list", cut("allowed.parquet")),
    ("permit_altered_list", rewrite("allowed.parquet", lambda t: t.slice(1))),
    ("permit_altered_list", rewrite("allowed.parquet", lambda t: pa.concat_tables([t, t]))),
    ("permit_malformed", forge("permit.jws", KIND, lambda p: p.pop("cut"))),
    ("permit_malformed", forge("permit.jws", KIND, lambda p: p.update(more=1))),
    ("permit_malformed", forge("permit.jws", KIND, lambda p: p.update(provenance=["any"]))),
    ("permit_malformed", forge("permit.jws", KIND, lambda p: p.update(practices="p1"))),
    ("permit_malformed", forge("permit.jws", KIND, lambda p: p["columns"][0].update(name="address"))),
    ("permit_malformed", forge("permit.jws", KIND, lambda p: p["columns"][0].update(precision="chapter"))),
    ("permit_malformed", forge("permit.jws", KIND, lambda p: p["columns"].append(p["columns"][0]))),
    ("permit_malformed", forge("permit.jws", KIND, lambda p: p.update(expires_at="2026-12-01T00:00:00"))),
    ("permit_malformed", list_with("practice_id", "p9")),
    ("permit_malformed", both(rewrite("allowed.parquet", lambda t: t.drop_columns(["holds_until"])),
                              lambda f: terms_with()(f))),
    ("permit_wrong_crossing", terms_with(crossing=Crossing.RELEASE, study_id="study-1")),
    ("permit_expired", terms_with(expires_at=made.NOW)),
    ("permit_not_yet_valid", terms_with(not_before=made.NOW + timedelta(seconds=1))),
]  # fmt: skip


@pytest.mark.shows("R9")
@pytest.mark.parametrize(("code", "spoil"), PERMITS, ids=[f"{n}-{code}" for n, (code, _) in enumerate(PERMITS)])
def test_a_spoiled_permit_is_refused(tmp_path: Path, code: str, spoil: Spoil) -> None:
    made.permit(tmp_path / "permit")
    spoil(tmp_path / "permit")
    with pytest.raises(Refused) as refused:
        read_permit(tmp_path / "permit", made.KEY.public_key(), made.NOW, crossing=Crossing.EXTRACTION)
    assert refused.value.code == code
    assert refused.value.where in {"permit", "permit.jws", "allowed.parquet"}
    assert made.SENTENCE.fullmatch(refused.value.what)


def test_a_person_with_two_pseudonyms_makes_a_permit_that_nobody_reads(tmp_path: Path) -> None:
    table = made.allowed_table(made.ALLOWED_PERSONS)
    other = table.set_column(2, table.schema.field(2), pa.array([made.pseudonym("x")] * table.num_rows, pa.string()))
    write_permit(tmp_path / "permit", made.TERMS, pa.concat_tables([table, other]), made.KEY)
    with pytest.raises(Refused, match="permit_malformed"):
        read_permit(tmp_path / "permit", made.KEY.public_key(), made.NOW, crossing=Crossing.EXTRACTION)


def test_a_permit_reads_back_as_it_was_written_and_is_the_same_bytes_again(tmp_path: Path) -> None:
    permits = [made.permit(tmp_path / name) for name in ("a", "b")]
    assert replace(permits[0].terms, list_sha256="") == replace(
        made.TERMS, columns=tuple(replace(c, codes=c.codes and tuple(sorted(c.codes))) for c in made.TERMS.columns)
    )
    assert made.bytes_of(tmp_path / "a") == made.bytes_of(tmp_path / "b")
    assert permits[0].sha256 == permits[1].sha256


# --- extractions --------------------------------------------------------------------------------------------

ALL = "records/all.parquet"


def signed_again(change: Callable[[pa.Table], pa.Table], **counts: int) -> Spoil:
    """Other rows, signed by the practice itself."""

    def spoil(folder: Path) -> None:
        rewrite(ALL, change)(folder)
        rows = pq.read_metadata(folder / ALL).num_rows
        entry = {"sha256": sha256_of(folder / ALL), "rows": rows} | counts
        forge("extraction.jws", extraction.KIND, lambda p: p["files"].update({ALL: entry}), made.PRACTICE_KEY)(folder)

    return spoil


def with_pseudonym(value: str | None) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index("pseudonym")
        return table.set_column(place, "pseudonym", pa.array([value] * table.num_rows, pa.string()))

    return change


def with_text_for_the_year(table: pa.Table) -> pa.Table:
    return table.set_column(5, "year_of_birth", table["year_of_birth"].cast(pa.string()))


def no_parquet_signed(folder: Path) -> None:
    add(ALL, b"PAR1")(folder)
    entry = {"rows": 80, "sha256": sha256_of(folder / ALL)}
    forge("extraction.jws", extraction.KIND, lambda p: p["files"].update({ALL: entry}), made.PRACTICE_KEY)(folder)


EXTRACTIONS: list[tuple[str, Spoil]] = [
    ("extraction_missing", delete("extraction.jws")),
    ("extraction_signature", flip("extraction.jws", 100)),
    ("extraction_signature", flip("extraction.jws", -10)),
    ("extraction_signature", cut("extraction.jws")),
    ("extraction_signature", forge("extraction.jws", extraction.KIND, lambda p: None, made.FOREIGN_KEY)),
    ("extraction_signature", forge("extraction.jws", KIND, lambda p: None, made.PRACTICE_KEY)),
    ("extraction_malformed", forge("extraction.jws", extraction.KIND, lambda p: p.pop("serial"), made.PRACTICE_KEY)),
    ("extraction_malformed", forge("extraction.jws", extraction.KIND, lambda p: p.update(files=[]), made.PRACTICE_KEY)),
    ("extraction_missing_file", delete(ALL)),
    ("extraction_unknown_file", add("records/more.parquet")),
    ("extraction_unknown_file", add(".hidden")),
    ("extraction_hash", flip(ALL)),
    ("extraction_hash", cut(ALL)),
    ("extraction_hash", rewrite(ALL, lambda t: t.slice(1))),
    ("extraction_hash", rewrite(ALL, lambda t: t)),
    ("extraction_unreadable", no_parquet_signed),
    ("extraction_rows", signed_again(lambda t: t.slice(1), rows=80)),
    ("extraction_counts", signed_again(lambda t: t.slice(1))),
    ("extraction_columns", signed_again(lambda t: t.append_column("name", pa.array(["x"] * t.num_rows)))),
    ("extraction_columns", signed_again(lambda t: t.drop_columns(["provenance"]))),
    ("extraction_columns", signed_again(with_text_for_the_year)),
    ("extraction_pseudonym", signed_again(with_pseudonym("short"))),
    ("extraction_pseudonym", signed_again(with_pseudonym(None))),
    ("extraction_pseudonym", signed_again(with_pseudonym("A" * 32))),
]  # fmt: skip


@pytest.mark.shows("R9")
@pytest.mark.parametrize(("code", "spoil"), EXTRACTIONS, ids=[f"{n}-{c}" for n, (c, _) in enumerate(EXTRACTIONS)])
def test_a_spoiled_extraction_is_refused(tmp_path: Path, code: str, spoil: Spoil) -> None:
    folder = papers.extraction(tmp_path)
    read_extraction(folder, made.PRACTICE_KEY.public_key())
    names = made.bytes_of(folder).keys()
    spoil(folder)
    with pytest.raises(Refused) as refused:
        read_extraction(folder, made.PRACTICE_KEY.public_key())
    assert (refused.value.code, refused.value.status) == (code, 422)
    assert refused.value.where in names | made.bytes_of(folder).keys() | {folder.name}
    assert made.SENTENCE.fullmatch(refused.value.what)


# --- releases -----------------------------------------------------------------------------------------------


def wrongly_sealed(change: Callable[[dict[str, Any]], object]) -> Spoil:
    """A manifest that says something untrue, under the portal's own signature."""
    return forge("manifest.jws", manifest.KIND, change, to="manifest.json")


def sealed_as(content: bytes) -> Spoil:
    """Anything at all, under the portal's own signature."""
    return both(add("manifest.json", content), add("manifest.jws", sign(manifest.KIND, content, made.KEY)))


def resealed(name: str, change: Callable[[pa.Table], pa.Table], **entry: int) -> Spoil:
    def spoil(folder: Path) -> None:
        rewrite(name, change)(folder)
        described = {"sha256": sha256_of(folder / name), "rows": pq.read_metadata(folder / name).num_rows} | entry
        wrongly_sealed(lambda m: m["files"].update({name: described}))(folder)

    return spoil


ONE = f"records/{made.pseudonym('s0')[0]}.parquet"
OTHER = f"records/{made.pseudonym('s2')[0]}.parquet"


def no_parquet_sealed(folder: Path) -> None:
    add(ONE, b"PAR1")(folder)
    wrongly_sealed(lambda m: m["files"].update({ONE: {"rows": 1, "sha256": sha256_of(folder / ONE)}}))(folder)


RELEASES: list[tuple[str, Spoil]] = [
    ("manifest_missing", delete("manifest.json")),
    ("manifest_missing", delete("manifest.jws")),
    ("manifest_signature", flip("manifest.jws", 300)),
    ("manifest_signature", flip("manifest.jws", -10)),
    ("manifest_signature", cut("manifest.jws")),
    ("manifest_signature", forge("manifest.jws", manifest.KIND, lambda m: None, made.FOREIGN_KEY)),
    ("manifest_signature", forge("manifest.jws", manifest.KIND, lambda m: None, made.FOREIGN_KEY, "manifest.json")),
    ("manifest_signature", forge("manifest.jws", KIND, lambda m: None)),
    ("manifest_altered", flip("manifest.json")),
    ("manifest_altered", cut("manifest.json")),
    ("manifest_malformed", wrongly_sealed(lambda m: m.update(nature="anonymous data"))),
    ("manifest_malformed", wrongly_sealed(lambda m: m.update(format="2"))),
    ("manifest_malformed", wrongly_sealed(lambda m: m.pop("rows"))),
    ("manifest_malformed", sealed_as(b"[]")),
    ("manifest_malformed", sealed_as(b"{")),
    ("manifest_malformed", wrongly_sealed(lambda m: m.pop("files"))),
    ("file_missing", delete(ONE)),
    ("file_missing", delete("README.md")),
    ("file_altered", flip(ONE)),
    ("file_altered", cut(ONE)),
    ("file_altered", swap(ONE, OTHER)),
    ("file_altered", rewrite(ONE, lambda t: t.slice(1))),
    ("file_altered", rewrite(ONE, lambda t: t.take(list(range(t.num_rows))[::-1]))),
    ("file_altered", add("README.md", b"anonymous data")),
    ("file_altered", flip("counts.csv")),
    ("file_altered", flip("disclosure.json")),
    ("file_unknown", add("records/g.parquet")),
    ("file_unknown", add("notes.txt")),
    ("file_unknown", add("records/.hidden")),
    ("file_unreadable", no_parquet_sealed),
    ("row_count", resealed(ONE, lambda t: t.slice(1), rows=99)),
    ("column_unknown", resealed(ONE, lambda t: t.append_column("name", pa.array(["x"] * t.num_rows)))),
    ("column_unknown", resealed(ONE, lambda t: t.drop_columns(["sex"]))),
    ("pseudonym_width", resealed(ONE, lambda t: t.set_column(0, "pseudonym", pa.array(["0" * 31] * t.num_rows)))),
    ("pseudonym_width", resealed(ONE, with_pseudonym(None))),
    ("counts_mismatch", resealed(ONE, lambda t: t.slice(1))),
    ("counts_mismatch", wrongly_sealed(lambda m: m.update(persons=39))),
    ("counts_mismatch", wrongly_sealed(lambda m: m.update(k_min=5))),
    ("counts_mismatch", wrongly_sealed(lambda m: m["counts"].update(person="12"))),
    ("proof_malformed", add("proof.json", b"{}")),
]  # fmt: skip


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return papers.release(tmp_path_factory.mktemp("sealed"))[0]


def test_a_release_that_nobody_touched_is_what_its_manifest_says(sealed: Path) -> None:
    said = json.loads((sealed / "manifest.json").read_text())
    found = verify_release(sealed, (made.FOREIGN_KEY.public_key(), made.KEY.public_key()))
    told = {name: getattr(found, name) for name in ("release_id", "version", "study_id", "rows", "persons", "k_min")}
    assert told | {"uniques": found.uniques, "manifest": found.manifest} == {name: said[name] for name in told} | {
        "uniques": said["uniques"], "manifest": said,
    }  # fmt: skip
    assert (found.files, found.manifest_sha256) == (len(said["files"]), sha256_of(sealed / "manifest.json"))
    assert (found.log_entry, found.opened, found.signed_by) == (None, True, 1)


@pytest.mark.shows("R9")
@pytest.mark.parametrize(("code", "spoil"), RELEASES, ids=[f"{n}-{code}" for n, (code, _) in enumerate(RELEASES)])
def test_a_spoiled_release_is_refused(tmp_path: Path, sealed: Path, code: str, spoil: Spoil) -> None:
    folder = Path(shutil.copytree(sealed, tmp_path / "release"))
    names = made.bytes_of(folder).keys()
    spoil(folder)
    with pytest.raises(Refused) as refused:
        verify_release(folder, made.KEY.public_key())
    assert (refused.value.code, refused.value.status) == (code, 422)
    assert refused.value.where in names | made.bytes_of(folder).keys()
    assert made.SENTENCE.fullmatch(refused.value.what)


@pytest.mark.shows("R9")
def test_a_key_found_in_the_folder_is_not_believed(tmp_path: Path, sealed: Path) -> None:
    folder = Path(shutil.copytree(sealed, tmp_path / "release"))
    with pytest.raises(Refused, match="manifest_signature"):
        verify_release(folder, made.FOREIGN_KEY.public_key())
