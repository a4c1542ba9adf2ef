"""The answer to a request for access: a PDF to read and a JSON file for machines, in one archive."""

import json
from collections import Counter
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from portal.flow.access import Answer
from portal.rules.waiting import PARIS
from portal.web.frame import reference
from portal.web.on_paper import as_pdf

WHAT = "Everything the portal keeps about one person (GDPR, article 15). Records are pseudonymised personal data."


async def access_archive(answer: Answer) -> bytes:
    """Both files, named after the request."""
    name = f"access-{reference(answer.request_id)}"
    paper = await as_pdf("letter/access.txt", language=answer.language, at=answer.made_at, **_shown(answer))
    made = BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as archive:
        for ending, content in (("pdf", paper), ("json", _machine_file(answer))):
            at = answer.made_at.astimezone(PARIS).timetuple()[:6]
            archive.writestr(ZipInfo(f"{name}.{ending}", at), content, ZIP_DEFLATED)
    return made.getvalue()


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
