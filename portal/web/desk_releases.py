"""Releases at the desk: an operator prepares and seals, a DPO approves; the pages offer only the next act."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import release as flow
from portal.flow.sign_in import same_human
from portal.records import overview, release_overview
from portal.rules.refusals import Refused
from portal.rules.words import ReleaseState, Role
from portal.web.frame import form, path_id, portal_of, see_other, show, who, words


async def releases(request: Request) -> Response:
    found = await release_overview.releases()
    may_prepare = who(request).account.role == Role.OPERATOR
    return await show(
        request,
        "desk/releases.html",
        studies=[s for s in await overview.studies() if s["closed_at"] is None] if may_prepare else [],
        releases=await _named(found),
    )


async def prepare(request: Request) -> Response:
    study = (await form(request)).get("study", "")
    release_id = await flow.prepare(portal_of(request).means, study, by=who(request).account)
    return see_other(request, f"/desk/releases/{release_id}")


async def release(request: Request) -> Response:
    found = await release_overview.release(path_id(request))
    if found is None:
        raise Refused("unknown_release", "there is no such release", status=404)
    account = who(request).account
    own = same_human(found["preparer_account"], account)
    to_approve = account.role == Role.DPO and found["state"] == ReleaseState.PREPARED
    to_seal = account.role == Role.OPERATOR and found["state"] == ReleaseState.APPROVED
    no_key = found["age_recipient"] is None and not portal_of(request).means.releases_in_plain
    return await show(
        request,
        "desk/release.html",
        release=(await _named([found]))[0],
        since_last=found["since_last"],
        may_approve=to_approve and not own,
        may_seal=to_seal and not no_key,
        no_key=no_key,
        why_not=words(request, "Il faut une seconde personne, avec le droit de le faire.")
        if to_approve and own
        else None,
        steps=await _with_names(found["steps"]),
    )


async def approve(request: Request) -> Response:
    me = who(request)
    await flow.approve(portal_of(request).means, path_id(request), by=me.account, second_factor=me.second_factor)
    return see_other(request, f"/desk/releases/{path_id(request)}")


async def seal(request: Request) -> Response:
    await flow.seal(portal_of(request).means, path_id(request), by=who(request).account)
    return see_other(request, f"/desk/releases/{path_id(request)}")


async def _named(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = await overview.names_of([a for r in found for a in (r["prepared_by"], r["approved_by"])])
    return [
        {
            **r,
            "preparer": names.get(r["prepared_by"], r["prepared_by"]),
            "approver": names.get(r["approved_by"], r["approved_by"]),
        }
        for r in found
    ]


async def _with_names(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = await overview.names_of([s["actor"] for s in steps])
    return [{**s, "actor": names.get(s["actor"], s["actor"])} for s in steps]
