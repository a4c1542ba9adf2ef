"""A practice beside a live portal: its program runs as a process of its own and speaks to the portal over HTTP."""

import asyncio
import csv
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from line import RECORD
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from whole_site import Web, free_port, served, site
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow import programs
from portal.flow.means import Means
from portal.gate.register import write_register_csv
from portal.gate.register_row import RegisterRow
from portal.outside.clock import SystemClock
from portal.records.accounts import Account
from portal.records.enrolments import Enrolment

PART = 1024
TOLD_BEFORE = timedelta(days=60)
CODES = ("sct|44054006", "sct|59621000")
PEOPLE = ("1", "2", "3")

Acts = Callable[[], Awaitable[None]]


@dataclass
class Watched:
    """Stands around the application: notes what arrives of each request, and may do something before or after one.

    `before` and `after`: by the last word of an address, or `part 3`, what is done before the application sees the
    request, or once it has acted and before it answers.
    """

    app: ASGIApp
    parts: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    inside: int = 0
    before: dict[str, Acts] = field(default_factory=dict)
    after: dict[str, Acts] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self.app(scope, receive, send)
            return
        number = len(self.parts) if (is_part := "/files/" in scope["path"]) else 0
        name = f"part {number + 1}" if is_part else scope["path"].rpartition("/")[2]
        self.asked.append(name)
        if is_part:
            self.parts.append(0)
        if act := self.before.pop(name, None):
            await act()

        async def counting() -> Message:
            message = await receive()
            if is_part:
                self.parts[number] += len(message.get("body", b""))
            return message

        async def answering(message: Message) -> None:
            if message["type"] == "http.response.start" and (act := self.after.pop(name, None)):
                await act()
            await send(message)

        self.inside += 1
        try:
            await self.app(scope, counting, answering)
        finally:
            self.inside -= 1


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass
class AtPractice:
    """The folder of one practice, with its configuration, records and register."""

    web: Web
    watched: Watched
    folder: Path
    doctor: Account
    enrolment_id: int
    base: str

    @property
    def world(self) -> World:
        return self.web.world

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def configure(self, **changes: Any) -> None:
        given = {
            "portal": self.base, "practice": "practice-a", "client": "", "keys": "keys", "portal_key": "portal.pub",
            "register": "register.csv", "records": "records.csv", "work": "work", "part_kib": 1, "patience": 2,
        }  # fmt: skip
        path = self.folder / "practice.toml"
        if path.exists():
            known = dict(re.findall(r"^(\w+) = (.*)$", path.read_text(), re.MULTILINE))
        else:
            known = {name: repr(value) for name, value in given.items()}
        known |= {name: repr(value) for name, value in changes.items()}
        path.write_text("".join(f"{name} = {value}\n" for name, value in known.items() if value != "None"))

    async def lets_in(self) -> None:
        """The practice makes its key; its doctor registers it, and the id goes into the configuration."""
        printed = await self.run("keys")
        assert printed.code == 0, printed.err
        client = await programs.let_own_act(self.world.means, "practice-a", printed.out.encode(), by=self.doctor)
        self.configure(client=client)

    def write_register(self, rows: list[RegisterRow]) -> None:
        write_register_csv(rows, self.folder / "register.csv")

    def write_records(self, records: list[dict[str, Any]]) -> None:
        with (self.folder / "records.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, RECORD)
            writer.writeheader()
            writer.writerows(records)

    async def start(self, *arguments: str) -> Process:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "portal", "practice", *arguments, cwd=self.folder, env=plain, stdout=PIPE, stderr=PIPE
        )

    async def end(self, process: Process) -> Ended:
        out, err = await asyncio.wait_for(process.communicate(), 120)
        ended = Ended(process.returncode or 0, out.decode(), err.decode())
        assert "Traceback" not in ended.err, ended.err
        return ended

    async def run(self, *arguments: str) -> Ended:
        return await self.end(await self.start(*arguments))

    async def killed(self, *arguments: str, at: str, acted: bool = False, waits: bool = True) -> None:
        """The program is killed while the portal holds the request `at`: before it acts, or once it has.

        `waits` until the portal, which does not know that nobody listens any more, is done with it.
        """
        started = await self.start(*arguments)

        async def kill() -> None:
            started.kill()
            await started.wait()

        (self.watched.after if acted else self.watched.before)[at] = kill
        await asyncio.wait_for(started.communicate(), 60)
        assert started.returncode == -signal.SIGKILL
        while waits and self.watched.inside:  # noqa: ASYNC110 - no event tells when several have ended
            await asyncio.sleep(0.01)

    def stored(self) -> list[tuple[Any, ...]]:
        """Every row of the practice's only file in the store, in order."""
        (file,) = (self.world.means.store / "practice-a").glob("*.parquet")
        return sorted(tuple(map(str, row.values())) for row in pq.read_table(file).to_pylist())

    def left_here(self) -> list[str]:
        """What lies in the work folder besides the lock, the log and the marks of the register."""
        kept = {"lock", "practice.log", "register.json"}
        return sorted(path.name for path in self.work.iterdir() if path.name not in kept)

    def log(self) -> str:
        return (self.work / "practice.log").read_text(encoding="utf-8")


def many_records(people: tuple[str, ...] = PEOPLE, *, days: int = 400, **changes: Any) -> list[dict[str, Any]]:
    """Enough records of each for an extraction of several parts."""
    return [
        RECORD
        | {
            "patient_id": number,
            "recorded_on": date(2021, 1, 1) + timedelta(days=day * 4 + n),
            "diagnosis": CODES[(day * 7 + n * day) % 11 % 2],
        }
        | changes
        for n, number in enumerate(people)
        for day in range(days)
    ]


@asynccontextmanager
async def at_practice(means: Means, folder: Path, *, start: bool = True) -> AsyncIterator[AtPractice]:
    """An observatory whose people were told long ago, served on this machine; a practice whose key is registered."""
    now = datetime.now(UTC)
    clock, base = PlayedClock(now - TOLD_BEFORE, SystemClock()), f"http://127.0.0.1:{free_port()}"
    means = replace(means, clock=clock, base_url=base)
    days = {name: (now + timedelta(days=d)).date() for name, d in (("from", -90), ("review", 200), ("until", 400))}
    world = await build(
        means, clock, folder, authorisation__valid_from=days["from"], authorisation__valid_until=days["until"],
        authorisation__dpia_review_on=days["review"], recipient__contract_until=days["until"],
    )  # fmt: skip
    doctor = await world.enrol()
    people = [patient(number) for number in PEOPLE]
    await world.register(people)
    await world.tell()
    clock.advance_to(now)
    await world.read_returns()
    clock.release()
    async with site(world, base=base) as web:
        watched = Watched(web.app)
        web.app = watched  # type: ignore[assignment] # it answers as the application does, which stands inside
        own = folder / "at-practice"
        own.mkdir()
        enrolment = await Enrolment.get(account_id=doctor.id)
        made = AtPractice(web, watched, own, doctor, enrolment.id, base)
        made.configure()
        means.ring.export_public(own / "portal.pub")
        made.write_register(people)
        made.write_records(many_records())
        if not start:
            yield made
            return
        async with served(web):
            await made.lets_in()
            yield made
