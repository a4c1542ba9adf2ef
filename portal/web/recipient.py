"""The study team's pages: what it must delete, then its own releases, handed over by POST: a download is a crossing."""

import asyncio
import tarfile
from collections.abc import Iterator
from pathlib import Path

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
    """What must be deleted first; then the studies of this account with their sealed releases. Whether one may go
    out is asked at each download."""
    own = [s for s in await overview.studies() if s["id"] == who(request).account.study_id]
    for study in own:
        study["releases"] = [{**r, "servable": True} for r in study["releases"]]
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
    """Look, log, then the whole folder as one archive of one version: the same release gives the same bytes."""
    folder = await flow.serve(portal_of(request).means, path_id(request), by=who(request).account)
    files, length = await asyncio.to_thread(_files, folder)
    return StreamingResponse(
        _archive(folder, files),
        media_type="application/x-tar",
        headers={
            "Content-Disposition": f'attachment; filename="{folder.name}.tar"',
            "Content-Length": str(length),
        },
    )


def _files(folder: Path) -> tuple[list[Path], int]:
    """The files in order of their names, and the length of the archive that holds them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    length = sum(tarfile.BLOCKSIZE + _padded(path.stat().st_size) for path in files) + 2 * tarfile.BLOCKSIZE
    return files, length


def _archive(folder: Path, files: list[Path]) -> Iterator[bytes]:
    """The files as a POSIX archive, without owner or time."""
    for path in files:
        entry = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
        entry.size, entry.mode = path.stat().st_size, 0o644
        yield entry.tobuf(tarfile.USTAR_FORMAT)
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece
        yield b"\0" * (_padded(entry.size) - entry.size)
    yield b"\0" * 2 * tarfile.BLOCKSIZE


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
