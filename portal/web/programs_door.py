"""Which programs are let in at the interface for practice software, and how often."""

from starlette.requests import Request

from portal.flow import programs
from portal.rules.refusals import Refused
from portal.rules.scopes import Access
from portal.web.frame import portal_of


async def admit_program(request: Request, access: Access) -> None:
    """Leaves in the scope which program asks, and the observatory of the practice in the address.

    Refused without a live token (401), with one that does not open this (403), too often (429), or for a practice
    whose doctors did not let the program act for it (404, as for one that does not exist).
    """
    portal = portal_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    program = await programs.program_of(portal.means, token.strip()) if scheme.lower() == "bearer" else None
    if program is None:
        raise Refused("no_token", "send a live token: Authorization: Bearer …", where="Authorization", status=401)
    wait = portal.programs.wait(program.id, portal.means.clock.now())
    if wait:
        raise TooOften(wait.total_seconds())
    if access not in program.access:
        raise Refused("other_access", f"this token does not open {access}", where="scope", status=403)
    request.scope["program"] = program
    practice = request.path_params.get("practice")
    if practice is not None:
        request.scope["observatory"] = await programs.observatory_of(portal.means, program, practice, access)


class TooOften(Refused):
    """`seconds`: how long to wait."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__("too_often", "too many requests: wait as long as Retry-After says", status=429)
