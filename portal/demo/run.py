"""`portal demo`: play once, print the funnel, then serve what was played until it is stopped."""

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from portal.demo.bulk import SHIPPED, part, read_practices
from portal.demo.cast import Part, give_parts
from portal.demo.clock import PlayedClock
from portal.demo.driver import DAYS, IDENTITY, Play, Tell
from portal.demo.funnel import at_release, count
from portal.demo.people import STAFF, demo_doctors
from portal.demo.play import before_release, finish_release
from portal.demo.stage import Stage, stage
from portal.flow.clear_away import clear_away
from portal.flow.mail_doctor import send_to_doctors
from portal.flow.mail_receipt import send_receipts
from portal.flow.sequence import sequence
from portal.gate.age import read_identity
from portal.gate.folders import write_whole
from portal.gate.verify import open_release
from portal.outside.clock import SystemClock
from portal.web.letters import render_receipt, render_to_doctor

BETWEEN_PLACES = 2.0
"""Seconds between two rounds of the sequencer and of receipts by mail while the pages are served: no worker runs
beside the demo."""


async def demo(
    folder: Path,
    *,
    once: bool,
    serve_only: bool = False,
    port: int,
    records: Path = SHIPPED,
    console: Console,
    database_url: str | None = None,
) -> None:
    """Play (unless a whole play is there already), show what came of it, and serve until stopped (unless `once`)."""
    folder, is_played = _found(folder)
    if not serve_only and not is_played:
        await play_all(folder, records=records, console=console, port=0 if once else port, database_url=database_url)
    elif not is_played:
        console.print("Nothing was played yet: run `portal demo` first.", style="bold")
        return
    show(folder, console)
    if once:
        return
    practices = read_practices(records)
    clock = PlayedClock(SystemClock().now() - timedelta(seconds=1), SystemClock())
    clock.release()
    guide = read_guide(folder)
    async with stage(
        folder, clock=clock, doctors=demo_doctors(practices), port=port, database_url=database_url, guide=lambda: guide
    ) as served:
        console.print(f"\nThe pages are served at [bold]{served.base}[/bold] until Ctrl-C.")
        await clear_away(served.means)
        while True:
            await sequence(served.means)
            await send_receipts(served.means, served.post, render_receipt)
            await send_to_doctors(served.means, served.post, render_to_doctor)
            await asyncio.sleep(BETWEEN_PLACES)


def _found(folder: Path) -> tuple[Path, bool]:
    """The folder's whole address, and whether a whole play is in it."""
    return Path(os.path.abspath(folder)), (folder / "funnel.json").exists()


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


async def play_all(
    folder: Path, *, records: Path = SHIPPED, console: Console, port: int = 0, database_url: str | None = None
) -> dict[str, Any]:
    """The whole play into an empty folder; `funnel.json` comes last, so that half a play is never taken for one."""
    _emptied(folder)
    practices = read_practices(records)
    real = SystemClock()
    real_now = real.now()
    clock = PlayedClock(real_now - timedelta(days=DAYS + 1), real)
    with progress(console) as tell:
        tell("records are handed to the practices", 0, 1)
        await asyncio.to_thread(part, records, folder / "records")
        async with stage(
            folder, clock=clock, doctors=demo_doctors(practices), port=port, database_url=database_url
        ) as s:
            p = Play(s, give_parts(practices), folder / "records", tell)
            await before_release(p, real_now)
            verdicts, permit = await at_release(p)
            await finish_release(p)
            _copy_release(s, p.release_id)
            funnel = count(p, verdicts, permit)
            p.story.write(folder / "story.json")
            write_whole(folder / "guide.json", json.dumps(_guide(p, s), ensure_ascii=False, indent=1).encode())
            write_whole(folder / "funnel.json", (json.dumps(funnel, indent=1) + "\n").encode())
    return funnel


def _copy_release(s: Stage, release_id: str) -> None:
    """The last release, where the contract says, opened by its recipient's identity as a study team would."""
    sealed, identity = s.means.releases / release_id, read_identity(s.folder / IDENTITY)
    open_release(sealed, s.folder / "release", s.means.ring.public_key(), identity=identity)


def _guide(p: Play, s: Stage) -> dict[str, Any]:
    """Where to look first: links that were mailed, doctors and staff to sign in as. Paths only: ports may differ."""
    told = p.story.told["objections"]
    objected = {(o["practice_id"], o["patient_id"]): o for o in told}
    full = [r.practice.id for r in p.role_of(Part.FULL)]
    quiet = [key for key in sorted(p.letters) if key not in objected and key[0] in full]
    patients = []
    if quiet:
        patients.append(_link("Une notice sans réponse", "A notice without an answer", f"/o/{p.letters[quiet[0]]}"))
    own = [o for o in told if p.registers[o["practice_id"]].adult(o["patient_id"])]
    if own:
        last = own[-1]
        token = p.letters[last["practice_id"], last["patient_id"]]
        patients.append(_link("Un non déjà enregistré", "A no already recorded", f"/o/{token}"))
    active = [d for r in p.role_of(Part.FULL) for d in r.enrolling][:1]
    return {
        "patients": patients,
        "mailbox": "/demo/mail/",
        "doctors": [_link(f"Se connecter : Dr {d.family}", f"Sign in: Dr {d.family}", "/login/doctor") for d in active],
        "staff": [
            _link(f"{given} {family} ({email})", f"{role.capitalize()} ({email})", "/login/staff")
            for role, (email, given, family) in STAFF.items()
        ],
        "verify": f"portal release verify {_near(s.folder)}/release --key {_near(s.folder)}/portal.pub",
    }


def _link(french: str, english: str, href: str) -> dict[str, Any]:
    return {"words": {"fr": french, "en": english}, "href": href}


def _near(folder: Path) -> str:
    """A folder as one would type it from here."""
    return os.path.relpath(folder)


def read_guide(folder: Path) -> dict[str, Any]:
    """The guide of the first page, with the funnel in the order of the sizes."""
    guide: dict[str, Any] = json.loads((folder / "guide.json").read_text(encoding="utf-8"))
    funnel = json.loads((folder / "funnel.json").read_text(encoding="utf-8"))
    by_size = sorted(funnel["withheld"].items(), key=lambda item: -item[1])
    guide["funnel"] = {**funnel, "withheld": [{"code": code, "count": n} for code, n in by_size]}
    return guide


def show(folder: Path, console: Console) -> None:
    """The funnel and where things lie."""
    funnel = json.loads((folder / "funnel.json").read_text(encoding="utf-8"))
    total = funnel["records_in"]
    console.print(f"\n[bold]{funnel['passed']}[/bold] of {total} records passed ({funnel['passed'] / total:.0%}).")
    for code, n in sorted(funnel["withheld"].items(), key=lambda item: -item[1]):
        console.print(f"  {code}  {n:>6}  {'▇' * round(40 * n / total)}")
    near = _near(folder)
    console.print(f"The release lies in {near}/release. Verify it as a stranger would:")
    console.print(f"  .venv/bin/portal release verify {near}/release --key {near}/portal.pub", soft_wrap=True)


@contextmanager
def progress(console: Console) -> Iterator[Tell]:
    """A bar for each act, on standard error's console or nowhere when it is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=False) as bars:
        tasks: dict[str, Any] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for name, task in tasks.items():
                    bars.update(task, completed=bars.tasks[list(tasks).index(name)].total)
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield tell
        for place, task in enumerate(tasks.values()):
            bars.update(task, completed=bars.tasks[place].total)
