"""The worker in a process that may be killed at any moment: its own round, over a real database and real SMTP."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from world import means_in

from portal.demo.clock import PlayedClock
from portal.outside.clock import SystemClock
from portal.outside.mail import Server, SmtpPost
from portal.outside.returns import MaildirReturns
from portal.records.database import opened
from portal.service import one_round


@dataclass(frozen=True)
class Place:
    """Where a worker finds its things, the mail server, and the moment at which it wakes."""

    database_url: str
    folder: Path
    at: datetime
    smtp_port: int


def work(place: Place) -> None:
    asyncio.run(_work(place))


async def _work(place: Place) -> None:
    means = means_in(place.folder, PlayedClock(place.at, SystemClock()))
    returns = MaildirReturns(place.folder / "returns", means.returns_address)
    server = Server("127.0.0.1", place.smtp_port, starttls=False)
    async with opened(place.database_url), SmtpPost(server) as post:
        await one_round(means, post, returns, reading=False)
