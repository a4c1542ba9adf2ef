"""Campaigns at the desk: seen before they start, started, stopped and resumed."""

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import campaign, notify
from portal.records import overview
from portal.rules.refusals import Refused
from portal.rules.words import Role
from portal.web.frame import form, path_number, portal_of, see_other, show, who


async def campaigns(request: Request) -> Response:
    now = portal_of(request).means.clock.now()
    may_start = who(request).account.role == Role.OPERATOR
    return await show(
        request,
        "desk/campaigns.html",
        may_start=may_start,
        observatories=await overview.observatories(),
        practices=await overview.practices_to_tell() if may_start else [],
        campaigns=await overview.campaigns(now),
    )


async def plan(request: Request) -> Response:
    """Who would be told now, and why. Nothing is sent before the next button."""
    practice, observatory = await _asked(dict(request.query_params))
    found = await campaign.plan_campaign(
        portal_of(request).means, observatory_id=observatory["id"], practice_id=practice["id"]
    )
    lines = sorted(found.due.items(), key=lambda line: (line[0][1] is None, -line[1], line[0][0]))
    return await show(
        request,
        "desk/campaign_plan.html",
        practice=practice,
        observatory=observatory,
        lines=[{"why": why, "channel": channel, "count": count} for (why, channel), count in lines],
        plan=found,
        here="/desk/campaigns",
    )


async def start(request: Request) -> Response:
    """Only for a practice and an observatory of the list that the page offers."""
    practice, observatory = await _asked(await form(request))
    await campaign.start_campaign(
        portal_of(request).means, observatory_id=observatory["id"], practice_id=practice["id"], by=who(request).account
    )
    return see_other(request, "/desk/campaigns")


async def stop(request: Request) -> Response:
    await campaign.stop_campaign(portal_of(request).means, path_number(request), by=who(request).account)
    return see_other(request, "/desk/campaigns")


async def resume(request: Request) -> Response:
    await campaign.resume_campaign(portal_of(request).means, path_number(request), by=who(request).account)
    return see_other(request, "/desk/campaigns")


async def try_again(request: Request) -> Response:
    """What no server took, however often it was tried."""
    await notify.try_again(portal_of(request).means, path_number(request), by=who(request).account)
    return see_other(request, "/desk/campaigns")


async def _asked(given: dict[str, str]) -> tuple[overview.Row, overview.Row]:
    """The practice and the observatory, each of the list."""
    practice = next((p for p in await overview.practices_to_tell() if p["id"] == given.get("practice")), None)
    if practice is None:
        raise Refused("practice", "choose a practice of the list", status=422)
    observatory = next((o for o in await overview.observatories() if o["id"] == given.get("observatory")), None)
    if observatory is None:
        raise Refused("observatory", "choose an observatory of the list", status=422)
    return practice, observatory
