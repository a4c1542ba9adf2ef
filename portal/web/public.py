"""Pages for everybody: what this is, who uses the data, who publishes it; and answers for machines."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from portal.flow.sequence import checkpoint
from portal.outside.keys import public_pem
from portal.records import overview
from portal.rules.refusals import Refused
from portal.web import render
from portal.web.frame import portal_of, show

FOR_EVER = "public, max-age=31536000, immutable"


async def home(request: Request) -> Response:
    guide = portal_of(request).guide
    found = await overview.observatories()
    return await show(request, "home.html", observatories=len(found), guide=guide() if guide else None)


async def transparency(request: Request) -> Response:
    return await show(
        request, "transparency.html", observatories=await overview.observatories(), studies=await overview.studies()
    )


async def legal(request: Request) -> Response:
    return await show(request, "legal.html")


async def alive(request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


async def ready(request: Request) -> Response:
    """The database answers and holds the verdict table; else a fault, which is not 200."""
    if not await overview.has_verdicts():
        raise Refused("no_verdicts", "the verdict table is empty: `portal migrate`", status=503)
    return PlainTextResponse("ready\n")


async def log_checkpoint(request: Request) -> Response:
    """The newest signed checkpoint of the log, for whoever wants to keep it elsewhere."""
    return PlainTextResponse(await checkpoint(), headers={"Cache-Control": "no-cache"})


async def log_key(request: Request) -> Response:
    """The public keys that sign log, receipts and releases: to be kept elsewhere, and compared."""
    keys = portal_of(request).means.ring.public_keys()
    return PlainTextResponse(b"".join(map(public_pem, keys)), headers={"Cache-Control": "no-cache"})


class Static(StaticFiles):
    """The files of the pages. An address that names the file's version (`?v=`) may be kept for ever."""

    def __init__(self) -> None:
        super().__init__(directory=render.folder("static"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.get_response(self.get_path(scope), scope)
        named = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = FOR_EVER if named else "no-cache"
        await response(scope, receive, send)
