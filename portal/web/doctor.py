"""The doctor's pages: join, sign, look, leave. Patients are shown once an operator has verified who signed."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import enrol as flow
from portal.flow import minors, told_doctor
from portal.outside.identity import Site
from portal.records import overview, practice_overview
from portal.rules.refusals import Refused
from portal.rules.words import EnrolmentState as State
from portal.web.frame import (
    browser_language,
    chosen_language,
    form,
    given_day,
    path_uuid,
    portal_of,
    reference,
    see_other,
    show,
    who,
)

VERIFIED = frozenset({State.ACTIVE, State.PAUSED})


def _now(request: Request) -> datetime:
    return portal_of(request).means.clock.now()


async def _patients(request: Request, enrolment: dict[str, Any]) -> list[dict[str, Any]]:
    """Nobody's patients are shown to somebody whose place at the practice was not verified, or who left it."""
    if enrolment["state"] not in VERIFIED:
        return []
    return await practice_overview.patients(enrolment["practice_id"], enrolment["observatory_id"], _now(request))


async def _enrolment(request: Request) -> dict[str, Any]:
    found = await practice_overview.enrolment_of(who(request).account.id)
    if found is None:
        raise Refused("not_enrolled", "choose a practice first", status=409)
    return found


async def home(request: Request) -> Response:
    account = who(request).account
    enrolment = await practice_overview.enrolment_of(account.id)
    if enrolment is None:
        return await show(request, "doctor/home.html", doctor=account.display_name, state=None)
    signed = enrolment["signed_at"] is not None
    return await show(
        request,
        "doctor/home.html",
        doctor=account.display_name,
        practice=enrolment["practice"],
        state=enrolment["state"],
        since=enrolment["since"],
        observatory={"name": enrolment["observatory"]},
        counts=practice_overview.counted(await _patients(request, enrolment)),
        sent=await practice_overview.sent_from(enrolment["practice_id"], enrolment["observatory_id"]),
        agreement={
            "version": enrolment["signed_version"],
            "signed_at": enrolment["signed_at"],
            "history": enrolment["includes_history"],
        }
        if signed
        else None,
    )


async def enrol_page(request: Request) -> Response:
    return await _choice_of_site(request, missing=False)


async def enrol(request: Request) -> Response:
    """Only a site that the identity provider named at sign-in can be chosen."""
    wanted = (await form(request)).get("site", "")
    site = next((each for each in _sites(request) if each.finess == wanted), None)
    if site is None:
        return await _choice_of_site(request, missing=True)
    house = await _observatory()
    await flow.choose_site(portal_of(request).means, who(request).account, site, observatory_id=house["id"])
    return see_other(request, "/doctor/agreement")


async def agreement(request: Request) -> Response:
    if await practice_overview.enrolment_of(who(request).account.id) is None:
        return see_other(request, "/doctor/enrol")
    return await _agreement(request, missing=False)


async def sign(request: Request) -> Response:
    """Signs the text that was shown: its id and hash come back with the form."""
    given = await form(request)
    if given.get("read") != "yes":
        return await _agreement(request, missing=True)
    text_id = given.get("agreement", "")
    if not text_id.isdecimal() or len(text_id) > 18:
        raise Refused("other_agreement", "the form does not say which agreement was read", status=422)
    await flow.sign(
        portal_of(request).means,
        who(request).account,
        (await _enrolment(request))["id"],
        agreement_id=int(text_id),
        sha256=given.get("sha256", ""),
        includes_history=given.get("history") == "yes",
    )
    return see_other(request, "/doctor")


async def patients(request: Request) -> Response:
    enrolment = await practice_overview.enrolment_of(who(request).account.id)
    listed = await _patients(request, enrolment) if enrolment else []
    noted = await practice_overview.noted_by(enrolment["practice_id"], who(request).account.actor) if enrolment else []
    waiting = await practice_overview.hand_overs_to_confirm(enrolment["practice_id"]) if enrolment and listed else []
    return await show(request, "doctor/patients.html", patients=listed, total=len(listed), waiting=waiting, noted=noted)


async def object_for(request: Request) -> Response:
    """A patient told her no: one click, today; or an earlier day. The number comes in the form, never in an address."""
    given = await form(request)
    objection = await told_doctor.object_for(
        portal_of(request).means,
        practice_id=(await _enrolment(request))["practice_id"],
        number=given.get("number", ""),
        said_on=given_day(given, "said_on"),
        by=who(request).account,
    )
    return see_other(request, f"/doctor/objections/{objection}")


