"""What a leaf commits to: the same entry always gives the same bytes, and any other entry or salt gives others."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest

from portal.rules.log_leaf import LeafEntry, commitment

ENTRY = LeafEntry(
    7, "objected", datetime(2026, 3, 2, 9, 30, 0, 5, tzinfo=UTC), "patient:12", "dit « non »",
    [("patient", "12"), ("objection", "3")],
)  # fmt: skip


def test_a_leaf_is_the_hash_of_its_salt_and_of_the_entry_as_it_is_published() -> None:
    written = (
        '{"actor":"patient:12","at":"2026-03-02T09:30:00.000005Z","id":7,"kind":"objected","summary":"dit « non »",'
        '"touches":[["objection","3"],["patient","12"]]}'
    )
    assert commitment(b"salt", ENTRY.as_json()) == sha256(b"salt" + written.encode()).digest()


def test_the_clock_of_the_machine_changes_no_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = commitment(b"salt", ENTRY.as_json())
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "America/Cayenne")
        time.tzset()
        assert commitment(b"salt", ENTRY.as_json()) == leaf
    time.tzset()


def test_neither_the_zone_nor_the_order_of_what_it_touches_changes_a_leaf() -> None:
    paris = timezone(timedelta(hours=1))
    same = replace(ENTRY, at=ENTRY.at.astimezone(paris), touches=tuple(reversed(list(ENTRY.touches))))
    assert commitment(b"salt", same.as_json()) == commitment(b"salt", ENTRY.as_json())


@pytest.mark.parametrize(
    "change",
    [{"id": 8}, {"kind": "x"}, {"at": ENTRY.at + timedelta(microseconds=1)}, {"actor": "x"}, {"summary": "x"},
     {"touches": []}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_any_other_entry_is_another_leaf(change: dict[str, object]) -> None:
    assert commitment(b"salt", replace(ENTRY, **change).as_json()) != commitment(b"salt", ENTRY.as_json())
    assert commitment(b"other", ENTRY.as_json()) != commitment(b"salt", ENTRY.as_json())


def test_what_is_no_number_is_in_no_leaf() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        commitment(b"salt", {"id": float("nan")})
