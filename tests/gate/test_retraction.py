"""The two forms of a retraction, byte for byte."""

import json
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from portal.gate.retraction import write_retractions

AS_OF = datetime(2026, 4, 12, 9, 30, tzinfo=UTC)
LINES = [
    ("study-2", "bb", date(2026, 5, 3)),
    ("study-1", "cc", date(2026, 5, 2)),
    ("study-1", "bb", date(2026, 5, 1)),
]


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_flat_file_is_sorted_and_says_nothing_else(tmp_path: Path) -> None:
    write_retractions(tmp_path / "out", LINES, as_of=AS_OF)
    assert (tmp_path / "out" / "retractions.csv").read_bytes() == (
        b"release_id,pseudonym,due_on\nstudy-1,bb,2026-05-01\nstudy-1,cc,2026-05-02\nstudy-2,bb,2026-05-03\n"
    )


def test_the_bulk_data_form_is_one_bundle_of_deletions(tmp_path: Path) -> None:
    write_retractions(tmp_path / "out", LINES, as_of=AS_OF)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest == {
        "transactionTime": "2026-04-12T09:30:00+00:00", "request": "portal:retractions", "requiresAccessToken": False,
        "output": [], "deleted": [{"type": "Bundle", "url": "deleted-1.ndjson", "count": 1}], "error": [],
    }  # fmt: skip
    (line,) = (tmp_path / "out" / "deleted-1.ndjson").read_text().splitlines()
    assert json.loads(line) == {
        "resourceType": "Bundle", "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": f"Patient/{name}"}} for name in ("bb", "cc")],
    }  # fmt: skip


def test_the_same_retractions_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    write_retractions(tmp_path / "one", LINES, as_of=AS_OF)
    write_retractions(tmp_path / "two", reversed(LINES), as_of=AS_OF)
    assert written(tmp_path / "one") == written(tmp_path / "two")


def test_the_clock_of_the_machine_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_retractions(tmp_path / "one", LINES, as_of=AS_OF)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "America/Cayenne")
        time.tzset()
        write_retractions(tmp_path / "two", LINES, as_of=AS_OF)
    time.tzset()
    assert written(tmp_path / "one") == written(tmp_path / "two")


def test_nothing_to_delete_names_no_file(tmp_path: Path) -> None:
    write_retractions(tmp_path / "out", [], as_of=AS_OF)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["deleted"] == []
    assert set(written(tmp_path / "out")) == {"manifest.json", "retractions.csv"}
