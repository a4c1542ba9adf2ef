"""Signing in and out: to the identity provider and back, then a session kept on the server."""

from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlencode

from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal.flow import invite
from portal.flow.sign_in import SignedOut, sign_in_doctor, sign_in_staff, sign_out
from portal.records.accounts import Account
from portal.records.enrolment_overview import invitations_of
from portal.rules.refusals import Refused
from portal.rules.words import Role
from portal.web import session
from portal.web.frame import VIEWERS, Portal, chosen_language, portal_of, see_other, show
from portal.web.problems import noted
from portal.web.security import forget_cookie, set_cookie, sign_in_cookie

UNDER_WAY = timedelta(minutes=10)
"""How long somebody may take at the identity provider."""

LONGEST_TOKEN = 64

Side = Literal["doctors", "staff"]

FAILURES: dict[str, frozenset[str]] = {
    "later": frozenset({"provider_unreachable", "provider_unsafe", "provider_answer"}),
    "again": frozenset({"no_sign_in", "state_mismatch", "mixed_up", "no_code", "code_refused", "expired"}),
    "stopped": frozenset({"sign_in_refused"}),
    "level": frozenset({"acr_too_low", "no_second_factor"}),
    "not_a_doctor": frozenset({"not_a_doctor"}),
    "not_staff": frozenset({"not_staff"}),
}
"""What the page of a failed sign-in says, by the code of the refusal; "untrue" for every other."""


OTHER_ACCOUNT = frozenset({"level", "not_a_doctor", "not_staff"})
"""Beginning again would fail again unless the provider asks anew who that is."""


async def choose(request: Request) -> Response:
    query = f"?{request.url.query}" if request.query_params.get("lang") else ""
    return await show(request, "sign_in.html", doctor_href=f"/login/doctor{query}", staff_href=f"/login/staff{query}")


async def begin_as_doctor(request: Request) -> Response:
    return await _begin(request, "doctors")


async def begin_as_staff(request: Request) -> Response:
    return await _begin(request, "staff")


async def come_back(request: Request) -> Response:
    """What the browser brings back is looked at once: the cookie of the sign-in under way is forgotten either way.

    Whatever session the browser named before is over: each sign-in has a secret of its own.
    """
    portal, side = portal_of(request), None
    try:
        kept = _kept(request, portal)
        side, request.scope["lang_before"] = kept["side"], kept.get("lang")
        path, query, secret = await _finish(portal, kept, dict(request.query_params))
    except Refused as no:
        response = await _failed(request, no, side)
    else:
        await sign_out(session.secret_of(request))
        response = see_other(request, path, **query)
        session.keep(request, response, secret)
    forget_cookie(response, portal.settings, sign_in_cookie(portal.settings))
    return response


async def leave(request: Request) -> Response:
    """The session ends on the server first, whatever can be reached; then at the identity provider too.

    That is a second step of the browser's own, from a page: browsers do not let a form lead to another site.
    """
    ended = await sign_out(session.secret_of(request))
    if ended is None:
        response = see_other(request, "/")
    else:
        there = await _way_out(portal_of(request), ended)
        response = await show(request, "signed_out.html", there=there, doctor=ended.role == Role.DOCTOR, here="/")
        if there:
            response.headers["Refresh"] = f"0; url={there}"
    session.forget(request, response)
    return response


async def _way_out(portal: Portal, ended: SignedOut) -> str | None:
    """Where to sign out at the identity provider; None when it has no such page or cannot be reached."""
    provider = portal.doctors if ended.role == Role.DOCTOR else portal.staff
    try:
        return await provider.logout_url(ended.id_token, f"{portal.settings.base_url}/")
    except Refused:
        return None


async def _begin(request: Request, side: Side) -> Response:
    portal = portal_of(request)
    provider = portal.doctors if side == "doctors" else portal.staff
    try:
        anew = request.query_params.get("anew") == "yes"
        begun = await provider.begin(f"{portal.settings.base_url}/login/callback", anew=anew)
    except Refused as no:
        return await _failed(request, no, side)
    until = (portal.means.clock.now() + UNDER_WAY).timestamp()
    join = request.query_params.get("join", "")[:LONGEST_TOKEN] if side == "doctors" else ""
    language = chosen_language(request)
    kept = {"side": side, "flow": begun.flow, "until": until, "join": join, "lang": language and language.value}
    sealed = str(_signer(portal).dumps(kept))
    response, seconds = RedirectResponse(begun.url, status_code=303), int(UNDER_WAY.total_seconds())
    set_cookie(response, portal.settings, sign_in_cookie(portal.settings), sealed, seconds=seconds)
    return response


async def _failed(request: Request, no: Refused, side: Side | None) -> Response:
    """Nobody is signed in, and the page says why and what to do. What is the provider's fault, or somebody's lie,
    leaves a line in the technical log."""
    why = next((name for name, codes in FAILURES.items() if no.code in codes), "untrue")
    reference = noted(request, no.code) if why in ("later", "untrue") else None
    language = chosen_language(request)
    query = ({"anew": "yes"} if why in OTHER_ACCOUNT else {}) | ({"lang": language.value} if language else {})
    again = {"doctors": "/login/doctor", "staff": "/login/staff", None: "/login"}[side]
    return await show(
        request,
        "sign_in_failed.html",
        status=no.status,
        why=why,
        doctor=side == "doctors",
        again=f"{again}?{urlencode(query)}" if query else again,
        reference=reference,
        here="/login",
    )


async def _finish(portal: Portal, kept: dict[str, Any], callback: dict[str, str]) -> tuple[str, dict[str, str], str]:
    """Where whom the identity provider names goes on (path and query), and the session's secret. A doctor who came to
    join goes on to the agreement; her invitation, if the link was one, is hers from now on."""
    if kept["side"] == "doctors":
        account, secret = await sign_in_doctor(portal.means, await portal.doctors.finish(kept["flow"], callback))
        if not kept.get("join"):
            return "/doctor", {}, secret
        used = await invite.use(portal.means, account, kept["join"])
        return "/doctor/agreement", await _named(account) if used else {}, secret
    identity = await portal.staff.finish(kept["flow"], callback)
    proved = portal.settings.staff_oidc.second_factor_required  # then `finish` refused whoever showed none
    accounts, secret = await sign_in_staff(portal.means, identity, second_factor=proved)
    return f"/{VIEWERS[Role(accounts[0].role)]}", {}, secret


async def _named(account: Account) -> dict[str, str]:
    """The practice that the invitation named, if it named one."""
    finess = (await invitations_of(account.id))[0]["finess"]
    return {"site": finess} if finess else {}


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
