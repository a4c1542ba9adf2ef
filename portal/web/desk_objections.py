"""A no without a link at the desk: recorded by whoever answers the telephone, settled by the DPO."""

from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import provisional, taken_back
from portal.flow.opt_out import Brought, object_
from portal.flow.provisional import Spoken
from portal.flow.read_contacts import with_names
from portal.flow.typed_link import link_of
from portal.records import identity_overview, overview
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import ObjectionChannel, ProvisionalOutcome, Role, Scope
from portal.web.frame import form, given_day, path_uuid, portal_of, see_other, show, who

FIELDS = ("family_name", "birth_name", "given_names", "birth", "person_key", "answer_to")
LONGEST = 400
"""Characters of one field."""

WRONG_FIELD = {
    "no_code": "code",
    "nothing_to_match": "family_name",
    "birth": "birth",
    "person_key": "person_key",
    "received": "received",
}
"""Beside which field a refusal is shown."""


async def objections(request: Request) -> Response:
    return await _listed(request, {}, None)


async def record(request: Request) -> Response:
    """What was said is shown again, with the reason, when it cannot be recorded so."""
    given = await form(request)
    scope, _, ref = given.get("scope", "").partition(":")
    said = Scope(scope) if scope in set(Scope) else _wrong("scope")
    channel, actor = _channel(given.get("channel", "")), who(request).account.actor
    try:
        received = given_day(given, "received")
        if code := given.get("code", "").strip()[:LONGEST]:
            await _with_code(request, code, said, ref, Brought(channel, received, actor))
            return see_other(request, "/desk/objections")
        await provisional.record(
            portal_of(request).means,
            Spoken(**{name: given.get(name, "").strip()[:LONGEST] for name in FIELDS}),
            scope=said,
            scope_ref=ref,
            channel=channel,
            received=received,
            by=actor,
        )
    except Refused as no:
        if no.code not in WRONG_FIELD:
            raise
        return await _listed(request, given, no.code)
    return see_other(request, "/desk/objections")


async def _with_code(request: Request, code: str, scope: Scope, ref: str, brought: Brought) -> None:
    """The code of her letter says who she is: nothing is left to settle."""
    means = portal_of(request).means
    token = await link_of(means, code, "desk")
    if token is None:
        raise Refused("no_code", "no letter has this code", status=422)
    await object_(means, token, scope, ref if scope == Scope.STUDY else "", brought=brought)


async def open_objection(request: Request) -> Response:
    """Names are read for this matter alone, by a POST, because that is entered in the log."""
    means, by, no_id = portal_of(request).means, who(request).account, path_uuid(request)
    spoken = await provisional.read_sealed(means, no_id, by=by)
    meant = await with_names(means, await identity_overview.meant_by(no_id), by=by)
    found = next((o for o in await identity_overview.provisional(_today(request)) if o["id"] == str(no_id)), None)
    return await show(
        request, "desk/objection.html", objection=found, spoken=spoken, meant=meant, here="/desk/objections"
    )


async def settle(request: Request) -> Response:
    means, by, no_id = portal_of(request).means, who(request).account, path_uuid(request)
    given = await form(request)
    match given.get("outcome"):
        case ProvisionalOutcome.BOUND:
            await provisional.bind(means, no_id, await _chosen(given), by=by)
        case ProvisionalOutcome.NOT_HERE:
            shown = [int(one) for one in given.get("shown", "").split(",") if one.isdecimal()]
            await provisional.not_here(means, no_id, by=by, shown=shown)
        case ProvisionalOutcome.NO_AUTHORITY:
            await provisional.no_authority(means, no_id, by=by)
        case _:
            _wrong("outcome")
    return see_other(request, "/desk/objections")


async def take_back(request: Request) -> Response:
    """She took it back the way she said it. One that is not bound yet is first bound to the patients ticked."""
    means, by, no_id = portal_of(request).means, who(request).account, path_uuid(request)
    given = await form(request)
    channel, said_on = _channel(given.get("channel", "")), given_day(given, "said_on")
    if chosen := await _chosen(given):
        await provisional.bind(means, no_id, chosen, by=by)
    await taken_back.bound(means, no_id, said_on=said_on, channel=channel, by=by)
    return see_other(request, "/desk/objections")


async def take_back_told(request: Request) -> Response:
    """The same for what a patient told her doctor."""
    given = await form(request)
    await taken_back.told(
        portal_of(request).means,
        practice_id=given.get("practice", "").strip(),
        number=given.get("number", "").strip(),
        said_on=given_day(given, "said_on"),
        channel=_channel(given.get("channel", "")),
        by=who(request).account,
    )
    return see_other(request, "/desk/objections")


async def _chosen(given: dict[str, str]) -> list[int]:
    """The patients ticked, and the one named by practice and number."""
    ticked = [int(name[8:]) for name in given if name.startswith("patient-") and name[8:].isdecimal()]
    practice, number = given.get("practice", "").strip(), given.get("number", "").strip()
    if practice or number:
        named = await identity_overview.patient_of(practice, number)
        if named is None:
            raise Refused("unknown_patient", "the practice has no patient of this number", status=422)
        ticked.append(int(named["id"]))
    return sorted(set(ticked))


async def _listed(request: Request, given: dict[str, str], wrong: str | None) -> Response:
    is_dpo = who(request).account.role == Role.DPO
    return await show(
        request,
        "desk/objections.html",
        status=422 if wrong else 200,
        objections=await identity_overview.provisional(_today(request)),
        incidents=await identity_overview.incidents(),
        observatories=await overview.observatories(),
        studies=await overview.studies(),
        practices=await identity_overview.practices(),
        is_dpo=is_dpo,
        given=given,
        wrong=wrong,
        wrong_field=WRONG_FIELD.get(wrong or "", ""),
        here="/desk/objections",
    )


def _channel(text: str) -> ObjectionChannel:
    return ObjectionChannel(text) if text in set(ObjectionChannel) else _wrong("channel")


def _wrong(name: str) -> Any:
    raise Refused(name, "choose one of the list", status=422)


def _today(request: Request) -> date:
    return paris_day(portal_of(request).means.clock.now())
