"""A small observatory served with identity providers of its own. A program: folder, port, issuers of doctors and staff.

The product's own `serve` asks for https everywhere, and its demo brings its own provider.
"""

import asyncio
import sys
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server
from openid_peer import DISCOVERY, SECRET
from world import build as build_world
from world import opened_in

from portal.app import build, make_providers
from portal.demo.clock import PlayedClock
from portal.outside.clock import SystemClock
from portal.outside.keys import KeyRing
from portal.settings import DoctorSignIn, Settings, StaffSignIn
from portal.wiring import make_means


async def serve(folder: Path, port: int, doctors: str, staff: str) -> None:
    real = SystemClock()
    settings = Settings(
        demo=True, base_url=f"http://127.0.0.1:{port}", data_dir=folder, keys_dir=folder / "keys",
        doctor_oidc=DoctorSignIn(
            issuer=doctors, discovery_url=f"{doctors}{DISCOVERY}", client_id="doctors", client_secret=SECRET
        ),
        staff_oidc=StaffSignIn(issuer=staff, client_id="desk", client_secret=SECRET),
    )  # fmt: skip
    for family in ("contacts", "blind", "links", "matching", "signing", "releases"):
        KeyRing(settings.keys_dir).create(family)
    means = make_means(settings, real)
    async with opened_in(folder):
        await build_world(means, PlayedClock(real.now(), real), folder)
        for_doctors, for_staff = make_providers(settings, real)
        app = build(settings, means, doctors=for_doctors, staff=for_staff, database=False)
        await Server(app, "127.0.0.1", port, interface=Interfaces.ASGI).serve()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
