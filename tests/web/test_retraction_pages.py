"""The study team's first duty on its page: what to delete, by when, and that it is done."""

import csv
import io
import re

import pytest
from whole_site import Web
from world import patient

from portal.records.retractions import Retraction

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@ON_BOTH
async def test_a_team_fetches_the_list_deletes_and_says_so_and_the_patient_reads_it(web: Web) -> None:
    release_id = await web.sealed()
    team, somebody = await web.as_account(web.world.recipient), web.browser()
    assert (await team.post(f"/recipient/releases/{release_id}/download")).status_code == 200
    assert "Rien à effacer" in (await team.get("/recipient")).text
    link = web.world.links["patient1@example.org"]
    assert "L’étude les utilise." in (await somebody.get(f"/o/{link}/uses")).text
    await somebody.post(f"/o/{link}/object", data={"scope": "everything"})

    listed = await team.post("/recipient/retractions/download")
    assert listed.headers["content-type"].startswith("text/csv")
    (line,) = csv.DictReader(io.StringIO(listed.text))
    made = await Retraction.get()
    assert line == {"release_id": release_id, "pseudonym": made.pseudonym, "due_on": made.due_on.isoformat()}

    page = (await team.get("/recipient")).text
    assert page.index('id="delete"') < page.index('id="s1"'), "before anything that may be downloaded"
    up_to = re.findall(r'name="up_to" value="(\d+)"', page)
    assert up_to == [str(made.entry_id)]
    assert "À effacer avant le" in (await somebody.get(f"/o/{link}/receipt")).text
    assert "À effacer avant le" in (await somebody.get(f"/o/{link}/uses")).text
    done = await team.post("/recipient/retractions/acknowledge", data={"release": release_id, "up_to": up_to[0]})
    assert (done.status_code, done.headers["location"]) == (303, "/recipient")
    assert "Rien à effacer" in (await team.get("/recipient")).text
    assert "Effacé le" in (await somebody.get(f"/o/{link}/receipt")).text
    assert "Effacé le" in (await somebody.get(f"/o/{link}/uses")).text
    desk = await web.as_account(web.world.operator)
    told = re.findall(r"<li>(Effacements \w+),", (await desk.get(f"/desk/releases/{release_id}")).text)
    assert told == ["Effacements demandés", "Effacements confirmés"]
    empty = await team.post("/recipient/retractions/download")
    assert empty.text == "release_id,pseudonym,due_on\n"


async def test_a_late_team_reads_that_it_is_blocked_and_the_desk_sees_it(web: Web) -> None:
    release_id = await web.sealed()
    team = await web.as_account(web.world.recipient)
    await team.post(f"/recipient/releases/{release_id}/download")
    await web.browser().post(f"/o/{web.world.links['patient1@example.org']}/object", data={"scope": "everything"})
    await team.post("/recipient/retractions/download")
    web.world.wait(31)
    await web.world.register([patient("1"), patient("2"), patient("3")], partial=True)
    team = await web.as_account(web.world.recipient)
    assert "La date est passée" in (await team.get("/recipient")).text
    assert "The date has passed" in (await team.get("/recipient?lang=en")).text
    desk = await web.as_account(web.world.operator)
    assert "Effacements en retard" in (await desk.get("/desk")).text
    assert "G07" in (await desk.post("/desk/releases", data={"study": "diabetes"})).text


@pytest.mark.parametrize("up_to", ["", "x", "-1", "9" * 40])
async def test_a_form_that_does_not_say_what_was_read_acknowledges_nothing(web: Web, up_to: str) -> None:
    team = await web.as_account(web.world.recipient)
    answer = await team.post("/recipient/retractions/acknowledge", data={"release": "x", "up_to": up_to})
    assert answer.status_code == 400
