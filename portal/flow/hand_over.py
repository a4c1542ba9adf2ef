"""A notice handed over at the practice: reported by its software, it counts only once a doctor has confirmed it."""

from typing import Any
from uuid import UUID, uuid4

from portal.flow.addressees import current_texts, readers
from portal.flow.means import Means
from portal.outside.tokens import link_token, token_hash
from portal.records.accounts import Account
from portal.records.database import Connection, rows, transact
from portal.records.ledger import enter
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import NoticeChannel, NoticeState


async def report_handed_over(
    means: Means, *, observatory_id: str, practice_id: str, number: str, rank: int = 0, actor: str
) -> UUID:
    """The practice's software says that the newest text was handed to the patient (rank 0) or to a holder of
    authority. Counts for nothing yet. Returns the notice's id."""
    return await transact(lambda c: _hand_over(c, means, observatory_id, practice_id, number, rank, actor, None))


async def hand_over(
    means: Means, *, observatory_id: str, practice_id: str, number: str, rank: int = 0, by: Account
) -> UUID:
    """A doctor of the practice hands it over herself: it counts from now on. Returns the notice's id."""
    return await transact(lambda c: _hand_over(c, means, observatory_id, practice_id, number, rank, by.actor, by))


async def _hand_over(
    c: Connection,
    means: Means,
    observatory_id: str,
    practice_id: str,
    number: str,
    rank: int,
    actor: str,
    doctor: Account | None,
) -> UUID:
    now = await means.now(c)
    kind = "notice_hand_over_reported" if doctor is None else "notice_handed_over"
    entry = await enter(c, kind, actor=actor, at=now, touches=[("notice", practice_id)])
    if doctor is not None:
        await _refuse_other_practice(c, practice_id, doctor)
    texts, _ = await current_texts(c, observatory_id)
    there = [r for r in await readers(c, practice_id, paris_day(now), number=number) if r["rank"] == rank]
    if not there:
        raise Refused("wrong_addressee", "today a notice about this patient goes to somebody else", status=422)
    reader: dict[str, Any] = there[0]
    text_id = texts.get(reader["language"]) or texts["fr"]
    notice_id = uuid4()
    await rows(
        c,
        "INSERT INTO notice (id, patient_id, text_id, addressee, channel, state, token_hash, reader_index, sent_at, "
        "server_answer, text_sha256, entry_id) "
        "SELECT $1, $2, t.id, $3, $4, $5, $6, $7, $8, $9, t.sha256, $10 FROM notice_text t WHERE t.id = $11",
        notice_id, reader["id"], reader["addressee"], NoticeChannel.HAND,
        NoticeState.REPORTED if doctor is None else NoticeState.HANDED_OVER,
        token_hash(link_token(means.ring, str(notice_id))).hex(), reader["reader_index"], now,
        "reported" if doctor is None else "confirmed", entry, text_id,
    )  # fmt: skip
    return notice_id


async def confirm_handed_over(means: Means, notice_id: UUID, *, by: Account) -> None:
    """A doctor of the practice confirms what the software reported; it counts from when it was reported."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        await enter(c, "notice_hand_over_confirmed", actor=by.actor, at=now, touches=[("notice", str(notice_id))])
        found = await rows(
            c,
            "SELECT p.practice_id FROM notice n JOIN patient p ON p.id = n.patient_id "
            "WHERE n.id = $1 AND n.state = 'reported'",
            notice_id,
        )
        if not found:
            raise Refused("not_reported", "no hand-over of this notice waits for a confirmation", status=404)
        await _refuse_other_practice(c, found[0]["practice_id"], by)
        await rows(
            c,
            "UPDATE notice SET state = 'handed_over', server_answer = 'confirmed' WHERE id = $1 AND state = 'reported'",
            notice_id,
        )

    await transact(step)


async def _refuse_other_practice(c: Connection, practice_id: str, by: Account) -> None:
    statement = "SELECT 1 AS one FROM enrolment WHERE practice_id = $1 AND account_id = $2 AND state = 'active'"
    if not await rows(c, statement, practice_id, by.id):
        raise Refused("other_practice", "only an active doctor of this practice says so", status=403)