async def tell_alone(request: Request) -> Response:
    """A minor of fifteen or more asked for it: from now on notices go to her."""
    return await _minor(request, minors.tell_alone)


async def tell_holders(request: Request) -> Response:
    """She does not ask for it any more: her holders of authority are told again."""
    return await _minor(request, minors.tell_holders_again)


async def _minor(request: Request, step: Callable[..., Awaitable[None]]) -> Response:
    practice_id, number = (await _enrolment(request))["practice_id"], (await form(request)).get("number", "")
    await step(portal_of(request).means, practice_id=practice_id, number=number, by=who(request).account)
    return see_other(request, "/doctor/patients")


async def objection(request: Request) -> Response:
    told = await told_doctor.told(portal_of(request).means, path_uuid(request), by=who(request).account)
    return await show(
        request, "doctor/objection.html", told=told, reference=reference(told.id), here="/doctor/patients"
    )


async def undo_objection(request: Request) -> Response:
    wanted = path_uuid(request)
    await told_doctor.undo(portal_of(request).means, wanted, by=who(request).account)
    return see_other(request, f"/doctor/objections/{wanted}")


async def take_back_objection(request: Request) -> Response:
    """The patient tells her doctor that she takes her no back."""
    wanted, said_on = path_uuid(request), given_day(await form(request), "said_on")
    await told_doctor.take_back_told(portal_of(request).means, wanted, said_on=said_on, by=who(request).account)
    return see_other(request, f"/doctor/objections/{wanted}")


async def leave_page(request: Request) -> Response:
    enrolment = await practice_overview.enrolment_of(who(request).account.id)
    if enrolment is None:
        return see_other(request, "/doctor")
    return await show(
        request,
        "doctor/leave.html",
        practice=enrolment["practice"],
        observatory={"name": enrolment["observatory"]},
        state=enrolment["state"],
        done=enrolment["ended_at"] if enrolment["state"] == State.LEFT else None,
    )


async def leave(request: Request) -> Response:
    enrolment_id = (await _enrolment(request))["id"]
    await flow.leave(portal_of(request).means, who(request).account, enrolment_id, session=who(request).session)
    return see_other(request, "/doctor/leave")


async def pause(request: Request) -> Response:
    await flow.pause(portal_of(request).means, who(request).account, (await _enrolment(request))["id"])
    return see_other(request, "/doctor")


async def resume(request: Request) -> Response:
    await flow.resume(portal_of(request).means, who(request).account, (await _enrolment(request))["id"])
    return see_other(request, "/doctor")


def _sites(request: Request) -> list[Site]:
    return [site for site in who(request).sites if site.finess]


async def _observatory() -> dict[str, Any]:
    house = await overview.house()
    if house is None:
        raise Refused("no_observatory", "no observatory is open", status=409)
    return house


async def _choice_of_site(request: Request, *, missing: bool) -> Response:
    sites = [{"id": s.finess, "name": s.name, "place": f"FINESS {s.finess}"} for s in _sites(request)]
    return await show(
        request,
        "doctor/enrol.html",
        status=422 if missing else 200,
        sites=sites,
        observatory={"name": (await _observatory())["name"]},
        missing=missing and bool(sites),
    )


async def _agreement(request: Request, *, missing: bool) -> Response:
    enrolment = await _enrolment(request)
    signable = State.SIGNED in flow.ALLOWED[State(enrolment["state"])]
    language = chosen_language(request) or browser_language(request)
    text = await practice_overview.agreement(
        enrolment["observatory_id"], language, text_id=None if signable else enrolment["agreement_id"]
    )
    if text is None:
        raise Refused("no_agreement", "no agreement is published", status=409)
    signed = {
        "at": enrolment["signed_at"],
        "version": enrolment["signed_version"],
        "history": enrolment["includes_history"],
    }
    return await show(
        request,
        "doctor/agreement.html",
        status=422 if missing else 200,
        practice=enrolment["practice"],
        agreement={**text["body"], "id": text["id"], "version": text["version"], "hash": text["sha256"]},
        signed=signed if enrolment["signed_at"] else None,
        signable=signable,
        missing=missing and signable,
    )
