"""A practice's papers: what hangs and lies in the waiting room, the blank form, and what the doctor keeps on file."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import told_doctor
from portal.records import practice_papers
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import EnrolmentState as State
from portal.web import render
from portal.web.doctor_frame import enrolment as enrolment_here
from portal.web.doctor_patients import VERIFIED
from portal.web.frame import (
    browser_language,
    chosen_language,
    form,
    given_day,
    path_id,
    portal_of,
    see_other,
    show,
    who,
)
from portal.web.on_paper import as_pdf, pdf_file, press
from portal.web.print_file import text_of
from portal.web.rich_text import rich_text
from portal.web.waiting_room import SHEETS, compose_sheet

TAKES_PART = frozenset({State.SIGNED, State.ACTIVE, State.PAUSED})
"""Only then may a poster say so."""

KIT = ("processing", "dpia")
"""What the doctor keeps on file, each as a PDF and as a file to be edited."""


async def papers(request: Request) -> Response:
    return await _page(request, "")


async def handed_in(request: Request) -> Response:
    """A patient handed the doctor the paper form: the same as telling her, from the day that stands on it."""
    enrolment, given = await enrolment_here(request), await form(request)
    number = given.get("number", "").strip()
    try:
        objection = await told_doctor.object_for(
            portal_of(request).means, practice_id=enrolment["practice_id"], number=number,
            said_on=given_day(given, "said_on"), by=who(request).account,
        )  # fmt: skip
    except Refused as no:
        if no.code not in ("unknown_patient", "said_on"):
            raise
        return await _page(request, {"unknown_patient": "number"}.get(no.code, no.code), given)
    return see_other(request, f"/doctor/objections/{objection}")


async def _page(request: Request, wrong: str, given: Mapping[str, str] | None = None) -> Response:
    enrolment = await enrolment_here(request)
    return await show(
        request,
        "doctor/papers.html",
        status=422 if wrong else 200,
        takes_part=enrolment["state"] in TAKES_PART,
        verified=enrolment["state"] in VERIFIED,
        wrong=wrong,
        given=given or {},
        here="/doctor/papers",
    )


async def paper(request: Request) -> Response:
    """One of them, in the language asked for; a GET changes nothing, and says nothing of any patient."""
    enrolment, name = await enrolment_here(request), path_id(request)
    now = portal_of(request).means.clock.now()
    language = chosen_language(request) or browser_language(request)
    stem, _, ending = name.rpartition(".")
    kept_as = f"{stem}-{language}.{ending}"
    if name in SHEETS:
        if enrolment["state"] not in TAKES_PART:
            raise Refused("not_taking_part", "a poster is for a practice that takes part")
        given, base_url = await _given(request, enrolment, now), portal_of(request).means.base_url
        sheet = compose_sheet(SHEETS[name], language=language, base_url=base_url, **given)
        return pdf_file(await press().set("waiting_room", sheet, at=now), kept_as)
    if stem in KIT and ending in ("pdf", "rtf"):
        given = await _given(request, enrolment, now)
        if ending == "pdf":
            return pdf_file(await as_pdf(f"letter/{stem}.txt", language=language, at=now, **given), kept_as)
        text = text_of(render.page(f"letter/{stem}.txt", language=language, **given), language)
        return Response(
            rich_text(text), media_type="application/rtf",
            headers={"Content-Disposition": f'attachment; filename="{kept_as}"'},
        )  # fmt: skip
    raise Refused("unknown_paper", "there is no such paper", status=404)


async def _given(request: Request, enrolment: dict[str, Any], now: datetime) -> dict[str, Any]:
    known = await practice_papers.facts(enrolment["practice_id"], enrolment["observatory_id"], paris_day(now))
    signed = {
        "version": enrolment["signed_version"],
        "signed_at": enrolment["signed_at"],
        "history": enrolment["includes_history"],
    }
    house = known["observatory"]
    named = house.postal_address.startswith(house.controller)
    return {
        **known,
        "seat": house.postal_address if named else f"{house.controller}, {house.postal_address}",
        "doctor": who(request).account.display_name,
        "agreement": signed if enrolment["signed_at"] else None,
        "on": paris_day(now),
    }
