"""Notices on paper: printed in runs, sent on the day they were taken to the post, returned when they come back."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from portal.flow.means import Means
from portal.flow.register_rows import contact_binding, own_lines
from portal.outside.tokens import letter_code_hash, open_sealed, sent_letter_code, sent_link_token
from portal.outside.typeset import Press
from portal.records.accounts import Account
from portal.records.database import Connection, as_moment, from_json, is_postgres, rows, transact, write_many
from portal.records.ledger import Touch, enter
from portal.records.print_runs import LIVES, PRINTABLE, READY
from portal.rules.postal import letter_number, read_letter_number, settable, window_lines
from portal.rules.refusals import Problem, Refused, RefusedFile
from portal.rules.typed_code import grouped
from portal.rules.waiting import midnight, paris_day
from portal.rules.words import Addressee

RUN = 250
"""Letters in one print file, at most: Typst sets them in some seconds and about a gigabyte."""

CODES = 40
"""Codes hashed together, between two looks at what else is due."""


@dataclass(frozen=True, slots=True)
class PaperLetter:
    """What stands on one letter. `lines`: name and address. `person`: the patient's given names, in front of who
    represents her; empty when they cannot be printed."""

    number: str
    lines: tuple[str, ...]
    link: str
    code: str
    language: str
    addressee: Addressee
    person: str
    practice_name: str
    text_id: str
    text: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PrintJob:
    """One run: its observatory's name, telephone and addresses, and its letters in the order of their places."""

    run: int
    printed_at: datetime
    observatory: Mapping[str, str]
    letters: Sequence[PaperLetter]


Compose = Callable[[PrintJob], Mapping[str, Any]]
"""The words of a run's letters, or of its count sheet, as the press's template reads them."""


@dataclass(frozen=True, slots=True)
class Printed:
    """The print file of a run and the sheet that goes with it, both PDF."""

    run: int
    letters: int
    file: bytes
    sheet: bytes


# --- codes ---------------------------------------------------------------------------------------------------------


async def make_codes(means: Means) -> int:
    """Hash the codes of letters and hand-outs that wait for theirs; without it no letter is printed. Returns how many.

    Slow on purpose, so it is the worker's, before anybody waits for a print file. Two who meet write the same."""

    async def waiting(c: Connection) -> list[dict[str, Any]]:
        return await rows(
            c,
            "SELECT n.id, n.token_hash FROM notice n JOIN notice_text t ON t.id = n.text_id "
            "WHERE n.code_hash IS NULL AND ((n.channel = 'post' AND n.state = 'queued' AND t.state = 'published' "
            "AND t.superseded_at IS NULL) OR n.channel = 'hand') ORDER BY n.id LIMIT $1",
            CODES,
        )

    found = await transact(waiting)
    await _make_codes(means, found)
    return len(found)


async def make_code_of(means: Means, notice_id: UUID) -> None:
    """Hash the code of one notice that is about to be handed out, so that it can be typed at once."""
    statement = "SELECT id, token_hash FROM notice WHERE id = $1 AND code_hash IS NULL"
    await _make_codes(means, await transact(lambda c: rows(c, statement, notice_id)))


async def _make_codes(means: Means, found: Sequence[Mapping[str, Any]]) -> None:
    threads = (asyncio.to_thread(letter_code_hash, means.ring, str(row["id"]), row["token_hash"]) for row in found)
    hashes = await asyncio.gather(*threads)
    made = [(hashed.hex(), row["id"]) for row, hashed in zip(found, hashes, strict=True)]
    statement = "UPDATE notice SET code_hash = $1 WHERE id = $2 AND code_hash IS NULL"
    if made:
        await transact(lambda c: write_many(c, statement, made))


# --- printing ------------------------------------------------------------------------------------------------------


