"""Doubts about who somebody is, and requests for rights, at the desk: the DPO settles both."""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import access, rights, who_is_who
from portal.flow.read_contacts import with_names
from portal.flow.typed_link import link_of
from portal.records import identity_overview
from portal.records.database import connection
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import DoubtOutcome, RightsKind, RightsState, Role
from portal.web.access_file import access_archive
from portal.web.frame import form, given_day, path_uuid, portal_of, reference, see_other, show, who


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
        {**row, "answers": sorted(_answers(row)) if is_dpo else [], "has_file": is_dpo and _has_file(row)}
        for row in await identity_overview.requests(today)
    ]
    return await show(
        request, "desk/requests.html", requests=found, practices=await identity_overview.practices(), is_dpo=is_dpo
    )


async def open_request(request: Request) -> Response:
    """Of the patient who is named by practice and number, or by the code of her letter."""
    given = await form(request)
    if given.get("kind", "") not in set(RightsKind):
        raise Refused("request", "choose one of the list", status=422)
    means, by = portal_of(request).means, who(request).account
    kind, received = RightsKind(given["kind"]), given_day(given, "received")
    if code := given.get("code", "").strip():
        token = await link_of(means, code, "desk")
        if token is None:
            raise Refused("no_code", "no letter has this code", status=422)
        await rights.ask(means, token, kind, received=received, by=by)
    else:
        practice, number = given.get("practice", ""), given.get("number", "").strip()
        await rights.open_request(means, practice_id=practice, number=number, kind=kind, received=received, by=by)
    return see_other(request, "/desk/requests")


async def access_file(request: Request) -> Response:
    """What is handed out to who asked for access; made by a POST, because that is entered in the log."""
    answer = await access.gather(portal_of(request).means, path_uuid(request), by=who(request).account)
    name = f"access-{reference(answer.request_id)}"
    return Response(
        await access_archive(answer), media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}.zip"'},
    )  # fmt: skip


async def answer_request(request: Request) -> Response:
    state = (await form(request)).get("state", "")
    if state not in set(RightsState):
        raise Refused("request", "choose one of the list", status=422)
    await rights.answer(portal_of(request).means, path_uuid(request), RightsState(state), by=who(request).account)
    return see_other(request, "/desk/requests")


def _answers(row: dict[str, Any]) -> set[RightsState]:
    may = rights.ANSWERS.get(RightsState(row["state"]), frozenset())
    return {state for state in may if state is not RightsState.ENDED or row["kind"] == RightsKind.RESTRICTION}


def _has_file(row: dict[str, Any]) -> bool:
    return row["kind"] == RightsKind.ACCESS and row["state"] in access.MAY_BE_READ


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
