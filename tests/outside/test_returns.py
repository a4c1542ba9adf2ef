"""What comes back, told apart: samples in the forms that mail systems write, put into a real Maildir."""

import os
from base64 import encodebytes
from collections.abc import Callable
from io import BytesIO
from mailbox import Maildir
from pathlib import Path

import pytest

from portal.demo.mailbox import delivery_report
from portal.outside.bounces import Kind
from portal.outside.returns import MaildirReturns, Return

ADDRESS = "returns+{ref}@portal.example"
TO = "returns+3f2a-01@portal.example"


def report(
    fields: str, *, media: str = "message/delivery-status", encoding: str = "", to: str = TO, more: str = ""
) -> bytes:
    """A multipart/report by hand, with `fields` as its delivery status."""
    coded = f"Content-Transfer-Encoding: {encoding}\n" if encoding else ""
    return (
        f"Return-Path: <>\nDelivered-To: {to}\nFrom: MAILER-DAEMON@mail.example\nTo: {to}\n"
        "Subject: Undelivered\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nCould not be delivered: 550 5.1.1 in words is no status.\n"
        f"--b\nContent-Type: {media}\n{coded}\n{fields}\n{more}--b--\n"
    ).encode()


def fields(action: str, status: str, *, diagnostic: str = "") -> str:
    lines = ["Reporting-MTA: dns; mail.example", "", "Final-Recipient: rfc822; patient@mail.example"]
    lines += [f"Action: {action}"] if action else []
    lines += [f"Status: {status}"] if status else []
    return "\n".join(lines + ([f"Diagnostic-Code: {diagnostic}"] if diagnostic else [])) + "\n"


UTF8 = (
    "Reporting-MTA: dns; mail.example\n\nFinal-Recipient: utf-8; élodie@mail.example\nAction: failed\nStatus: 5.1.1\n"
)
FAILED_TWICE = fields("delayed", "4.4.1") + "\n" + fields("failed", "5.2.1").partition("\n\n")[2]
QUOTED = (
    "--b\nContent-Type: {media}\n\nFrom: notices@portal.example\nMessage-ID: <3f2a-01@portal.example>\nSubject: x\n\n"
)
OTHER_FORM = (
    f"Return-Path: <>\nDelivered-To: {TO}\nFrom: postmaster@mail.example\nSubject: Hm\n\nComputer says no.\n"
).encode()

SAMPLES: dict[str, tuple[bytes, tuple[bool, Kind]]] = {
    "no such user": (report(fields("failed", "5.1.1")), (True, Kind.FAILED)),
    "written by the demo's mailbox": (delivery_report(TO, "patient@mail.example"), (True, Kind.FAILED)),
    "given up after days of trying": (report(fields("failed", "4.4.7")), (False, Kind.FAILED)),
    "still being tried": (report(fields("delayed", "4.4.1")), (False, Kind.DELAYED)),
    "delayed by a server that calls it permanent": (report(fields("delayed", "5.4.1")), (False, Kind.DELAYED)),
    "status with a comment": (report(fields("Failed ", "5.1.1 (bad mailbox)")), (True, Kind.FAILED)),
    "no status, a reply only": (report(fields("failed", "", diagnostic="smtp; 550 no")), (True, Kind.FAILED)),
    "no status at all": (report(fields("failed", "")), (False, Kind.FAILED)),
    "no action": (report(fields("", "5.2.1")), (True, Kind.FAILED)),
    "an unknown action": (report(fields("mislaid", "5.2.1")), (True, Kind.FAILED)),
    "two recipients, the worse counts": (report(FAILED_TWICE), (True, Kind.FAILED)),
    "for an address in UTF-8": (report(UTF8, media="message/global-delivery-status"), (True, Kind.FAILED)),
    "the same in base64": (
        report(encodebytes(UTF8.encode()).decode(), media="message/global-delivery-status", encoding="base64"),
        (True, Kind.FAILED),
    ),
    "with the line ends of the wire": (
        report(fields("failed", "5.1.1")).replace(b"\n", b"\r\n"),
        (True, Kind.FAILED),
    ),
    "named by the quoted headers only": (
        report(fields("failed", "5.1.1"), to="returns@portal.example", more=QUOTED.format(media="text/rfc822-headers")),
        (True, Kind.FAILED),
    ),
    "named by the quoted message only": (
        report(fields("failed", "5.1.1"), to="returns@portal.example", more=QUOTED.format(media="message/rfc822")),
        (True, Kind.FAILED),
    ),
    "from a mail system, in no known form": (OTHER_FORM, (False, Kind.UNRECOGNISED)),
    "in capitals": (report(fields("FAILED", "5.1.1"), to=TO.upper()), (True, Kind.FAILED)),
}

