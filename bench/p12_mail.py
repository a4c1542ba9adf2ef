"""E-mails written and handed to a real SMTP server, beside a bare loop that hands over the same bytes made before.

Ours renders each message in its language, builds its bytes and sends it as the outbox does, a batch at once over up to
four connections. The loop has its bytes ready and one connection. The server is the same process for both and keeps
nothing. The database is in neither.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID

import aiosmtplib

from bench.measure import Figure, compared, interleaved
from portal.flow.notify import BATCH, Letter
from portal.outside.envelope import build_message, return_path
from portal.outside.mail import Outcome, Server, SmtpPost
from portal.rules.words import Addressee, Language
from portal.web.letters import render_letter

IDS = ("P12",)
MESSAGES = {"small": 2_000, "full": 20_000}
RUNS = 5
SENDER, RETURNS = "notices@portal.example", "returns+{ref}@portal.example"


def run(scale: str) -> list[Figure]:
    letters = [_letter(number) for number in range(MESSAGES[scale])]
    ready = [(_reference(letter), letter.email, _written(letter)) for letter in letters]
    with _server() as port:
        taken = interleaved(
            RUNS, portal=lambda: asyncio.run(_ours(port, letters)), bare=lambda: asyncio.run(_bare(port, ready))
        )
    sizes = f"{len(letters):,} messages of {len(ready[0][2]):,} bytes, on loopback, no TLS"
    what = "messages written and sent : ready bytes in a bare aiosmtplib loop"
    return [compared("P12", what, taken["portal"], taken["bare"], 1 / 0.7, RUNS, sizes)]


def _letter(number: int) -> Letter:
    """Every third in English, every seventh to a parent."""
    return Letter(
        notice_id=UUID(int=number),
        link=f"https://portal.example/o/{number:043}",
        language=Language.EN if number % 3 == 0 else Language.FR,
        addressee=Addressee.PARENT if number % 7 == 0 else Addressee.SELF,
        person="Camille",
        email=f"patient{number}@mail.example",
        practice_name=f"Cabinet {number % 40}",
        observatory_name="Observatoire",
        text={},
        written_at=datetime(2026, 11, 20, 12, tzinfo=UTC),
    )


def _reference(letter: Letter) -> str:
    return str(letter.notice_id)


def _written(letter: Letter) -> bytes:
    rendered = render_letter(letter)
    return build_message(
        reference=_reference(letter), sender=SENDER, recipient=letter.email, subject=rendered.subject,
        text=rendered.text, html=rendered.html, language=letter.language, written_at=letter.written_at,
    )  # fmt: skip


async def _ours(port: int, letters: list[Letter]) -> None:
    async with SmtpPost(Server("127.0.0.1", port, starttls=False)) as post:

        async def send(letter: Letter) -> bool:
            answer = await post.send(_written(letter), return_path(RETURNS, _reference(letter)), letter.email)
            return answer.outcome is Outcome.ACCEPTED

        for start in range(0, len(letters), BATCH):
            if not all(await asyncio.gather(*map(send, letters[start : start + BATCH]))):
                raise RuntimeError("the server took not all of it")


async def _bare(port: int, ready: list[tuple[str, str, bytes]]) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) as client:
        for reference, to, message in ready:
            await client.sendmail(return_path(RETURNS, reference), [to], message)


@contextmanager
def _server() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-m", "bench.run_smtp"], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else 0)
        finally:
            process.terminate()
