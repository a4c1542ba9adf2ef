"""The patient's pages: no account, no cookie, no script. Only the posts change anything."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import opt_out
from portal.flow.behind_link import Opened, deliveries, open_link, read_as, readings
from portal.flow.behind_link import requests as requests_of
from portal.flow.behind_link import uses as uses_of
from portal.flow.opt_out import Said
from portal.flow.receipt_file import receipt_file
from portal.flow.rights import ask
from portal.records.overview import leaf_of
from portal.rules.people import AgeBand
from portal.rules.refusals import Refused
from portal.rules.words import Addressee, Language, RightsKind, Scope
from portal.web.frame import chosen_language, form, framed, portal_of, reference, see_other
from portal.web.on_paper import as_pdf, pdf_file


def _token(request: Request) -> str:
    return str(request.path_params["token"])


async def _open(request: Request) -> Opened:
    return await open_link(portal_of(request).means, _token(request))


async def _show(request: Request, opened: Opened, template: str, *, status: int = 200, **context: object) -> Response:
    """A page in the notice's language unless she chose another, with the contacts of the notice's observatory, which
    are also kept for pages shown while the database is down."""
    reached = {
        "publisher": opened.observatory["controller"], "dpo_email": opened.observatory["dpo_email"],
        "phone": opened.phone, "post": opened.post,
    }  # fmt: skip
    portal_of(request).contacts.update({**reached, **portal_of(request).contacts})
    return framed(
        request,
        template,
        status=status,
        default=opened.language,
        **{
            **reached, "token": _token(request), "observatory": opened.observatory, "represented": opened.represented,
            "state": opened.link.state, "practice": opened.practice, "studies": opened.studies, **context,
        },
    )  # fmt: skip


async def notice(request: Request) -> Response:
    opened = await _open(request)
    no = opened.link.counts
    return await _show(
        request,
        opened,
        "patient/notice.html",
        doctor=opened.doctor,
        since=opened.since,
        today=opened.today,
        first_use=opened.first_use,
        answered_at=(no.withdrawn_at or no.received_at) if no else opened.link.answered_at,
        reference=reference(no.id) if no else None,
        mine=no.mine if no else False,
        text=opened.text,
        said=opened.link.said,
        readings=readings(opened, _language(request, opened)),
    )


def _language(request: Request, opened: Opened) -> Language:
    return chosen_language(request) or opened.language


async def reading(request: Request) -> Response:
    """The same notice as it is written for another reader, in the language of the page."""
    opened = await _open(request)
    reader = str(request.path_params["reader"])
    text = await read_as(opened, reader, _language(request, opened))
    return await _show(request, opened, "patient/reading.html", reader=reader, text=text, doctor=opened.doctor)


async def part(request: Request) -> Response:
    return await _show_part(request, await _open(request), missing=False)


async def _show_part(request: Request, opened: Opened, *, missing: bool, **context: object) -> Response:
    covered = {_value(said) for said in opened.link.in_force}
    return await _show(
        request,
        opened,
        "patient/part.html",
        status=422 if missing else 200,
        missing=missing,
        covered=covered,
        **context,
    )


def _value(said: Said) -> str:
    """What the field `scope` holds for an objection: its scope, or the study's id."""
    return said.scope_ref if said.scope is Scope.STUDY else str(said.scope)


def _scope(value: str, opened: Opened) -> tuple[Scope, str] | None:
    """The scope that a posted value names, with its study; None when it names none."""
    if value in (Scope.EVERYTHING, Scope.OBSERVATORY, Scope.PRACTICE):
        return Scope(value), ""
    return (Scope.STUDY, value) if value in opened.studies else None


async def object_(request: Request) -> Response:
    """Records the no and shows its receipt; a part that names none is asked again."""
    opened = await _open(request)
    wanted = _scope((await form(request)).get("scope", ""), opened)
    if wanted is None:
        return await _show_part(request, opened, missing=True, here=f"/o/{_token(request)}/part")
    said = await opt_out.object_(portal_of(request).means, _token(request), *wanted)
    query = {"of": str(said.entry_id)} if said.scope is not Scope.EVERYTHING else {}
    query |= {"again": "1"} if said.again else {}
    return see_other(request, f"/o/{_token(request)}/receipt", **query)


async def receipt(request: Request) -> Response:
    """Of the objection whose entry the address names; else of the one that counts."""
    opened = await _open(request)
    no = _asked_for(request, opened)
    if no is None:
        return see_other(request, f"/o/{_token(request)}")
    shown = await _receipt(opened, no)
    shown["receipt"]["again"] = request.query_params.get("again") == "1"
    return await _show(request, opened, "patient/receipt.html", **shown)


