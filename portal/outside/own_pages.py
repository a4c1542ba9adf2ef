"""The portal's own pages as a patient meets them: over HTTP, at the public address, through whatever stands before."""

import logging
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

import httpx2

from portal.outside.trust import trusted

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it notes every address, and one holds a link's token

SECONDS = 10.0

UNREACHABLE = 0
"""The status of an answer that never came."""


def origin_of(base_url: str) -> str:
    """The origin as browsers write it: scheme and host in lower case, no port that is the scheme's own."""
    parts = urlsplit(base_url.lower())
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, usual) else "")


@dataclass(frozen=True, slots=True)
class Page:
    status: int
    text: str = ""
    location: str = ""


@dataclass
class Pages:
    """`transport`: how it gets there, where that is not by the network."""

    base_url: str
    transport: httpx2.AsyncBaseTransport | None = field(default=None, repr=False)

    async def get(self, path: str) -> Page:
        return await self._ask("GET", path, None)

    async def post(self, path: str, fields: dict[str, str]) -> Page:
        """A form as a browser sends it; where it leads is not followed."""
        return await self._ask("POST", path, fields)

    async def _ask(self, method: str, path: str, fields: dict[str, str] | None) -> Page:
        own = {"Origin": origin_of(self.base_url), "Sec-Fetch-Site": "same-origin"} if method == "POST" else {}
        try:
            async with httpx2.AsyncClient(
                transport=self.transport, base_url=self.base_url, headers=own, timeout=SECONDS, verify=trusted()
            ) as client:
                answer = await client.request(method, path, data=fields)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return Page(UNREACHABLE)
        return Page(answer.status_code, answer.text, answer.headers.get("location", ""))


class _Form(HTMLParser):
    def __init__(self, action: str, text: str) -> None:
        super().__init__()
        self.action = action
        self.hidden: dict[str, str] = {}
        self.found: dict[str, str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.hidden = {}
        if tag == "input" and given.get("type") == "hidden":
            self.hidden[given.get("name", "")] = given.get("value", "")
        if tag == "button" and given.get("formaction", "").partition("?")[0] == self.action:
            self.found = self.hidden


def hidden_fields(page: Page, action: str) -> dict[str, str] | None:
    """What the form with a button that leads to `action` sends along; None when the page has no such button."""
    return _Form(action, page.text).found
