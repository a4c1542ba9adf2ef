"""The commands of the tamper-evident log: its newest checkpoint, and the log held against its checkpoints."""

from pathlib import Path
from typing import Annotated, TypeVar

import typer

from portal.flow.audit import verify_log
from portal.flow.means import Means
from portal.flow.sequence import checkpoint
from portal.gate.signature import Keys
from portal.outside.keys import read_public_keys
from portal.wiring import run_with_means

T = TypeVar("T")

group = typer.Typer(no_args_is_help=True, help="The tamper-evident log.")


@group.command(name="checkpoint")
def checkpoint_(
    since: Annotated[int | None, typer.Option(help="Also prove that the tree of this size is its beginning.")] = None,
) -> None:
    """The newest signed checkpoint: keep it elsewhere."""
    typer.echo(run_with_means(lambda _: checkpoint(since=since)), nl=False)


@group.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="A checkpoint kept elsewhere.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="The pinned public keys; the portal's own if not given.")] = None,
) -> None:
    """Every entry, place and checkpoint of this database; exit status 1 and the reason if anything is off."""
    kept = file.read_text(encoding="utf-8", errors="replace") if file else None

    def pinned(means: Means) -> Keys:
        return read_public_keys(key) if key else means.ring.public_keys()

    held = run_with_means(lambda means: verify_log(pinned(means), kept=kept))
    typer.echo(
        f"the log holds: {held.size} entries under {held.checkpoints} checkpoints, {held.forgotten} forgotten, "
        f"{held.waiting} waiting for their place" + ("; it contains the checkpoint kept elsewhere" if kept else "")
    )
