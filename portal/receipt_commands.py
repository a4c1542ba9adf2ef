"""The command of whoever holds a patient's receipt: it is verified offline, with a pinned key and no database."""

import json
from pathlib import Path
from typing import Annotated

import typer

from portal.gate.receipt import verify_receipt
from portal.outside.keys import read_public_keys

group = typer.Typer(no_args_is_help=True, help="Receipts of patients.")


@group.callback()
def receipts() -> None:
    """Receipts of patients."""


@group.command()
def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The receipt that the patient saved.")],
    key: Annotated[Path, typer.Option(help="The pinned public key of the portal; former ones may follow it.")],
    checkpoint: Annotated[
        Path | None, typer.Option(exists=True, help="A checkpoint of the log kept elsewhere.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Offline: signature, and the place in the log; exit status 1 and the reason if anything is off."""
    kept = checkpoint.read_text(encoding="utf-8", errors="replace") if checkpoint else None
    found = verify_receipt(file.read_bytes(), read_public_keys(key), kept=kept)
    if as_json:
        typer.echo(json.dumps({"genuine": True, "proved": found.proved, "receipt": found.terms}, ensure_ascii=False))
        return
    terms = found.terms
    typer.echo(
        f"genuine: {terms['dct:identifier']}, a no to {terms['scope']['kind']} {terms['scope']['ref']}".rstrip()
        + f", received {terms['received_at']}"
        + (f", taken back {terms['taken_back_at']}" if terms["taken_back_at"] else "")
        + (f"; entry {terms['log_entry']} of the log" if found.proved else "; not yet shown to stand in the log")
    )
