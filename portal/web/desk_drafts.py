"""What reviewed files say, at the desk: drafts with their difference, authorisations and studies with their end."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import govern, review
from portal.records import overview
from portal.records.accounts import Account
from portal.rules.differences import changes
from portal.rules.refusals import Problem, Refused
from portal.rules.words import Role
from portal.web.frame import path_id, portal_of, see_other, show, who

LARGEST_ID = 2**63 - 1


async def drafts(request: Request) -> Response:
    found = await review.pending(portal_of(request).means.clock.now())
    names = await overview.names_of([p.draft.loaded_by for p in found])
    account = who(request).account
    return await show(request, "desk/drafts.html", drafts=[await _shown(p, names, account) for p in found])


async def _shown(p: review.Pending, names: dict[str, str], account: Account) -> dict[str, Any]:
    draft = p.draft
    other = await review.is_other(account, draft.loaded_by)
    return {
        "id": draft.id, "kind": draft.kind, "ref": draft.ref, "loaded_at": draft.loaded_at,
        "loader": names.get(draft.loaded_by, draft.loaded_by), "known": p.before is not None,
        "changes": changes(p.before, draft.body), "shuts": p.shuts,
        "problems": list(dict.fromkeys((problem.code, _field(problem)) for problem in p.problems)),
        "other": other, "dpo": account.role == Role.DPO,
        "may_approve": account.role == Role.DPO and bool(other) and not p.problems,
    }  # fmt: skip


def _field(problem: Problem) -> tuple[str, ...]:
    """`study.0.conditions.columns.sex.precision` without the table and the place in it."""
    return tuple(problem.where.split(".")[2:])


async def approve(request: Request) -> Response:
    me = who(request)
    await review.approve(portal_of(request).means, _number(request), by=me.account, second_factor=me.second_factor)
    return see_other(request, "/desk/drafts")


async def refuse(request: Request) -> Response:
    await review.refuse(portal_of(request).means, _number(request), by=who(request).account)
    return see_other(request, "/desk/drafts")


def _number(request: Request) -> int:
    number = int(request.path_params["id"])
    if number > LARGEST_ID:
        raise Refused("unknown_draft", "there is no such draft", status=404)
    return number


async def studies(request: Request) -> Response:
    return await show(
        request,
        "desk/studies.html",
        authorisations=await overview.authorisations(),
        studies=await overview.studies(),
    )


async def close_study(request: Request) -> Response:
    await govern.close_study(portal_of(request).means, path_id(request), by=who(request).account)
    return see_other(request, "/desk/studies")


async def suspend_authorisation(request: Request) -> Response:
    await govern.suspend_authorisation(portal_of(request).means, path_id(request), by=who(request).account)
    return see_other(request, "/desk/studies")
