"""The page for the code of a letter: it leads where the letter's link does. A code never stands in an address."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import typed_link
from portal.rules.refusals import Refused
from portal.web.frame import form, portal_of, see_other, show

LONGEST = 100
"""Characters of the field; a code with every sign parted is shorter."""


async def ask(request: Request) -> Response:
    return await _show(request, "", "")


async def open_code(request: Request) -> Response:
    """To the notice; a code that cannot be one, or leads nowhere, is asked again, and is not put into the page's
    address. What is known and what has run out get the same answer."""
    typed = (await form(request)).get("code", "").strip()[:LONGEST]
    means, source = portal_of(request).means, _source(request)
    missing = typed_link.missing(typed)
    if missing:
        return await _show(request, typed, "missing" if missing > 0 else "too_many", abs(missing))
    try:
        wait = await typed_link.reserve(means, source)
        await asyncio.sleep(wait.total_seconds())
        token = await typed_link.link_of(means, typed, source)
    except Refused as no:
        if no.code not in ("no_code", "too_many_codes"):
            raise
        return await _show(request, typed, no.code, status=no.status)
    if token is None:
        return await _show(request, typed, "no_code")
    return see_other(request, f"/o/{token}")


async def _show(request: Request, typed: str, wrong: str, count: int = 0, *, status: int = 422) -> Response:
    return await show(
        request,
        "patient/code.html",
        status=status if wrong else 200,
        typed=typed,
        wrong=wrong,
        count=count,
        here="/code",
    )


def _source(request: Request) -> str:
    """Where the request comes from; behind a proxy, what the header that the settings name says last."""
    header = portal_of(request).settings.client_address_header
    if header:
        return request.headers.get(header, "").rpartition(",")[2].strip()
    return request.client.host if request.client else ""
