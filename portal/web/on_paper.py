"""A text of marked lines as a PDF in its reader's language, and PDFs as answers."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.responses import Response

from portal.outside.typeset import TypstPress
from portal.rules.words import Language
from portal.web import render
from portal.web.print_file import text_of


def press() -> TypstPress:
    """What sets our paper."""
    return TypstPress(render.folder("templates") / "letter")


async def as_pdf(template: str, *, language: Language, at: datetime, **context: Any) -> bytes:
    """The template of marked lines on its pages; the same context and moment give the same bytes."""
    marked = render.page(template, language=language, **context)
    return await press().set("text", text_of(marked, language), at=at)


async def signed_copy(signed: Mapping[str, Any]) -> bytes:
    """What was signed, by whom and how, in the language that was signed; the same each time."""
    return await as_pdf(
        "letter/signed.txt", language=Language(signed["language"]), at=signed["signed_at"], signed=signed
    )


def pdf_file(content: bytes, name: str) -> Response:
    """To be kept under this name."""
    return Response(
        content, media_type="application/pdf", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
