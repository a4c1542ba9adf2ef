"""Programs at the desk: on file with their keys, shut out, and who reported too many hand-outs at once."""

import json

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import programs as flow
from portal.records import clients, hand_outs
from portal.rules.refusals import Refused
from portal.rules.words import ClientKind, Role
from portal.web.frame import form, path_id, portal_of, see_other, show, who

HERE = "/desk/programs"
OF_THE_FORM = frozenset({"program_name", "keys", "kind"})
"""The refusals that are shown beside their field, and asked again."""


async def page(request: Request) -> Response:
    return await _page(request)


async def _page(request: Request, code: str = "", given: dict[str, str] | None = None) -> Response:
    now = portal_of(request).means.clock.now()
    return await show(
        request,
        "desk/programs.html",
        status=422 if code else 200,
        here=HERE,
        programs=await clients.programs(),
        bursts=await hand_outs.bursts(now),
        may_add=who(request).account.role == Role.OPERATOR,
        wrong=code,
        given=given or {},
    )


async def put_on_file(request: Request) -> Response:
    given = await form(request)
    try:
        await flow.put_on_file(
            portal_of(request).means,
            kind=_kind(given.get("kind", "")),
            name=given.get("name", ""),
            keys=_keys(given.get("keys", "")),
            by=who(request).account,
        )
    except Refused as no:
        if no.code not in OF_THE_FORM:
            raise
        return await _page(request, no.code, given)
    return see_other(request, HERE)


def _kind(word: str) -> ClientKind:
    if word not in (ClientKind.SOFTWARE, ClientKind.PARTNER):
        raise Refused("kind", "say what it is: a publisher's software or a partner", status=422)
    return ClientKind(word)


def _keys(text: str) -> dict[str, object]:
    try:
        keys = json.loads(text)
    except ValueError:
        keys = None
    if not isinstance(keys, dict):
        raise Refused("keys", "paste the JWK set as JSON", where="keys", status=422)
    return keys


async def close(request: Request) -> Response:
    """Shut out everywhere, at once and for good."""
    await flow.close(portal_of(request).means, path_id(request), by=who(request).account)
    return see_other(request, HERE)
