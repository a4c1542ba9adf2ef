"""What is mailed to doctors: an invitation, the copy of what was signed, and that she is active."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from portal.flow.invite import token_of
from portal.flow.means import Means
from portal.flow.notify import BATCH, CLAIM, Rendered, send_rendered
from portal.outside.mail import Answer, Outcome, Post
from portal.outside.tokens import sent_link_token
from portal.records import outbox
from portal.records.database import Connection, as_moment, rows, transact
from portal.records.enrolment_overview import signature
from portal.records.ledger import enter
from portal.rules.enrolment import DoctorMailKind
from portal.rules.waiting import RETRY
from portal.rules.words import Language


@dataclass(frozen=True, slots=True)
class ToDoctor:
    """What a message to a doctor says. `ends_at`: of an invitation; `signed`: what stands behind the two others."""

    about: UUID
    kind: DoctorMailKind
    link: str
    language: str
    email: str
    practice: str
    observatory: str
    ends_at: datetime | None
    signed: dict[str, Any] | None
    written_at: datetime


Render = Callable[[ToDoctor], Awaitable[Rendered]]


async def send_to_doctors(means: Means, post: Post, render: Render, *, at_most: int = BATCH) -> int:
    """Claim, render, send and record what is due; returns how much was claimed. Safe to run several."""
    due, claimed = await transact(lambda c: _claim(c, means, at_most))
    if claimed:
        answers = await asyncio.gather(*(_send(means, post, render, item) for item in claimed))
        await transact(lambda c: _record(c, means, list(zip(claimed, answers, strict=True))))
    return due


async def _send(means: Means, post: Post, render: Render, item: dict[str, Any]) -> Answer:
    mail = await _about(means, item)
    return await send_rendered(means, post, await render(mail), mail, reference=mail.about)


async def _claim(c: Connection, means: Means, at_most: int) -> tuple[int, list[dict[str, Any]]]:
    """How much was due, and what of it still holds: an invitation is open, whoever is told that she is active is. The
    rest is given up."""
    now = await means.now(c)
    ids = await outbox.claim(c, "doctor_mail", now=now, until=now + CLAIM, at_most=at_most)
    if not ids:
        return 0, []
    found = await rows(
        c,
        "SELECT m.id AS item_id, m.kind, m.attempts, m.invitation_id, m.signature_id, i.token_hash, i.ends_at, "
        "coalesce(i.email, s.email) AS email, coalesce(ip.name, p.name, '') AS practice, o.name AS observatory "
        "FROM doctor_mail m LEFT JOIN invitation i ON i.id = m.invitation_id "
        "LEFT JOIN practice ip ON ip.id = i.practice_id LEFT JOIN signature s ON s.id = m.signature_id "
        "LEFT JOIN enrolment e ON e.id = s.enrolment_id LEFT JOIN practice p ON p.id = e.practice_id "
        "JOIN observatory o ON o.id = coalesce(i.observatory_id, e.observatory_id) "
        f"WHERE m.id IN ({', '.join(map(str, ids))}) AND coalesce(i.email, s.email) IS NOT NULL "
        "AND (m.kind <> 'invitation' OR (i.used_at IS NULL AND i.ends_at > $1)) "
        "AND (m.kind <> 'active' OR e.state = 'active') ORDER BY m.id",
        now,
    )
    there = {row["item_id"] for row in found}
    await outbox.done(c, "doctor_mail", [i for i in ids if i not in there], at=now)
    return len(ids), found


async def _about(means: Means, item: dict[str, Any]) -> ToDoctor:
    about = UUID(str(item["invitation_id"] or item["signature_id"]))
    signed = await signature(about) if item["signature_id"] else None
    path = "/doctor" if signed else f"/join/{sent_link_token(means.ring, token_of(about), item['token_hash'])}"
    return ToDoctor(
        about=about,
        kind=DoctorMailKind(item["kind"]),
        link=f"{means.base_url}{path}",
        language=signed["language"] if signed else Language.FR,
        email=item["email"],
        practice=item["practice"],
        observatory=item["observatory"],
        ends_at=as_moment(item["ends_at"]),
        signed=signed,
        written_at=means.clock.now(),
    )


async def _record(c: Connection, means: Means, outcomes: Sequence[tuple[dict[str, Any], Answer]]) -> None:
    """What no server took after every wait is given up: her pages say the same."""
    now = await means.now(c)
    again = [
        (item["attempts"] + 1, now + RETRY[item["attempts"]], item["item_id"])
        for item, answer in outcomes
        if answer.outcome is Outcome.TRY_AGAIN and item["attempts"] < len(RETRY)
    ]
    accepted = sum(answer.outcome is Outcome.ACCEPTED for _, answer in outcomes)
    await enter(
        c, "doctors_mailed", actor="system:worker", at=now, touches=[("outbox", "doctors")],
        summary=f"{accepted} accepted of {len(outcomes)}",
    )  # fmt: skip
    waiting = {item for _, _, item in again}
    await outbox.done(c, "doctor_mail", [i["item_id"] for i, _ in outcomes if i["item_id"] not in waiting], at=now)
    await outbox.try_again(c, "doctor_mail", again)
