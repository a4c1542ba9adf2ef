"""Letters at the desk: printed, taken to the post, and entered when they come back."""

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import paper
from portal.records import overview, print_runs
from portal.rules.refusals import Refused, RefusedFile
from portal.rules.words import Role
from portal.web.frame import form, given_day, path_number, portal_of, see_other, show, who
from portal.web.on_paper import pdf_file, press
from portal.web.print_file import compose_letters, compose_sheet


async def page(request: Request) -> Response:
    return await _show(request, "", [])


async def print_(request: Request) -> Response:
    """A new run of what waits."""
    observatory = (await form(request)).get("observatory", "")
    await paper.print_letters(portal_of(request).means, observatory_id=observatory, by=who(request).account)
    return see_other(request, "/desk/letters")


async def file(request: Request) -> Response:
    return pdf_file((await _printed(request)).file, f"letters-{path_number(request)}.pdf")


async def sheet(request: Request) -> Response:
    return pdf_file((await _printed(request)).sheet, f"letters-{path_number(request)}-sheet.pdf")


async def posted(request: Request) -> Response:
    day = given_day(await form(request), "posted_on")
    if day is None:
        raise Refused("posted_on", "say on which day the letters were taken to the post", status=422)
    await paper.letters_posted(portal_of(request).means, path_number(request), posted_on=day, by=who(request).account)
    return see_other(request, "/desk/letters")


async def returned(request: Request) -> Response:
    """A wrong number is shown with its line, beside the list as it was typed."""
    given = await form(request)
    lines = given.get("numbers", "").splitlines()
    complete = given.get("complete") == "yes"
    if not complete and not any(line.strip() for line in lines):
        raise Refused("numbers", "enter a number, or say that nothing else has come back", status=422)
    try:
        await paper.letters_returned(portal_of(request).means, lines, complete=complete, by=who(request).account)
    except RefusedFile as no:
        wrong = [int(problem.where.removeprefix("line ")) for problem in no.problems]
        return await _show(request, given.get("numbers", ""), wrong)
    return see_other(request, "/desk/letters")


async def _show(request: Request, numbers: str, wrong: list[int]) -> Response:
    return await show(
        request,
        "desk/letters.html",
        status=422 if wrong else 200,
        may_print=who(request).account.role == Role.OPERATOR,
        ready=await print_runs.ready(),
        observatories=await overview.observatories(),
        runs=await print_runs.runs(),
        entered_at=await print_runs.returns_entered(),
        numbers=numbers,
        wrong=wrong,
        here="/desk/letters",
    )


async def _printed(request: Request) -> paper.Printed:
    means = portal_of(request).means
    letters, by = compose_letters(means.base_url), who(request).account
    return await paper.print_file(means, press(), letters, compose_sheet, path_number(request), by=by)
