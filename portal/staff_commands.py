"""`portal staff …`: who works at the desk and in the study teams."""

from typing import Annotated

import typer

from portal.flow.sign_in import add_staff
from portal.flow.staff import remove_staff
from portal.records.accounts import staff
from portal.rules.words import Role
from portal.wiring import run_step, run_with_means

group = typer.Typer(no_args_is_help=True, help="Staff accounts.")


@group.command()
def add(email: str, role: Annotated[Role, typer.Option()], study: Annotated[str | None, typer.Option()] = None) -> None:
    """Invite one human for one role; recipients name their study."""
    run_with_means(lambda means: add_staff(means, email=email, role=role, study_id=study, actor="system:cli"))
    typer.echo("invited")


@group.command(name="list")
def list_() -> None:
    """Everybody who may sign in: role, study, address, and whether she has done so yet."""
    for each in run_step(lambda *_: staff()):
        seen = "invited" if each.subject is None else "has signed in"
        typer.echo("\t".join((each.role, each.study_id or "-", each.email or "-", seen)))


@group.command()
def remove(email: str, role: Annotated[Role | None, typer.Option(help="Every role if not given.")] = None) -> None:
    """Take a role away: it opens nothing from this moment on, also where it is signed in."""
    taken = run_with_means(lambda means: remove_staff(means, email=email, role=role, actor="system:cli"))
    typer.echo(f"removed: {', '.join(taken)}")
