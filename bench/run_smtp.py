"""The SMTP server of P12 in a process of its own: takes every message and keeps none. Says its port."""

import asyncio
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


class Taker:
    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        return "250 2.0.0 taken"


async def main() -> None:
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(Taker(), hostname="localhost"), "127.0.0.1", 0)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
