"""What every page stands in: the portal's parts, the reader's language, who is signed in, and how to answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast
from urllib.parse import quote, urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from portal.flow.means import Means
from portal.flow.programs import Program
from portal.flow.sign_in import SignedIn
from portal.outside.directory import Directory
from portal.outside.identity import OpenIdProvider
from portal.records import overview
from portal.rules.people import iso_day
from portal.rules.rate import Rate
from portal.rules.refusals import Refused
from portal.rules.words import Language, Role
from portal.settings import Settings
from portal.web import render
from portal.web.requests import Requests

Guide = Callable[[], dict[str, Any] | None]

VIEWERS: Mapping[Role, str] = {
    Role.DOCTOR: "doctor",
    Role.OPERATOR: "desk",
    Role.DPO: "desk",
    Role.AUDITOR: "desk",
    Role.RECIPIENT: "recipient",
}
"""Whose navigation stands in the head; also the path under which each role's pages are."""

STAY = ("at", "site", "state", "page")
"""What an address says besides its language, kept when the language is changed."""


@dataclass(frozen=True, slots=True)
class Portal:
    """The parts, put together at start. `contacts`: as last read, for pages shown while the database is down."""

    settings: Settings
    means: Means
    doctors: OpenIdProvider
    staff: OpenIdProvider
    secret: bytes = field(repr=False)
    directory: Directory | None = None
    guide: Guide | None = None
    requests: Requests = field(default_factory=Requests)
    programs: Rate = field(default_factory=lambda: Rate(600, burst=100))
    contacts: dict[str, str] = field(default_factory=dict)


def portal_of(request: Request) -> Portal:
    return cast("Portal", request.app.state.portal)


def who(request: Request) -> SignedIn:
    """Who is signed in; only a page whose policy names roles may ask."""
    return cast("SignedIn", request.scope["signed_in"])


def program_of(request: Request) -> Program:
    """The program that shows a token; only a page whose policy names an access may ask."""
    return cast("Program", request.scope["program"])


def chosen_language(request: Request) -> Language | None:
    """What `?lang=` says, or said when a sign-in began that comes back here, if it is a language of ours."""
    asked = request.query_params.get("lang") or request.scope.get("lang_before")
    return next((each for each in Language if each == asked), None)


def browser_language(request: Request) -> Language:
    """The first of our languages that the browser names; French when it names neither."""
    wanted = (
        part.partition(";")[0].strip().lower()[:2] for part in request.headers.get("accept-language", "").split(",")
    )
    return next((Language(each) for each in wanted if each in set(Language)), Language.FR)


async def contacts(request: Request) -> dict[str, Any]:
    """How to reach the observatory: on every page, so that nobody who needs to say no is left without a way."""
    known = portal_of(request).contacts
    house = await overview.house()
    if house is not None:
        known.update(
            publisher=house["controller"], dpo_email=house["dpo_contact"], phone=house["phone"],
            post=house["postal_address"],
        )  # fmt: skip
    return dict(known)


async def show(
    request: Request, template: str, *, status: int = 200, default: Language | None = None, **context: Any
) -> HTMLResponse:
    """The page `template`. `default`: the language unless the reader chose one; else the browser's."""
    return framed(request, template, status=status, default=default, **{**await contacts(request), **context})


def framed(
    request: Request, template: str, *, status: int = 200, default: Language | None = None, **context: Any
) -> HTMLResponse:
    """The same without asking the database for the contacts."""
    default = default or browser_language(request)
    signed_in: SignedIn | None = request.scope.get("signed_in")
    given = {
        "here": quote(request.scope["path"]),
        "status": status,
        "demo": portal_of(request).settings.demo,
        "viewer": VIEWERS[Role(signed_in.account.role)] if signed_in else None,
        "default_language": default,
        "at": request.scope.get("at"),
        "stay": {name: request.query_params[name] for name in STAY if name in request.query_params},
        "own_practices": request.scope.get("practices", ()),
    }
    language = chosen_language(request) or default
    return HTMLResponse(render.page(template, language=language, **{**given, **context}), status_code=status)


def see_other(request: Request, path: str, **query: str) -> Response:
    """303 to a path of ours, in the language that the reader chose, and at the practice where a doctor was."""
    language, at = chosen_language(request), request.scope.get("at")
    query = {**({"at": str(at)} if at else {}), **query, **({"lang": language.value} if language else {})}
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, status_code=303)


async def form(request: Request) -> dict[str, str]:
    """The fields of a posted form, the first value of each; files are not taken."""
    fields: dict[str, str] = {}
    for name, value in (await request.form()).multi_items():
        if not isinstance(value, str) or "\0" in value:
            raise Refused("bad_form", "the form holds something that is not text", status=400)
        fields.setdefault(name, value)
    return fields


def path_id(request: Request) -> str:
    return str(request.path_params["id"])


LARGEST_ID = 2**63 - 1


def path_number(request: Request) -> int:
    """The number in the address; not found when no row can have it."""
    number = int(request.path_params["id"])
    if number > LARGEST_ID:
        raise Refused("unknown_id", "there is nothing of this number", status=404)
    return number


def path_uuid(request: Request) -> UUID:
    """The id in the address; not found when it is none."""
    try:
        return UUID(path_id(request))
    except ValueError:
        raise Refused("unknown_id", "there is nothing of this id", status=404) from None


def given_day(given: Mapping[str, str], name: str) -> date | None:
    """The day in a field of a form, None when it is empty. Refused (code: the field's name) for what is none."""
    text = given.get(name, "").strip()
    day = iso_day(text)
    if text and (day is None or not 1900 <= day.year <= 2100):
        raise Refused(name, "a day is written as 2026-04-16", status=422)
    return day


def reference(no_id: UUID) -> str:
    """Eight signs of the objection's random id, in two groups, to be read out on the telephone."""
    signs = no_id.hex[:8].upper()
    return f"{signs[:4]}-{signs[4:]}"


def words(request: Request, message: str) -> str:
    """A sentence of the catalogue in the language of the page; its source is in a template."""
    return render.translations(chosen_language(request) or browser_language(request)).gettext(message)
