"""The receipt of a no goes by itself, once, to the address told; and to no other."""

import asyncio
from datetime import timedelta
from email import message_from_bytes, policy

from kept import one_entry
from world import World, child, patient

from portal.flow import notify, opt_out
from portal.flow.decide import Asked, explain
from portal.flow.mail_receipt import send_receipts
from portal.flow.opt_out import Brought, Said
from portal.records.notices import Notice
from portal.records.objections import ReceiptMail
from portal.rules.clearance import Cleared
from portal.rules.words import NoticeState, ObjectionChannel, Scope
from portal.web.letters import render_receipt

HERS = "patient1@example.org"


async def no(world: World, address: str = HERS, scope: Scope = Scope.EVERYTHING, study: str = "") -> Said:
    return await opt_out.object_(world.means, world.links[address], scope, study)


async def mailed(world: World) -> list[tuple[str, str, str]]:
    """(address, subject, text) of what a round of receipts hands over."""
    before = len(world.post.sent)
    while await send_receipts(world.means, world.post, render_receipt):
        pass
    found = []
    for _, address, content in world.post.sent[before:]:
        message = message_from_bytes(content, policy=policy.default)
        text = message.get_body(("plain",)).get_content()
        found.append((address, message["Subject"], text.replace("\u00a0", " ").replace("\u202f", " ")))
    return found


async def test_it_is_queued_with_the_no_and_mailed_once(told: World) -> None:
    async with one_entry("objected"):
        said = await no(told)
    assert await ReceiptMail.filter(objection_id=said.id).count() == 1
    async with one_entry("receipts_sent", ("outbox", "receipts")):
        [(address, subject, text)] = await mailed(told)
    assert (address, subject) == (HERS, "Votre réponse est enregistrée")
    assert f"{told.means.base_url}/o/{told.links[HERS]}/receipt?of={said.entry_id}" in text
    assert "vous avez dit non." in text
    assert "Tout : tous les observatoires, toutes les études." in text
    assert "Reçu : 11 avril 2026 à" in text
    assert f"Référence : {said.id.hex[:4].upper()}-{said.id.hex[4:8].upper()}" in text
    assert await mailed(told) == []
    await no(told)
    assert await mailed(told) == [], "said again it is the same no"


async def test_neither_a_name_nor_the_title_of_a_study_is_in_it(told: World) -> None:
    await no(told, scope=Scope.STUDY, study="diabetes")
    await no(told, "parent4@example.org")
    hers, parents = sorted(await mailed(told), reverse=True)
    assert "une étude" in parents[2] + hers[2]
    for _, subject, text in (hers, parents):
        for word in ("long cours", "diab", "Bernard", "Robert", "Camille", "non"):
            assert word not in subject
            assert word == "non" or word not in text
    assert "la personne que vous représentez" in hers[2] + parents[2]


async def test_it_goes_to_the_address_told_or_nowhere(told: World) -> None:
    await no(told)
    await no(told, "patient2@example.org")
    moved = [patient("1", email="elsewhere@example.org"), patient("2"), patient("3"), child("4")]
    await told.register(moved)
    assert [address for address, _, _ in await mailed(told)] == ["patient2@example.org"]
    await told.register([patient("1"), patient("2"), patient("3"), child("4")])
    assert await mailed(told) == [], "given up for good"


async def test_none_is_sent_of_a_no_taken_back_before_nor_of_one_brought_on_paper(told: World) -> None:
    await no(told)
    await opt_out.withdraw(told.means, told.links[HERS])
    brought = Brought(ObjectionChannel.PAPER, None, told.operator.actor)
    link = told.links["patient2@example.org"]
    await opt_out.object_(told.means, link, Scope.EVERYTHING, brought=brought)
    assert await mailed(told) == []
    await no(told)
    assert len(await mailed(told)) == 1, "the new no has its own"


async def test_who_was_told_by_post_gets_no_mail(told: World) -> None:
    await Notice.filter(patient__number="1").update(channel="post")
    await no(told)
    assert await ReceiptMail.all().count() == 0


async def test_a_receipt_that_comes_back_does_not_take_the_notice_back(told: World) -> None:
    await no(told, "patient2@example.org")
    await mailed(told)
    sender, _, _ = told.post.sent[-1]
    told.returns.bounced.append(sender.partition("+")[2].partition("@")[0])
    assert await told.read_returns() == 0
    await opt_out.withdraw(told.means, told.links["patient2@example.org"])
    assert (await Notice.get(patient__number="2")).state == NoticeState.SENT
    verdict, _ = await explain(told.means, Asked("demo"), practice_id="practice-a", number="2")
    assert isinstance(verdict, Cleared)


async def test_a_busy_server_is_asked_again_and_then_no_more(told: World) -> None:
    said = await no(told)
    told.post.busy.add(HERS)
    for wait in notify.RETRY:
        assert len(await mailed(told)) == 1
        due = (await ReceiptMail.get(objection_id=said.id)).due_at
        assert due == told.clock.now() + wait
        told.clock.advance_to(due - timedelta(seconds=1))
        assert await mailed(told) == []
        told.clock.advance_to(due)
    assert len(await mailed(told)) == 1
    told.wait(30)
    assert await mailed(told) == []


async def test_a_refusal_for_good_is_final(told: World) -> None:
    await no(told)
    told.post.refused.add(HERS)
    assert len(await mailed(told)) == 1
    told.wait(30)
    assert await mailed(told) == []


async def test_several_workers_send_one_message_each(told: World) -> None:
    for number in "123":
        await no(told, f"patient{number}@example.org")
    before = len(told.post.sent)
    await asyncio.gather(*(send_receipts(told.means, told.post, render_receipt, at_most=1) for _ in range(6)))
    assert sorted(address for _, address, _ in told.post.sent[before:]) == [f"patient{n}@example.org" for n in "123"]
