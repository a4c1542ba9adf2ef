"""The messages that are mailed, from the templates of mails; the language is the text's."""

from dataclasses import replace
from typing import Any

from portal.flow.mail_doctor import ToDoctor
from portal.flow.mail_receipt import Receipt
from portal.flow.notify import Letter, Rendered
from portal.outside.envelope import Attached
from portal.rules.enrolment import DoctorMailKind
from portal.rules.words import Language
from portal.web import render
from portal.web.frame import reference
from portal.web.on_paper import signed_copy


def render_letter(letter: Letter) -> Rendered:
    """A notice: a subject without any name, and the same words as plain text and as HTML."""
    return _rendered(
        ("subject.txt", "notice.txt", "notice.html"),
        letter.language,
        addressee=letter.addressee,
        person=letter.person or None,
        practice=letter.practice_name,
        observatory=letter.observatory_name,
        url=letter.link,
        first_use=None,
    )


def render_receipt(receipt: Receipt) -> Rendered:
    """The receipt of a no, of which the subject says nothing."""
    return _rendered(
        ("receipt_subject.txt", "receipt.txt", "receipt.html"),
        receipt.language,
        addressee=receipt.addressee,
        scope=receipt.scope,
        practice=receipt.practice_name,
        observatory=receipt.observatory_name,
        received_at=receipt.received_at,
        reference=reference(receipt.objection_id),
        url=receipt.link,
    )


async def render_to_doctor(mail: ToDoctor) -> Rendered:
    """An invitation, or what follows a signature; with the copy of what was signed when that is what it is about."""
    rendered = _rendered(
        ("doctor_subject.txt", "doctor.txt", "doctor.html"),
        mail.language,
        kind=mail.kind,
        practice=mail.practice,
        observatory=mail.observatory,
        ends_at=mail.ends_at,
        version=mail.signed["version"] if mail.signed else None,
        url=mail.link,
    )
    if mail.kind is not DoctorMailKind.COPY or mail.signed is None:
        return rendered
    name = f"agreement-{mail.signed['version']}.pdf"
    return replace(rendered, attached=Attached(name, await signed_copy(mail.signed)))


def _rendered(templates: tuple[str, str, str], language: str, **context: Any) -> Rendered:
    subject, text, html = (render.page(f"mail/{name}", language=Language(language), **context) for name in templates)
    return Rendered(" ".join(subject.split()), text.strip() + "\n", html)
