"""What the pages show of the log's tree: the checkpoint for everybody, her leaf for a patient, places for the desk."""

import pytest
from whole_site import Web

from portal.flow import erase, opt_out, read_log, rewrite
from portal.flow.audit import verify_log
from portal.flow.sequence import sequence
from portal.gate.checkpoint import read_checkpoint
from portal.records.stored import StoreChange
from portal.records.tree import LogPlace
from portal.rules.words import Scope

ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@ON_BOTH
async def test_everybody_can_fetch_the_newest_checkpoint(web: Web) -> None:
    browser, means = web.browser(), web.world.means
    assert (await browser.get("/log/checkpoint")).status_code == 404, "nothing has its place yet"
    given = await sequence(means)
    answer = await browser.get("/log/checkpoint")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert read_checkpoint(answer.text, means.ring.public_key()).size == given
    assert (await verify_log(means.ring.public_key(), kept=answer.text)).size == given


@ON_BOTH
async def test_a_receipt_shows_its_fingerprint_once_it_has_its_place(web: Web) -> None:
    browser = web.browser()
    link = f"/o/{web.world.links['patient1@example.org']}"
    await browser.post(f"{link}/object", data={"scope": "everything"})
    assert "rechargez cette page" in (await browser.get(f"{link}/receipt")).text
    await sequence(web.world.means)
    last = await LogPlace.all().order_by("-place").first()
    assert last is not None
    receipt = (await browser.get(f"{link}/receipt")).text
    assert "rechargez cette page" not in receipt
    assert bytes(last.leaf_hash).hex() in receipt
    assert f"journal est la {last.place}." in receipt
    assert f"tree is {last.place}." in (await browser.get(f"{link}/receipt?lang=en")).text


async def test_the_desk_sees_which_entries_have_their_place(web: Web) -> None:
    desk = await web.as_account(web.world.dpo)
    assert '<td class="n">–</td>' in (await desk.get("/desk/log")).text
    await sequence(web.world.means)
    last = await LogPlace.all().order_by("-place").first()
    assert last is not None
    page = (await desk.get("/desk/log")).text
    assert f'<td class="n">{last.place}</td>' in page
    assert '<td class="n">–</td>' not in page


@ON_BOTH
async def test_the_desk_sees_what_had_to_leave_the_store_and_what_is_late(web: Web) -> None:
    world = web.world
    desk = await web.as_account(world.dpo)
    await web.extract()
    await read_log.read_up_to(world.means, 2**40, by=world.dpo)
    assert "l’entrepôt" not in (await desk.get("/desk/log")).text
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.EVERYTHING)
    await erase.reconcile_store(world.means)
    assert "En cours" in (await desk.get("/desk/log")).text
    world.wait(31)
    desk = await web.as_account(world.dpo)
    assert "En retard" in (await desk.get("/desk/log")).text
    assert "Late erasures in the store" in (await desk.get("/desk?lang=en")).text
    await rewrite.erase_due(world.means)
    page = (await desk.get("/desk/log")).text
    change = await StoreChange.get()
    assert change.old_sha256 in page
    assert change.new_sha256 in page
    assert "En retard" not in page
    assert "Effacements en retard" not in (await desk.get("/desk")).text
    assert "l’entrepôt" not in (await desk.get("/desk/log?before=3")).text
