"""The site in a process that may be killed at any moment: the real application, database and HTTP server."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server
from pydantic import SecretStr
from world import means_in

from portal.app import build, make_providers
from portal.demo.clock import PlayedClock
from portal.outside.clock import SystemClock
from portal.settings import Settings

SECRET = SecretStr("s" * 40)


@dataclass(frozen=True)
class Place:
    """Where a served site keeps its things, and the port at which it answers."""

    database_url: str
    folder: Path
    at: datetime
    port: int

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def serve(place: Place) -> None:
    asyncio.run(_serve(place))


async def _serve(place: Place) -> None:
    settings = Settings(
        demo=True, base_url=place.base, database_url=place.database_url, data_dir=place.folder / "data",
        keys_dir=place.folder / "keys", secret=SECRET,
    )  # fmt: skip
    means = means_in(place.folder, PlayedClock(place.at, SystemClock()))
    doctors, staff = make_providers(settings, means.clock)
    app = build(settings, means, doctors=doctors, staff=staff)
    server = Server(app, port=place.port, interface=Interfaces.ASGI, websockets=False, log_enabled=False)
    await server.serve()
