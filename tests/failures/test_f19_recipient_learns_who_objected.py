"""F19 (CMS DPC puts it into the export): the recipient learns who objected.

Here it gets those who pass, and counts by class in which a no and a letter that came back look alike.
"""

import io
import re
import tarfile
from base64 import urlsafe_b64decode
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from line import Line, approved, record
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow import opt_out, release, retract
from portal.flow.means import Means
from portal.gate.retraction import retractions_csv
from portal.outside.tokens import pseudonym
from portal.records.notices import Notice
from portal.records.people import Patient
from portal.records.retractions import open_lines
from portal.rules.clearance import ORDER
from portal.rules.words import Scope
from portal.web.recipient import _archive, _opened

OBJECTOR, BOUNCED = "1", "2"


@pytest.fixture
async def world(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> World:
    """Six patients told; their records are in the store."""
    world = await build(means, clock, tmp_path)
    await world.enrol()
    numbers = [str(n) for n in range(1, 7)]
    await world.register([patient(number) for number in numbers])
    await world.tell()
    world.wait(40)
    await world.read_returns()
    line = Line(world)
    await line.open()
    await line.receive(await line.extract(*(record(number) for number in numbers)))
    return world


async def _objects(world: World) -> None:
    await opt_out.object_(world.means, world.links[f"patient{OBJECTOR}@example.org"], Scope.EVERYTHING)


async def _bounces(world: World) -> None:
    person = await Patient.get(number=BOUNCED)
    world.returns.bounced.append(str((await Notice.get(patient_id=person.id)).id))
    await world.read_returns()


async def fetched(world: World, release_id: str) -> dict[str, bytes]:
    """The files of a download, by name."""
    entries = await release.hand_over(world.means, release_id, by=world.recipient, take=_opened)
    with tarfile.open(fileobj=io.BytesIO(b"".join(_archive(entries)))) as archive:
        files = {m.name.partition("/")[2]: archive.extractfile(m) for m in archive.getmembers()}
        return {name: file.read() for name, file in files.items() if file is not None}


async def names_of(world: World, number: str) -> set[bytes]:
    person = (await Patient.get(number=number)).person_id
    keyed = [
        pseudonym(world.means.ring, family, person.bytes).hex() for family in ("study:diabetes", "observatory:demo")
    ]
    return {name.encode() for name in [*keyed, str(person), person.hex]}


def values(files: dict[str, bytes]) -> list[bytes]:
    """The values of records, decoded."""
    return [str(pq.read_table(io.BytesIO(f)).to_pylist()).encode() for n, f in files.items() if n.endswith("parquet")]


def said(files: dict[str, bytes]) -> bytes:
    """Everything in a download, values of records decoded."""
    return b"\n".join([*files.values(), *values(files)])


def in_words(files: dict[str, bytes]) -> bytes:
    """What can be read in a download. Three letters in a signature or a ciphertext are chance: a statement is read by
    its payload, and long runs of base64 are left out."""
    read = [f for name, f in files.items() if not name.endswith((".age", "parquet"))]
    payloads = [urlsafe_b64decode(f.split(b".")[1] + b"==") for name, f in files.items() if name.endswith(".jws")]
    return b"\n".join([re.sub(rb"[A-Za-z0-9+/=_-]{40,}", b"", b"\n".join(read)), *payloads, *values(files)])


async def test_nothing_in_a_download_names_who_objected_or_that_anybody_did(world: World) -> None:
    await _objects(world)
    release_id = await approved(world)
    await release.seal(world.means, release_id, by=world.operator)
    files = await fetched(world, release_id)
    everything = said(files)
    assert not [name for name in await names_of(world, OBJECTOR) if name in everything]
    assert not [code for code in ORDER if code.encode() in in_words(files)]
    for word in (b"objected", b"objection", b"refus"):
        assert word not in everything.lower()


async def test_a_no_and_a_letter_that_came_back_leave_the_same_papers(world: World) -> None:
    """One of six is missing each time, for another reason; only the one who is there says which."""
    papers = []
    for close in (_objects, _bounces):
        await close(world)
        release_id = await approved(world)
        await release.seal(world.means, release_id, by=world.operator)
        papers.append((await fetched(world, release_id))["counts.csv"])
    assert papers[0] == papers[1]


@pytest.mark.parametrize("close", [_objects, _bounces], ids=["a no", "a bounce"])
async def test_a_later_version_and_its_retraction_do_not_say_why(world: World, close: object) -> None:
    release_id = await approved(world)
    await release.seal(world.means, release_id, by=world.operator)
    first = await fetched(world, release_id)
    await (_objects if close is _objects else _bounces)(world)
    second = await fetched(world, release_id)
    changed = {name for name in first if first[name] != second.get(name)}
    (leaver,) = {n for n in (OBJECTOR, BOUNCED) if (await _gone(world, n, second))}
    bucket = next(iter(sorted(await _study_name(world, leaver))))
    assert changed - {f"records/{bucket}.parquet"} <= {
        "manifest.json", "manifest.jws", "proof.json", "disclosure.json", "README.md",
    }  # fmt: skip
    await retract.reconcile(world.means)
    lines = retractions_csv(await open_lines("diabetes"))
    text = lines if isinstance(lines, bytes) else lines.encode()
    assert text.splitlines()[0] == b"release_id,pseudonym,due_on"
    assert len(text.splitlines()) == 2


async def _study_name(world: World, number: str) -> str:
    person = (await Patient.get(number=number)).person_id
    return pseudonym(world.means.ring, "study:diabetes", person.bytes).hex()[0]


async def _gone(world: World, number: str, files: dict[str, bytes]) -> bool:
    return not any(name in said(files) for name in await names_of(world, number))
