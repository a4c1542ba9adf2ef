"""The line in small: records written by a test, filtered at the practice, received, released."""

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from world import World

from portal.flow import opt_out, permit, receive
from portal.flow import release as flow
from portal.gate.filtering import Counts, filter_extraction
from portal.gate.permit import read_permit
from portal.outside.tokens import pseudonym
from portal.records.people import Patient
from portal.rules.words import Crossing, Scope

RECORD: dict[str, Any] = {
    "practice_id": "practice-a", "patient_id": "1", "doctor_id": "doctor-1", "recorded_on": "2025-06-30",
    "provenance": "entered", "year_of_birth": 1960, "sex": "female", "diagnosis": "sct|44054006",
}  # fmt: skip


def record(number: str, **changes: Any) -> dict[str, Any]:
    return RECORD | {"patient_id": number} | changes


@dataclass
class Line:
    """A practice beside the portal: its key, and what it does with a permit."""

    world: World
    practice_id: str = "practice-a"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    counted: Counts | None = None
    turn: int = 0

    async def open(self) -> None:
        means, by = self.world.means, self.world.operator
        await receive.register_practice_key(means, self.practice_id, self.key.public_key(), by=by)

    async def extract(self, *records: dict[str, Any]) -> Path:
        """A fresh permit, used at once on these records; the folder of the extraction."""
        self.turn += 1
        world = self.world
        folder = world.folder / f"{self.practice_id}-{self.turn}"
        folder.mkdir()
        await permit.issue(
            world.means, observatory_id="demo", practice_id=self.practice_id, by=world.operator, out=folder / "permit"
        )
        source = folder / "records.csv"
        with source.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, RECORD)
            writer.writeheader()
            writer.writerows({**r, "practice_id": self.practice_id} for r in records)
        granted = read_permit(
            folder / "permit", world.means.ring.public_key(), world.clock.now(), crossing=Crossing.EXTRACTION
        )
        self.counted = filter_extraction(granted, source, folder / "extraction", practice_key=self.key)
        return folder / "extraction"

    async def receive(self, extraction: Path) -> receive.Received:
        return await receive.receive(
            self.world.means, extraction, practice_id=self.practice_id, actor=self.world.operator.actor
        )


async def approved(world: World) -> str:
    """A release of the study, prepared by the operator and approved by the DPO."""
    release_id = await flow.prepare(world.means, "diabetes", by=world.operator)
    await flow.approve(world.means, release_id, by=world.dpo, second_factor=True)
    return release_id


RECORDS = [record(str(n)) for n in (1, 2, 3)] + [record("1", recorded_on="2025-07-07", diagnosis="sct|59621000")]
"""Four records of three patients."""


def in_store(world: World, practice_id: str = "practice-a") -> set[str]:
    files = sorted((world.means.store / practice_id).glob("*.parquet"))
    return {name for file in files for name in pq.read_table(file)["pseudonym"].to_pylist()}


def in_release(world: World, release_id: str) -> list[str]:
    files = sorted((world.means.releases / release_id / "records").glob("*.parquet"))
    return [name for file in files for name in pq.read_table(file)["pseudonym"].to_pylist()]


async def named(world: World, number: str, family: str = "study:diabetes") -> str:
    person = (await Patient.get(practice_id="practice-a", number=number)).person_id
    return pseudonym(world.means.ring, family, person.bytes).hex()


async def objects(world: World, number: str) -> None:
    await opt_out.object_(world.means, world.links[f"patient{number}@example.org"], Scope.EVERYTHING)
