"""What a doctor reads before she signs in: invited by a link, or by herself. Changes nothing."""

from starlette.requests import Request
from starlette.responses import Response

from portal.outside.tokens import token_hash
from portal.records import enrolment_overview, overview
from portal.web.frame import portal_of, show


async def page(request: Request) -> Response:
    """Whoever applies by herself."""
    return await _page(request, None, "open", status=200)


async def invited(request: Request) -> Response:
    """By the link of an invitation; one that is unknown, used or over gets the same answer, and the same page."""
    token = str(request.path_params["token"])
    found = await enrolment_overview.invitation(token_hash(token).hex(), portal_of(request).means.clock.now())
    return await _page(request, found, token if found else "open", status=200 if found else 404)


async def _page(request: Request, invitation: dict[str, object] | None, join: str, *, status: int) -> Response:
    house = await overview.house()
    return await show(
        request,
        "join.html",
        status=status,
        observatory=house["name"] if house else "",
        practice=invitation["practice"] if invitation else None,
        ends_at=invitation["ends_at"] if invitation else None,
        join=join,
        here="/join",
    )
