"""What the driver did, in order, as plain data: enough for a stranger to work out by hand what may pass.

Written as it happens and never read back from the database. Keys and types: docs/story.schema.json.
"""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any


class Story:
    def __init__(self) -> None:
        self.told: dict[str, Any] = {
            "version": 1,
            "time_zone": "Europe/Paris",
            "practices": [],
            "doctors": [],
            "texts": [],
            "registers": [],
            "notices": [],
            "returns_read": [],
            "objections": [],
            "objections_without_link": [],
            "requests": [],
            "extractions": [],
        }

    def put(self, key: str, value: Any) -> None:
        self.told[key] = value

    def add(self, key: str, **what: Any) -> dict[str, Any]:
        """Append to a list of the story; the entry is handed back, so that its later fate can be written into it."""
        self.told[key].append(what)
        return what

    def write(self, path: Path) -> None:
        text = json.dumps(self.told, indent=1, ensure_ascii=False, default=_plain)
        draft = path.with_suffix(".part")
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(path)


def _plain(value: object) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)
