"""Letters at the desk: printed, posted, and entered when they come back."""

import pytest
from kept import dump
from paper import seen_codes, words
from whole_site import Shown, Web
from world import patient

from portal.flow.paper import make_codes
from portal.records.notices import Notice, PrintRun
from portal.rules.postal import letter_number
from portal.rules.waiting import paris_day

HOME = {"email": "", "address": "3 rue de la Paix", "postcode": "75002", "city": "Paris"}


@pytest.fixture
async def waiting(web: Web) -> Web:
    """Two letters that can be printed."""
    await web.world.register([patient("5", **HOME), patient("6", **HOME)], partial=True)
    await web.world.tell()
    await make_codes(web.world.means)
    return web


async def test_letters_are_printed_posted_and_entered_when_they_come_back(waiting: Web) -> None:
    desk = await waiting.as_account(waiting.world.operator)
    assert "Observatoire d’essai : 2" in (await desk.get("/desk/letters")).text.replace("\u00a0", " ")
    assert (await desk.post("/desk/letters", data={"observatory": "demo"})).status_code == 303
    run = (await PrintRun.get()).id
    page = await desk.get("/desk/letters")
    assert "À poster" in page.text
    file = await desk.post(f"/desk/letters/{run}/file")
    assert (file.status_code, file.headers["content-type"]) == (200, "application/pdf")
    assert [seen["DataMatrix"] for seen in seen_codes(file.content) if seen] == [letter_number(run, n) for n in (1, 2)]
    sheet = await desk.post(f"/desk/letters/{run}/sheet")
    assert "Nombre de lettres : 2" in words(sheet.content)[0].replace("\u00a0", " ")
    today = paris_day(waiting.world.clock.now()).isoformat()
    assert (await desk.post(f"/desk/letters/{run}/posted", data={"posted_on": today})).status_code == 303
    assert "Postées" in (await desk.get("/desk/letters")).text
    back = {"numbers": f"{letter_number(run, 2)}\r\n", "complete": "yes"}
    assert (await desk.post("/desk/letters/returned", data=back)).status_code == 303
    assert [str(n.state) for n in await Notice.filter(print_run_id=run).order_by("place")] == ["sent", "returned"]


async def test_a_wrong_number_is_shown_with_its_line_and_the_list_is_not_lost(waiting: Web) -> None:
    desk = await waiting.as_account(waiting.world.operator)
    before = await dump()
    answer = await desk.post("/desk/letters/returned", data={"numbers": "1-1-1\nabc", "complete": "yes"})
    assert answer.status_code == 422
    assert "#numbers" in Shown(answer.text).links
    assert "1-1-1\nabc" in answer.text
    assert await dump() == before


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/desk/letters/returned", {"numbers": " \n"}),
        ("/desk/letters/77/posted", {"posted_on": "2026-03-02"}),
        ("/desk/letters/77/posted", {}),
        ("/desk/letters/77/file", {}),
        (f"/desk/letters/{2**63}/sheet", {}),
        ("/desk/letters", {"observatory": "another"}),
    ],
)
async def test_what_is_not_there_or_not_said_is_refused(waiting: Web, path: str, data: dict[str, str]) -> None:
    desk = await waiting.as_account(waiting.world.operator)
    before = await dump()
    assert (await desk.post(path, data=data)).status_code in (404, 409, 422)
    assert await dump() == before


async def test_only_an_operator_prints(waiting: Web) -> None:
    desk = await waiting.as_account(waiting.world.dpo)
    assert "Imprimer les lettres prêtes" not in (await desk.get("/desk/letters")).text
    assert (await desk.post("/desk/letters", data={"observatory": "demo"})).status_code == 403
