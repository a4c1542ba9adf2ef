"""A page as a reader without script meets it, looked at by axe and by rule."""

from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response

AXE = (Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async ([only, unlike]) => (await axe.run(document, {
  runOnly: only, rules: unlike, resultTypes: ['violations'], elementRef: false, preload: false,
})).violations.map(v => `${v.id}: ${v.nodes.map(n => n.target.join(' ')).join(' | ')}`)"""
HEIGHT = 900


class Looker:
    """One tab. `noise` gathers what no page may do: complain on the console, or ask another origin for anything."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.page, self.base = context.new_page(), base
        self.noise: list[str] = []
        self._cdp = context.new_cdp_session(self.page)
        self._answer: Response | None = None
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.noise.append(f"page error: {error}"))
        self.page.on("request", self._on_request)

    def open(self, path: str, *, press: str = "") -> int:
        """Load the page with its scripts off, press what is named on it, and return the status of what is shown.

        Scripts are allowed again afterwards, since axe is one.
        """
        self.noise.clear()
        self._scripts(off=True)
        self._answer = self.page.goto(self.base + path)
        if press:
            with self.page.expect_response(lambda r: r.request.is_navigation_request()) as answered:
                self.page.locator(press).first.click()
            self._answer = answered.value
            self.page.wait_for_load_state()
        self._scripts(off=False)
        self.page.evaluate(AXE)
        assert self._answer is not None
        return self._answer.status

    def fetch(self, path: str) -> int:
        """The status of a file, which no tab shows."""
        return self.page.request.get(self.base + path).status

    def axe(self, width: int) -> list[str]:
        """What axe finds at this width."""
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        found: list[str] = self.page.evaluate(RUN, [TAGS, {}])
        return found

    def contrast(self, scheme: str) -> list[str]:
        """What axe finds in the other colours: nothing else changes with them."""
        self.page.emulate_media(color_scheme=scheme)
        found: list[str] = self.page.evaluate(RUN, [{"type": "rule", "values": ["color-contrast"]}, {}])
        self.page.emulate_media(color_scheme="light")
        return found

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)

    def _scripts(self, *, off: bool) -> None:
        self._cdp.send("Emulation.setScriptExecutionDisabled", {"value": off})

    def _on_console(self, message: ConsoleMessage) -> None:
        """Chromium also reports a page's own status of 4xx on its console, which is no complaint."""
        own = message.location.get("url") == self.page.url and "the server responded with a status of 4" in message.text
        if message.type in ("error", "warning") and not own:
            self.noise.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith(self.base + "/"):
            self.noise.append(f"request to another origin: {request.url}")
