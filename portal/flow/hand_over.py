"""A notice handed over at the practice: shown or printed there, or reported by its software; it counts only once a
doctor has confirmed it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from portal.flow.addressees import current_texts, readers
from portal.flow.means import Means
from portal.flow.paper import LETTER, PaperLetter, letter_of, make_code_of
from portal.outside.tokens import link_token, token_hash
from portal.records import practice_overview
from portal.records.accounts import Account
from portal.records.database import Connection, NothingToDo, as_moment, rows, transact
from portal.records.enrolments import works_at
from portal.records.ledger import enter
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import NoticeChannel, NoticeState


async def report_handed_over(
    means: Means, *, observatory_id: str, practice_id: str, number: str, rank: int = 0, actor: str
) -> UUID:
    """The practice's software says that the newest text was handed to the patient (rank 0) or to a holder of
    authority. Counts for nothing yet. Returns the notice's id; reported again, or already confirmed, it is the same."""
    try:
        return await transact(
            lambda c: _hand_over(c, means, observatory_id, practice_id, number, rank, actor, None, once=True)
        )
    except _Handed as known:
        return known.notice_id


class _Handed(NothingToDo):
    """This reader holds this text already, or so the software has said."""

    def __init__(self, notice_id: UUID) -> None:
        self.notice_id = notice_id


async def hand_over(
    means: Means, *, observatory_id: str, practice_id: str, number: str, rank: int = 0, by: Account
) -> UUID:
    """A doctor of the practice hands it over herself: it counts from now on. Returns the notice's id."""
    return await transact(lambda c: _hand_over(c, means, observatory_id, practice_id, number, rank, by.actor, by))


async def prepare_hand_out(means: Means, *, observatory_id: str, practice_id: str, number: str, by: Account) -> UUID:
    """A doctor of the practice is about to hand the notice to the patient, or to the first holder of authority who has
    not been handed it. Counts for nothing until she confirms it. The same again finds the same notice.

    Refused("out") where the patient's data are not used: its link would tell the doctor what her list does not, why.
    """

    async def step(c: Connection) -> UUID:
        await _refuse_other_practice(c, practice_id, by, await means.now(c))
        texts, _ = await current_texts(c, observatory_id)
        there = await readers(c, practice_id, paris_day(await means.now(c)), number=number)
        there = [reader for reader in there if reader["rank"] is not None]
        if not there:
            raise Refused("unknown_patient", "nobody can be told about a patient of this number", status=404)
        if await _is_out(means, observatory_id, practice_id, number):
            raise Refused("out", "the data of this patient are not used: there is nothing to hand over", status=409)
        handed = await rows(
            c,
            "SELECT n.id, n.state, n.addressee, n.reader_index FROM notice n WHERE n.patient_id = $1 "
            "AND n.channel = 'hand' AND n.text_id = $2 ORDER BY n.sent_at DESC, n.id",
            there[0]["id"], texts.get(there[0]["language"]) or texts["fr"],
        )  # fmt: skip
        of = {(n["addressee"], n["reader_index"]): n for n in reversed(handed)}
        waiting = [r for r in there if _state_of(of, r) != NoticeState.HANDED_OVER] or there
        if _state_of(of, waiting[0]) == NoticeState.REPORTED:
            return UUID(str(of[waiting[0]["addressee"], waiting[0]["reader_index"]]["id"]))
        return await _hand_over(c, means, observatory_id, practice_id, number, waiting[0]["rank"], by.actor, None)

    notice_id = await transact(step)
    await make_code_of(means, notice_id)
    return notice_id


def _state_of(handed: dict[Any, dict[str, Any]], reader: dict[str, Any]) -> str | None:
    notice = handed.get((reader["addressee"], reader["reader_index"]))
    return notice["state"] if notice else None


async def _hand_over(
    c: Connection,
    means: Means,
    observatory_id: str,
    practice_id: str,
    number: str,
    rank: int,
    actor: str,
    doctor: Account | None,
    *,
    once: bool = False,
) -> UUID:
    now = await means.now(c)
    kind = "notice_hand_over_reported" if doctor is None else "notice_handed_over"
    entry = await enter(c, kind, actor=actor, at=now, touches=[("notice", practice_id)])
    if doctor is not None:
        await _refuse_other_practice(c, practice_id, doctor, now)
    texts, _ = await current_texts(c, observatory_id)
    there = [r for r in await readers(c, practice_id, paris_day(now), number=number) if r["rank"] == rank]
    if not there:
        raise Refused("wrong_addressee", "today a notice about this patient goes to somebody else", status=422)
    reader: dict[str, Any] = there[0]
    text_id = texts.get(reader["language"]) or texts["fr"]
    if once and (held := await _held(c, reader, text_id)):
        raise _Handed(held)
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


async def _held(c: Connection, reader: dict[str, Any], text_id: str) -> UUID | None:
    found = await rows(
        c,
        "SELECT id FROM notice WHERE patient_id = $1 AND text_id = $2 AND addressee = $3 AND channel = 'hand' AND "
        "coalesce(reader_index, '') = coalesce($4, '') AND state IN ('reported', 'handed_over') ORDER BY sent_at, id",
        reader["id"], text_id, reader["addressee"], reader["reader_index"],
    )  # fmt: skip
    return UUID(str(found[0]["id"])) if found else None


