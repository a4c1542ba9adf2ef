"""What acts for a practice by itself: its doctor lets a program in, shuts it out, and registers the practice's key."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import programs as flow
from portal.records import clients, practice_overview
from portal.rules.refusals import Refused
from portal.rules.words import ClientKind
from portal.web.frame import form, path_id, portal_of, see_other, show, who

HERE = "/doctor/software"


async def _practice(request: Request) -> str:
    found = await practice_overview.enrolment_of(who(request).account.id)
    if found is None:
        raise Refused("not_enrolled", "choose a practice first", status=409)
    return str(found["practice_id"])


async def page(request: Request) -> Response:
    return await _page(request)


async def _page(request: Request, *, wrong: bool = False) -> Response:
    practice_id = await _practice(request)
    acting = await clients.programs_of(practice_id)
    return await show(
        request,
        "doctor/software.html",
        status=422 if wrong else 200,
        here=HERE,
        acting=acting,
        on_file=[p for p in await clients.programs() if _may_be_let_in(p, {a["id"] for a in acting})],
        practice=practice_id,
        wrong=wrong,
    )


def _may_be_let_in(program: dict[str, Any], acting: set[str]) -> bool:
    return program["kind"] == ClientKind.SOFTWARE and program["closed_at"] is None and program["id"] not in acting


async def let_act(request: Request) -> Response:
    await flow.let_act(portal_of(request).means, path_id(request), await _practice(request), by=who(request).account)
    return see_other(request, HERE)


async def end(request: Request) -> Response:
    """Takes effect at once."""
    await flow.end(portal_of(request).means, path_id(request), await _practice(request), by=who(request).account)
    return see_other(request, HERE)


async def register_key(request: Request) -> Response:
    """The public key of the practice's own client; a text that is none is asked again beside its field."""
    key = (await form(request)).get("key", "").strip().encode()
    practice_id = await _practice(request)
    try:
        await flow.let_own_act(portal_of(request).means, practice_id, key, by=who(request).account)
    except Refused as no:
        if no.code != "practice_key":
            raise
        return await _page(request, wrong=True)
    return see_other(request, HERE)
