"""The papers of a release: manifest with its signature, masked counts, measures of disclosure, and a README.

The same inputs give the same bytes. `proof.json` comes later and stands outside the manifest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.gate.disclosure import Disclosure
from portal.gate.engine import Limits, engine, paths, select
from portal.gate.folders import files_below, sha256_of, write_whole
from portal.gate.readme import readme
from portal.gate.signature import canonical, sign
from portal.gate.terms import Terms
from portal.rules.precision import COLUMNS, released_name
from portal.rules.words import Precision

KIND = "portal-manifest"
FORMAT = "observatory-portal release 1"
NATURE = "pseudonymised personal data"
MASK_BELOW = 11

LISTED = ("counts.csv", "disclosure.json", "README.md", "aggregates.csv")
"""The papers that the manifest lists; `aggregates.csv` only where the study declares a table."""

PAPERS = ("manifest.json", "manifest.jws", *LISTED, "proof.json", "cipher.jws")
"""The files of a release that are no records."""

CLASSES = {
    "practice": ("G20", "G21", "G22", "G23", "G26"),
    "record": ("G25", "G30", "G31", "G32", "G33", "G34"),
    "person": ("G40", "G41", "G42", "G43", "G44", "G45", "G46", "G47", "G48", "G49"),
    "notice": ("G50", "G51", "G52", "G53", "G54", "G55", "G56", "G57", "G58"),
    "output": ("G60", "G61", "G62", "G70", "G71", "G72"),
}
"""What a recipient learns of why persons are not in a release: so much, and never that somebody objected."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the portal says of a release; `approval` and others come from the flow, in plain JSON values.

    version: 1 for the first that is sealed, one more each time it is sealed again with fewer rows.
    """

    release_id: str
    version: int
    study_id: str
    observatory_id: str
    permit_sha256: str
    cut: int
    rule_version: str
    period_from: date
    period_until: date
    more: Mapping[str, Any]


def head_of(
    terms: Terms, *, release_id: str, permit_sha256: str, version: int = 1, more: Mapping[str, Any] | None = None
) -> Head:
    """The head of a release that was filtered under these terms."""
    return Head(
        release_id, version, terms.study_id or "", terms.observatory_id, permit_sha256, terms.cut, terms.rule_version,
        terms.period_from, terms.period_until, more or {},
    )  # fmt: skip


def masked(refused: Mapping[str, int], *, below: int = MASK_BELOW) -> dict[str, str]:
    """Persons refused by class; every count under the limit, also none, is `<11`. No sum: it would unmask one."""
    sums = {name: sum(refused.get(code, 0) for code in codes) for name, codes in CLASSES.items()}
    return {name: mask(n, below=below) for name, n in sums.items()}


def mask(n: int, *, below: int = MASK_BELOW) -> str:
    """A number of persons or rows as it is shown to a recipient."""
    return str(n) if n >= below else f"<{below}"


def counts_csv(counts: Mapping[str, str]) -> bytes:
    return "".join(["class,persons\n", *(f"{name},{counts[name]}\n" for name in sorted(counts))]).encode()


def write_release_files(
    part: Path,
    *,
    head: Head,
    terms: Terms,
    refused: Mapping[str, int],
    disclosure: Disclosure,
    key: Ed25519PrivateKey,
    mask_below: int = MASK_BELOW,
    cost: Mapping[str, Any] | None = None,
    aggregates: bytes | None = None,
) -> str:
    """Writes the papers beside `part/records`; returns the SHA-256 of manifest.json. `refused`: persons by code.

    terms: as the columns leave. cost: what it took to reach k (gate/protect.py). aggregates: the table, if any.
    """
    counts, columns = masked(refused, below=mask_below), _columns(terms)
    write_whole(part / "counts.csv", counts_csv(counts))
    write_whole(part / "disclosure.json", canonical(_disclosure(disclosure, columns) | {"cost": dict(cost or {})}))
    write_whole(part / "README.md", readme(head.release_id, head.study_id, disclosure, columns).encode())
    if aggregates is not None:
        write_whole(part / "aggregates.csv", aggregates)
    papers = [paper for paper in LISTED if (part / paper).is_file()]
    records = _records(part)
    more = dict(head.more)
    plain = {name: getattr(head, name) for name in Head.__slots__ if name != "more"}
    manifest = {
        **plain,
        "period_from": head.period_from.isoformat(),
        "period_until": head.period_until.isoformat(),
        "more": more,
        "format": FORMAT,
        "nature": NATURE,
        "columns": columns,
        "counts": counts,
        "k_min": disclosure.k_min,
        "uniques": disclosure.uniques,
        "quasi_identifiers": list(disclosure.quasi_identifiers),
        "criteria": disclosure.criteria(),
        "persons": persons_in([part / name for name in records]),
        "rows": sum(entry["rows"] for entry in records.values()),
        "files": records | {paper: {"sha256": sha256_of(part / paper)} for paper in papers},
    }
    content = canonical(manifest)
    write_whole(part / "manifest.json", content)
    write_whole(part / "manifest.jws", sign(KIND, content, key))
    return sha256_of(part / "manifest.json")


def persons_in(files: Sequence[Path]) -> int:
    """How many pseudonyms there are in these files."""
    with engine(Limits()) as con:
        row = con.execute(select("count(DISTINCT pseudonym)", f"read_parquet({paths(files)})")).fetchone()
    return int(row[0]) if row else 0


def _records(part: Path) -> dict[str, dict[str, Any]]:
    return {
        name: {"rows": pq.read_metadata(path).num_rows, "sha256": sha256_of(path)}
        for name, path in files_below(part).items()
        if name.startswith("records/")
    }


def _columns(terms: Terms) -> dict[str, str]:
    """The released columns with their precision."""
    when = terms.precision_of("recorded_on") or Precision.WEEK
    asked = {name: terms.precision_of(name) for name in COLUMNS if name != "recorded_on"}
    columns = {"pseudonym": "of this study", released_name("recorded_on", when): when.value}
    return columns | {name: precision.value for name, precision in asked.items() if precision}


def _disclosure(disclosure: Disclosure, columns: Mapping[str, str]) -> dict[str, Any]:
    measured = asdict(disclosure) | {"sizes": [list(pair) for pair in disclosure.sizes]}
    return {"nature": NATURE, "measured": measured, "precision": dict(columns)}
