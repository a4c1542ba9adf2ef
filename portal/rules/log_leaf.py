"""What a leaf of the log's tree commits to: one entry under a salt, so that erasing the salt forgets the entry."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any


@dataclass(frozen=True, slots=True)
class LeafEntry:
    """An entry as its leaf knows it. `touches`: (kind, id), in any order."""

    id: int
    kind: str
    at: datetime
    actor: str
    summary: str
    touches: Iterable[tuple[str, str]]

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            "at": self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "actor": self.actor,
            "summary": self.summary,
            "touches": sorted([kind, ref] for kind, ref in self.touches),
        }


def commitment(salt: bytes, entry: dict[str, Any]) -> bytes:
    """The leaf's 32 bytes: SHA-256 of the salt and of the entry's canonical JSON (sorted keys, no spaces, UTF-8)."""
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sha256(salt + text.encode()).digest()
