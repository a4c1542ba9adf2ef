"""Several files as one that is downloaded."""

from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from portal.rules.waiting import PARIS


def zipped(files: Mapping[str, bytes], *, at: datetime) -> bytes:
    """The files by name, each dated `at` (Paris): the same files give the same bytes."""
    made, dated = BytesIO(), at.astimezone(PARIS).timetuple()[:6]
    with ZipFile(made, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(ZipInfo(name, dated), content, ZIP_DEFLATED)
    return made.getvalue()
