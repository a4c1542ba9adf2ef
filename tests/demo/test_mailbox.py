"""The demo's mailbox, written to by the real mail part and read through its pages and its returns."""

from datetime import UTC, datetime
from pathlib import Path

import httpx2
from starlette.applications import Starlette
from starlette.routing import Mount

from portal.demo.mailbox import DemoMailbox, MailFolder
from portal.demo.mailbox_pages import as_markup, mailbox_routes
from portal.outside.bounces import Kind
from portal.outside.envelope import build_message, return_path
from portal.outside.mail import Outcome, Server, SmtpPost
from portal.outside.returns import MaildirReturns, Return

RETURNS = "returns+{ref}@portal.example"


def notice(reference: str, recipient: str) -> bytes:
    return build_message(
        reference=reference,
        sender="notices@portal.example",
        recipient=recipient,
        subject="Vos données <de santé>",
        text="Vous pouvez dire non : https://portal.example/o/abc?x=1&y=2.\n\n<script>alert(1)</script>\nFin",
        html="<p>non</p>",
        language="fr",
        written_at=datetime(2026, 11, 2, tzinfo=UTC),
    )


async def send(box: DemoMailbox, *pairs: tuple[str, str]) -> list[Outcome]:
    async with SmtpPost(Server("127.0.0.1", box.port, starttls=False), timeout=3) as post:
        answers = [await post.send(notice(ref, to), return_path(RETURNS, ref), to) for ref, to in pairs]
    return [answer.outcome for answer in answers]


async def test_mail_is_kept_refused_or_returned_as_told(tmp_path: Path):
    returns = tmp_path / "returns"
    refuse = {"gone@mail.example": "no such user"}.get
    async with DemoMailbox(tmp_path / "mail", returns=returns, refuse=refuse) as box:
        box.bounce_later("full@mail.example")
        outcomes = await send(box, ("n1", "a@mail.example"), ("n2", "gone@mail.example"), ("n3", "full@mail.example"))
        assert outcomes == [Outcome.ACCEPTED, Outcome.REFUSED_FOR_GOOD, Outcome.ACCEPTED]
    assert MaildirReturns(returns, RETURNS).read().messages == (Return("n3", True, Kind.FAILED),)
    assert [each["Delivered-To"] for each in box.kept.all()] == ["a@mail.example", "full@mail.example"]
    (kept,) = box.kept.messages_for("a@mail.example")
    assert kept["Return-Path"] == "<returns+n1@portal.example>"
    body = kept.get_body(("plain",))
    assert body is not None
    assert "https://portal.example/o/abc?x=1&y=2." in body.get_content()


async def test_a_second_run_goes_on_counting(tmp_path: Path):
    for ref in ("n1", "n2"):
        async with DemoMailbox(tmp_path) as box:
            await send(box, (ref, "a@mail.example"))
    assert MailFolder(tmp_path).names() == ["000001", "000002"]


async def test_the_pages_list_and_show_mail_with_nothing_of_it_live_but_its_links(tmp_path: Path):
    async with DemoMailbox(tmp_path) as box:
        await send(box, ("n1", "a@mail.example"), ("n2", "b@mail.example"))
    app = Starlette(routes=[Mount("/demo/mail", routes=mailbox_routes(box.kept, at="/demo/mail"))])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://portal.test") as browser:
        listed = (await browser.get("/demo/mail/", headers={"Accept-Language": "fr"})).text
        assert listed.index("b@mail.example") < listed.index("a@mail.example")
        assert "Vos données &lt;de santé&gt;" in listed
        assert "a@mail.example" not in (await browser.get("/demo/mail/?to=b@mail.example")).text
        shown = (await browser.get("/demo/mail/000001")).text
        assert '<a href="https://portal.example/o/abc?x=1&amp;y=2">' in shown
        assert '<div lang="fr">' in shown
        assert "<script" not in shown
        for missing in ("000009", "..%2f..%2fetc", "*"):
            assert (await browser.get(f"/demo/mail/{missing}")).status_code == 404


def test_text_becomes_paragraphs_and_only_web_addresses_become_links():
    assert as_markup("a\nb\n\nc & d\r\n \r\ne") == "<p>a<br>b</p><p>c &amp; d</p><p>e</p>"
    assert "href" not in as_markup("javascript:alert(1) ftp://x mailto:a@b")
