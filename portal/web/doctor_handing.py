"""A notice handed out at the practice: shown as a square or printed, then confirmed by the doctor."""

import re
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import hand_over
from portal.flow.hand_over import HandOut
from portal.flow.paper import PrintJob
from portal.rules.refusals import Refused
from portal.web.doctor_frame import enrolment as chosen_enrolment
from portal.web.frame import form, path_uuid, portal_of, see_other, show, who
from portal.web.on_paper import pdf_file, press
from portal.web.print_file import compose_letters, square


async def prepare(request: Request) -> Response:
    """For the patient of a row; the number comes in the form, never in an address."""
    enrolment = await chosen_enrolment(request)
    notice = await hand_over.prepare_hand_out(
        portal_of(request).means,
        observatory_id=enrolment["observatory_id"],
        practice_id=enrolment["practice_id"],
        number=(await form(request)).get("number", ""),
        by=who(request).account,
    )
    return see_other(request, f"/doctor/notices/{notice}")


async def page(request: Request) -> Response:
    shown = await _hand_out(request)
    return await show(
        request,
        "doctor/hand_out.html",
        notice=shown,
        addressee=shown.letter.addressee,
        square=_inline(square(shown.letter.link)) if shown.open else "",
        here="/doctor/patients",
    )


async def print_(request: Request) -> Response:
    """The whole notice on paper, without an address."""
    shown, means = await _hand_out(request), portal_of(request).means
    if not shown.open:
        raise Refused("handed_over", "its link is the patient's alone by now", status=409)
    job = PrintJob(0, shown.reported_at, shown.observatory, [replace(shown.letter, lines=())])
    pdf = await press().set("notice", compose_letters(means.base_url)(job), at=shown.reported_at)
    return pdf_file(pdf, "notice.pdf")


async def confirm(request: Request) -> Response:
    await hand_over.confirm_handed_over(portal_of(request).means, path_uuid(request), by=who(request).account)
    return see_other(request, f"/doctor/notices/{path_uuid(request)}")


async def undo(request: Request) -> Response:
    await hand_over.undo_handed_over(portal_of(request).means, path_uuid(request), by=who(request).account)
    return see_other(request, f"/doctor/notices/{path_uuid(request)}")


async def _hand_out(request: Request) -> HandOut:
    return await hand_over.hand_out(portal_of(request).means, path_uuid(request), by=who(request).account)


def _inline(svg: str) -> str:
    """The drawing as a part of the page, which says how wide it is: without what only a file of its own has."""
    side = re.search(r'width="(\d+)"', svg)
    drawn = svg[svg.index("<path") : svg.index("</g>")]
    return f'<svg viewBox="0 0 {side[1]} {side[1]}" aria-hidden="true" focusable="false">{drawn}</svg>' if side else ""
