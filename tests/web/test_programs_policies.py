"""Every operation for programs × every state of a program: who is admitted, and who is turned away how (R12)."""

from collections.abc import Awaitable, Callable

import pytest
from programs import SomeProgram, doctor_of, on_file, program
from whole_site import Web, address

from portal.flow import enrol, programs
from portal.records.enrolments import Enrolment
from portal.rules.scopes import ALSO_AFTER_LEAVING, MAY_ASK, Access, ClientKind
from portal.web.routes import PAGES, Page

OPERATIONS = [page for page in PAGES if page.who.access]
ADMITTED = 0
"""Stands for whatever an operation says to who was admitted: never 401, 403, 429 or 5xx, never the door's own 404."""

Verdict = Callable[[Page, Access], int]


def at_a_practice(page: Page) -> bool:
    return "{practice}" in page.path


async def asks(web: Web, page: Page, token: str | None) -> tuple[int, str, str]:
    """Status, code and content type of the answer to a request that says nothing more."""
    client = web.program(**({"Authorization": f"Bearer {token}"} if token else {}))
    answer = await client.request(page.method, address(page))
    said = answer.json() if "json" in answer.headers.get("content-type", "") else {}
    code = said.get("code") or next((one.get("diagnostics", "") for one in said.get("issue", ())), "")
    return answer.status_code, code, answer.headers.get("content-type", "")


async def token_of(made: SomeProgram, scope: str = "") -> str:
    answer = await made.asks_token(scope)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def nothing(web: Web, access: Access) -> str | None:
    return None


async def invented(web: Web, access: Access) -> str | None:
    return "guessed"


async def own(web: Web, access: Access) -> str | None:
    return await token_of(await program(web), access)


async def another_access(web: Web, access: Access) -> str | None:
    return await token_of(await program(web), " ".join(each for each in Access if each != access))


async def ended(web: Web, access: Access) -> str | None:
    token = await token_of(await program(web), access)
    web.world.wait(programs.LIFE.total_seconds() / 86400)
    return token


async def closed(web: Web, access: Access) -> str | None:
    made = await program(web)
    token = await token_of(made, access)
    await programs.close(web.world.means, made.id, by=web.world.operator)
    return token


async def foreign(web: Web, access: Access) -> str | None:
    made = await on_file(web, ClientKind.SOFTWARE)
    await programs.let_act(web.world.means, made.id, "practice-b", by=await doctor_of(web, 2))
    return await token_of(made, access)


async def shut_out(web: Web, access: Access) -> str | None:
    made = await program(web)
    await programs.end(web.world.means, made.id, "practice-a", by=await doctor_of(web))
    return await token_of(made, access)


async def paused(web: Web, access: Access) -> str | None:
    token, doctor = await own(web, access), await doctor_of(web)
    await enrol.pause(web.world.means, doctor, (await Enrolment.get(account_id=doctor.id)).id)
    return token


async def doctor_left(web: Web, access: Access) -> str | None:
    token, doctor = await own(web, access), await doctor_of(web)
    await enrol.leave(web.world.means, doctor, (await Enrolment.get(account_id=doctor.id)).id)
    return token


async def partner(web: Web, access: Access) -> str | None:
    """With all that a partner may ask for."""
    return await token_of(await on_file(web, ClientKind.PARTNER))


def only(status: int) -> Verdict:
    return lambda page, access: status


def at_practices(status: int) -> Verdict:
    """Operations of no practice admit, and show nothing of another's (tests/web/test_fhir.py)."""
    return lambda page, access: status if at_a_practice(page) else ADMITTED


def but_a_no(page: Page, access: Access) -> int:
    return 404 if at_a_practice(page) and access not in ALSO_AFTER_LEAVING else ADMITTED


def of_partners(page: Page, access: Access) -> int:
    return ADMITTED if access in MAY_ASK[ClientKind.PARTNER] else 403


STATES: dict[str, tuple[Callable[[Web, Access], Awaitable[str | None]], Verdict]] = {
    "no token": (nothing, only(401)),
    "an invented token": (invented, only(401)),
    "an ended token": (ended, only(401)),
    "a closed program": (closed, only(401)),
    "a token for everything else": (another_access, only(403)),
    "let in elsewhere": (foreign, at_practices(404)),
    "shut out by its doctor": (shut_out, at_practices(404)),
    "its doctor has left": (doctor_left, but_a_no),
    "its doctor has paused": (paused, only(ADMITTED)),
    "let in": (own, only(ADMITTED)),
    "a partner": (partner, of_partners),
}
DOORS = {"no_token": 401, "other_access": 403, "not_let_in": 404}
"""By its code, the status with which the door itself turns away."""


@pytest.mark.shows("R12")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("access", Access, ids=str)
async def test_every_operation_admits_the_program_that_may_and_turns_all_others_away(
    web: Web, access: Access, state: str
) -> None:
    make, verdict = STATES[state]
    token = await make(web, access)
    wrong = []
    for page in OPERATIONS:
        if page.who.access is not access:
            continue
        status, code, kind = await asks(web, page, token)
        expected = verdict(page, access)
        right = (
            DOORS.get(code) == status == expected
            if expected
            else code not in DOORS and status not in (401, 403, 429) and status < 500
        )
        problems = "application/fhir+json" if page.path.startswith("/fhir") else "application/problem+json"
        if not right or (expected and kind != problems):
            wrong.append((page.method, page.path, status, code, kind))
    assert not wrong


@pytest.mark.shows("R12")
def test_every_access_opens_something_and_every_operation_is_tried() -> None:
    assert {page.who.access for page in OPERATIONS} == set(Access)
    assert {page.path for page in PAGES if page.path.startswith(("/api/", "/fhir"))} - {
        page.path for page in OPERATIONS
    } == {"/api/openapi.json", "/api/v1/token", "/fhir/metadata", "/fhir/.well-known/smart-configuration"}


@pytest.mark.shows("R12")
@pytest.mark.parametrize("kind", [ClientKind.SOFTWARE, ClientKind.PARTNER], ids=str)
async def test_no_kind_is_given_more_than_it_may_ask_for(web: Web, kind: ClientKind) -> None:
    made = await on_file(web, kind)
    granted = (await made.asks_token(" ".join(Access))).json()["scope"].split()
    assert set(granted) == MAY_ASK[kind]
