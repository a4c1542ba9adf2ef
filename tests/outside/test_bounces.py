"""What mail systems write when a notice does not arrive, or does, each form written by hand, read for what it says.

The forms are those of systems in use; the messages are our own. Unlike a mistake in the other direction, one that
leaves a notice open when it never arrived lets data pass of somebody who was never told.
"""

from base64 import encodebytes
from mailbox import Maildir
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.outside.bounces import Kind, read_report
from portal.outside.returns import MaildirReturns, Return

NOTICE = "0f8fad5b-d9cb-469f-a165-70867728950e"
RETURNS = "returns+{ref}@portal.example"
TO = RETURNS.format(ref=NOTICE)
QUOTED = f"From: notices@portal.example\nMessage-ID: <{NOTICE}@portal.example>\nSubject: Une information\n\nLe refus\n"
DAEMON = "Mail Delivery System <MAILER-DAEMON@mx.example.net>"
WHO = "camille@example.org"
READER = "Camille Martin <camille@example.org>"


class Is(NamedTuple):
    permanent: bool
    kind: Kind


BAD = Is(True, Kind.FAILED)  # the address is bad
LOST = Is(False, Kind.FAILED)  # given up
WAITS = Is(False, Kind.DELAYED)
CLOSED = Is(False, Kind.UNRECOGNISED)  # not understood
ARRIVED = None  # nothing against it


def mail(said: str, *, origin: str = DAEMON, subject: str = "", path: str | None = "<>", **headers: str) -> bytes:
    """A message of one text; `path` None: a server that writes no Return-Path."""
    lines = [f"Return-Path: {path}"] if path is not None else []
    lines += [f"Delivered-To: {TO}", f"From: {origin}", f"To: <{TO}>", f"Subject: {subject}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\n".join(lines) + f"\n\n{said}\n").encode()


def parts(*given: tuple[str, str], form: str = "report; report-type=delivery-status", **headers: str) -> bytes:
    """A multipart message of parts, each with its media type (and further headers) and its content."""
    body = "".join(f"--=_b\nContent-Type: {kind}\n\n{content}\n" for kind, content in given) + "--=_b--"
    return mail(body, MIME_Version="1.0", Content_Type=f'multipart/{form}; boundary="=_b"', **headers)


def dsn(*recipients: str, said: str = "", media: str = "message/delivery-status", **headers: str) -> bytes:
    """A report in the form of RFC 3464; `recipients` are groups of fields, as `|` parts them."""
    groups = ["Reporting-MTA: dns; mx.example.net", *(group.replace("|", "\n") for group in recipients)]
    status = "\n\n".join(groups) + "\n"
    if "base64" in media:
        status = encodebytes(status.encode()).decode()
    return parts(("text/plain; charset=utf-8", said), (media, status), ("message/rfc822", QUOTED), **headers)


def to(action: str, status: str, said: str = "", who: str = "rfc822; camille@example.org") -> str:
    fields = [f"Final-Recipient: {who}", f"Action: {action}", f"Status: {status}"]
    return "|".join(fields + ([f"Diagnostic-Code: smtp; {said}"] if said else []))


QMAIL = "Hi. This is the qmail-send program at mx.example.net.\nI'm afraid I wasn't able to deliver your message\n"
QMAIL += "to the following addresses. This is a permanent error; I've given up. Sorry it didn't work out.\n\n"
EXIM = "This message was created automatically by mail delivery software.\n\nA message that you sent "
COULD_NOT = "could not be delivered to one or\nmore of its recipients. This is a permanent error. The following\n"
COULD_NOT += "address(es) failed:\n\n  camille@example.org\n"
COPY = "\n------ This is a copy of the message, including all the headers. ------\n\n" + QUOTED
AWAY = "Je suis absente jusqu’au 4 mai et lirai votre message à mon retour."

