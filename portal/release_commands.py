"""The commands of whoever holds a release: it is verified and opened offline, with a pinned key and no database."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from portal.gate.age import read_identity
from portal.gate.verify import open_release, verify_release
from portal.outside.keys import read_public_keys

group = typer.Typer(no_args_is_help=True, help="Releases; approving needs a signed-in second person on the desk.")


@group.command()
def verify(
    directory: Path,
    key: Annotated[Path, typer.Option(help="The pinned public key of the portal; former ones may follow it.")],
    checkpoint: Annotated[
        Path | None, typer.Option(exists=True, help="A checkpoint of the log kept elsewhere.")
    ] = None,
    identity: Annotated[Path | None, typer.Option(help="The age identity that opens the records.")] = None,
    version: Annotated[int | None, typer.Option(help="The version that must be there, and no other.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Offline: manifest, signature, hashes, counts, log proof; exit status 1 and the reason if anything is off."""
    kept = checkpoint.read_text(encoding="utf-8", errors="replace") if checkpoint else None
    reader = read_identity(identity) if identity else None
    found = verify_release(directory, read_public_keys(key), checkpoint=kept, identity=reader, version=version)
    if as_json:
        typer.echo(json.dumps({k: v for k, v in asdict(found).items() if k != "manifest"}))
        return
    typer.echo(
        f"{found.release_id} (version {found.version}) is genuine: {found.rows} records of {found.persons} persons in "
        f"{found.files} files, k at least {found.k_min}, {found.uniques} unique. Pseudonymised personal data."
        + (f" Signed by a former key, number {found.signed_by} after the current one." if found.signed_by else "")
    )
    if not found.opened:
        typer.echo("The records are encrypted and were not read: only their encrypted form was checked (--identity).")


@group.command(name="open")
def open_(
    directory: Path,
    key: Annotated[Path, typer.Option(help="The pinned public key of the portal; former ones may follow it.")],
    identity: Annotated[Path, typer.Option(help="The age identity that opens the records.")],
    out: Annotated[Path, typer.Option(help="A new folder.")],
) -> None:
    """Offline: verify a release and write it with its records in plain."""
    found = open_release(directory, out, read_public_keys(key), identity=read_identity(identity))
    typer.echo(f"{found.release_id} (version {found.version}): {found.rows} records in plain")
