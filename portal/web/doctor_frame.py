"""At which of her practices a doctor looks and acts: one of her own, said in the address when there are several."""

from typing import Any

from starlette.requests import Request

from portal.records.enrolment_overview import enrolments_of
from portal.rules.refusals import Refused
from portal.rules.words import EnrolmentState as State
from portal.web.frame import who

Row = dict[str, Any]


async def enrolments(request: Request) -> list[Row]:
    """Hers, those that she has not left first; asked once a request."""
    if "enrolments" not in request.scope:
        found = await enrolments_of(who(request).account.id)
        request.scope["enrolments"] = found
        request.scope["practices"] = [each for each in found if each["state"] != State.LEFT]
    kept: list[Row] = request.scope["enrolments"]
    return kept


async def chosen(request: Request) -> Row | None:
    """The enrolment that `?at=` names, one of hers; else the newest that she has not left, else the newest. None when
    she has none. Whoever acts at one of several says at which: another window may have opened another one."""
    hers = await enrolments(request)
    several = len(request.scope["practices"]) > 1
    wanted = request.query_params.get("at")
    if wanted is None:
        if several and request.method == "POST":
            raise Refused("which_practice", "the address does not say at which practice", status=409)
        found = hers[0] if hers else None
    else:
        number = int(wanted) if wanted.isdecimal() and len(wanted) <= 18 else 0
        found = next((each for each in hers if each["id"] == number), None)
        if found is None:
            raise Refused("unknown_enrolment", "there is no such enrolment of yours", status=404)
    if found is not None and (several or wanted is not None):
        request.scope["at"] = found["id"]
    return found


async def enrolment(request: Request) -> Row:
    """The same for who must have one."""
    found = await chosen(request)
    if found is None:
        raise Refused("not_enrolled", "choose a practice first", status=409)
    return found
