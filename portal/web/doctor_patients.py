"""A practice's patients as its doctor sees them: how many are told, who is where (never why), a no told in person.

The practice's number of a patient comes in a form and never stands in an address.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import minors, told_doctor
from portal.records import practice_overview, practice_to_do
from portal.rules.waiting import paris_day
from portal.rules.words import EnrolmentState as State
from portal.web.doctor_frame import chosen
from portal.web.doctor_frame import enrolment as enrolment_here
from portal.web.frame import form, given_day, path_uuid, portal_of, reference, see_other, show, who

VERIFIED = frozenset({State.ACTIVE, State.PAUSED})

NOT_YET = frozenset({State.IDENTIFIED, State.SIGNED})
"""Before that, nobody sees what left the practice either; who left it may go on looking at that."""

NOBODY = {**dict.fromkeys(practice_overview.PATIENT_STATES, 0), "total": 0}


def sees_patients(enrolment: dict[str, Any], now: datetime) -> bool:
    """Nobody's patients are shown to somebody whose place at the practice was not verified, who left it, or whose last
    day there is over."""
    return enrolment["state"] in VERIFIED and (enrolment["last"] is None or paris_day(now) <= enrolment["last"])


async def dashboard(request: Request, enrolment: dict[str, Any]) -> dict[str, Any]:
    """What the first page shows of a practice: what to do, how many patients stand where, what has left."""
    here, counts = (enrolment["practice_id"], enrolment["observatory_id"]), await _counts(request, enrolment)
    verified = enrolment["state"] not in NOT_YET
    return {
        "counts": counts,
        "to_do": await practice_to_do.to_do(enrolment, counts, _now(request)),
        "sent": await practice_overview.sent_from(*here) if verified else [],
        "extracted": await practice_overview.extracted(*here) if verified else [],
    }


async def patients(request: Request) -> Response:
    """All, or those of one state, fifty a page; the first page also shows what waits and what was noted."""
    enrolment = await chosen(request)
    wanted = request.query_params.get("state", "")
    state = wanted if wanted in practice_overview.PATIENT_STATES else ""
    if enrolment is None or not sees_patients(enrolment, _now(request)):
        return await _show(request, [], NOBODY, verified=False)
    counts = await _counts(request, enrolment)
    pages = -(-counts[state or "total"] // practice_overview.PER_PAGE) or 1
    page = min(_page(request), pages)
    practice, account = enrolment["practice_id"], who(request).account
    listed = await practice_overview.patients(
        practice, enrolment["observatory_id"], _now(request), state=state, page=page
    )
    first = page == 1 and not state
    return await _show(
        request, listed, counts, state=state, page=page, pages=pages,
        waiting=await practice_overview.hand_overs_to_confirm(practice) if first else [],
        noted=await practice_overview.noted_by(practice, account.actor) if first else [],
    )  # fmt: skip


async def find(request: Request) -> Response:
    """The one patient of a number that was typed; changes nothing."""
    enrolment, number = await enrolment_here(request), (await form(request)).get("number", "").strip()
    if not sees_patients(enrolment, _now(request)):
        return await _show(request, [], NOBODY, verified=False)
    here = (enrolment["practice_id"], enrolment["observatory_id"], _now(request))
    return await _show(
        request, await practice_overview.patient(*here, number), await _counts(request, enrolment), sought=number
    )


async def _show(request: Request, listed: list[dict[str, Any]], counts: dict[str, int], **changes: Any) -> Response:
    shown = {
        "verified": True,
        "state": "",
        "page": 1,
        "pages": 1,
        "waiting": [],
        "noted": [],
        "sought": None,
        **changes,
    }
    return await show(request, "doctor/patients.html", patients=listed, counts=counts, **shown)


async def _counts(request: Request, enrolment: dict[str, Any]) -> dict[str, int]:
    if not sees_patients(enrolment, _now(request)):
        return NOBODY
    return await practice_overview.counts(enrolment["practice_id"], enrolment["observatory_id"], _now(request))


def _page(request: Request) -> int:
    asked = request.query_params.get("page", "")
    return max(int(asked), 1) if asked.isascii() and asked.isdecimal() and len(asked) < 9 else 1


def _now(request: Request) -> datetime:
    return portal_of(request).means.clock.now()


# --- acts ------------------------------------------------------------------------------------------------------------


async def object_for(request: Request) -> Response:
    """A patient told her no: one click, today; or an earlier day."""
    given = await form(request)
    objection = await told_doctor.object_for(
        portal_of(request).means,
        practice_id=(await enrolment_here(request))["practice_id"],
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
    practice_id, number = (await enrolment_here(request))["practice_id"], (await form(request)).get("number", "")
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