async def confirm_handed_over(means: Means, notice_id: UUID, *, by: Account) -> None:
    """A doctor of the practice confirms what the software reported: it counts from when it was reported. What she
    prepared herself, or took back, counts from now: until now she had handed nothing over."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        await enter(c, "notice_hand_over_confirmed", actor=by.actor, at=now, touches=[("notice", str(notice_id))])
        if (await _own(c, notice_id, by, now))["state"] != NoticeState.REPORTED:
            raise Refused("not_reported", "no hand-over of this notice waits for a confirmation", status=404)
        await rows(
            c,
            "UPDATE notice SET state = 'handed_over', server_answer = 'confirmed', sent_at = CASE WHEN "
            "server_answer = 'undone' OR EXISTS (SELECT 1 FROM log_entry l WHERE l.id = notice.entry_id AND "
            "l.actor LIKE 'doctor:%') THEN $2 ELSE sent_at END WHERE id = $1 AND state = 'reported'",
            notice_id, now,
        )  # fmt: skip

    await transact(step)


async def undo_handed_over(means: Means, notice_id: UUID, *, by: Account) -> None:
    """It was not handed over after all: on the day itself it waits again for its confirmation, and counts no longer."""

    async def step(c: Connection) -> None:
        now = await means.now(c)
        own = await _own(c, notice_id, by, now)
        touches = [("person", str(own["person_id"]))]
        await enter(c, "notice_hand_over_undone", actor=by.actor, at=now, touches=touches)
        sent_at = as_moment(own["sent_at"])
        if own["state"] != NoticeState.HANDED_OVER or sent_at is None or paris_day(sent_at) != paris_day(now):
            raise Refused("too_late", "only a hand-over of today is undone", status=409)
        await rows(
            c,
            "UPDATE notice SET state = 'reported', server_answer = 'undone' WHERE id = $1 AND state = 'handed_over'",
            notice_id,
        )

    await transact(step)


@dataclass(frozen=True, slots=True)
class HandOut:
    """A notice to be shown or printed at the practice. `name`: of the holder of authority to whom it goes, "" for the
    patient herself. `undoable`: confirmed today. `open`: its link may be shown; it is the patient's alone once it is
    handed over, or once she does not take part."""

    id: UUID
    number: str
    name: str
    reported_at: datetime
    confirmed: bool
    undoable: bool
    open: bool
    letter: PaperLetter
    observatory: dict[str, str]


async def hand_out(means: Means, notice_id: UUID, *, by: Account) -> HandOut:
    """What the doctor shows; reads only. Refused for a notice of another practice, or one that did not go by hand."""

    async def step(c: Connection) -> HandOut:
        own = await _own(c, notice_id, by, await means.now(c))
        out = await _is_out(means, own["observatory_id"], own["practice_id"], own["number"])
        found = await rows(
            c,
            f"{LETTER} WHERE n.id = $1 AND n.channel = 'hand' AND c.addressee = n.addressee "
            "AND (n.addressee = 'self' OR c.reader_index = n.reader_index)",
            notice_id,
        )
        if not found:
            raise Refused("unknown_notice", "there is no such notice", status=404)
        row = found[0]
        letter, holder = letter_of(means, row, number=str(notice_id)[:8].upper())
        sent_at, confirmed = as_moment(row["sent_at"]), row["state"] == NoticeState.HANDED_OVER
        if sent_at is None:
            raise Refused("unknown_notice", "there is no such notice", status=404)
        return HandOut(
            id=notice_id,
            number=row["number"],
            name=holder,
            reported_at=sent_at,
            confirmed=confirmed,
            undoable=confirmed and paris_day(sent_at) == paris_day(await means.now(c)),
            open=not confirmed and not out,
            letter=letter,
            observatory={name: row[name] for name in ("name", "controller", "phone", "postal_address", "dpo_contact")},
        )

    return await transact(step)


async def _own(c: Connection, notice_id: UUID, by: Account, now: datetime) -> dict[str, Any]:
    """A notice handed out at a practice at which this doctor is active; for her there is no other."""
    found = await rows(
        c,
        "SELECT n.state, n.sent_at, p.person_id, p.practice_id, p.number, t.observatory_id FROM notice n "
        "JOIN patient p ON p.id = n.patient_id JOIN notice_text t ON t.id = n.text_id "
        "WHERE n.id = $1 AND n.channel = 'hand'",
        notice_id,
    )
    if not found or not await works_at(c, found[0]["practice_id"], by.id, now):
        raise Refused("unknown_notice", "there is no such notice", status=404)
    return found[0]


async def _is_out(means: Means, observatory_id: str, practice_id: str, number: str) -> bool:
    found = await practice_overview.patient(practice_id, observatory_id, means.clock.now(), number)
    return any(one["state"] == "out" for one in found)


async def _refuse_other_practice(c: Connection, practice_id: str, by: Account, now: datetime) -> None:
    if not await works_at(c, practice_id, by.id, now):
        raise Refused("other_practice", "only an active doctor of this practice says so", status=403)
