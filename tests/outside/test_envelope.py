"""A notice as an e-mail: whole, repeatable, and closed against headers smuggled in."""

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.outside.envelope import build_message, return_path
from portal.rules.refusals import Refused

NOTICE: dict[str, Any] = {
    "reference": "3f2a-01",
    "sender": "notices@portal.example",
    "recipient": "patient@mail.example",
    "subject": "Vos données de santé peuvent servir à des études",
    "text": "Vous pouvez dire non :\nhttps://portal.example/o/" + "x" * 43 + "\n.\nFin « été »\n",
    "html": "<p>Vous pouvez dire <a href='https://portal.example/o/x'>non</a>.</p>",
    "language": "fr",
    "written_at": datetime(2026, 11, 2, 8, 30, tzinfo=UTC),
}


def test_a_notice_says_who_when_what_and_that_no_machine_should_answer():
    message = message_from_bytes(build_message(**NOTICE), policy=default)
    assert message["From"] == "notices@portal.example"
    assert message["To"] == "patient@mail.example"
    assert message["Subject"] == NOTICE["subject"]
    assert message["Date"].datetime == NOTICE["written_at"]
    assert message["Message-ID"] == "<3f2a-01@portal.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "fr"
    bodies = [part for part in (message.get_body(("plain",)), message.get_body(("html",))) if part]
    told = [part.get_content().replace("\r\n", "\n") for part in bodies]
    assert told == [NOTICE["text"], NOTICE["html"] + "\n"]


def test_the_same_notice_gives_the_same_seven_bit_bytes_with_the_line_ends_of_mail():
    ready = build_message(**NOTICE)
    assert ready == build_message(**NOTICE)
    assert ready.isascii()
    assert b"\n" not in ready.replace(b"\r\n", b"")
    assert max(map(len, ready.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("subject", "x\r\nBcc: thief@example.org", "bad_header"),
        ("subject", "x\nBcc: thief@example.org", "bad_header"),
        ("language", "fr\r\nX: y", "bad_header"),
        ("recipient", "a@b.example\r\nBcc: c@d.example", "bad_address"),
        ("recipient", "a@b.example, c@d.example", "bad_address"),
        ("recipient", "A <a@b.example>", "bad_address"),
        ("recipient", "", "bad_address"),
        ("recipient", "a@", "bad_address"),
        ("recipient", "@b.example", "bad_address"),
        ("sender", "no address", "bad_address"),
        ("reference", "a\r\nb", "bad_reference"),
        ("reference", "a>b", "bad_reference"),
        ("reference", "A", "bad_reference"),
        ("reference", "x" * 41, "bad_reference"),
    ],
)
def test_what_would_break_out_of_its_header_is_refused(name: str, value: str, code: str):
    with pytest.raises(Refused) as no:
        build_message(**NOTICE | {name: value})
    assert no.value.code == code
    assert "example" not in str(no.value)


def test_the_return_path_names_the_notice():
    assert return_path("returns+{ref}@portal.example", "3f2a-01") == "returns+3f2a-01@portal.example"
    with pytest.raises(Refused, match="bad_reference"):
        return_path("returns+{ref}@portal.example", "a@b")


@given(text=st.text(max_size=300), subject=st.text(max_size=120).filter(str.isprintable))
def test_any_text_comes_back_as_it_was_written(text: str, subject: str):
    message = message_from_bytes(build_message(**NOTICE | {"text": text, "subject": subject}), policy=default)
    body = message.get_body(("plain",))
    assert body is not None
    written, read = (re.sub(r"\r\n?", "\n", each).rstrip("\n") for each in (text, body.get_content()))
    assert read == written
    assert "".join(str(message["Subject"]).split()) == "".join(subject.split())
    assert len(message.keys()) == 10


def test_an_address_beyond_ascii_has_its_domain_in_ascii():
    message = build_message(**NOTICE | {"recipient": "patient@été.example"})
    assert b"To: patient@xn--t-9fab.example\r\n" in message
