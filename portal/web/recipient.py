"""The study team's pages: what it must delete, then its own releases, handed over by POST: a download is a crossing."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from portal.flow import release as flow
from portal.flow import retract
from portal.gate.retraction import retractions_csv
from portal.records import overview, retractions
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.web.frame import form, path_id, portal_of, see_other, show, who

CHUNK = 1024 * 1024


async def home(request: Request) -> Response:
    """What must be deleted first; then the studies of this account with their sealed releases. Whether somebody must
    be taken out first is asked at each download; whether the study itself has closed is shown here."""
    own = [s for s in await overview.studies() if s["id"] == who(request).account.study_id]
    for study in own:
        servable = await flow.may_be_served(portal_of(request).means, study["id"])
        study["releases"] = [{**r, "servable": servable} for r in study["releases"]]
    today = paris_day(portal_of(request).means.clock.now())
    due = [
        {**r, "overdue": r["due_on"] < today, "reminded": r["reminded_at"] is not None}
        for s in own
        for r in await retractions.open_by_release(s["id"])
    ]
    return await show(request, "recipient/home.html", studies=own, retractions=due)


async def acknowledge(request: Request) -> Response:
    """What the page showed of one release is deleted; what came since stays open."""
    given = await form(request)
    up_to = given.get("up_to", "")
    if not up_to.isdecimal() or len(up_to) > 18:
        raise Refused("bad_form", "the form does not say which retractions were read", status=400)
    means, account = portal_of(request).means, who(request).account
    await retract.acknowledge(means, given.get("release", ""), up_to=int(up_to), by=account)
    return see_other(request, "/recipient")


async def retraction_list(request: Request) -> Response:
    """`retractions.csv` of the account's study. The retractions that are missing are made first, so that an empty
    list means that there is nothing to delete."""
    study = who(request).account.study_id or ""
    await retract.reconcile(portal_of(request).means, only=study)
    lines = await retractions.open_lines(study)
    return Response(
        retractions_csv(lines),
        media_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="retractions.csv"'},
    )


async def download(request: Request) -> Response:
    """Look, log, then the whole folder as one archive of one version: the same version gives the same bytes."""
    release_id = path_id(request)
    entries = await flow.hand_over(portal_of(request).means, release_id, by=who(request).account, take=_opened)
    length = sum(tarfile.BLOCKSIZE + _padded(entry.size) for entry, _ in entries) + 2 * tarfile.BLOCKSIZE
    return StreamingResponse(
        _archive(entries),
        media_type="application/x-tar",
        headers={
            "Content-Disposition": f'attachment; filename="{release_id}.tar"',
            "Content-Length": str(length),
        },
    )


Entry = tuple[tarfile.TarInfo, BinaryIO]


def _opened(folder: Path) -> list[Entry]:
    """Every file opened, in order of their names, without owner or time: what is read later is this version, even
    when the folder holds the next one by then."""
    entries: list[Entry] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        entry, file = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}"), path.open("rb")
        entry.size, entry.mode = os.fstat(file.fileno()).st_size, 0o644
        entries.append((entry, file))
    return entries


def _archive(entries: list[Entry]) -> Iterator[bytes]:
    """The files as a POSIX archive."""
    for entry, file in entries:
        yield entry.tobuf(tarfile.USTAR_FORMAT)
        with file:
            while piece := file.read(CHUNK):
                yield piece
        yield b"\0" * (_padded(entry.size) - entry.size)
    yield b"\0" * 2 * tarfile.BLOCKSIZE


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
