"""People at their browsers: real HTTP to the served pages, forms filled in as they are shown."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Self

import httpx2

from portal.outside.trust import trusted
from portal.rules.refusals import Refused


@dataclass
class Form:
    """A form as a page shows it: where it goes and what it already holds."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(given.get("action", ""))
            self.found.append(self._open)
        elif self._open is not None and tag == "input" and given.get("type") == "hidden":
            self._open.fields[given["name"]] = given.get("value", "")
        elif self._open is not None and tag == "button" and "formaction" in given:
            self._open.actions.append(given["formaction"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


class Browser:
    """One person's browser: its own cookies. `base` is where the portal is served."""

    def __init__(self, base: str) -> None:
        self._client = httpx2.AsyncClient(
            base_url=base, follow_redirects=True, timeout=120, headers={"Origin": base}, verify=trusted()
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def read(self, path: str) -> str:
        return _page(await self._client.get(path))

    async def send(self, page: str, action: str, **fields: str) -> str:
        """Open `page`, fill in the form that leads to `action`, and send it; returns the page that follows."""
        shown = _Forms()
        shown.feed(await self.read(page))
        form = next((f for f in shown.found if action in (f.action.partition("?")[0], *f.actions)), None)
        if form is None:
            raise Refused("no_form", "the page shows no such form", where=f"{_route(page)} → {_route(action)}")
        where = action if action in form.actions else form.action
        return _page(await self._client.post(where, data={**form.fields, **fields}))

    async def sign_in(self, way: str, person: str) -> str:
        """Through the identity provider: `way` is `doctor` or `staff`, `person` who is chosen there."""
        asked = await self._client.get(f"/login/{way}")
        return _page(await self._client.post(str(asked.url), data={"sub": person}))

    async def download(self, page: str, action: str) -> bytes:
        """Send the form for `action` and keep what comes back as a file."""
        answer = await self._client.post(action, data={})
        if answer.status_code != 200:
            raise Refused("demo_step", f"a download answered {answer.status_code}", where=_route(page))
        return answer.content


def _page(answer: httpx2.Response) -> str:
    if answer.status_code != 200:
        route = _route(answer.url.path)
        raise Refused("demo_step", f"a page answered {answer.status_code}", where=f"{answer.request.method} {route}")
    return answer.text


def _route(path: str) -> str:
    """A path without what is personal in it."""
    return "/o/{token}" if path.startswith("/o/") else path
