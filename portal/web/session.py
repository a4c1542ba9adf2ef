"""The cookie of a session: its secret, and when it was last used, signed by the portal.

So a session that nobody uses ends although no read writes anything: what a read renews is the cookie, not a row.
"""

from datetime import timedelta

from itsdangerous import BadSignature, URLSafeSerializer
from starlette.requests import Request
from starlette.responses import Response

from portal.flow.sign_in import SignedIn, signed_in
from portal.web.frame import portal_of
from portal.web.security import forget_cookie, session_cookie, set_cookie

RENEWED_AFTER = timedelta(minutes=1)


def keep(request: Request, response: Response, secret: str) -> None:
    """From now on the browser brings the session's secret, as used this moment."""
    portal = portal_of(request)
    value = stamped(portal.secret, secret, portal.means.clock.now().timestamp())
    set_cookie(response, portal.settings, session_cookie(portal.settings), value)


def forget(request: Request, response: Response) -> None:
    settings = portal_of(request).settings
    forget_cookie(response, settings, session_cookie(settings))


def secret_of(request: Request) -> str:
    """What opens the session that the browser names, however long ago it was used; empty for a cookie not of ours."""
    return _read(request)[0]


async def whose(request: Request) -> SignedIn | None:
    """Who is signed in; None when the session is unknown, ended, or was not used for too long."""
    portal = portal_of(request)
    secret, used = _read(request)
    idle = portal.means.clock.now().timestamp() - used
    if not secret or idle >= portal.settings.session_idle_minutes * 60:
        return None
    return await signed_in(portal.means, secret)


def renew(request: Request, response: Response) -> None:
    """After a page for who is signed in: she was here just now. Once a minute is enough."""
    secret, used = _read(request)
    if portal_of(request).means.clock.now().timestamp() - used >= RENEWED_AFTER.total_seconds():
        keep(request, response, secret)


def stamped(key: bytes, secret: str, used: float) -> str:
    return str(URLSafeSerializer(key, salt="session").dumps([secret, int(used)]))


def _read(request: Request) -> tuple[str, int]:
    portal = portal_of(request)
    try:
        secret, used = URLSafeSerializer(portal.secret, salt="session").loads(
            request.cookies.get(session_cookie(portal.settings), "")
        )
    except BadSignature:
        return "", 0
    return secret, used
