"""A page of the demo's own side rooms (its sign-in, its mailbox), in the portal's style but apart from it."""

from html import escape

from starlette.responses import HTMLResponse


def bare_page(title: str, body: str, *, language: str = "en", status: int = 200) -> HTMLResponse:
    """`body` is markup; the caller has escaped what it holds."""
    return HTMLResponse(
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/static/portal.css"></head>'
        f'<body><main id="main" class="wrap"><h1>{escape(title)}</h1>{body}</main></body></html>',
        status_code=status,
    )


def prefers_french(accept_language: str) -> bool:
    """Whether the browser names French before English, or neither."""
    wanted = [part.partition(";")[0].strip().lower()[:2] for part in accept_language.split(",")]
    return next((each for each in wanted if each in ("fr", "en")), "fr") == "fr"
