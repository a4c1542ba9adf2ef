"""Doctors at the desk: invited, looked up, verified, suspended."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from stdnum import luhn

from portal.flow import enrol, invite, look_up, suspend
from portal.records import enrolment_overview, overview
from portal.rules.enrolment import ALLOWED
from portal.rules.refusals import Refused
from portal.rules.words import EnrolmentState as State
from portal.rules.words import Role, Suspended
from portal.web.frame import form, path_number, path_uuid, portal_of, see_other, show, who, words

HERE = "/desk/enrolments"
AGAIN = {
    "doctor_number": "Le numéro du médecin ne convient pas. Reprenez celui de la liste des patients.",
    "number_taken": "Ce numéro est ou a été celui d’un autre médecin du cabinet. Après un départ, il ne vaut que sans "
    "l’historique.",
    "email": "Cette adresse n’en est pas une. Corrigez-la, ou laissez le champ vide.",
}
"""What is asked again on the page, and the sentence of each."""


async def page(request: Request) -> Response:
    return await _page(request, None, {})


async def verify(request: Request) -> Response:
    """The operator found the doctor, and names her as the practice's software does."""
    enrolment_id, number = path_number(request), (await form(request)).get("doctor_number", "")
    try:
        await enrol.verify(portal_of(request).means, enrolment_id, doctor_number=number, by=who(request).account)
    except Refused as no:
        return await _again(request, no, f"doctor_number-{enrolment_id}")
    return see_other(request, HERE)


async def look_up_doctor(request: Request) -> Response:
    """Asks the public directory; what it says stands in the row."""
    portal = portal_of(request)
    if portal.directory is None:
        raise Refused("no_directory", "no directory is set", where="PORTAL_DIRECTORY_URL", status=409)
    await look_up.look_up(portal.means, portal.directory, path_number(request), by=who(request).account)
    return see_other(request, HERE)


async def suspend_doctor(request: Request) -> Response:
    given = (await form(request)).get("reason", "")
    reason = next((each for each in Suspended if each == given), None)
    if reason is None:
        raise Refused("reason", "say why, as one of the reasons of the list", status=422)
    await suspend.suspend(portal_of(request).means, path_number(request), reason=reason, by=who(request).account)
    return see_other(request, HERE)


async def lift(request: Request) -> Response:
    await suspend.lift(portal_of(request).means, path_number(request), by=who(request).account)
    return see_other(request, HERE)


async def invite_doctor(request: Request) -> Response:
    given = await form(request)
    house = await overview.house()
    if house is None:
        raise Refused("no_observatory", "no observatory is open", status=409)
    try:
        await invite.invite(
            portal_of(request).means,
            email=given.get("email", ""),
            observatory_id=house["id"],
            practice_id=given.get("practice") or None,
            by=who(request).account,
        )
    except Refused as no:
        return await _again(request, no, "email", given)
    return see_other(request, HERE)


async def withdraw_invitation(request: Request) -> Response:
    await invite.withdraw(portal_of(request).means, path_uuid(request), by=who(request).account)
    return see_other(request, HERE)


async def _again(request: Request, no: Refused, field: str, given: dict[str, str] | None = None) -> Response:
    """The page with what was wrong at its field; another refusal is none of its own."""
    if no.code not in AGAIN:
        raise no
    return await _page(request, {"field": field, "sentence": words(request, AGAIN[no.code])}, given or {})


async def _page(request: Request, wrong: dict[str, Any] | None, given: dict[str, str]) -> Response:
    portal, may = portal_of(request), who(request).account.role == Role.OPERATOR
    listed = [
        {
            **row,
            "wrong_key": row["rpps"].isdecimal() and not luhn.is_valid(row["rpps"]),
            "may_verify": may and row["state"] == State.SIGNED,
            "may_suspend": may and State.SUSPENDED in ALLOWED[State(row["state"])],
            "may_lift": may and row["state"] == State.SUSPENDED,
        }
        for row in await enrolment_overview.enrolments()
    ]
    return await show(
        request,
        "desk/enrolments.html",
        status=422 if wrong else 200,
        enrolments=listed,
        invitations=await enrolment_overview.open_invitations(portal.means.clock.now()),
        practices=await enrolment_overview.practices(),
        reasons=list(Suspended),
        directory=portal.directory is not None,
        may_invite=may,
        given=given,
        wrong=wrong,
        here=HERE,
    )
