"""The receipt of a no, mailed once to the address at which its reader was told; queued by the no itself."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from portal.flow.means import Means
from portal.flow.notify import BATCH, CLAIM, Rendered, send_rendered
from portal.flow.register_rows import contact_binding
from portal.outside.mail import Answer, Outcome, Post
from portal.outside.tokens import open_sealed, sent_link_token
from portal.records import outbox
from portal.records.database import Connection, as_moment, rows, transact
from portal.records.ledger import enter
from portal.rules.waiting import RETRY
from portal.rules.words import Addressee, Scope


@dataclass(frozen=True, slots=True)
class Receipt:
    """What its message says. No name, and no study by its title: a title can tell of an illness."""

    objection_id: UUID
    link: str
    language: str
    addressee: Addressee
    email: str
    scope: Scope
    received_at: datetime
    practice_name: str
    observatory_name: str
    written_at: datetime


Render = Callable[[Receipt], Rendered]


async def send_receipts(means: Means, post: Post, render: Render, *, at_most: int = BATCH) -> int:
    """Claim, render, send and record the receipts that are due; returns how many were claimed. Safe to run several."""
    due, claimed = await transact(lambda c: _claim(c, means, at_most))
    if claimed:
        receipts = [_receipt(means, item) for item in claimed]
        # a reference of its own: what comes back to it does not take the notice back, which she has read
        sending = (send_rendered(means, post, render(r), r, reference=r.objection_id) for r in receipts)
        answers = await asyncio.gather(*sending)
        outcomes = list(zip(claimed, answers, strict=True))
        await transact(lambda c: _record(c, means, outcomes))
    return due


async def _claim(c: Connection, means: Means, at_most: int) -> tuple[int, list[dict[str, Any]]]:
    """How many were due, and those that are sent: her no stands, and she is reached where she was told. The others
    are given up; the receipt stays on her page."""
    now = await means.now(c)
    ids = await outbox.claim(c, "receipt_mail", now=now, until=now + CLAIM, at_most=at_most)
    if not ids:
        return 0, []
    found = await rows(
        c,
        "SELECT m.id AS item_id, m.attempts, o.id AS objection_id, o.entry_id, o.scope, o.received_at, "
        "n.id AS notice_id, n.token_hash, n.addressee, t.language, ob.name AS observatory_name, "
        "pr.name AS practice_name, p.practice_id, p.number, c.rank, c.sealed FROM receipt_mail m "
        "JOIN objection o ON o.id = m.objection_id JOIN notice n ON n.id = o.notice_id "
        "JOIN notice_text t ON t.id = n.text_id JOIN observatory ob ON ob.id = t.observatory_id "
        "JOIN patient p ON p.id = n.patient_id JOIN practice pr ON pr.id = p.practice_id "
        "JOIN contact c ON c.patient_id = n.patient_id AND c.addressee = n.addressee "
        "AND c.email_index = n.address_index "
        f"WHERE m.id IN ({', '.join(map(str, ids))}) AND o.withdrawn_at IS NULL "
        "AND (p.stands_since IS NULL OR p.stands_since <= n.sent_at) ORDER BY m.id, c.rank",
    )
    there = {row["item_id"]: row for row in reversed(found)}
    await outbox.done(c, "receipt_mail", [i for i in ids if i not in there], at=now)
    return len(ids), list(there.values())


def _receipt(means: Means, item: dict[str, Any]) -> Receipt:
    binding = contact_binding(item["practice_id"], item["number"], item["addressee"], item["rank"])
    contact = json.loads(open_sealed(means.ring, bytes(item["sealed"]), binding))
    token = sent_link_token(means.ring, str(UUID(str(item["notice_id"]))), item["token_hash"])
    now = means.clock.now()
    return Receipt(
        objection_id=UUID(str(item["objection_id"])),
        link=f"{means.base_url}/o/{token}/receipt?of={item['entry_id']}",
        language=item["language"],
        addressee=Addressee(item["addressee"]),
        email=contact["email"],
        scope=Scope(item["scope"]),
        received_at=as_moment(item["received_at"]) or now,
        practice_name=item["practice_name"],
        observatory_name=item["observatory_name"],
        written_at=now,
    )


async def _record(c: Connection, means: Means, outcomes: Sequence[tuple[dict[str, Any], Answer]]) -> None:
    """Who cannot be reached after every wait keeps her receipt on her page."""
    now = await means.now(c)
    again = [
        (item["attempts"] + 1, now + RETRY[item["attempts"]], item["item_id"])
        for item, answer in outcomes
        if answer.outcome is Outcome.TRY_AGAIN and item["attempts"] < len(RETRY)
    ]
    accepted = sum(answer.outcome is Outcome.ACCEPTED for _, answer in outcomes)
    await enter(
        c, "receipts_sent", actor="system:worker", at=now, touches=[("outbox", "receipts")],
        summary=f"{accepted} accepted of {len(outcomes)}",
    )  # fmt: skip
    waiting = {item for _, _, item in again}
    await outbox.done(c, "receipt_mail", [i["item_id"] for i, _ in outcomes if i["item_id"] not in waiting], at=now)
    await outbox.try_again(c, "receipt_mail", again)
