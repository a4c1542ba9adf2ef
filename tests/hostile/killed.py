"""A release from its preparation to a second download, made by a process that may be killed at any moment.

`go_on` looks at what is there and does what is left, as people would after a crash; done twice, it does nothing new.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from portal.demo.clock import PlayedClock
from portal.flow import opt_out
from portal.flow import release as flow
from portal.flow.clear_away import clear_away
from portal.flow.means import Means
from portal.outside.clock import SystemClock
from portal.outside.keys import KeyRing
from portal.records.accounts import Account
from portal.records.database import opened
from portal.records.objections import Objection
from portal.records.releases import Delivery, Release
from portal.rules.words import ReleaseState, Role, Scope


@dataclass(frozen=True)
class Place:
    """Where a trial lives, and the link of the one who objects between the two downloads."""

    folder: Path
    keys: Path
    at: datetime
    link: str

    @property
    def means(self) -> Means:
        return Means(
            clock=PlayedClock(self.at, SystemClock()), ring=KeyRing(self.keys), data_dir=self.folder / "data",
            base_url="http://127.0.0.1:8000", mail_from="a@example.org", returns_address="r+{ref}@example.org",
            releases_in_plain=True,
        )  # fmt: skip


def work(place: Place) -> None:
    asyncio.run(_work(place))


async def _work(place: Place) -> None:
    async with opened(f"sqlite://{place.folder}/portal.sqlite3"):
        await go_on(place.means, place.link)


async def go_on(means: Means, link: str) -> None:
    operator, dpo, recipient = [await Account.get(role=role) for role in (Role.OPERATOR, Role.DPO, Role.RECIPIENT)]
    await clear_away(means)
    release = await Release.first()
    release_id = release.id if release else await flow.prepare(means, "diabetes", by=operator)
    if (await Release.get(id=release_id)).state == ReleaseState.PREPARED:
        await flow.approve(means, release_id, by=dpo, second_factor=True)
    if (await Release.get(id=release_id)).state == ReleaseState.APPROVED:
        await flow.seal(means, release_id, by=operator)
    if not await Delivery.exists():
        await flow.serve(means, release_id, by=recipient)
    if not await Objection.exists():
        await opt_out.object_(means, link, Scope.EVERYTHING)
    await flow.serve(means, release_id, by=recipient)
    await clear_away(means)
