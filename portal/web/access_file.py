"""The answer to a request for access: a PDF to read and a JSON file for machines, in one archive."""

import json
from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

from portal.flow.access import Answer
from portal.web.archive import zipped
from portal.web.frame import reference
from portal.web.on_paper import as_pdf

WHAT = "Everything the portal keeps about one person (GDPR, article 15). Records are pseudonymised personal data."


async def access_archive(answer: Answer) -> bytes:
    """Both files, named after the request."""
    name = f"access-{reference(answer.request_id)}"
    paper = await as_pdf("letter/access.txt", language=answer.language, at=answer.made_at, **_shown(answer))
    return zipped({f"{name}.pdf": paper, f"{name}.json": _machine_file(answer)}, at=answer.made_at)


def _machine_file(answer: Answer) -> bytes:
    document = {
        "what": WHAT,
        "request": str(answer.request_id),
        "made_at": answer.made_at,
        "kept": answer.held,
        "records": answer.records,
    }
    return json.dumps(document, default=_written, ensure_ascii=False, indent=1).encode()


def _written(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)


def _shown(answer: Answer) -> dict[str, Any]:
    """What the paper says: all but the records, of which it says how many there are of each kind."""
    filled = Counter(
        name for one in answer.records for name, value in one["record"].items() if value not in (None, "", [])
    )
    own = [contact for contact in answer.held["contacts"] if contact["addressee"] == "self"]
    return {
        **answer.held,
        "reference": reference(answer.request_id),
        "made_at": answer.made_at,
        "own": own,
        "holders": [contact["addressee"] for contact in answer.held["contacts"] if contact["addressee"] != "self"],
        "records": len(answer.records),
        "filled": sorted(filled.items()),
    }
