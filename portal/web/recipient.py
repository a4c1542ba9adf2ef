"""The study team's pages: its own releases, handed over by POST, since a download is a crossing."""

import asyncio
import tarfile
from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from portal.flow import release as flow
from portal.records import overview
from portal.web.frame import path_id, portal_of, show, who

CHUNK = 1024 * 1024


async def home(request: Request) -> Response:
    """The studies of this account with their sealed releases; whether one may go out is asked at each download."""
    own = [s for s in await overview.studies() if s["id"] == who(request).account.study_id]
    for study in own:
        study["releases"] = [{**r, "servable": True} for r in study["releases"]]
    return await show(request, "recipient/home.html", studies=own)


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
