"""Objections by channel are counted: received = committed = withheld by the gate; and who has fallen silent (F11)."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from portal.flow.decide import Asked, snapshot, thresholds_of
from portal.flow.hatch import ACTOR
from portal.flow.means import Means
from portal.records.channels import committed, counted_at, crossings, heard, received, unheeded
from portal.records.database import Connection, rows, transact, write_many
from portal.records.ledger import enter
from portal.rules.silence import silent_since
from portal.rules.waiting import midnight, paris_day
from portal.rules.words import ObjectionChannel


@dataclass(frozen=True, slots=True)
class Counted:
    """One channel. `withheld`: on record, and heeded by the gate or lifted since by an entry of its own."""

    channel: str
    received: int
    committed: int
    withheld: int
    last_at: datetime | None
    silent_since: datetime | None

    @property
    def agrees(self) -> bool:
        return self.received == self.committed == self.withheld


EVERY = timedelta(hours=1)


async def count_when_due(means: Means, *, silence_factor: float) -> list[Counted]:
    """`count_objections` once an hour; nothing in between."""
    last = await transact(counted_at)
    if last is not None and means.clock.now() < last + EVERY:
        return []
    return await count_objections(means, silence_factor=silence_factor)


async def count_objections(means: Means, *, silence_factor: float) -> list[Counted]:
    """Count all channels on one snapshot, then enter what was found. Long work holds no entry open."""
    counted = await transact(lambda c: _count(c, means, silence_factor))
    await transact(lambda c: _keep(c, means, counted))
    return counted


async def _count(c: Connection, means: Means, factor: float) -> list[Counted]:
    await snapshot(c)
    today = paris_day(await means.now(c))
    came, stands, moments = await received(c), await committed(c), await heard(c)
    ignored: set[int] = set()
    for observatory, study in await crossings(c):
        ignored |= await unheeded(c, await thresholds_of(means, c, Asked(observatory, study)))
    channels = dict.fromkeys([*map(str, ObjectionChannel), *came, *stands])
    return [
        Counted(
            channel,
            len(came[channel]),
            len(stands[channel]),
            len(stands[channel] - ignored),
            moments[channel][-1] if channel in moments else None,
            _silent(moments.get(channel, []), today, factor),
        )
        for channel in channels
    ]


def _silent(moments: list[datetime], today: date, factor: float) -> datetime | None:
    last = silent_since(map(paris_day, moments), today, factor=factor)
    return midnight(last) if last else None


async def _keep(c: Connection, means: Means, counted: list[Counted]) -> None:
    now = await means.now(c)
    off, silent = sum(not one.agrees for one in counted), sum(one.silent_since is not None for one in counted)
    entry = await enter(
        c, "objections_counted", actor=ACTOR, at=now, touches=[("canary", "counts")],
        summary=f"{len(counted)} channels, {off} differ, {silent} silent",
    )  # fmt: skip
    await rows(c, "DELETE FROM channel_count")
    await write_many(
        c,
        "INSERT INTO channel_count (channel, received, committed, withheld, last_at, silent_since, counted_at, "
        "entry_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            (one.channel, one.received, one.committed, one.withheld, one.last_at, one.silent_since, now, entry)
            for one in counted
        ],
    )
