"""Patients are told: the outbox sends what a campaign has queued; what comes back changes its state."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from portal.flow.means import Means
from portal.flow.register_rows import contact_binding
from portal.outside.envelope import Attached, build_message, return_path
from portal.outside.mail import Answer, Outcome, Post
from portal.outside.returns import Reading, ReturnMailbox
from portal.outside.tokens import open_sealed, sent_link_token
from portal.records import outbox
from portal.records.accounts import Account
from portal.records.database import Connection, from_json, is_postgres, json_texts, rows, transact, write_many
from portal.records.ledger import Touch, enter
from portal.records.people import TOLD_ALONE
from portal.rules.conditions import fingerprint
from portal.rules.pace import Pace
from portal.rules.refusals import Refused
from portal.rules.waiting import ATTEMPTS, RETRY
from portal.rules.words import Addressee

BATCH = 50
"""Messages claimed, sent and recorded together: as many may be sent twice, under one reference, after a crash."""

CLAIM = timedelta(minutes=10)
ASIDE = timedelta(days=1)
"""How long what cannot be sent now is left alone."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a notice's message says; the page language is the text's. No name ever stands in a subject.

    `person`: the given names of the patient, so that families who share an address know whom it is about.
    """

    notice_id: UUID
    link: str
    language: str
    addressee: Addressee
    person: str
    email: str
    practice_name: str
    observatory_name: str
    text: dict[str, Any]
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Rendered:
    subject: str
    text: str
    html: str
    attached: Attached | None = None


Render = Callable[[Letter], Rendered]


async def send_due(means: Means, post: Post, render: Render, *, at_most: int = BATCH, pace: Pace | None = None) -> int:
    """Claim, render, send and record what is due; returns how many were attempted. Safe to run several at once.

    Tokens are made here, at the moment of sending, and are nowhere at rest. What is beyond the pace of its domain
    waits for its turn and holds up nobody else.
    """
    due, letters = await _at_pace(means, at_most, pace or Pace())
    while due and not letters:
        due, letters = await _at_pace(means, at_most, pace or Pace())
    if not letters:
        return 0
    answers = await asyncio.gather(
        *(send_rendered(means, post, render(letter), letter, reference=letter.notice_id) for _, letter in letters)
    )
    outcomes = [(item, answer) for (item, _), answer in zip(letters, answers, strict=True)]
    await transact(lambda c: _record(c, means, outcomes))
    return len(letters)


_Claimed = list[tuple[dict[str, Any], Letter]]


async def _at_pace(means: Means, at_most: int, pace: Pace) -> tuple[int, _Claimed]:
    """How much was due, and what of it goes now."""
    due, claimed = await transact(lambda c: _claim(c, means, at_most))
    now, letters = means.clock.now(), [(item, _letter(means, item)) for item in claimed]
    turns = [pace.turn(letter.email.rpartition("@")[2], now) for _, letter in letters]
    later = [(turn, item["item_id"]) for turn, (item, _) in zip(turns, letters, strict=True) if turn > now]
    if later:
        await transact(lambda c: write_many(c, _PUT_OFF, later))
    return due, [one for turn, one in zip(turns, letters, strict=True) if turn <= now]


_PUT_OFF = "UPDATE outbox_item SET due_at = $1, claimed_until = NULL WHERE id = $2"


STOPPED = (
    "notice_id IN (SELECT n.id FROM notice n JOIN campaign m ON m.id = n.campaign_id WHERE m.stopped_at IS NOT NULL "
    "AND n.state = 'queued')"
)
"""Notices of campaigns that are stopped."""


async def _claim(c: Connection, means: Means, at_most: int) -> tuple[int, list[dict[str, Any]]]:
    """How much was due, and what of it can still be sent. The rest is put aside: its text was superseded or
    withdrawn, its patient died or left, or its reader is not to be told there any more; a campaign tells her. One
    that bounced before its sending was recorded is done."""
    now = await means.now(c)
    unless = f"{STOPPED} OR attempts >= {ATTEMPTS}"
    ids = await outbox.claim(c, "outbox_item", now=now, until=now + CLAIM, at_most=at_most, unless=unless)
    if not ids:
        return 0, []
    listed = ", ".join(map(str, ids))
    found = await rows(
        c,
        "SELECT i.id AS item_id, i.attempts, n.id AS notice_id, n.token_hash, n.addressee, t.body, t.language, "
        "p.practice_id, p.number, pr.name AS practice_name, o.name AS observatory_name, c.rank, c.sealed, "
        "own.sealed AS own_sealed FROM outbox_item i JOIN notice n ON n.id = i.notice_id "
        "JOIN notice_text t ON t.id = n.text_id "
        "JOIN observatory o ON o.id = t.observatory_id JOIN patient p ON p.id = n.patient_id "
        "JOIN practice pr ON pr.id = p.practice_id "
        "JOIN contact c ON c.patient_id = n.patient_id AND c.addressee = n.addressee "
        "AND c.email_index = n.address_index "
        "JOIN contact own ON own.patient_id = n.patient_id AND own.rank = 0 "
        f"WHERE i.id IN ({listed}) AND n.state = 'queued' AND t.state = 'published' AND t.superseded_at IS NULL "
        "AND p.deceased_on IS NULL AND p.left_at IS NULL AND (n.addressee = 'self' OR NOT EXISTS "
        f"(SELECT 1 FROM ({TOLD_ALONE}) a WHERE a.patient_id = p.id)) ORDER BY i.id",
    )
    aside = set(ids) - {row["item_id"] for row in found}
    if aside:
        statement = "SELECT i.id FROM outbox_item i JOIN notice n ON n.id = i.notice_id "
        waiting = await rows(c, f"{statement} WHERE i.id IN ({listed}) AND n.state = 'queued'")
        await outbox.done(c, "outbox_item", aside - {row["id"] for row in waiting}, at=now)
        await write_many(c, _PUT_OFF, [(now + ASIDE, row["id"]) for row in waiting if row["id"] in aside])
    return len(ids), found


def _letter(means: Means, item: dict[str, Any]) -> Letter:
    def opened(sealed: Any, addressee: str, rank: int) -> dict[str, str]:
        binding = contact_binding(item["practice_id"], item["number"], addressee, rank)
        contact: dict[str, str] = json.loads(open_sealed(means.ring, bytes(sealed), binding))
        return contact

    notice_id = UUID(str(item["notice_id"]))
    token = sent_link_token(means.ring, str(notice_id), item["token_hash"])
    return Letter(
        notice_id=notice_id,
        link=f"{means.base_url}/o/{token}",
        language=item["language"],
        addressee=Addressee(item["addressee"]),
        person=opened(item["own_sealed"], Addressee.SELF, 0)["given_names"],
        email=opened(item["sealed"], item["addressee"], item["rank"])["email"],
        practice_name=item["practice_name"],
        observatory_name=item["observatory_name"],
        text=from_json(item["body"]),
        written_at=means.clock.now(),
    )


class Addressed(Protocol):
    """To whom a message goes, in which language, and the moment that it carries."""

    @property
    def email(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def written_at(self) -> datetime: ...


async def send_rendered(means: Means, post: Post, rendered: Rendered, to: Addressed, *, reference: UUID) -> Answer:
    """Hand one message to the mail server; what comes back to it names the reference."""
    message = build_message(
        reference=str(reference),
        sender=means.mail_from,
        recipient=to.email,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        language=to.language,
        written_at=to.written_at,
        attached=rendered.attached,
    )
    return await post.send(message, return_path(means.returns_address, str(reference)), to.email)


async def _record(c: Connection, means: Means, outcomes: Sequence[tuple[dict[str, Any], Answer]]) -> None:
    now = await means.now(c)
    counts = {outcome: sum(a.outcome is outcome for _, a in outcomes) for outcome in Outcome}
    summary = ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)
    await enter(c, "notices_sent", actor="system:worker", at=now, touches=[("outbox", "batch")], summary=summary)
    sent = [
        (now, str(a.code or 250), fingerprint(from_json(i["body"])), i["notice_id"])
        for i, a in outcomes
        if a.outcome is Outcome.ACCEPTED
    ]
    bounced = [(now, str(a.code or 550), i["notice_id"]) for i, a in outcomes if a.outcome is Outcome.REFUSED_FOR_GOOD]
    await write_many(
        c,
        "UPDATE notice SET state = 'sent', sent_at = $1, server_answer = $2, text_sha256 = $3 "
        "WHERE id = $4 AND state = 'queued'",
        sent,
    )
    await write_many(
        c,
        "UPDATE notice SET state = 'bounced', returned_at = $1, server_answer = $2 WHERE id = $3 AND state = 'queued'",
        bounced,
    )
    done = [i["item_id"] for i, a in outcomes if a.outcome is not Outcome.TRY_AGAIN]
    await outbox.done(c, "outbox_item", done, at=now)
    again = [
        (i["attempts"] + 1, now + RETRY[min(i["attempts"], len(RETRY) - 1)], i["item_id"])
        for i, a in outcomes
        if a.outcome is Outcome.TRY_AGAIN
    ]
    await outbox.try_again(c, "outbox_item", again)


async def try_again(means: Means, campaign_id: int, *, by: Account) -> int:
    """The messages of a campaign that no server took, however often it was tried, are due again; returns how many.
    Refused("nothing_stuck") when there is none."""

    async def step(c: Connection) -> int:
        now = await means.now(c)
        await enter(c, "sending_tried_again", actor=by.actor, at=now, touches=[("campaign", str(campaign_id))])
        found = await rows(
            c,
            "UPDATE outbox_item SET attempts = 0, due_at = $1 WHERE done_at IS NULL AND attempts >= $2 "
            "AND notice_id IN (SELECT id FROM notice WHERE campaign_id = $3) RETURNING id",
            now, ATTEMPTS, campaign_id,
        )  # fmt: skip
        if not found:
            raise Refused("nothing_stuck", "no message of this campaign waits to be tried again", status=404)
        return len(found)

    return await transact(step)


# --- what comes back -----------------------------------------------------------------------------------------------


async def read_returns(means: Means, mailbox: ReturnMailbox) -> int:
    """Read the return mailbox; permanent bounces take their notices' validity back. Returns how many.

    Every reading is recorded, also one that found nothing: silence counts as delivery only up to a reading that
    was complete. A bounce may overtake the record of its sending, so a queued notice bounces too. Messages are put
    aside only after the commit.
    """
    reading = await asyncio.to_thread(mailbox.read)
    bounced = await transact(lambda c: _record_reading(c, means, reading))
    await asyncio.to_thread(mailbox.mark_done, reading.keys)
    return bounced


async def _record_reading(c: Connection, means: Means, reading: Reading) -> int:
    now = await means.now(c)
    wanted = json.dumps(sorted({r.reference for r in reading.messages if r.undelivered and r.reference}))
    ids = "CAST(n.id AS text)" if is_postgres(c) else "n.id"
    hit = await rows(
        c,
        "SELECT n.id, n.patient_id, p.person_id FROM notice n JOIN patient p ON p.id = n.patient_id "
        f"WHERE n.state IN ('queued', 'sent') AND {ids} IN ({json_texts(c, 1)})",
        wanted,
    )
    touches: list[Touch] = [("person", str(row["person_id"])) for row in hit] or [("returns", "none")]
    entry = await enter(
        c, "returns_read", actor="system:worker", at=now, touches=touches, summary=f"{len(hit)} bounces"
    )
    await write_many(
        c,
        "UPDATE notice SET state = 'bounced', returned_at = $1 WHERE id = $2 AND state IN ('queued', 'sent')",
        [(now, row["id"]) for row in hit],
    )
    await rows(
        c,
        "INSERT INTO returns_reading (channel, read_at, complete, bounces, entry_id) VALUES ('email', $1, $2, $3, $4)",
        now, reading.complete, len(hit), entry,
    )  # fmt: skip
    return len(hit)
