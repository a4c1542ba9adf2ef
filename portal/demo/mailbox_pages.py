"""The kept mail in a browser: a list, and one message as escaped text with its links. Demo mode only."""

import re
from collections.abc import Iterable, Iterator
from email.message import EmailMessage
from html import escape
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from portal.demo.bare_page import bare_page, prefers_french
from portal.demo.mailbox import MailFolder

NEWEST = 50
_LOOPBACK = re.compile(r"^http://127\.0\.0\.1:\d+")
_LINK = re.compile(r"(https?://[^\s<>\"]*[^\s<>\".,;:!?)])")
_WORDS = {
    "fr": ("Boîte de démonstration", "Objet", "Destinataire", "Tous les messages"),
    "en": ("Demo mailbox", "Subject", "Recipient", "All messages"),
}


def mailbox_routes(kept: MailFolder, *, at: str) -> list[Route]:
    """The newest messages (or, with `?to=`, those of one address), and each message. `at`: where this is mounted."""

    async def listed(request: Request) -> Response:
        language = _language(request)
        address = request.query_params.get("to")
        messages = ((name, kept.read(name)) for name in reversed(kept.names()))
        found = islice(_of(address, messages), NEWEST)
        title, subject, recipient, _ = _WORDS[language]
        rows = "".join(
            f'<tr><td><a href="{at}/{name}">{escape(str(each["Subject"]))}</a></td>'
            f"<td>{escape(str(each['Delivered-To']))}</td></tr>"
            for name, each in found
        )
        heads = f'<tr><th scope="col">{subject}</th><th scope="col">{recipient}</th></tr>'
        return bare_page(
            title, f"<table class='whole'><thead>{heads}</thead><tbody>{rows}</tbody></table>", language=language
        )

    async def shown(request: Request) -> Response:
        name, language = request.path_params["name"], _language(request)
        back = f'<p><a href="{at}/">{_WORDS[language][3]}</a></p>'
        if name not in kept.names():
            return bare_page("404", back, language=language, status=404)
        message = kept.read(name)
        part = message.get_body(("plain",))
        told = escape(str(message.get("Content-Language", language)))
        text = as_markup(part.get_content() if part else "")
        to = f"<p>{_WORDS[language][2]}: {escape(str(message['Delivered-To']))}</p>"
        return bare_page(str(message["Subject"]), f'{to}<div lang="{told}">{text}</div>{back}', language=language)

    return [Route("/", listed), Route("/{name}", shown)]


def as_markup(text: str) -> str:
    """Plain text as paragraphs: everything escaped, web addresses as links."""
    pieces = _LINK.split(text.strip())
    linked = "".join(
        f'<a href="{escape(_here(piece))}">{escape(piece)}</a>' if odd % 2 else escape(piece)
        for odd, piece in enumerate(pieces)
    )
    paragraphs = re.split(r"\r?\n(?:[ \t]*\r?\n)+", linked)
    return "".join(f"<p>{'<br>'.join(each.splitlines())}</p>" for each in paragraphs)


def _language(request: Request) -> str:
    return "fr" if prefers_french(request.headers.get("accept-language", "")) else "en"


def _of(address: str | None, messages: Iterable[tuple[str, EmailMessage]]) -> Iterator[tuple[str, EmailMessage]]:
    return (each for each in messages if address is None or each[1]["Delivered-To"] == address)


def _here(link: str) -> str:
    """A link of this machine as a path: what was played on one port may be read on another."""
    return _LOOPBACK.sub("", link) or "/"
