"""The command line. Exit status 0 done, 1 refused or failed, 2 wrong use; errors on standard error, one line each."""

import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from portal import (
    extract_command,
    key_commands,
    log_commands,
    notice_commands,
    objection_commands,
    practice_commands,
    receipt_commands,
    release_commands,
    staff_commands,
)
from portal.demo.bulk import SHIPPED
from portal.flow import erase, govern, permit, receive, register, release, retract, sign_in
from portal.flow.decide import Asked, explain
from portal.flow.means import Means
from portal.flow.simulate import CHANGES, PASSES, Simulated, simulate
from portal.gate.retraction import write_retractions
from portal.outside.clock import SystemClock
from portal.records.clearance import renew_verdicts
from portal.records.database import opened
from portal.records.governance import Study
from portal.records.retractions import counts, newest, open_lines
from portal.records.store_overview import store_counts
from portal.rules.clearance import Withheld
from portal.rules.reasons import sentence
from portal.rules.refusals import Refused, RefusedFile
from portal.rules.waiting import paris_day
from portal.rules.words import CanaryOutcome, Language
from portal.settings import PORT, Settings, unsafe
from portal.web.render import folder
from portal.wiring import run_step

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
groups = {
    name: typer.Typer(no_args_is_help=True, help=words)
    for name, words in {
        "register": "Registers of practices.",
        "gate": "What would pass, and why not.",
        "permit": "Extraction permits.",
    }.items()
} | {
    "keys": key_commands.group,
    "log": log_commands.group,
    "notices": notice_commands.group,
    "objections": objection_commands.group,
    "practice": practice_commands.group,
    "receipt": receipt_commands.group,
    "release": release_commands.group,
    "staff": staff_commands.group,
}
for _name, _group in groups.items():
    app.add_typer(_group, name=_name)
app.command()(extract_command.extract)

Observatory = Annotated[str, typer.Option("--observatory")]
PracticeId = Annotated[str, typer.Option("--practice")]
StudyId = Annotated[str, typer.Option("--study")]
As = Annotated[str, typer.Option("--as", help="The e-mail address of the operator who acts.")]
Json = Annotated[bool, typer.Option("--json")]


def main() -> None:
    """Run the command; a refusal is one line on standard error and exit status 1."""
    try:
        app()
    except RefusedFile as refused:
        for problem in refused.problems:
            typer.echo(str(problem), err=True)
        sys.exit(1)
    except Refused as refused:
        typer.echo(str(refused), err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)


# --- the service ---------------------------------------------------------------------------------------------------

# What only these need is imported in them: every other command would wait for it.


@app.command()
def serve(workers: int = 1, host: str = "127.0.0.1", port: int = PORT) -> None:
    """The web application."""
    from portal.service import serve_pages

    serve_pages(Settings(), workers=workers, host=host, port=port)


@app.command()
def worker(once: bool = False) -> None:
    """Send what is in the outbox and read what came back; safe to run several."""
    from portal.service import work

    run_step(lambda means, settings: work(means, settings, once=once))


@app.command()
def canary() -> None:
    """One round of the canary now: does a no, said on the public pages, close the gate?"""
    from portal.flow.canary import sing
    from portal.outside.own_pages import Pages

    outcome = run_step(lambda means, settings: sing(means, Pages(settings.base_url), now=True, pauses=()))
    if outcome != CanaryOutcome.WORKED:
        raise Refused("canary", "the path of objections is not known to work", where=outcome or "no round")
    typer.echo("A no was said, withheld its patient, and was taken back.")


@app.command(name="migrate")
def migrate_() -> None:
    """Bring the database to the newest schema, and the verdict table to the newest rules."""
    from portal.records.migrations import migrate

    settings = Settings()
    migrate(settings.database_url, folder("alembic"))

    async def verdict_table() -> None:
        async with opened(settings.database_url):
            await renew_verdicts()

    asyncio.run(verdict_table())


@app.command()
def check() -> None:
    """Refuse unsafe settings: each one, and how to mend it."""
    problems = unsafe(Settings())
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo("The settings are safe.")