READER = "a@b.example"
NOT_RETURNS: dict[str, bytes] = {
    "out of office": f"From: {READER}\nTo: {TO}\nAuto-Submitted: auto-replied\n\naway 5.1.1\n".encode(),
    "somebody's answer": f"Return-Path: <{READER}>\nFrom: {READER}\nDelivered-To: {TO}\n\nWho are you?\n".encode(),
    "delivered": report(fields("delivered", "2.0.0")),
    "relayed": report(fields("relayed", "2.1.9")),
    "relayed, without a status": report(fields("relayed", "")),
    "expanded": report(fields("expanded", "2.0.0")),
    "empty": b"",
    "no message at all": bytes(range(256)) * 20,
}

Put = Callable[[bytes], str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Maildir(tmp_path / "returns")
    return tmp_path / "returns"


@pytest.fixture
def put(folder: Path) -> Put:
    return Maildir(folder).add


@pytest.mark.parametrize("name", SAMPLES)
def test_a_report_is_read_for_what_it_says(name: str, folder: Path, put: Put):
    sample, (permanent, kind) = SAMPLES[name]
    put(sample)
    reading = MaildirReturns(folder, ADDRESS).read()
    assert reading.messages == (Return("3f2a-01", permanent, kind),)
    assert reading.messages[0].undelivered == (kind is not Kind.DELAYED)
    assert (reading.complete, reading.unattributed, len(reading.keys)) == (True, 0, 1)


@pytest.mark.parametrize("name", NOT_RETURNS)
def test_what_is_no_report_yields_nothing_but_is_seen(name: str, folder: Path, put: Put):
    key = put(NOT_RETURNS[name])
    reading = MaildirReturns(folder, ADDRESS).read()
    assert (reading.messages, reading.keys, reading.complete) == ((), (key,), True)


def test_a_report_that_names_no_notice_is_counted(folder: Path, put: Put):
    put(report(fields("failed", "5.1.1"), to="returns@portal.example"))
    put(report(fields("failed", "5.1.1"), to="returns+x@portal.example.thief.example"))
    reading = MaildirReturns(folder, ADDRESS).read()
    assert (reading.messages, reading.unattributed) == ((), 2)


def test_messages_come_again_until_marked_done_and_then_keep_their_place(folder: Path, put: Put):
    keys = {put(sample) for sample, _ in SAMPLES.values()}
    box = MaildirReturns(folder, ADDRESS)
    first = box.read()
    assert set(first.keys) == keys
    assert box.read() == first
    box.mark_done(first.keys[:3])
    assert set(box.read().keys) == set(first.keys[3:])
    box.mark_done(first.keys)
    box.mark_done(first.keys)
    box.mark_done(["never-seen"])
    assert box.read().keys == ()
    assert os.listdir(folder / "new") == []
    assert {name.partition(":2,")[2] for name in os.listdir(folder / "cur")} == {"S"}
    assert set(Maildir(folder).keys()) == keys


def test_a_message_that_another_program_has_moved_but_not_read_still_counts(folder: Path, put: Put):
    key = put(SAMPLES["no such user"][0])
    (folder / "new" / key).rename(folder / "cur" / f"{key}:2,F")
    box = MaildirReturns(folder, ADDRESS)
    assert len(box.read().messages) == 1
    box.mark_done([key])
    assert os.listdir(folder / "cur") == [f"{key}:2,FS"]


def test_a_mailbox_that_is_not_there_or_not_whole_is_an_incomplete_reading(folder: Path, put: Put):
    nowhere = MaildirReturns(folder / "nowhere", ADDRESS)
    assert not nowhere.read().complete
    nowhere.mark_done(nowhere.read().keys)
    put(SAMPLES["no such user"][0])
    (folder / "new" / "unreadable").mkdir()
    reading = MaildirReturns(folder, ADDRESS).read()
    assert (len(reading.messages), reading.complete) == (1, False)


def test_a_huge_report_is_read_from_its_beginning(folder: Path, put: Put):
    put(report(fields("failed", "5.1.1"), more="--b\nContent-Type: text/plain\n\n" + "x" * 3_000_000 + "\n"))
    assert len(MaildirReturns(folder, ADDRESS).read().messages) == 1


def test_a_message_handed_over_is_kept_whole_and_read(folder: Path):
    box = MaildirReturns(folder, ADDRESS)
    for sample, _ in SAMPLES.values():
        box.keep(BytesIO(b"From MAILER-DAEMON Mon Mar  2 10:00:00 2026\n" + sample))
    assert os.listdir(folder / "tmp") == []
    assert len(os.listdir(folder / "new")) == len(SAMPLES)
    expected = sorted((permanent, kind) for _, (permanent, kind) in SAMPLES.values())
    assert sorted((m.permanent, m.kind) for m in box.read().messages) == expected


def test_a_message_that_cannot_be_kept_whole_is_not_there_at_all(folder: Path):
    class Cut(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the pipe broke")

        readline = readlines = __next__ = read

    with pytest.raises(OSError, match="the pipe broke"):
        MaildirReturns(folder, ADDRESS).keep(Cut())
    assert (os.listdir(folder / "tmp"), os.listdir(folder / "new")) == ([], [])
    with pytest.raises(OSError, match="nowhere"):
        MaildirReturns(folder / "nowhere", ADDRESS).keep(BytesIO(b"x"))
    assert not (folder / "nowhere").exists()
