"""`portal practice …`: what runs at a practice, from a scheduled task. No database; only the portal is spoken to."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from portal.outside.clock import SystemClock
from portal.outside.keys import KeyRing, public_pem
from portal.practice.practice_file import TEMPLATE, PracticeFile, read_practice_file, refuse_unready
from portal.rules.refusals import Refused

if TYPE_CHECKING:
    from portal.practice.steps import Practice

group = typer.Typer(no_args_is_help=True, help="What runs at a practice: its register goes in, what passes is sent.")

Config = Annotated[Path, typer.Option("--config", help="The practice's configuration.")]
FILE = Path("practice.toml")
Json = Annotated[bool, typer.Option("--json")]


@group.command()
def init(config: Config = FILE) -> None:
    """Write a configuration to fill in."""
    try:
        with config.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE)
    except FileExistsError:
        raise Refused("output_exists", "there is such a file already: it is kept", where=config.name) from None
    typer.echo(f"{config.name}: fill it in, then `portal practice keys`")


@group.command()
def keys(config: Config = FILE) -> None:
    """Make the practice's key, once, and print its public half: a doctor pastes it at /doctor/software."""
    file = read_practice_file(_there(config))
    ring = KeyRing(file.keys)
    if not ring.exists(file.family):
        ring.create(file.family)
    if os.name == "posix" and file.keys.stat().st_mode & 0o077:
        raise Refused("key_exposed", "others can look into the folder of keys: chmod 700", where=file.keys.name)
    typer.echo(public_pem(ring.public_key(file.family)).decode("ascii"), nl=False)


@group.command()
def register(config: Config = FILE, as_json: Json = False) -> None:
    """Send the register, if it was written anew."""
    _one("register", config, as_json)


@group.command()
def permit(config: Config = FILE, as_json: Json = False) -> None:
    """Fetch a permit; one that is here, and what was extracted with it, is given up."""
    _one("permit", config, as_json)


@group.command()
def extract(config: Config = FILE, as_json: Json = False) -> None:
    """Filter the records with the permit that is here."""
    _one("extract", config, as_json)


@group.command()
def send(config: Config = FILE, as_json: Json = False) -> None:
    """Send what was extracted, from where it was cut off."""
    _one("send", config, as_json)


@group.command()
def run(
    config: Config = FILE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, send nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Register, permit, filter, sending: what a scheduled task calls. A run that was cut off is finished first."""
    from portal.practice import steps

    with _practice(config) as p:
        if dry_run:
            _say({"dry_run": steps.noted(p, "dry_run", steps.dry_run)}, as_json)
        else:
            _say(steps.run(p), as_json)


def _one(step: str, config: Path, as_json: bool) -> None:
    from portal.practice import steps

    acts: dict[str, Callable[[Practice], Any]] = {
        "register": steps.send_register, "permit": steps.fetch_permit, "extract": steps.extract, "send": steps.send,
    }  # fmt: skip
    with _practice(config) as p:
        _say({step: steps.noted(p, step, acts[step])}, as_json)


@contextmanager
def _practice(config: Path) -> Iterator["Practice"]:
    """Alone in the work folder, with a line to the portal."""
    from portal.outside.portal_api import PortalApi
    from portal.practice.steps import Practice, noting
    from portal.practice.work_folder import WorkFolder

    file: PracticeFile = read_practice_file(_there(config))
    clock, ring = SystemClock(), KeyRing(file.keys)
    work = WorkFolder(file.work, clock)
    with work.alone():
        with noting(work, "configuration"):
            refuse_unready(file, config.name, has_key=ring.exists(file.family))
            key = ring.signing_key(file.family)
        line = PortalApi(file.portal, file.practice, file.client, key, clock, float(file.patience))
        with line as api:
            yield Practice(file, clock, work, api)


def _there(config: Path) -> Path:
    if not config.is_file():
        raise typer.BadParameter(f"{config} is not there: `portal practice init` writes one", param_hint="--config")
    return config


def _say(done: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(done))
        return
    for step, said in done.items():
        outcome, *counts = [f"{name} {value}" for name, value in said.items()]
        typer.echo(f"{step}: {', '.join([outcome.removeprefix('outcome '), *counts]).replace('_', ' ')}")