async def print_letters(means: Means, *, observatory_id: str, practice_id: str | None = None, by: Account) -> int:
    """Take the letters that wait, at most RUN, into a new run; returns its number. `print_file` makes its file, again
    and again until the run is posted. Refused("nothing_to_print") when no letter is ready."""

    async def step(c: Connection) -> int:
        now = await means.now(c)
        entry = await enter(c, "letters_printed", actor=by.actor, at=now, touches=[("outbox", "print")])
        skip = "FOR UPDATE OF n SKIP LOCKED" if is_postgres(c) else ""
        waiting = await rows(
            c,
            f"SELECT n.id {PRINTABLE} WHERE {READY} AND t.observatory_id = $1 "
            f"AND ($2::text IS NULL OR p.practice_id = $2) ORDER BY p.practice_id, p.id, n.id LIMIT $3 {skip}",
            observatory_id, practice_id, RUN,
        )  # fmt: skip
        if not waiting:
            raise Refused("nothing_to_print", "no letter is ready: start a campaign, or let the worker make the codes")
        made = await rows(
            c,
            "INSERT INTO print_run (observatory_id, letters, printed_at, entry_id) VALUES ($1, $2, $3, $4) "
            "RETURNING id",
            observatory_id, len(waiting), now, entry,
        )  # fmt: skip
        run = int(made[0]["id"])
        places = [(run, place, row["id"]) for place, row in enumerate(waiting, 1)]
        await write_many(c, "UPDATE notice SET print_run_id = $1, place = $2 WHERE id = $3", places)
        return run

    return await transact(step)


async def print_file(means: Means, press: Press, letters: Compose, sheet: Compose, run: int, *, by: Account) -> Printed:
    """The files of a run that has not been posted; the same letters with the same codes each time. Who died or moved
    since is left out. Names and addresses are read for it, so each time is entered."""
    job = await transact(lambda c: _job(c, means, run, by))
    return Printed(
        run,
        len(job.letters),
        await press.set("notice", letters(job), at=job.printed_at),
        await press.set("text", sheet(job), at=job.printed_at),
    )


async def _job(c: Connection, means: Means, run: int, by: Account) -> PrintJob:
    touches: list[Touch] = [("outbox", "print")]
    await enter(c, "letters_read", actor=by.actor, at=await means.now(c), touches=touches, summary=f"run {run}")
    head = await rows(
        c,
        "SELECT r.printed_at, o.name, o.controller, o.phone, o.postal_address, o.dpo_contact FROM print_run r "
        "JOIN observatory o ON o.id = r.observatory_id WHERE r.id = $1 AND r.posted_on IS NULL",
        run,
    )
    if not head:
        raise Refused("no_open_run", "there is no print run of this number that waits for the post", status=404)
    found = await rows(
        c,
        f"{LETTER} WHERE c.addressee = n.addressee AND c.postal_index = n.address_index AND n.print_run_id = $1 "
        f"AND {LIVES} ORDER BY n.place",
        run,
    )
    letters = [letter_of(means, row, number=letter_number(run, row["place"]))[0] for row in found]
    printed_at = as_moment(head[0].pop("printed_at"))
    return PrintJob(run, printed_at or means.clock.now(), head[0], letters)


LETTER = (
    "SELECT n.id, n.place, n.state, n.sent_at, n.token_hash, n.addressee, t.id AS text_id, t.version, t.body, "
    "t.language, p.practice_id, p.number, pr.name AS practice_name, o.name, o.controller, o.phone, o.postal_address, "
    "o.dpo_contact, c.rank, c.sealed, own.sealed AS own_sealed FROM notice n JOIN notice_text t ON t.id = n.text_id "
    "JOIN observatory o ON o.id = t.observatory_id JOIN patient p ON p.id = n.patient_id "
    "JOIN practice pr ON pr.id = p.practice_id JOIN contact own ON own.patient_id = p.id AND own.rank = 0 "
    "JOIN contact c ON c.patient_id = n.patient_id"
)
"""What `letter_of` reads; the caller says which notices, and which of the patient's contacts they go to."""


def letter_of(means: Means, row: dict[str, Any], *, number: str) -> tuple[PaperLetter, str]:
    """What stands on paper, and the name of the holder of authority to whom it goes ("" for the patient herself)."""

    def opened(sealed: Any, addressee: str, rank: int) -> dict[str, str]:
        binding = contact_binding(row["practice_id"], row["number"], addressee, rank)
        contact: dict[str, str] = json.loads(open_sealed(means.ring, bytes(sealed), binding))
        return contact

    notice_id, contact = str(row["id"]), opened(row["sealed"], row["addressee"], row["rank"])
    own = opened(row["own_sealed"], Addressee.SELF, 0)
    lines = own_lines(contact) if row["rank"] == 0 else window_lines(contact["name"], contact["address"])
    letter = PaperLetter(
        number=number,
        lines=lines,
        link=f"{means.base_url}/o/{sent_link_token(means.ring, notice_id, row['token_hash'])}",
        code=grouped(sent_letter_code(means.ring, notice_id, row["token_hash"])),
        language=row["language"],
        addressee=Addressee(row["addressee"]),
        person=own["given_names"] if settable(own["given_names"]) else "",
        practice_name=row["practice_name"],
        text_id=row["text_id"],
        text={**from_json(row["body"]), "version": row["version"]},
    )
    return letter, "" if row["rank"] == 0 else contact["name"]


