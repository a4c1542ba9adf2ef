"""The commands of campaigns and letters: tell, print, post, enter what came back, and see how it stands."""

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from portal.flow import campaign, notify, paper, sign_in
from portal.flow.means import Means
from portal.gate.folders import write_whole
from portal.outside.returns import MaildirReturns
from portal.outside.typeset import TypstPress
from portal.records import overview, print_runs
from portal.rules.pace import Pace
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.settings import Settings
from portal.web.letters import render_letter
from portal.web.print_file import compose_letters, compose_sheet
from portal.web.render import folder
from portal.wiring import run_step, worker_post

group = typer.Typer(no_args_is_help=True, help="Campaigns, letters, and how they stand.")

Observatory = Annotated[str, typer.Option("--observatory")]
As = Annotated[str, typer.Option("--as", help="The e-mail address of the operator who acts.")]
Json = Annotated[bool, typer.Option("--json")]


@group.command()
def send(observatory: Observatory, practice: Annotated[str, typer.Option("--practice")], acting: As) -> None:
    """Start a campaign for one practice and send what is due; what is beyond the pace of its domain is the worker's."""

    async def step(means: Means, settings: Settings) -> campaign.Campaigned:
        by = await sign_in.operator(acting)
        done = await campaign.start_campaign(means, observatory_id=observatory, practice_id=practice, by=by)
        pace = Pace(settings.mail_per_minute)
        async with worker_post(settings) as post:
            while await notify.send_due(means, post, render_letter, pace=pace):
                pass
        return done

    done = run_step(step)
    typer.echo(f"{done.queued} queued, {done.already_told} told before, {done.not_reachable} not reachable")


@group.command(name="print")
def print_(
    observatory: Observatory,
    acting: As,
    out: Annotated[Path, typer.Option(help="The folder for the print file and its count sheet.")],
    practice: Annotated[str | None, typer.Option(help="Letters of this practice only.")] = None,
    run: Annotated[int | None, typer.Option(help="Make the files of this run again, until it is posted.")] = None,
) -> None:
    """Print the letters that wait, as one PDF and a count sheet."""

    async def step(means: Means, _: Settings) -> paper.Printed:
        by = await sign_in.operator(acting)
        number = run or await paper.print_letters(means, observatory_id=observatory, practice_id=practice, by=by)
        press = TypstPress(folder("templates") / "letter")
        return await paper.print_file(means, press, compose_letters(means.base_url), compose_sheet, number, by=by)

    out.mkdir(parents=True, exist_ok=True)
    done = run_step(step)
    write_whole(out / f"letters-{done.run}.pdf", done.file)
    write_whole(out / f"letters-{done.run}-sheet.pdf", done.sheet)
    typer.echo(f"print run {done.run}: {done.letters} letters")


@group.command()
def posted(
    run: int,
    acting: As,
    on: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day; today if not given.")] = None,
) -> None:
    """A print run was taken to the post: its letters count as sent from that day on."""

    async def step(means: Means, _: Settings) -> int:
        day = on.date() if on else paris_day(means.clock.now())
        return await paper.letters_posted(means, run, posted_on=day, by=await sign_in.operator(acting))

    typer.echo(f"{run_step(step)} letters posted")


@group.command()
def returned(
    acting: As,
    file: Annotated[typer.FileText, typer.Argument(help="The letters' numbers, one a line; - for standard input.")],
    complete: Annotated[bool, typer.Option(help="All that has come back by now is in it.")] = False,
) -> None:
    """Letters that came back: their notices count no longer."""

    async def step(means: Means, _: Settings) -> int:
        by = await sign_in.operator(acting)
        return await paper.letters_returned(means, file.read().splitlines(), complete=complete, by=by)

    typer.echo(f"{run_step(step)} letters returned")


@group.command()
def bounced() -> None:
    """Take a message that came back from standard input, for a mail server's pipe; the worker reads it. Exit status 75
    whatever is wrong: the mail server then keeps it and tries again."""
    try:
        settings = Settings()
        if settings.returns_maildir is None:
            raise Refused("no_returns", "name the Maildir of the returns address", where="PORTAL_RETURNS_MAILDIR")
        MaildirReturns(settings.returns_maildir, settings.returns_address).keep(sys.stdin.buffer)
    except Exception as error:  # nothing may be lost, also for what nobody foresaw
        typer.echo(str(error) if isinstance(error, Refused) else f"not kept: {type(error).__name__}", err=True)
        raise typer.Exit(os.EX_TEMPFAIL) from None


@group.command()
def status(observatory: Observatory, as_json: Json = False) -> None:
    """Every campaign of an observatory and its notices in numbers, and the letters that wait to be printed."""

    async def step(means: Means, _: Settings) -> dict[str, Any]:
        told = [c for c in await overview.campaigns(means.clock.now()) if c["observatory_id"] == observatory]
        return {"campaigns": told, "letters_ready": (await print_runs.ready()).get(observatory, 0)}

    found = run_step(step)
    if as_json:
        typer.echo(json.dumps(found, default=str))
        return
    for c in found["campaigns"]:
        numbers = ", ".join(f"{c[name]} {name}" for name in ("queued", "sent", "delivered", "bounced", "stuck"))
        typer.echo(f"{c['at']:%Y-%m-%d} {c['practice']}: {numbers}")
    typer.echo(f"letters ready to be printed: {found['letters_ready']}")