async def _receipt(opened: Opened, no: Said) -> dict[str, Any]:
    """What the receipt says, on the page and on paper."""
    return {
        "receipt": {
            "reference": reference(no.id),
            "scope": no.scope,
            "scope_ref": no.scope_ref,
            "received_at": no.received_at,
            "channel": no.channel,
            "gate_since": no.received_at,
            "taken_back_at": no.withdrawn_at,
            "mine": no.mine,
            "entry": no.entry_id,
            "leaf": await leaf_of(no.entry_id),
        },
        "deliveries": await deliveries(opened.link, no),
    }


async def receipt_as_pdf(request: Request) -> Response:
    """What its page says, on paper."""
    opened = await _open(request)
    no = _wanted(request, opened)
    content = await as_pdf(
        "letter/receipt.txt",
        language=_language(request, opened),
        at=no.withdrawn_at or no.received_at,
        observatory=opened.observatory,
        represented=opened.represented,
        practice=opened.practice,
        studies=opened.studies,
        **await _receipt(opened, no),
    )
    return pdf_file(content, f"receipt-{reference(no.id)}.pdf")


async def receipt_as_file(request: Request) -> Response:
    """The same as a signed file, to be kept and checked without the portal."""
    opened = await _open(request)
    no = _wanted(request, opened)
    return Response(await receipt_file(portal_of(request).means, opened, no), media_type="application/json")


def _wanted(request: Request, opened: Opened) -> Said:
    no = _asked_for(request, opened)
    if no is None:
        raise Refused("no_receipt", "nothing was said through this link", status=404)
    return no


def _asked_for(request: Request, opened: Opened) -> Said | None:
    """The objection whose entry the address names; else the one that counts."""
    of = request.query_params.get("of")
    return next((said for said in opened.link.said if str(said.entry_id) == of), opened.link.counts)


async def uses(request: Request) -> Response:
    """Where her data went: each study that was sent some, and what has become of them."""
    opened = await _open(request)
    return await _show(request, opened, "patient/uses.html", today=opened.today, uses=await uses_of(opened.link))


async def rights(request: Request) -> Response:
    """Her other rights in plain words, and what she has asked for."""
    opened = await _open(request)
    of_age = opened.link.addressee == Addressee.PARENT and opened.band is AgeBand.ADULT
    return await _show(
        request, opened, "patient/rights.html", kinds=tuple(RightsKind), of_age=of_age,
        requests=await requests_of(opened.link),
    )  # fmt: skip


async def ask_right(request: Request) -> Response:
    """One right, without a reason; the same again finds the first request."""
    kind = (await form(request)).get("kind", "")
    if kind not in set(RightsKind):
        raise Refused("request", "choose one of the list", status=422)
    await ask(portal_of(request).means, _token(request), RightsKind(kind))
    return see_other(request, f"/o/{_token(request)}/rights")


async def keep(request: Request) -> Response:
    await opt_out.keep(portal_of(request).means, _token(request))
    return see_other(request, f"/o/{_token(request)}/kept")


async def kept(request: Request) -> Response:
    """What she answered; with a no in force, which a "yes" does not lift, the notice that says so."""
    opened = await _open(request)
    if opened.link.in_force or opened.link.answered_at is None:
        return see_other(request, f"/o/{_token(request)}")
    return await _show(request, opened, "patient/kept.html", answered_at=opened.link.answered_at)


async def ask_to_withdraw(request: Request) -> Response:
    opened = await _open(request)
    mine = [said for said in opened.link.in_force if said.mine]
    if not mine:
        return see_other(request, f"/o/{_token(request)}")
    lines = [(said, _value(said)) for said in mine]
    return await _show(request, opened, "patient/withdraw.html", today=opened.today, text=opened.text, lines=lines)


async def withdraw(request: Request) -> Response:
    """All that this link said, with a receipt; or, with a scope, that one no."""
    value = (await form(request)).get("scope", "")
    wanted = _scope(value, await _open(request)) if value else (None, "")
    if wanted is None:
        raise Refused("scope", "choose which no you take back", status=422)
    lifted = await opt_out.withdraw(portal_of(request).means, _token(request), *wanted)
    return see_other(request, f"/o/{_token(request)}" + ("/receipt" if lifted and not value else ""))
