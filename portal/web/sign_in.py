"""Signing in and out: to the identity provider and back, then a session kept on the server."""

from datetime import timedelta
from typing import Any, Literal

from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal.flow import invite
from portal.flow.sign_in import sign_in_doctor, sign_in_staff, sign_out
from portal.records.accounts import Account
from portal.records.enrolment_overview import invitations_of
from portal.rules.refusals import Refused
from portal.rules.words import Role
from portal.web.frame import VIEWERS, Portal, portal_of, see_other, show
from portal.web.problems import on_refused
from portal.web.security import forget_cookie, session_cookie, set_cookie, sign_in_cookie

UNDER_WAY = timedelta(minutes=10)
"""How long somebody may take at the identity provider."""

LONGEST_TOKEN = 64

Side = Literal["doctors", "staff"]


async def choose(request: Request) -> Response:
    query = f"?{request.url.query}" if request.query_params.get("lang") else ""
    return await show(
        request, "sign_in.html", doctor_href=f"/login/doctor{query}", staff_href=f"/login/staff{query}", failed=None
    )


async def begin_as_doctor(request: Request) -> Response:
    return await _begin(request, "doctors")


async def begin_as_staff(request: Request) -> Response:
    return await _begin(request, "staff")


async def come_back(request: Request) -> Response:
    """What the browser brings back is looked at once: the cookie of the sign-in under way is forgotten either way."""
    portal = portal_of(request)
    try:
        path, cookie = await _finish(request, portal)
    except Refused as no:
        response = await on_refused(request, no)
    else:
        await sign_out(request.cookies.get(session_cookie(portal.settings), ""))
        response = see_other(request, path)
        set_cookie(response, portal.settings, session_cookie(portal.settings), cookie)
    forget_cookie(response, portal.settings, sign_in_cookie(portal.settings))
    return response


async def leave(request: Request) -> Response:
    """The session ends on the server; the cookie would open nothing, and is forgotten too."""
    settings = portal_of(request).settings
    await sign_out(request.cookies.get(session_cookie(settings), ""))
    response = see_other(request, "/")
    forget_cookie(response, settings, session_cookie(settings))
    return response


async def _begin(request: Request, side: Side) -> Response:
    portal = portal_of(request)
    provider = portal.doctors if side == "doctors" else portal.staff
    begun = await provider.begin(f"{portal.settings.base_url}/login/callback")
    until = (portal.means.clock.now() + UNDER_WAY).timestamp()
    join = request.query_params.get("join", "")[:LONGEST_TOKEN] if side == "doctors" else ""
    kept = _signer(portal).dumps({"side": side, "flow": begun.flow, "until": until, "join": join})
    response = RedirectResponse(begun.url, status_code=303)
    seconds = int(UNDER_WAY.total_seconds())
    set_cookie(response, portal.settings, sign_in_cookie(portal.settings), str(kept), seconds=seconds)
    return response


async def _finish(request: Request, portal: Portal) -> tuple[str, str]:
    """Where whom the identity provider names goes on, and the session's cookie. A doctor who came to join goes on to
    the agreement; her invitation, if the link was one, is hers from now on."""
    kept = _kept(request, portal)
    callback = dict(request.query_params)
    if kept["side"] == "doctors":
        account, cookie = await sign_in_doctor(portal.means, await portal.doctors.finish(kept["flow"], callback))
        if not kept.get("join"):
            return "/doctor", cookie
        used = await invite.use(portal.means, account, kept["join"])
        return await _where_to_join(account) if used else "/doctor/agreement", cookie
    identity = await portal.staff.finish(kept["flow"], callback)
    proved = portal.settings.staff_oidc.second_factor_required  # then `finish` refused whoever showed none
    accounts, cookie = await sign_in_staff(portal.means, identity, second_factor=proved)
    return f"/{VIEWERS[Role(accounts[0].role)]}", cookie


async def _where_to_join(account: Account) -> str:
    """The agreement, of the practice that the invitation named."""
    finess = (await invitations_of(account.id))[0]["finess"]
    return f"/doctor/agreement?site={finess}" if finess else "/doctor/agreement"


def _kept(request: Request, portal: Portal) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = _signer(portal).loads(request.cookies.get(sign_in_cookie(portal.settings), ""))
    except BadSignature:
        kept = {"until": 0.0}
    if portal.means.clock.now().timestamp() >= kept["until"]:
        raise Refused("no_sign_in", "no sign-in is under way in this browser: begin again", status=400)
    return kept


def _signer(portal: Portal) -> URLSafeSerializer:
    return URLSafeSerializer(portal.secret, salt="sign-in under way")
