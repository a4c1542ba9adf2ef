"""Doubts about who somebody is, and requests for rights, at the desk: the DPO settles both."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import rights, who_is_who
from portal.flow.read_contacts import with_names
from portal.records import identity_overview
from portal.records.database import connection
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import DoubtOutcome, RightsKind, RightsState, Role
from portal.web.frame import form, given_day, path_uuid, portal_of, see_other, show, who


async def doubts(request: Request) -> Response:
    is_dpo = who(request).account.role == Role.DPO
    return await show(
        request,
        "desk/doubts.html",
        doubts=await identity_overview.doubts(),
        practices=await identity_overview.practices(),
        is_dpo=is_dpo,
    )


async def open_doubt(request: Request) -> Response:
    """Who may be whom, with names: read by a POST, because that is entered in the log."""
    means, by, doubt = portal_of(request).means, who(request).account, await _doubt(request)
    others = await who_is_who.in_question(connection(), doubt)
    known = await identity_overview.patients_of_persons({doubt["person_id"], *others})
    named = await with_names(means, known, by=by)
    mine = [p for p in named if p["id"] == doubt["patient_id"]][:1]
    theirs = [p for p in named if UUID(p["stands_for"]) in others]
    return await show(
        request,
        "desk/doubt.html",
        doubt=doubt,
        mine=mine,
        others=theirs,
        outcomes=who_is_who.MAY_BE[doubt["reason"]],
        here="/desk/doubts",
    )


async def settle_doubt(request: Request) -> Response:
    means, by, doubt_id = portal_of(request).means, who(request).account, int(request.path_params["id"])
    given = await form(request)
    await _doubt(request)
    match given.get("outcome"):
        case DoubtOutcome.SAME:
            await who_is_who.same_person(means, doubt_id, _person(given.get("person", "")), by=by)
        case DoubtOutcome.APART:
            await who_is_who.another_person(means, doubt_id, by=by)
        case DoubtOutcome.WRONG_ENTRY:
            await who_is_who.wrong_entry(means, doubt_id, by=by)
        case _:
            raise Refused("outcome", "choose one of the list", status=422)
    return see_other(request, "/desk/doubts")


async def part(request: Request) -> Response:
    given = await form(request)
    await who_is_who.part(
        portal_of(request).means, given.get("practice", ""), given.get("number", "").strip(), by=who(request).account
    )
    return see_other(request, "/desk/doubts")


async def requests(request: Request) -> Response:
    is_dpo = who(request).account.role == Role.DPO
    today = paris_day(portal_of(request).means.clock.now())
    found = [
        {**row, "answers": sorted(_answers(row)) if is_dpo else []} for row in await identity_overview.requests(today)
    ]
    return await show(
        request, "desk/requests.html", requests=found, practices=await identity_overview.practices(), is_dpo=is_dpo
    )


async def open_request(request: Request) -> Response:
    given = await form(request)
    kind = given.get("kind", "")
    if kind not in set(RightsKind):
        raise Refused("request", "choose one of the list", status=422)
    await rights.open_request(
        portal_of(request).means,
        practice_id=given.get("practice", ""),
        number=given.get("number", "").strip(),
        kind=RightsKind(kind),
        received=given_day(given, "received"),
        by=who(request).account,
    )
    return see_other(request, "/desk/requests")


async def answer_request(request: Request) -> Response:
    state = (await form(request)).get("state", "")
    if state not in set(RightsState):
        raise Refused("request", "choose one of the list", status=422)
    await rights.answer(portal_of(request).means, path_uuid(request), RightsState(state), by=who(request).account)
    return see_other(request, "/desk/requests")


def _answers(row: dict[str, Any]) -> set[RightsState]:
    may = rights.ANSWERS.get(RightsState(row["state"]), frozenset())
    return {state for state in may if state is not RightsState.ENDED or row["kind"] == RightsKind.RESTRICTION}


async def _doubt(request: Request) -> dict[str, Any]:
    """The open doubt of the address."""
    asked = int(request.path_params["id"])
    found = next((d for d in await identity_overview.doubts() if d["id"] == asked), None)
    if found is None:
        raise Refused("unknown_doubt", "there is no such open doubt", status=404)
    return found


def _person(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refused("person", "choose one of the list", status=422) from None
