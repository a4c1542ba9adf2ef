"""The desk: what to do now, texts to approve, outages, the log."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import govern, outage, read_log
from portal.records import identity_overview, log_reviews, overview, path_overview, store_overview
from portal.rules.reading import BARS, notice_reading
from portal.rules.refusals import Refused
from portal.rules.waiting import midnight, paris_day
from portal.rules.words import Reader, Role, TextState
from portal.web.frame import form, given_day, path_id, path_number, portal_of, see_other, show, who

WAYS = {
    "enrolments": "/desk/enrolments",
    "texts": "/desk/texts",
    "drafts": "/desk/drafts",
    "outages": "/desk/outages",
    "stuck": "/desk/campaigns",
    "to_approve": "/desk/releases",
    "to_seal": "/desk/releases",
    "late_deletions": "/desk/releases",
    "incidents": "/desk/objections",
    "objections": "/desk/objections",
    "objections_late": "/desk/objections",
    "doubts": "/desk/doubts",
    "requests": "/desk/requests",
    "requests_late": "/desk/requests",
    "late_erasures": "/desk/log",
    "log_unread": "/desk/log",
    "log_unread_late": "/desk/log",
    "canary": "/desk/outages",
    "channels_silent": "/desk/objections",
    "channels_differ": "/desk/objections",
}
"""Where each thing to do is done."""


async def home(request: Request) -> Response:
    now = portal_of(request).means.clock.now()
    waiting = await overview.to_do(paris_day(now)) + await identity_overview.to_do(paris_day(now))
    waiting += await path_overview.to_do(now) + await log_reviews.to_do(paris_day(now))
    todo = [{**row, "href": WAYS[row["kind"]]} for row in sorted(waiting, key=lambda row: row["oldest"])]
    listed = await path_overview.channels()
    return await show(
        request,
        "desk/home.html",
        todo=todo,
        checked_at=now,
        counts=await overview.figures(now),
        canary=await path_overview.canary(now),
        channels=[{**row, "agrees": path_overview.agrees(row)} for row in listed],
        counted_at=max((row["counted_at"] for row in listed if row["counted_at"]), default=None),
        bounced=(await path_overview.post(now))["bounced"],
    )


async def log(request: Request) -> Response:
    """The newest entries; `?before=` pages back. The first page also shows what waits for a reader, and what had to
    leave the store."""
    asked = request.query_params.get("before", "")
    before = int(asked) if asked.isdecimal() and len(asked) < 19 else None
    entries, total = await overview.log_page(before)
    shown = [{**row, "actor_role": row["actor"].partition(":")[0]} for row in entries]
    older = entries[-1]["id"] if len(entries) == overview.PAGE and entries[-1]["id"] > 1 else None
    today = paris_day(portal_of(request).means.clock.now())
    gone = [] if before else [{**e, "late": e["due_on"] < today} for e in await store_overview.erasures()]
    unread = [] if before else (await read_log.for_reader(who(request).account))[: overview.PAGE]
    names = await overview.names_of(row["actor"] for row in unread)
    unread = [{**r, "who": names.get(r["actor"], r["actor"]), "late": r["due_on"] < today} for r in unread]
    return await show(request, "desk/log.html", entries=shown, total=total, older=older, erasures=gone, unread=unread)


async def read_up_to(request: Request) -> Response:
    """She has read what waited, up to the last line that the page showed."""
    last = (await form(request)).get("last", "")
    if not last.isdecimal() or len(last) > 18:
        raise Refused("nothing_to_read", "say up to which entry you have read", status=422)
    await read_log.read_up_to(portal_of(request).means, int(last), by=who(request).account)
    return see_other(request, "/desk/log")


async def texts(request: Request) -> Response:
    found = await overview.texts()
    names = await overview.names_of([a for t in found for a in (t["author"], t["approved_by"])])
    account = who(request).account
    shown = [
        {
            **text,
            "title": text["body"]["title"],
            "reading": notice_reading(text["body"]) if text["reader"] else None,
            "bar": BARS[Reader(text["reader"])] if text["reader"] else None,
            "author": names.get(text["author"], text["author"]),
            "approver": names.get(text["approved_by"], text["approved_by"]),
            "may_approve": account.role == Role.DPO
            and text["state"] == TextState.DRAFT
            and text["author"] != account.actor,
            "body": _sections(text["body"]) if text["state"] == TextState.DRAFT else [],
        }
        for text in found
    ]
    return await show(request, "desk/texts.html", texts=shown)


async def approve_text(request: Request) -> Response:
    await govern.approve_text(portal_of(request).means, path_id(request), by=who(request).account)
    return see_other(request, "/desk/texts")


async def outages(request: Request) -> Response:
    return await show(request, "desk/outages.html", outages=await overview.outages())


async def begin_outage(request: Request) -> Response:
    """Since now, or since the beginning of a day: it may be found late."""
    since = given_day(await form(request), "since")
    began_at = midnight(since) if since else None
    await outage.begin_outage(portal_of(request).means, actor=who(request).account.actor, began_at=began_at)
    return see_other(request, "/desk/outages")


async def end_outage(request: Request) -> Response:
    await outage.end_outage(portal_of(request).means, path_number(request), actor=who(request).account.actor)
    return see_other(request, "/desk/outages")


def _sections(body: dict[str, Any]) -> list[dict[str, str]]:
    """A notice's draft as it will be read: the objection first, then each item under its heading."""
    items = [
        {"heading": heading, "text": item["not_applicable"] if isinstance(item, dict) else item}
        for key, heading in body["headings"].items()
        if (item := body["items"].get(key)) is not None
    ]
    facts = [{"heading": fact["question"], "text": fact["answer"]} for fact in body["facts"]]
    return [{"heading": body["title"], "text": body["objection"]}, *facts, *items]
