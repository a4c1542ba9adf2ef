"""How a "no" and a fault are shown: one sentence, what to do, and a reference that says nothing about anybody."""

import logging
import math
import secrets
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.rules.refusals import Refused, RefusedFile
from portal.web import fhir_resources
from portal.web.frame import chosen_language, contacts, framed, portal_of
from portal.web.programs_door import TooOften

log = logging.getLogger("portal.web")

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_PLACES = 1000


async def on_refused(request: Request, error: Exception) -> Response:
    """A refusal as a page with its own status. What is our own fault (5xx) leaves a line in the technical log."""
    no = error if isinstance(error, Refused) else Refused("fault", "", status=500)
    if for_programs(request):
        return as_problem(request, no)
    if no.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _shown(request, no.status, no.code, noted(request, no.code))
    if no.code == "dead_link":
        known = await contacts(request)
        return framed(request, "patient/dead_link.html", status=no.status, here="/", **known)
    return _shown(request, no.status, no.code, None)


async def on_http(request: Request, error: Exception) -> Response:
    """Not found, not allowed, not readable: what the framework refuses looks like our own refusals."""
    found = error if isinstance(error, HTTPException) else HTTPException(500)
    if for_programs(request):
        response = as_problem(request, Refused(f"http_{found.status_code}", found.detail, status=found.status_code))
        response.headers.update(found.headers or {})
        return response
    response = _shown(request, found.status_code, "", None)
    response.headers.update(found.headers or {})
    return response


class Faults:
    """The last door out: whatever was not foreseen becomes the page of a fault. The only broad handler there is.

    The technical log gets the reference, the class of the fault and the route's template; never the address, which
    may hold a link's token, nor the fault's own words, which may hold a name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception as error:  # the one place where what nobody foresaw becomes a page with a reference
            request = Request(scope, receive)
            reference = noted(request, type(error).__name__)
            if started:
                raise RuntimeError(f"incident {reference}, in the middle of an answer") from None
            if for_programs(request):
                await as_problem(request, Refused("fault", f"incident {reference}", status=500))(scope, receive, send)
                return
            await _shown(request, 500, "", reference)(scope, receive, send)


def for_programs(request: Request) -> bool:
    """Whether a program asks, which reads no page."""
    return str(request.scope["path"]).startswith("/api/") or speaks_fhir(request)


def speaks_fhir(request: Request) -> bool:
    return f"{request.scope['path']}/".startswith("/fhir/")


def as_problem(request: Request, no: Refused) -> Response:
    """A refusal as RFC 9457 has it, or as an OperationOutcome; what is our own fault says no more than a reference."""
    fault = no.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    what = f"incident {noted(request, no.code)}" if fault and no.code != "fault" else no.what
    headers = {"WWW-Authenticate": "Bearer"} if no.status == HTTPStatus.UNAUTHORIZED else {}
    if isinstance(no, TooOften):
        headers["Retry-After"] = str(math.ceil(no.seconds))
    if speaks_fhir(request):
        return fhir_resources.answer(fhir_resources.outcome(no, what, MOST_PLACES), no.status, headers)
    places = no.problems[:MOST_PLACES] if isinstance(no, RefusedFile) else []
    content = {
        "type": "about:blank",
        "title": HTTPStatus(no.status).phrase,
        "status": no.status,
        "code": no.code,
        "detail": what,
        "problems": [{"where": one.where, "code": one.code, "what": one.what} for one in places],
    }
    return JSONResponse(content, no.status, headers, media_type="application/problem+json")


def _shown(request: Request, status: int, code: str, reference: str | None) -> Response:
    posted = request.method not in SAFE
    language = chosen_language(request)
    return framed(
        request,
        "error.html",
        status=status,
        default=language,
        here="/",
        code=code,
        what=None,
        posted=posted,
        reference=reference,
        back=None,
        **portal_of(request).contacts,
    )


def noted(request: Request, what: str) -> str:
    """A line in the technical log: what kind of trouble, at which route; and the reference under which it is found."""
    reference = secrets.token_hex(4).upper()
    route = getattr(request.scope.get("endpoint"), "path", "no route")
    log.error("incident %s: %s at %s %s", reference, what, request.method, route)
    return reference
