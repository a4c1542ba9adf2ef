"""How many requests were answered, how, and how fast: by the route's template, never by an address, which may hold a
link's token. Each serving process counts its own and says which it is."""

import os
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
"""Others are counted together: a method is text that a stranger may choose."""

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Requests:
    """The counters of one application in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._process = str(os.getpid())
        self._answered = Counter(
            "portal_requests", "Requests answered.", ("process", "method", "route", "status"), registry=self.registry
        )
        self._took = Histogram(
            "portal_request_seconds", "How long an answer took.", ("process", "route"), buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        method = method if method in METHODS else "other"
        self._answered.labels(self._process, method, route, str(status)).inc()
        self._took.labels(self._process, route).observe(seconds)


class Measured:
    """Pure ASGI, around everything else."""

    def __init__(self, app: ASGIApp, *, requests: Requests) -> None:
        self.app, self.requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            route = str(getattr(scope.get("endpoint"), "path", "none"))
            self.requests.note(scope["method"], route, status, perf_counter() - began)
