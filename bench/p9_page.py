"""The patient's page by her link, beside the same template without any database, and beside Django and Flask.

Each is served by granian with one worker; sixteen connections ask, again and again, in turn for each server.
"""

import asyncio
import pickle
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
from tortoise.backends.asyncpg.client import AsyncpgDBClient

from bench.made_observatory import make
from bench.measure import Figure, Taken, compared, interleaved
from bench.postgres import postgres
from bench.run_page import portal
from bench.serving import prepare, served
from portal.records.database import opened
from portal.web import render

IDS = ("P9", "P11")
REQUESTS = {"small": 1_000, "full": 5_000}
AT_ONCE, RUNS = 16, 7
KINDS = ("portal", "bare", "django", "flask")


def run(scale: str) -> list[Figure]:
    with postgres() as url, tempfile.TemporaryDirectory() as folder:
        token = make(url, Path(folder), 200)[0]
        asyncio.run(_record(url, Path(folder), token))
        taken, size = _measured(Path(folder), token, REQUESTS[scale])
    sizes = f"{REQUESTS[scale]:,} requests, {AT_ONCE} at once, {size:,} bytes, one worker"
    p9 = compared("P9", "patient's page : the same template, no database", taken["portal"], taken["bare"], 1 / 0.45,
                  RUNS, sizes)  # fmt: skip
    others = [
        compared(
            "P11", f"patient's page : the same in {name.capitalize()}", taken["portal"], taken[name], 1, RUNS, sizes
        )
        for name in ("django", "flask")
    ]
    return [p9, *others]


async def _record(url: str, folder: Path, token: str) -> None:
    """One answer of the portal: what its template was given, and what the database was asked."""
    kept = prepare(url, folder)
    shown, asked = render.page, AsyncpgDBClient.execute_query_dict

    def page(name: str, *, language: Any, **context: Any) -> str:
        kept.update(template=name, language=language, context=context)
        return shown(name, language=language, **context)

    async def ask(self: Any, query: str, values: Any = None) -> Any:
        kept["statements"].append((query, list(values or [])))
        return await asked(self, query, values)

    app = portal()
    async with opened(url):
        render.page, AsyncpgDBClient.execute_query_dict = page, ask  # type: ignore[assignment,method-assign] # to hear what both must do
        try:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as client:
                answer = await client.get(f"/o/{token}")
        finally:
            render.page, AsyncpgDBClient.execute_query_dict = shown, asked  # type: ignore[method-assign] # as it was before
    if answer.status_code != 200 or len(kept["statements"]) < 3:
        raise RuntimeError("the page was not what it should be")
    (folder / "page.pickle").write_bytes(pickle.dumps(kept))


def _measured(folder: Path, token: str, requests: int) -> tuple[dict[str, Taken], int]:
    with ExitStack() as servers:
        ports = {kind: servers.enter_context(served(kind, folder)) for kind in KINDS}
        sizes = {kind: asyncio.run(_ask(port, token, 50)) for kind, port in ports.items()}
        if len({size // 100 for size in sizes.values()}) != 1:
            raise RuntimeError(f"the pages differ: {sizes}")
        cases = {kind: _case(port, token, requests) for kind, port in ports.items()}
        return interleaved(RUNS, **cases), sizes["portal"]


def _case(port: int, token: str, requests: int) -> Any:
    return lambda: asyncio.run(_ask(port, token, requests))


async def _ask(port: int, token: str, requests: int) -> int:
    """So many requests over sixteen connections that stay open; the bytes of the body."""
    asked = f"GET /o/{token} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Language: fr\r\n\r\n".encode()
    left = iter(range(requests))

    async def one() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        size = 0
        for _ in left:
            writer.write(asked)
            size = await _body(reader)
        writer.close()
        return size

    return max(await asyncio.gather(*(one() for _ in range(AT_ONCE))))


async def _body(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if not head.startswith("http/1.1 200"):
        raise RuntimeError(head.partition("\r\n")[0])
    if "content-length:" in head:
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        await reader.readexactly(length)
        return length
    size = 0
    while length := int((await reader.readuntil(b"\r\n")).strip(), 16):
        await reader.readexactly(length + 2)
        size += length
    await reader.readexactly(2)
    return size
