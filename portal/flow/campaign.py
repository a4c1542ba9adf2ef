"""Campaigns: who of a practice's patients is due and why, seen before anything is sent; started, stopped, resumed."""

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from portal.flow.addressees import Reader, due_readers
from portal.flow.means import Means
from portal.outside.tokens import link_token, token_hash
from portal.records.accounts import Account
from portal.records.database import Connection, rows, transact, write_many
from portal.records.ledger import enter
from portal.rules.due import Why
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import NoticeChannel, NoticeState


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign would do now, in readers (a patient, or each of her holders of authority).

    `due`: by reason and channel; with no channel, nobody can reach them but the doctor's hand. `told`: who was told
    already. `new_since`: what the text that is sent is called.
    """

    due: dict[tuple[Why, NoticeChannel | None], int]
    told: int

    @property
    def to_send(self) -> int:
        return sum(number for (_, channel), number in self.due.items() if channel is not None)

    @property
    def not_reachable(self) -> int:
        return sum(number for (_, channel), number in self.due.items() if channel is None)


@dataclass(frozen=True, slots=True)
class Campaigned:
    """A campaign's numbers, in readers: who gets a notice, who was told already, and who cannot be reached."""

    campaign_id: int
    queued: int
    already_told: int
    not_reachable: int


async def plan_campaign(means: Means, *, observatory_id: str, practice_id: str) -> Plan:
    """What `start_campaign` would do now. Reads only. Refused("no_text") when no notice text is published."""

    async def step(c: Connection) -> Plan:
        return _plan(await due_readers(c, observatory_id, practice_id, paris_day(await means.now(c))))

    return await transact(step)


def _plan(readers: list[Reader]) -> Plan:
    counted = Counter((reader.due.why, reader.due.channel) for reader in readers if reader.due is not None)
    return Plan(dict(counted), sum(reader.due is None for reader in readers))


async def start_campaign(means: Means, *, observatory_id: str, practice_id: str, by: Account) -> Campaigned:
    """Queue one notice for every patient of a practice who has not had the current text; one entry, one commit.

    The text is the newest published one for adults in the patient's language (else French). Patients who died,
    left, or whom nobody can be told for get none. Mail leaves by the outbox, letters wait to be printed.
    """
    return await transact(lambda c: _campaign(c, means, observatory_id, practice_id, by))


async def _campaign(c: Connection, means: Means, observatory_id: str, practice_id: str, by: Account) -> Campaigned:
    now = await means.now(c)
    entry = await enter(
        c, "campaign_started", actor=by.actor, at=now, touches=[("practice", practice_id)], summary=observatory_id
    )
    readers = await due_readers(c, observatory_id, practice_id, paris_day(now))
    made = await rows(
        c,
        "INSERT INTO campaign (observatory_id, practice_id, started_at, started_by, entry_id) "
        "VALUES ($1, $2, $3, $4, $5) RETURNING id",
        observatory_id, practice_id, now, by.actor, entry,
    )  # fmt: skip
    campaign_id = int(made[0]["id"])
    notices = [notice for reader in readers if (notice := _notice(means, reader, campaign_id)) is not None]
    await write_many(
        c,
        "INSERT INTO notice (id, patient_id, text_id, addressee, channel, state, token_hash, reader_index, "
        "address_index, campaign_id) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        notices,
    )
    await write_many(
        c,
        "INSERT INTO outbox_item (notice_id, due_at, attempts) VALUES ($1, $2, 0)",
        [(notice[0], now) for notice in notices if notice[4] == NoticeChannel.EMAIL],
    )
    plan = _plan(readers)
    return Campaigned(campaign_id, plan.to_send, plan.told, plan.not_reachable)


def _notice(means: Means, reader: Reader, campaign_id: int) -> tuple[Any, ...] | None:
    if reader.due is None or reader.due.channel is None:
        return None
    notice_id = uuid4()
    hashed = token_hash(link_token(means.ring, str(notice_id))).hex()
    return (
        notice_id, reader.patient_id, reader.text_id, reader.addressee, reader.due.channel, NoticeState.QUEUED, hashed,
        reader.reader_index, reader.due.address_index, campaign_id,
    )  # fmt: skip


async def stop_campaign(means: Means, campaign_id: int, *, by: Account) -> None:
    """Nothing more of it is sent or printed until it goes on; what is under way at this moment still leaves."""
    await transact(lambda c: _turn(c, means, campaign_id, by, stop=True))


async def resume_campaign(means: Means, campaign_id: int, *, by: Account) -> None:
    """What it had not sent leaves now."""
    await transact(lambda c: _turn(c, means, campaign_id, by, stop=False))


async def _turn(c: Connection, means: Means, campaign_id: int, by: Account, *, stop: bool) -> None:
    now = await means.now(c)
    kind = "campaign_stopped" if stop else "campaign_resumed"
    await enter(c, kind, actor=by.actor, at=now, touches=[("campaign", str(campaign_id))])
    stands = "IS NULL" if stop else "IS NOT NULL"
    turned = await rows(
        c,
        f"UPDATE campaign SET stopped_at = $1 WHERE id = $2 AND stopped_at {stands} RETURNING id",
        now if stop else None, campaign_id,
    )  # fmt: skip
    if not turned:
        raise Refused("no_campaign", "there is no such campaign, or it stands so already", status=404)
