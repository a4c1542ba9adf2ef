"""A permit: a folder with signed terms and the list of those who pass, written whole and read with suspicion."""

import json
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from portal.gate.engine import ahead
from portal.gate.folders import sha256_of, whole_folder
from portal.gate.signature import BadSignature, canonical, sign, verified
from portal.gate.terms import ColumnTerm, DoctorSpan, Terms, as_payload, from_payload
from portal.rules.refusals import Refused
from portal.rules.words import Crossing

__all__ = ["ALLOWED", "ColumnTerm", "DoctorSpan", "Permit", "Terms", "read_permit", "write_permit"]

KIND = "portal-permit"

PSEUDONYM = r"[0-9a-f]{32}"

ALLOWED = pa.schema(
    [
        pa.field("practice_id", pa.string(), nullable=False),
        pa.field("patient_id", pa.string(), nullable=False),
        pa.field("pseudonym", pa.string(), nullable=False),
        pa.field("recorded_from", pa.date32()),
        pa.field("recorded_until", pa.date32()),
        pa.field("holds_until", pa.timestamp("us")),
    ]
)
"""The list: one row a person's span. patient_id is the practice's number, in a release the observatory's
pseudonym; holds_until is in UTC. A person who does not pass is nowhere in it."""


@dataclass(frozen=True, slots=True)
class Permit:
    """A permit found whole, genuine and in force at `read_at`. repeats: whether somebody has several spans."""

    terms: Terms
    allowed_path: Path
    sha256: str
    read_at: datetime
    repeats: bool = True


def write_permit(folder: Path, terms: Terms, allowed: pa.Table, key: Ed25519PrivateKey) -> str:
    """Writes the folder by one rename; returns the SHA-256 of permit.jws, by which the permit is known."""
    rows = allowed.select(ALLOWED.names).cast(ALLOWED)
    rows = rows.sort_by([(name, "ascending") for name in ALLOWED.names])
    with whole_folder(folder) as part:
        pq.write_table(rows, part / "allowed.parquet", compression="zstd")
        signed = replace(terms, list_sha256=sha256_of(part / "allowed.parquet"))
        statement = part / "permit.jws"
        statement.write_bytes(sign(KIND, canonical(as_payload(signed)), key))
        return sha256_of(statement)


def read_permit(folder: Path, public_key: Ed25519PublicKey, now: datetime, *, crossing: Crossing) -> Permit:
    """The permit, or Refused: signature and list are checked before a single term is believed."""
    statement, allowed = folder / "permit.jws", folder / "allowed.parquet"
    if not statement.is_file() or not allowed.is_file():
        raise Refused("permit_missing", "permit.jws and allowed.parquet are needed.", where=folder.name)
    terms = _terms(statement, public_key)
    if sha256_of(allowed) != terms.list_sha256:
        raise Refused("permit_altered_list", "This is not the list that was signed.", where="allowed.parquet")
    if terms.crossing is not crossing:
        raise Refused("permit_wrong_crossing", f"The permit is not for a {crossing.value}.", where="permit.jws")
    if now < terms.not_before:
        raise Refused("permit_not_yet_valid", "The permit is not in force yet; check the clock.", where="permit.jws")
    if now >= terms.expires_at:
        raise Refused("permit_expired", "The permit has expired: ask for a new one.", where="permit.jws")
    repeats = _check_list(allowed, terms)
    return Permit(terms, allowed, sha256_of(statement), now.astimezone(UTC), repeats)


def _terms(statement: Path, public_key: Ed25519PublicKey) -> Terms:
    try:
        payload = verified(KIND, statement.read_bytes(), public_key)
    except BadSignature as error:
        raise Refused("permit_signature", "Not signed by the portal's key.", where="permit.jws") from error
    try:
        return from_payload(json.loads(payload))
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("permit_malformed", "The terms are not those of a permit.", where="permit.jws") from error


def _check_list(path: Path, terms: Terms) -> bool:
    """The list has its columns and its order, names only the permit's practices, and gives one person one pseudonym.

    Returns whether somebody stands in it more than once. Read in pieces: the list of three million persons takes no
    more memory than that of a practice.
    """
    try:
        file = pq.ParquetFile(path)
        if not file.schema_arrow.equals(ALLOWED):
            raise Refused("permit_malformed", "The list has other columns.", where="allowed.parquet")
        practices, last, repeats = pa.array(terms.practices, pa.string()), ALLOWED.empty_table(), False
        columns = ["practice_id", "patient_id", "pseudonym"]
        pieces = file.iter_batches(_PIECE, columns=columns, use_threads=False)
        with closing(ahead(pieces)) as batches:
            for batch in batches:
                parts = [last.select(batch.schema.names), pa.Table.from_batches([batch])]
                rows = pa.concat_tables(parts).combine_chunks()
                sound, several = _look(rows, practices)
                if not sound:
                    raise Refused("permit_malformed", "The list does not fit the terms.", where="allowed.parquet")
                repeats = repeats or several
                last = rows.slice(rows.num_rows - 1)
        return repeats
    except (pa.ArrowException, OSError) as error:
        raise Refused("permit_malformed", "The list cannot be read.", where="allowed.parquet") from error


_PIECE = 131_072


def _look(rows: pa.Table, practices: pa.Array) -> tuple[bool, bool]:
    """(whether the rows are sound, whether some person has several).

    Sound: nothing empty, in order of practice and number, and neighbours who are one person have one pseudonym.
    """
    one, following = rows.slice(0, max(rows.num_rows - 1, 0)), rows.slice(1)
    site = pc.equal(one["practice_id"], following["practice_id"])
    same = pc.and_(site, pc.equal(one["patient_id"], following["patient_id"]))
    later = pc.and_(site, pc.less(one["patient_id"], following["patient_id"]))
    checks = (
        pc.is_in(rows["practice_id"], value_set=practices),
        pc.match_substring_regex(rows["pseudonym"], f"^{PSEUDONYM}$"),
        pc.or_(pc.less(one["practice_id"], following["practice_id"]), pc.or_(same, later)),
        pc.or_(pc.invert(same), pc.equal(one["pseudonym"], following["pseudonym"])),
    )
    sound = all(pc.all(check, skip_nulls=False, min_count=0).as_py() for check in checks)
    return sound, bool(pc.any(same, min_count=0).as_py())