@app.command(name="demo")
def demo_(
    once: bool = False,
    serve_only: bool = False,
    port: int = PORT,
    records: Annotated[Path, typer.Option(exists=True, file_okay=False)] = SHIPPED,
    into: Annotated[Path, typer.Option(help="Where the demo lives.")] = Path("var/demo"),
) -> None:
    """Play a whole observatory on synthetic records, then serve the pages."""
    from portal.demo.run import demo

    console = Console()
    asyncio.run(demo(into, once=once, serve_only=serve_only, port=port, records=records, console=console))


# --- governing -----------------------------------------------------------------------------------------------------


@app.command()
def load(
    file: Path, acting: Annotated[str, typer.Option("--as", help="Who loads; the only operator if empty.")] = ""
) -> None:
    """Load a reviewed TOML file as drafts for the desk (practices and agreements count at once). Idempotent.

    Warns of a notice that is harder to read than it should be for its reader.
    """
    reviewed = govern.read_reviewed(file)

    async def step(means: Means, _: Settings) -> list[str]:
        return await govern.load(means, reviewed, actor=await sign_in.loader(acting))

    typer.echo("\n".join(f"loaded {name}" for name in run_step(step)) or "nothing changed")
    for warning in govern.too_hard(reviewed):
        typer.echo(f"warning: {warning}", err=True)


@groups["register"].command(name="import")
def import_(
    practice: PracticeId,
    file: Path,
    acting: As,
    taken_at: Annotated[datetime | None, typer.Option(help="When the file was taken; now if not given.")] = None,
    partial: bool = False,
    holders: Annotated[Path | None, typer.Option(help="A second file: further holders of parental authority.")] = None,
) -> None:
    """A practice's patients from CSV, Parquet or FHIR Patient NDJSON; a file with any bad row is refused whole."""
    moment = taken_at.astimezone(UTC) if taken_at else SystemClock().now()

    async def step(means: Means, _: Settings) -> register.Imported:
        actor = (await sign_in.operator(acting)).actor
        return await register.import_register(
            means, practice, file, taken_at=moment, actor=actor, partial=partial, holders=holders
        )

    done = run_step(step)
    typer.echo(f"{done.rows} rows: {done.new} new, {done.changed} changed, {done.left} left, {done.doubts} in doubt")


# --- the gate ------------------------------------------------------------------------------------------------------


async def _asked(study: str | None, observatory: str | None) -> Asked:
    if study is None:
        if observatory is None:
            raise Refused("wrong_use", "give --study or --observatory")
        return Asked(observatory)
    found = await Study.get_or_none(id=study)
    if found is None:
        raise Refused("G05", "there is no such study", where=study)
    return Asked(found.observatory_id, study)


@groups["gate"].command(name="explain")
def explain_(
    practice: PracticeId,
    patient: Annotated[str, typer.Option()],
    study: Annotated[str | None, typer.Option()] = None,
    observatory: Annotated[str | None, typer.Option()] = None,
    as_json: Json = False,
) -> None:
    """Every rule for one patient, with its evidence and the entries of the log that bear on it."""

    async def step(means: Means, _: Settings) -> Any:
        asked = await _asked(study, observatory)
        return await explain(means, asked, practice_id=practice, number=patient)

    verdict, lines = run_step(step)
    withheld = isinstance(verdict, Withheld)
    entries = {entry.id: entry for line in lines for entry in line.entries}
    log = [asdict(entries[n]) | {"at": entries[n].at.isoformat()} for n in sorted(entries)]
    if as_json:
        rules = [asdict(line) | {"entries": [entry.id for entry in line.entries]} for line in lines]
        typer.echo(json.dumps({"passes": not withheld, "rules": rules, "log": log}))
        return
    for line in lines:
        words = "" if line.passes else f"  ({sentence(line.code, Language.EN)})"
        shown = f"  log {', '.join(str(entry.id) for entry in line.entries)}" if line.entries else ""
        typer.echo(f"{'  ' if line.passes else '✗ '}{line.code}  {line.evidence}{shown}{words}")
    until = "" if withheld or verdict.holds_until is None else f" until {verdict.holds_until.isoformat()}"
    typer.echo(f"withheld: {', '.join(verdict.reasons)}" if withheld else f"passes{until}")
    for entry in log:
        typer.echo(f"log {entry['id']}  {entry['at']}  {entry['kind']}  by {entry['actor']}")


