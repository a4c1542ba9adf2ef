"""The form of a no without a link. It asks for no reason, no card and no number, and never says who is a patient."""

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import provisional
from portal.flow.provisional import PUBLIC, Spoken
from portal.rules.people import said_birth
from portal.rules.refusals import Refused
from portal.rules.words import ForWhom, ObjectionChannel, Scope
from portal.web.frame import form, path_uuid, portal_of, reference, see_other, show

LONGEST = {"said_by": 200, "family_name": 100, "birth_name": 100, "given_names": 100, "postcode": 20, "answer_to": 300}
"""The fields that take any text, and how many characters of it are kept."""

NEEDED = ("family_name", "given_names")


async def ask(request: Request) -> Response:
    return await _show(request, {}, ())


async def on_paper(request: Request) -> Response:
    """The same form to be printed and filled in by hand; the desk enters it with the day of its stamp."""
    return await show(request, "patient/object_paper.html", here="/object/paper")


async def object_(request: Request) -> Response:
    """Records the no, which counts at once, and shows that it came; what is missing is asked for again."""
    given = await form(request)
    birth = said_birth(given.get("birth", ""))
    wrong = [name for name in NEEDED if not given.get(name, "").strip()]
    if given.get("for_whom") not in set(ForWhom):
        wrong.insert(0, "for_whom")
    if birth is None:
        wrong.append("birth")
    if wrong:
        return await _show(request, given, wrong)
    texts = {name: given.get(name, "").strip()[:most] for name, most in LONGEST.items()}
    try:
        said = await provisional.record(
            portal_of(request).means,
            Spoken(birth=birth or "", for_whom=given["for_whom"], **texts),
            scope=Scope.EVERYTHING,
            channel=ObjectionChannel.FORM,
            by=PUBLIC,
        )
    except Refused as no:
        if no.code != "nothing_to_match":
            raise
        return await _show(request, given, NEEDED)
    return see_other(request, f"/object/{said.id}")


async def received(request: Request) -> Response:
    said = await provisional.recorded(path_uuid(request))
    return await show(request, "patient/object_received.html", said=said, reference=reference(said.id))


async def _show(request: Request, given: dict[str, str], wrong: list[str] | tuple[str, ...]) -> Response:
    status = 422 if wrong else 200
    return await show(request, "patient/object.html", status=status, given=given, wrong=wrong, here="/object")
