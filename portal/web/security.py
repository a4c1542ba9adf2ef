"""What guards every answer and every request: headers, the forged origin, the size of a body, the cookies' names."""

from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.outside.own_pages import origin_of
from portal.rules.refusals import Refused
from portal.settings import Settings
from portal.web.problems import SAFE, on_refused

LARGEST_BODY = 64 * 1024
"""Bytes of a request: every form of the site is far smaller; files do not come in through the pages."""

LARGEST_FILE = 32 * 2**20
"""Bytes of what a practice's program may send at once: a register of a hundred thousand patients, a part of a file."""

LARGEST_BUNDLE = 2 * 2**20
"""Bytes of a transaction of Consents: five hundred of four kilobytes."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=()",
    "Referrer-Policy": "same-origin",  # "no-referrer" would make browsers send "Origin: null" with a form
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
HSTS = "max-age=63072000; includeSubDomains"


def is_https(settings: Settings) -> bool:
    return urlsplit(settings.base_url).scheme == "https"


def session_cookie(settings: Settings) -> str:
    """`__Host-` binds the cookie to this very host, which browsers only grant over https."""
    return "__Host-session" if is_https(settings) else "session"


def sign_in_cookie(settings: Settings) -> str:
    return "__Host-sign-in" if is_https(settings) else "sign-in"


def set_cookie(response: Response, settings: Settings, name: str, value: str, *, seconds: int | None = None) -> None:
    """No script reads it, no other site's form sends it; without `seconds` it ends with the browser."""
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=is_https(settings), httponly=True, samesite="lax"
    )


def forget_cookie(response: Response, settings: Settings, name: str) -> None:
    response.delete_cookie(name, path="/", secure=is_https(settings), httponly=True, samesite="lax")


def is_forged(headers: Headers, *, origin: str, cookie: str) -> bool:
    """Whether an unsafe request comes, or may come, from another site.

    Every browser says where a form was sent from. A program that says nothing may post, since a patient's link
    is no cookie that a browser adds by itself; with a session's cookie it may not.
    """
    origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
    if any(each != origin for each in origins) or any(each not in ("same-origin", "none") for each in sites):
        return True
    return not origins and not sites and cookie in cookies_of(headers.getlist("cookie"))


def cookies_of(lines: Iterable[str]) -> dict[str, str]:
    return {name: value for line in lines for name, value in cookie_parser(line).items()}


class Guard:
    """Pure ASGI, around everything. The Host header is never read."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self.app = app
        self.origin, self.cookie = origin_of(settings.base_url), session_cookie(settings)
        self.headers = {**HEADERS, **({"Strict-Transport-Security": HSTS} if is_https(settings) else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self.headers)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if (no := self._refusal(scope)) is not None:
            response = await on_refused(Request(scope, receive), no)
            await response(scope, receive, guarded)
            return
        await self.app(scope, _limited(receive, _largest(scope)), guarded)

    def _refusal(self, scope: Scope) -> Refused | None:
        headers = Headers(scope=scope)
        if "\0" in scope["path"]:
            return Refused("not_found", "there is no such page", status=HTTPStatus.NOT_FOUND)
        if scope["method"] not in SAFE and is_forged(headers, origin=self.origin, cookie=self.cookie):
            return Refused("forged_origin", "this request comes from another site", status=HTTPStatus.FORBIDDEN)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > _largest(scope):
            return _too_large()
        return None


def _largest(scope: Scope) -> int:
    path = scope["path"]
    if path.startswith("/api/v1/practices/"):
        return LARGEST_FILE
    return LARGEST_BUNDLE if path == "/fhir" else LARGEST_BODY


def _limited(receive: Receive, largest: int) -> Receive:
    """Counts what arrives, whatever the request said its length was."""
    taken = 0

    async def counting() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > largest:
            raise _too_large()
        return message

    return counting


def _too_large() -> Refused:
    return Refused("too_large", "the request is too large", status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
