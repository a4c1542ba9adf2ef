"""`portal extract`: the filter, on this machine or on a cluster. No database, no network of its own."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.gate.filtering import Counts, filter_extraction
from portal.gate.permit import Permit, read_permit
from portal.outside.clock import SystemClock
from portal.outside.keys import KeyRing, read_public_key
from portal.rules.refusals import Refused
from portal.rules.words import Crossing


class Engine(StrEnum):
    """What the filter runs on."""

    DUCKDB = "duckdb"
    SPARK = "spark"


def extract(
    permit_dir: Annotated[Path, typer.Option("--permit")],
    records: Annotated[str, typer.Option(help="A file or folder; with Spark also a URI such as hdfs:// or s3a://.")],
    out: Annotated[Path, typer.Option()],
    key: Annotated[Path, typer.Option(help="The pinned public key of the portal.")],
    sign_with: Annotated[Path, typer.Option(help="The practice's own keys folder.")] = Path("keys"),
    engine: Annotated[Engine, typer.Option(help="duckdb: this machine; spark: a cluster.")] = Engine.DUCKDB,
    staging: Annotated[
        str | None, typer.Option(help="With Spark: a folder that every machine of the cluster can write to.")
    ] = None,
) -> None:
    """The filter: needs no database and no network; runs at the doctor's computer or on a cluster."""
    read = read_permit(permit_dir, read_public_key(key), SystemClock().now(), crossing=Crossing.EXTRACTION)
    own = KeyRing(sign_with).signing_key(f"practice:{read.terms.practices[0]}")
    if engine is Engine.SPARK:
        counts = _on_spark(read, records, out, own, staging)
    else:
        counts = filter_extraction(read, Path(records), out, practice_key=own)
    typer.echo(f"{counts.passed} of {counts.records_in} records passed, {counts.not_in_permit} not in the permit")
    for code, n in sorted(counts.by_reason.items()):
        typer.echo(f"  {code} {n}")


def _on_spark(permit: Permit, records: str, out: Path, own: Ed25519PrivateKey, staging: str | None) -> Counts:
    try:
        from portal.gate import spark
    except ModuleNotFoundError as error:
        raise Refused("spark_missing", "install observatory-portal[spark]", where="--engine spark") from error
    with spark.running() as session:
        return spark.filter_extraction(session, permit, records, out, practice_key=own, staging=staging)
