"""The commands for objections without a link: recorded from a letter or the telephone, and listed."""

import json
from datetime import datetime
from typing import Annotated, TypeVar

import typer

from portal.flow import provisional
from portal.flow.means import Means
from portal.flow.provisional import Spoken
from portal.records.accounts import Account
from portal.records.identity_overview import provisional as recorded
from portal.rules.refusals import Refused
from portal.rules.waiting import paris_day
from portal.rules.words import ObjectionChannel, Role, Scope
from portal.wiring import run_with_means

T = TypeVar("T")

group = typer.Typer(no_args_is_help=True, help="Objections without a link: paper and telephone.")

ASKED = {
    "family_name": "Family name",
    "birth_name": "Name at birth",
    "given_names": "Given names",
    "birth": "Birth (1957-04-16, or the year)",
    "person_key": "National identifier, if given",
    "answer_to": "Where to answer",
}
"""Asked for, not given as options: what is on a command line stays in the shell's history."""


@group.command()
def record(
    acting: Annotated[str, typer.Option("--as", help="The e-mail address of the operator or DPO who records it.")],
    channel: Annotated[ObjectionChannel, typer.Option()] = ObjectionChannel.PAPER,
    scope: Annotated[Scope, typer.Option()] = Scope.EVERYTHING,
    ref: Annotated[str, typer.Option(help="The observatory, study or practice that the scope names.")] = "",
    received: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day it was said or stamped; now if not given.")
    ] = None,
) -> None:
    """Record a no; asks for what was said of the person. The answer says nothing of who is a patient."""
    spoken = Spoken(**{name: typer.prompt(words, default="", show_default=False) for name, words in ASKED.items()})

    async def step(means: Means) -> provisional.Recorded:
        by = await Account.filter(email=acting.casefold(), role__in=[Role.OPERATOR, Role.DPO], closed_at=None).first()
        if by is None:
            raise Refused("unknown_operator", "no operator or DPO has this address: `portal staff add`", where="--as")
        day = received.date() if received else None
        return await provisional.record(
            means, spoken, scope=scope, scope_ref=ref, channel=channel, received=day, by=by.actor
        )

    done = run_with_means(step)
    typer.echo(f"recorded {done.id}: counts from now on, to be settled by {done.due_on.isoformat()}")


@group.command(name="list")
def list_(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Every objection without a link, those to settle first; no names."""
    found = run_with_means(lambda means: recorded(paris_day(means.clock.now())))
    if as_json:
        names = ("id", "channel", "scope", "scope_ref", "received_at", "due_on", "outcome", "waits", "late")
        typer.echo(json.dumps([{name: row[name] for name in names} for row in found], default=str))
        return
    for row in found:
        state = "late" if row["late"] else "to settle" if row["waits"] else row["outcome"]
        typer.echo(f"{row['id']}  {row['channel']}  {row['received_at']:%Y-%m-%d}  by {row['due_on']}  {state}")
