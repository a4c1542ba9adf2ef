"""A retraction in its two forms: a flat file, and FHIR Bulk Data's `deleted`. Neither says what made it."""

import csv
import io
import json
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

from portal.gate.folders import whole_folder

Line = tuple[str, str, date]
"""(release, pseudonym as delivered, due on)."""

DELETED = "deleted-1.ndjson"


def retractions_csv(lines: Iterable[Line]) -> str:
    """`release_id,pseudonym,due_on`, sorted; a header alone when there is nothing to delete."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("release_id", "pseudonym", "due_on"))
    writer.writerows((release, name, due.isoformat()) for release, name, due in sorted(lines))
    return text.getvalue()


def bulk_deleted(lines: Iterable[Line], *, as_of: datetime) -> tuple[str, str]:
    """The Bulk Data manifest, and its NDJSON: one transaction Bundle of DELETE requests, each pseudonym once.

    The NDJSON is empty, and the manifest names no file, when there is nothing to delete.
    """
    names = sorted({name for _, name, _ in lines})
    manifest = {
        "transactionTime": as_of.astimezone(UTC).isoformat(timespec="seconds"),
        "request": "portal:retractions",
        "requiresAccessToken": False,
        "output": [],
        "deleted": [{"type": "Bundle", "url": DELETED, "count": 1}] if names else [],
        "error": [],
    }
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": f"Patient/{name}"}} for name in names],
    }
    return json.dumps(manifest, indent=1) + "\n", json.dumps(bundle) + "\n" if names else ""


def write_retractions(folder: Path, lines: Iterable[Line], *, as_of: datetime) -> None:
    """Both forms in a new folder, whole or not at all; the same lines give the same bytes."""
    lines = list(lines)
    manifest, deleted = bulk_deleted(lines, as_of=as_of)
    with whole_folder(folder) as part:
        (part / "retractions.csv").write_bytes(retractions_csv(lines).encode())
        (part / "manifest.json").write_bytes(manifest.encode())
        if deleted:
            (part / DELETED).write_bytes(deleted.encode())
