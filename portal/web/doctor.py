"""The doctor's pages: look, leave; her patients. Patients are shown once an operator has verified who signed."""

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import enrol as flow
from portal.rules.words import EnrolmentState as State
from portal.web import doctor_patients
from portal.web.doctor_frame import chosen
from portal.web.doctor_frame import enrolment as _enrolment
from portal.web.doctor_joining import newer_agreement, sites_to_join
from portal.web.frame import portal_of, see_other, show, who


async def home(request: Request) -> Response:
    account = who(request).account
    enrolment = await chosen(request)
    if enrolment is None:
        return await show(request, "doctor/home.html", doctor=account.display_name, state=None, newer=None, sites=())
    signed = enrolment["signed_at"] is not None
    return await show(
        request,
        "doctor/home.html",
        doctor=account.display_name,
        practice=enrolment["practice"],
        state=enrolment["state"],
        since=enrolment["since"],
        observatory={"name": enrolment["observatory"]},
        **await doctor_patients.dashboard(request, enrolment),
        agreement={
            "version": enrolment["signed_version"],
            "signed_at": enrolment["signed_at"],
            "history": enrolment["includes_history"],
        }
        if signed
        else None,
        newer=await newer_agreement(request, enrolment),
        sites=await sites_to_join(request),
    )


async def leave_page(request: Request) -> Response:
    enrolment = await chosen(request)
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
