"""The message that carries a personal link, from the templates of mails; the language is the text's."""

from portal.flow.notify import Letter, Rendered
from portal.rules.words import Language
from portal.web import render


def render_letter(letter: Letter) -> Rendered:
    """A subject without any name, and the same words as plain text and as HTML."""
    context = {
        "addressee": letter.addressee,
        "person": letter.person or None,
        "practice": letter.practice_name,
        "observatory": letter.observatory_name,
        "url": letter.link,
        "first_use": None,
    }
    subject, text, html = (
        render.page(f"mail/{name}", language=Language(letter.language), **context)
        for name in ("subject.txt", "notice.txt", "notice.html")
    )
    return Rendered(" ".join(subject.split()), text.strip() + "\n", html)