FORMS: dict[str, tuple[bytes, Is | None]] = {
    # --- reports with fields
    "postfix, unknown user": (dsn(to("failed", "5.1.1", "550 5.1.1 <camille@example.org>: Recipient rejected"),
        said="This is the mail system at host mx.example.net.", Auto_Submitted="auto-replied"), BAD),
    "postfix, mailbox full": (dsn(to("failed", "5.2.2", "552 5.2.2 Over quota")), BAD),
    "postfix, given up after five days": (dsn(to("failed", "4.4.1", "connect to mx.example.org: timed out")), LOST),
    "postfix, delayed": (dsn(to("delayed", "4.4.1|Will-Retry-Until: Sat, 3 Jan 2026 10:00:00 +0100"),
        subject="Delayed Mail (still being retried)", Auto_Submitted="auto-replied"), WAITS),
    "postfix, mailbox full for now": (dsn(to("delayed", "4.2.2", "452 4.2.2 The mailbox is full")), WAITS),
    "postfix, greylisted to the end": (dsn(to("failed", "4.7.1", "450 4.7.1 Greylisted, try again later")), LOST),
    "postfix, domain does not exist": (dsn(to("failed", "5.4.4", "Host or domain name not found")), BAD),
    "postfix, receipt of delivery": (dsn(to("relayed", "2.0.0", "250 2.0.0 Ok: queued")), ARRIVED),
    "sendmail, unknown user": (dsn(to("failed", "5.1.1", "550 5.1.1 User unknown|Last-Attempt-Date: Mon, 2 Mar 2026"),
        subject="Returned mail: see transcript for details", Auto_Submitted="auto-generated (failure)"), BAD),
    "sendmail, warning": (dsn(to("delayed", "4.2.0", "451 4.2.0 try later"), said="THIS IS A WARNING MESSAGE ONLY",
        subject="Warning: could not send message for past 4 hours", Auto_Submitted="auto-generated"), WAITS),
    "exim, as a report": (dsn(to("failed", "5.0.0", "550 no such user"), X_Failed_Recipients=WHO), BAD),
    "exchange online, not found": (dsn(to("failed", "5.1.10", "550 5.1.10 RESOLVER.ADR.RecipientNotFound"),
        origin="Microsoft Outlook <postmaster@example.org>", subject="Non remis : Une information"), BAD),
    "exchange online, access denied": (dsn(to("failed", "5.4.1", "550 5.4.1 Recipient address rejected: denied")), BAD),
    "exchange online, delivered": (dsn(to("delivered", "2.0.0"), subject="Remis : Une information"), ARRIVED),
    "exchange online, expanded": (dsn(to("expanded", "2.0.0"), subject="Développé : Une information"), ARRIVED),
    "google, no such user": (dsn(to("failed", "5.1.1", "550-5.1.1 The account does not exist"),
        said="** Adresse introuvable **", X_Failed_Recipients="camille@example.org"), BAD),
    "google, retried": (dsn(to("delayed", "4.4.2|Will-Retry-Until: Wed, 04 Mar 2026 09:00:00 -0800"),
        said="There was a temporary problem. Gmail will retry for 45 more hours."), WAITS),
    "google, refused as unwanted": (dsn(to("failed", "5.7.1", "550-5.7.1 likely unsolicited mail")), BAD),
    "yahoo, no account": (dsn(to("failed", "5.0.0", "554 delivery error: dd Not a valid recipient")), BAD),
    "orange, unknown recipient": (dsn(to("failed", "5.1.1", "550 5.1.1 Adresse d au moins un destinataire invalide")),
        BAD),
    "free, mailbox full": (dsn(to("failed", "5.2.2", "552 5.2.2 Boite du destinataire pleine")), BAD),
    "sfr, refused for now, then given up": (dsn(to("failed", "4.7.0", "421 4.7.0 Trop de messages")), LOST),
    "la poste, relay refused": (dsn(to("failed", "5.7.1", "554 5.7.1 Relay access denied")), BAD),
    "amazon ses": (dsn(to("failed", "5.1.1", "550 5.1.1 user unknown"), said="An error occurred.",
        origin="MAILER-DAEMON@eu-west-3.example.com", subject="Delivery Status Notification (Failure)"), BAD),
    "sendgrid, no action": (dsn("Final-Recipient: rfc822; camille@example.org|Status: 5.1.2"), BAD),
    "mimecast, recipient refused": (dsn(to("failed", "5.0.0 (permanent failure)", "550 Invalid Recipient")), BAD),
    "barracuda, in the text of a reply": (dsn("Final-Recipient: rfc822; camille@example.org|Action: failed|"
        "Diagnostic-Code: smtp; 550 permanent failure for one or more recipients (camille@example.org:blocked)"), BAD),
    "zimbra, over quota for now": (dsn(to("failed", "4.2.2", "452 4.2.2 Over quota")), LOST),
    "domino, not in its directory": (dsn(to("failed", "5.1.1", "550 User camille not listed in Domino Directory"),
        origin="postmaster@example.org", subject="DELIVERY FAILURE: User camille not listed", path=None), BAD),
    "groupwise, as a report": (dsn(to("failed", "5.1.1", "450 Host down"), subject="Message status - undeliverable",
        origin="Mail Delivery Subsystem <postmaster@example.org>"), BAD),
    "an address beyond ASCII": (dsn(to("failed", "5.1.1", who="utf-8; élodie@example.org"),
        media="message/global-delivery-status"), BAD),
    "status in base64": (dsn(to("failed", "5.1.1"),
        media="message/delivery-status\nContent-Transfer-Encoding: base64"), BAD),
    "one of two addresses of a list failed": (dsn(to("delivered", "2.0.0"), to("failed", "5.1.1")), BAD),
    "one delayed, one delivered": (dsn(to("delayed", "4.4.1"), to("relayed", "2.0.0")), WAITS),
    "given up with the code of a success": (dsn(to("failed", "2.0.0")), LOST),
    "a report that names nobody": (dsn(said="It did not work out."), CLOSED),
    "fields in a part that calls itself text": (parts(("text/plain", "Sorry."), ("text/plain", to("failed", "5.1.1")
        .replace("|", "\n")), ("message/rfc822", QUOTED)), BAD),
    # --- reports in words
    "qmail, no such mailbox": (mail(QMAIL + "<camille@example.org>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n"
        "--- Below this line is a copy of the message.\n\n" + QUOTED, subject="failure notice"), BAD),
    "qmail, given up at last": (mail(QMAIL + "<camille@example.org>:\nI'm not going to try again; this message has "
        "been in the queue too long.\n", subject="failure notice"), LOST),
    "exim, failed": (mail(f"{EXIM}{COULD_NOT}    550 No such person{COPY}", Auto_Submitted="auto-replied",
        X_Failed_Recipients="camille@example.org", subject="Mail delivery failed: returning message to sender"), BAD),
    "exim, warning": (mail(EXIM + "has not yet been delivered to one or\nmore of its recipients after more than 24 "
        "hours on the queue.\n\nNo action is required. Delivery attempts will continue for some time. Eventually "
        "the mail delivery software will give up.\n", Auto_Submitted="auto-replied",
        subject="Warning: message 1x delayed 24 hours"), WAITS),
    "postfix, before reports had fields": (parts(("text/plain", "I'm sorry to have to inform you that the message\n"
        "could not be delivered.\n\n<camille@example.org>: host mx.example.org said: 550 user unknown"),
        ("message/rfc822", QUOTED), form="mixed", subject="Undelivered Mail Returned to Sender"), BAD),
    "exchange, before reports had fields": (mail("Your message did not reach some of the intended recipients.\n\n"
        "camille@example.org on 02/03/2026 09:12\n The e-mail account does not exist at the organization.\n",
        origin="System Administrator <postmaster@example.org>", subject="Undeliverable: Une information"), BAD),
    "exchange, in French": (mail("Votre message n’a pas pu être remis.\n camille@example.org\n La boîte est pleine.\n",
        origin="Administrateur système <postmaster@example.org>", subject="Non remis : Une information"), LOST),
    "yahoo, in words": (mail("Sorry, we were unable to deliver your message to the following address.\n\n"
        "<camille@example.org>:\nThis user doesn't have a example.org account [0]\n", subject="Failure Notice"), BAD),
    "google, delayed, in words": (mail("This is an automatically generated Delivery Status Notification\n\n"
        "THIS IS A WARNING MESSAGE ONLY.\n\nYOU DO NOT NEED TO RESEND YOUR MESSAGE.\n\nDelivery to the following "
        "recipient has been delayed:\n\n camille@example.org\n\nMessage will be retried for 2 more day(s)\n",
        X_Failed_Recipients="camille@example.org", subject="Delivery Status Notification (Delay)"), WAITS),
    "zimbra, in HTML only": (mail("<html><p>Message <b>rejected</b>:</p><p>&lt;camille@example.org&gt; 550 5.1.1"
        " unknown</p></html>", Content_Type="text/html; charset=utf-8", subject="Message rejected"), BAD),
    "words in base64": (mail(encodebytes(b"Adresse inconnue : camille").decode(), subject="Message non distribué",
        Content_Type="text/plain; charset=utf-8", Content_Transfer_Encoding="base64", MIME_Version="1.0"), BAD),
    "a subject in another alphabet": (mail("550 5.7.1 rejected", subject="=?utf-8?b?0J7RiNC40LHQutCw?="), BAD),
    "a gateway that signs as somebody": (mail("The attachment was removed, your message was rejected.",
        path="<av@x.example>", origin="Mail gateway <AntiVirus@x.example>", subject="Alert"), LOST),
    "no sign of a server, but its subject": (mail("camille: 552 mailbox full", path="<it@x.example>",
        origin="it@x.example", subject="RE: Une information : non remis"), BAD),
    "a quoted promise is none": (mail("camille@example.org failed.\n\n-- Original message follows --\n\nThis will be "
        "retried. 450\n", subject="failure notice"), LOST),
    "delayed and given up": (mail("Your message has been delayed and then failed: 550 5.1.1 unknown"), BAD),
    "a promise under a failure": (mail("Delivery attempts will continue.", subject="Delivery failure",
        path="<mailer-daemon@x.example>"), LOST),
    "a report that signs as its reader": (dsn(said="Sorry.", origin=READER, Auto_Submitted="auto-replied"), CLOSED),
    "failed recipients, signed as one of them": (mail("Sorry.", origin=READER, Auto_Submitted="auto-replied",
        X_Failed_Recipients=WHO), LOST),
    "in no words that anybody knows": (mail("Computer says no.", subject="Sorry"), CLOSED),
    # --- what readers and their mailboxes write
    "out of office, exchange": (mail(AWAY, origin=READER, subject="Réponse automatique : Une information",
        Auto_Submitted="auto-generated", X_Auto_Response_Suppress="All"), ARRIVED),
    "out of office, sieve": (mail(AWAY, origin=READER, subject="Auto: Une information",
        Auto_Submitted="auto-replied (vacation)"), ARRIVED),
    "out of office, google": (mail(AWAY, origin=READER, subject="Re: Une information", Auto_Submitted="auto-replied",
        X_Autoreply="yes", path="<camille@example.org>"), ARRIVED),
    "out of office, quoting the notice": (mail(f"{AWAY}\n\n> Ce choix n’est plus à confirmer.", origin=READER,
        subject="Absence", path="<camille@example.org>"), ARRIVED),
    "an address given up, by automatic answer": (mail("Cette adresse n’est plus relevée.", origin=READER,
        subject="Réponse automatique", Auto_Submitted="auto-replied"), CLOSED),
    "a challenge": (mail("Votre message est en attente. Cliquez ici pour vous authentifier.", origin=READER,
        subject="Re: Une information", Auto_Submitted="auto-replied"), CLOSED),
    "a challenge that is not marked": (mail("Click to confirm that you are a person.", origin=READER), CLOSED),
    "a daemon's answer that calls itself automatic": (mail("Ahem.", Auto_Submitted="auto-replied"), CLOSED),
    "somebody answers": (mail("Bonjour, qui êtes-vous ?", origin=READER, subject="Re: Une information",
        path="<camille@example.org>"), ARRIVED),
    "nobody says who sent it": (mail("Bonjour", origin=READER, subject="Re: Une information", path=None), CLOSED),
    "read receipt": (parts(("text/plain", "Lu."), ("message/disposition-notification", "Final-Recipient: rfc822; "
        "camille@example.org\nDisposition: manual-action/MDN-sent-manually; displayed\n"), origin=READER,
        form="report; report-type=disposition-notification"), ARRIVED),
    "dovecot, mailbox full, as a receipt": (parts(("text/plain", "Your message was automatically rejected:\nQuota "
        "exceeded"), ("message/disposition-notification", "Disposition: automatic-action/MDN-sent-automatically; "
        "deleted"),
        form="report; report-type=disposition-notification", Auto_Submitted="auto-replied (rejected)",
        subject="Automatically rejected mail"), LOST),
    "called unwanted by its reader": (parts(("text/plain", "This is an email abuse report"), ("message/feedback-report",
        "Feedback-Type: abuse\nUser-Agent: Example/1\n"), ("message/rfc822", QUOTED),
        form="report; report-type=feedback-report", origin="feedback@example.org"), ARRIVED),
    "refused for its signature": (parts(("text/plain", "Refused"), ("message/feedback-report",
        "Feedback-Type: auth-failure\nDelivery-Result: reject\n"), form="report; report-type=feedback-report"), LOST),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_each_form_is_read_for_what_it_says(name: str, tmp_path: Path):
    sample, expected = FORMS[name]
    Maildir(tmp_path / "returns").add(sample)
    reading = MaildirReturns(tmp_path / "returns", RETURNS).read()
    assert reading.messages == (() if expected is None else (Return(NOTICE, *expected),))
    assert (reading.complete, reading.unattributed) == (True, 0)


@pytest.mark.parametrize("name", FORMS)
def test_the_line_ends_of_the_wire_change_nothing(name: str):
    sample, expected = FORMS[name]
    report = read_report(sample.replace(b"\n", b"\r\n"))
    assert (report and Is(report.permanent, report.kind)) == expected


def test_there_are_fifty_forms_and_most_of_them_close():
    kinds = [expected.kind if expected else None for _, expected in FORMS.values()]
    assert len(FORMS) >= 50
    assert sum(kind in (Kind.FAILED, Kind.UNRECOGNISED) for kind in kinds) > len(kinds) / 2


@pytest.mark.parametrize("left_out", ["Return-Path", "From", "Subject", "To", "Content-Type"])
def test_a_failure_without_one_of_its_headers_still_closes(left_out: str):
    for name, (sample, expected) in FORMS.items():
        if expected is None or expected.kind is Kind.DELAYED or b"Return-Path: <>" not in sample:
            continue
        if name == "a report that signs as its reader" and left_out == "Content-Type":
            continue  # without its parts it is word for word an automatic answer of that reader
        head, _, body = sample.partition(b"\n\n")
        lines = [line for line in head.split(b"\n") if not line.startswith(left_out.encode() + b":")]
        report = read_report(b"\n".join(lines) + b"\n\n" + body)
        assert report is not None, name
        assert report.kind is not Kind.DELAYED, name


TRIPS = [
    b"=?utf-8?b?abcde?=", b"=?klingon?q?=E9?=", b"\n\n", b"charset=klingon", b"Content-Type: message/rfc822\n",
    b"Content-Transfer-Encoding: base64\n", b"Content-Type: message/delivery-status\n", b"--=_b\n", b"\x00",
]  # fmt: skip
UNREADABLE = {
    "a subject in broken base64": mail("550", subject="=?utf-8?b?abcde?="),
    "a charset with a zero in its name": mail("550", origin="=?utf\x00-8?q?a?= <a@b.example>"),
    "more messages in each other than can be followed": mail("", Content_Type="message/rfc822").rstrip()
    + b"\n\nContent-Type: message/rfc822" * 3000,
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_message_that_breaks_every_rule_closes_and_stops_no_reading(name: str, tmp_path: Path):
    box = Maildir(tmp_path / "returns")
    box.add(UNREADABLE[name])
    box.add(FORMS["postfix, unknown user"][0])
    messages = MaildirReturns(tmp_path / "returns", RETURNS).read().messages
    assert len(messages) == 2
    assert all(message.undelivered and message.reference == NOTICE for message in messages)


@given(st.sampled_from(sorted(FORMS)), st.data())
def test_no_message_stops_a_reading(name: str, data: st.DataObject):
    """Pieces of all forms, and of what trips parsers, anywhere in any of them."""
    sample = bytearray(FORMS[name][0])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(sample)))
        other = FORMS[data.draw(st.sampled_from(sorted(FORMS)))][0]
        start = data.draw(st.integers(0, len(other)))
        piece = data.draw(st.sampled_from([other[start : start + 120], *TRIPS]) | st.binary(max_size=4))
        sample[at : at + data.draw(st.integers(0, 9))] = piece
    report = read_report(bytes(sample))
    assert report is None or report.kind in Kind
