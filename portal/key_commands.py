"""The commands of the key families: made, listed, rotated, deleted, and their public halves written out."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from portal.flow import key_custody
from portal.flow.means import Means
from portal.flow.sign_in import operator
from portal.rules.refusals import Refused
from portal.settings import Settings
from portal.wiring import key_ring, run_with_means

group = typer.Typer(no_args_is_help=True, help="The key families.")

As = Annotated[str, typer.Option("--as", help="The e-mail address of the operator who acts.")]


@group.command()
def create(family: str) -> None:
    """Make a key: contacts, blind, links, matching, signing, observatory:ID or study:ID."""
    key_ring(Settings()).create(family)


@group.command(name="list")
def list_(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """The families there are, each with the fingerprint of its key and how many former ones are kept."""
    ring = key_ring(Settings())
    found = [
        {"family": family, "fingerprint": ring.fingerprint(family), "former": len(ring.former(family))}
        for family in ring.list()
    ]
    if as_json:
        typer.echo(json.dumps(found))
        return
    for one in found:
        former = f"  {one['former']} former" if one["former"] else ""
        typer.echo(f"{one['family']}  {one['fingerprint']}{former}")


@group.command()
def export_public(out: Path) -> None:
    """Write the public signing key that verifiers and practices pin, followed by those that it replaced."""
    key_ring(Settings()).export_public(out)


@group.command()
def rotate(family: str, acting: As = "") -> None:
    """Put a new key in the place of the family's. Contacts are sealed again at once: interrupted, it goes on."""
    if family.startswith("practice:"):
        key_ring(Settings()).rotate(family)
        typer.echo("rotated: the portal's operator registers the new public key")
        return

    async def step(means: Means) -> str:
        actor = (await operator(acting)).actor
        unfinished = family == "contacts" and means.ring.former(family) and await key_custody.sealed_with_former(means)
        if not unfinished:
            await key_custody.rotate(means, family, actor=actor)
        return await _seal_again(means) if family == "contacts" else _next(family)

    typer.echo(run_with_means(step))


async def _seal_again(means: Means) -> str:
    total, last, done = await key_custody.sealed_with_former(means), 0, 0
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("contacts sealed again", total=total)
        while (batch := await key_custody.reseal(means, after=last))[1]:
            last, done = batch[0], done + batch[1]
            progress.update(task, completed=done)
    return f"rotated: {done} contacts sealed again; tomorrow `portal keys forget contacts` deletes the former key"


def _next(family: str) -> str:
    after = {
        "signing": "give the new public key to verifiers and practices: `portal keys export-public`",
        "links": "notices from now on; links that were sent go on working",
    }
    return f"rotated: {after.get(family, 'from its next use on')}"


@group.command()
def forget(family: str, acting: As) -> None:
    """Delete the former keys of the contacts, once nothing is sealed with them."""

    async def step(means: Means) -> int:
        return await key_custody.forget(means, family, actor=(await operator(acting)).actor)

    typer.echo(f"{run_with_means(step)} former keys deleted")


@group.command()
def delete(
    study: Annotated[str, typer.Option()],
    acting: As,
    confirm: Annotated[str, typer.Option(help="The study's id once more: this cannot be undone.")] = "",
) -> None:
    """Unlink a study for good: nothing of it can be released, linked or taken back afterwards."""
    if confirm != study:
        raise Refused("not_confirmed", "say --confirm with the study's id: this cannot be undone", where="--confirm")

    async def step(means: Means) -> None:
        await key_custody.delete_study_key(means, study, actor=(await operator(acting)).actor)

    run_with_means(step)
    typer.echo(f"the key of {study} is deleted; delete it in your backups too")