@groups["gate"].command(name="simulate")
def simulate_(
    study: Annotated[str | None, typer.Option()] = None,
    observatory: Annotated[str | None, typer.Option()] = None,
    change: Annotated[str | None, typer.Option("--if", help="; ".join(f"{k}={v}" for k, v in CHANGES.items()))] = None,
    as_json: Json = False,
) -> None:
    """What would pass and why not, in patients, each under the first failing code; keeps nothing."""

    async def step(means: Means, _: Settings) -> Simulated:
        return await simulate(means, await _asked(study, observatory), change)

    found: Simulated = run_step(step)
    if as_json:
        typer.echo(json.dumps({**asdict(found), "difference": found.difference}, sort_keys=True))
        return
    for code in sorted(found.now.keys() | found.then.keys()):
        before, after = found.now.get(code, 0), found.then.get(code, 0)
        moved = f"  → {after} ({after - before:+})" if change else ""
        typer.echo(f"{code:<7}{before:>8}{moved}  {sentence(code, Language.EN) if code != PASSES else ''}".rstrip())


@groups["permit"].command(name="issue")
def issue_(observatory: Observatory, practice: PracticeId, out: Annotated[Path, typer.Option()], acting: As) -> None:
    """A signed, short-lived permit for one practice's extraction."""

    async def step(means: Means, _: Settings) -> permit.Issued:
        by = await sign_in.operator(acting)
        return await permit.issue(means, observatory_id=observatory, practice_id=practice, by=by, out=out)

    done = run_step(step)
    typer.echo(f"permit {done.serial} of {practice}: {done.patients} patients, until {done.expires_at.isoformat()}")


@app.command(name="receive")
def receive_(directory: Path, practice: PracticeId) -> None:
    """Take an extraction into the observatory's store: checked, decided again, dropped, stored."""
    done = run_step(lambda means, _: receive.receive(means, directory, practice_id=practice, actor="system:cli"))
    typer.echo(f"{done.rows} records of {done.persons} persons stored, {done.dropped} persons dropped")


@groups["release"].command()
def prepare(study: StudyId, acting: As) -> None:
    """Decide, filter and measure a release; nothing leaves."""

    async def step(means: Means, _: Settings) -> str:
        return await release.prepare(means, study, by=await sign_in.operator(acting))

    typer.echo(run_step(step))


@groups["release"].command()
def seal(release_id: str, acting: As) -> None:
    """Look again under the lock, and seal what a DPO has approved."""

    async def step(means: Means, _: Settings) -> int:
        return await release.seal(means, release_id, by=await sign_in.operator(acting))

    typer.echo(f"sealed: {run_step(step)} records")


@groups["release"].command()
def withdraw(release_id: str, acting: As) -> None:
    """Give a release up before it is sealed."""

    async def step(means: Means, _: Settings) -> None:
        await release.withdraw(means, release_id, by=await sign_in.operator(acting))

    run_step(step)


@app.command()
def retractions(
    study: Annotated[str | None, typer.Option()] = None,
    observatory: Annotated[str | None, typer.Option(help="The observatory's own store.")] = None,
    out: Annotated[Path | None, typer.Option()] = None,
    as_json: Json = False,
) -> None:
    """What recipients, or the observatory's own store, must delete; --out writes a study's open ones as CSV and FHIR.
    Makes first what is missing."""

    async def step(means: Means, _: Settings) -> dict[str, int]:
        today = paris_day(means.clock.now())
        if study is None:
            asked = await _asked(None, observatory)
            await erase.reconcile_store(means)
            return await store_counts(asked.observatory_id, today)
        await _asked(study, None)
        await retract.reconcile(means, only=study)
        if out is not None:
            write_retractions(out, await open_lines(study), as_of=await newest(study) or means.clock.now())
        return await counts(study, today)

    done = run_step(step)
    typer.echo(json.dumps(done) if as_json else ", ".join(f"{n} {name}" for name, n in done.items()))


if __name__ == "__main__":
    main()
