"""FHIR R4 for programs: objections as Consents, read, searched, and sent."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from portal.flow import consent_feed
from portal.records.sent_consents import Asked, Shown, of_partner, of_practices
from portal.rules.refusals import Refused
from portal.rules.scopes import ClientKind
from portal.rules.waiting import paris_day
from portal.web import fhir_resources as resources
from portal.web.fhir_consent import one_consent, transaction
from portal.web.fhir_elements import moment
from portal.web.frame import portal_of, program_of

MOST_AT_ONCE = 500
BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
PARAMETERS = (
    "identifier", "patient:identifier", "patient.identifier", "status", "_lastUpdated", "_count", "_format", "_page",
)  # fmt: skip
JSON_NAMES = ("json", "application/json", resources.FHIR_JSON)


def _base(request: Request) -> str:
    return portal_of(request).means.base_url


async def metadata(request: Request) -> Response:
    """What this server does, for everybody."""
    return resources.answer(resources.capability(_base(request)))


async def smart(request: Request) -> Response:
    """How programs sign in, for everybody."""
    return JSONResponse(resources.smart_configuration(_base(request)))


async def read(request: Request) -> Response:
    """One objection; what is another's is not there."""
    found = await _shown(request, Asked(id=request.path_params["id"]))
    if not found:
        raise Refused("unknown_consent", "this program sees no such Consent", status=404)
    headers = {"ETag": resources.etag(found[0].version)}
    return resources.answer(resources.consent(found[0], _base(request)), headers=headers)


async def search(request: Request) -> Response:
    """The objections that this program sees, page by page."""
    asked = _asked(request)
    found = await _shown(request, asked)
    shown, following = found[: asked.most], None
    given = request.query_params.multi_items()
    if len(found) > asked.most:
        following = _address(request, [*((name, v) for name, v in given if name != "_page"), ("_page", shown[-1].id)])
    bundle = resources.found(shown, _base(request), this=_address(request, given), following=following)
    return resources.answer(bundle)


async def create(request: Request) -> Response:
    """One Consent, as a transaction of one."""
    program = program_of(request)
    sent = await one_consent(request, program, _base(request))
    (kept,) = await consent_feed.take_in(portal_of(request).means, program, sent)
    headers = {"Location": f"{_base(request)}/fhir/Consent/{kept.id}", "ETag": resources.etag(kept.version)}
    return resources.answer(resources.recorded(), 201 if kept.new else 200, headers)


async def transact(request: Request) -> Response:
    """A transaction of Consents: all of them, or none."""
    program = program_of(request)
    sent = await transaction(request, program, _base(request))
    kept = await consent_feed.take_in(portal_of(request).means, program, sent)
    return resources.answer(resources.done(kept, _base(request)))


async def _shown(request: Request, asked: Asked) -> list[Shown]:
    program = program_of(request)
    if program.kind is ClientKind.PARTNER:
        return await of_partner(program.id, asked)
    return await of_practices(program.id, paris_day(portal_of(request).means.clock.now()), asked)


# --- what is searched for --------------------------------------------------------------------------------------------


def _asked(request: Request) -> Asked:
    given: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if name not in PARAMETERS:
            raise _off("query", f"search by {', '.join(PARAMETERS[:-1])}")
        given.setdefault(name, []).append(value)
    for name, values in given.items():
        if len(values) > (2 if name == "_lastUpdated" else 1) or "\0" in "".join(values):
            raise _off(name, "give it once")
    one = {name: values[0] for name, values in given.items()}
    if one.get("_format", JSON_NAMES[0]) not in JSON_NAMES:
        raise _off("_format", "only JSON is spoken here")
    named = one.get("identifier")
    return Asked(
        numbered=_numbered(request, one),
        key_hash=consent_feed.key_hash(portal_of(request).means, program_of(request), named) if named else None,
        active=_active(one.get("status")),
        changed=tuple(bound for text in given.get("_lastUpdated", ()) for bound in _bounds(text)),
        after=one.get("_page"),
        most=_most(one.get("_count", "100")),
    )


def _numbered(request: Request, one: dict[str, str]) -> tuple[str, str] | None:
    named = [one[name] for name in ("patient:identifier", "patient.identifier") if name in one]
    if not named:
        return None
    system, _, number = named[0].partition("|")
    practice = resources.practice_of(system, _base(request))
    if practice is None or not number or len(named) > 1:
        raise _off("patient:identifier", f"give it as {_base(request)}/fhir/sid/PRACTICE/patient|NUMBER")
    return practice, number


def _active(text: str | None) -> bool | None:
    """None: whichever."""
    wanted = set(text.split(",")) if text is not None else {"active", "inactive"}
    if not wanted <= {"active", "inactive"}:
        raise _off("status", "a Consent here is active or inactive")
    return None if len(wanted) == 2 else wanted == {"active"}


def _bounds(text: str) -> list[tuple[str, datetime]]:
    """A day has a beginning and an end: after it is after its end."""
    prefix, value = (text[:2], text[2:]) if text[:2] in BOUNDS else ("", text)
    try:
        at = moment(value)
    except ValueError:
        raise _off("_lastUpdated", "give it as ge2026-03-05T10:00:00Z, with ge, gt, le or lt") from None
    if "T" in value and prefix:
        return [(BOUNDS[prefix], at)]
    if "T" in value or len(value) != len("2026-03-05"):
        raise _off("_lastUpdated", "give it as ge2026-03-05T10:00:00Z, with ge, gt, le or lt")
    end = moment((paris_day(at) + timedelta(days=1)).isoformat())
    return {"ge": [(">=", at)], "gt": [(">=", end)], "le": [("<", end)], "lt": [("<", at)]}.get(
        prefix, [(">=", at), ("<", end)]
    )


def _most(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and int(text) >= 1):
        raise _off("_count", f"give a number from 1; at most {MOST_AT_ONCE} come at once")
    return min(int(text), MOST_AT_ONCE)


def _off(where: str, what: str) -> Refused:
    return Refused("search", what, where=where, status=400)


def _address(request: Request, given: list[tuple[str, str]]) -> str:
    query = urlencode(given, safe=":/|,")
    return f"{_base(request)}/fhir/Consent{'?' if query else ''}{query}"