# --- posting and returns -------------------------------------------------------------------------------------------


async def letters_posted(means: Means, run: int, *, posted_on: date, by: Account) -> int:
    """The run was taken to the post on that day: its letters are sent from then on. Returns how many."""

    async def step(c: Connection) -> int:
        now = await means.now(c)
        entry = await enter(
            c, "letters_posted", actor=by.actor, at=now, touches=[("outbox", "post")], summary=f"run {run}"
        )
        found = await rows(c, "SELECT printed_at FROM print_run WHERE id = $1 AND posted_on IS NULL", run)
        if not found:
            raise Refused("no_open_run", "there is no print run of this number that waits for the post", status=404)
        printed_at = as_moment(found[0]["printed_at"])
        if printed_at is None or not paris_day(printed_at) <= posted_on <= paris_day(now):
            raise Refused("posted_on", "the day lies before the printing, or in the future", status=422)
        sent_at = min(now, midnight(posted_on + timedelta(days=1)) - timedelta.resolution)
        await rows(c, "UPDATE print_run SET posted_on = $1, posting_id = $2 WHERE id = $3", posted_on, entry, run)
        sent = await rows(
            c,
            "UPDATE notice SET state = 'sent', sent_at = $1, server_answer = 'posted', "
            "text_sha256 = (SELECT t.sha256 FROM notice_text t WHERE t.id = notice.text_id) "
            "WHERE print_run_id = $2 AND state = 'queued' RETURNING id",
            sent_at, run,
        )  # fmt: skip
        return len(sent)

    return await transact(step)


async def letters_returned(means: Means, numbers: Sequence[str], *, complete: bool, by: Account) -> int:
    """These letters came back: their notices count no longer. Returns how many had not been entered before.

    `numbers`: one a line, scanned or typed; an empty line is none. RefusedFile names every line that is no number of
    a posted letter, and then nothing is entered. `complete`: all that has come back by now is entered; only up to
    such a reading does silence count as delivery.
    """
    wanted, wrong = _numbers(numbers)
    if wrong:
        raise RefusedFile(wrong)
    return await transact(lambda c: _returned(c, means, wanted, complete, by))


def _numbers(lines: Sequence[str]) -> tuple[dict[tuple[int, int], int], list[Problem]]:
    wanted: dict[tuple[int, int], int] = {}
    wrong = []
    for line, text in enumerate(lines, 1):
        number = read_letter_number(text)
        if number is not None:
            wanted.setdefault(number, line)
        elif text.strip():
            sentence = "this is no letter's number, or a digit of it is wrong"
            wrong.append(Problem("letter_number", f"line {line}", sentence))
    return wanted, wrong


async def _returned(
    c: Connection, means: Means, wanted: dict[tuple[int, int], int], complete: bool, by: Account
) -> int:
    now = await means.now(c)
    found = await rows(
        c,
        "SELECT n.id, n.state, n.print_run_id AS run, n.place, p.person_id FROM notice n "
        "JOIN patient p ON p.id = n.patient_id JOIN print_run r ON r.id = n.print_run_id "
        f"WHERE r.posted_on IS NOT NULL AND n.print_run_id IN ({', '.join(str(run) for run, _ in wanted) or 'NULL'})",
    )
    known = {(int(row["run"]), int(row["place"])): row for row in found}
    if missing := [line for number, line in wanted.items() if number not in known]:
        sentence = "no letter of this number was posted"
        raise RefusedFile([Problem("unknown_letter", f"line {line}", sentence) for line in missing])
    back = [row for number in wanted if (row := known[number])["state"] == "sent"]
    touches: list[Touch] = [("person", str(row["person_id"])) for row in back] or [("returns", "none")]
    summary = f"{len(back)} letters" + (", complete" if complete else "")
    entry = await enter(c, "letters_returned", actor=by.actor, at=now, touches=touches, summary=summary)
    statement = "UPDATE notice SET state = 'returned', returned_at = $1 WHERE id = $2 AND state = 'sent'"
    await write_many(c, statement, [(now, row["id"]) for row in back])
    await rows(
        c,
        "INSERT INTO returns_reading (channel, read_at, complete, bounces, entry_id) VALUES ('post', $1, $2, $3, $4)",
        now, complete, len(back), entry,
    )  # fmt: skip
    return len(back)
