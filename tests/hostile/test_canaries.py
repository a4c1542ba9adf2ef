"""Five hundred canaries: names, addresses, national numbers and telephones that stand in everything that comes in.

None may be found in anything that leaves the gate, in a log line, in an error or on an error page: not as it is, not
in an encoding, and not as a plain hash, which anybody with a list of names could undo.
"""

import base64
import csv
import hashlib
import logging
import quopri
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from line import RECORD, Line, approved, record
from whole_site import Web, site
from world import build, patient

from portal.demo.clock import PlayedClock
from portal.flow import opt_out, release
from portal.flow.means import Means
from portal.flow.retract import reconcile
from portal.gate.filtering import filter_extraction
from portal.gate.permit import read_permit
from portal.records.database import connection
from portal.rules.refusals import Refused
from portal.rules.words import Addressee, Crossing, Scope

PATIENTS = 64


def nir(n: int) -> str:
    """A national number whose key is right."""
    number = f"2600575{n:06}"
    return number + f"{97 - int(number) % 97:02}"


def identifiers(n: int) -> dict[str, Any]:
    """Eight canaries of one patient; each is a word that nothing else contains."""
    return {
        "person_key": f"ins:{nir(n)}",
        "family_name": f"Serinus{chr(97 + n // 26)}{chr(97 + n % 26)}ovitch",
        "given_names": f"Canaria{chr(97 + n // 26)}{chr(97 + n % 26)}ella",
        "email": f"serin.{n:03}.canari@courriel.example.org",
        "phone": f"+336390{n:05}",
        "address": f"{900 + n} impasse du Serin-Cini",
        "city": f"Volière{n:03}-les-Bains",
        "postcode": f"9{n:04}",
    }


CANARIES = sorted(
    value.removeprefix("ins:") for n in range(PATIENTS) for name, value in identifiers(n).items() if name != "postcode"
) + [f"piaf{n:03}.tuteur@courriel.example.org" for n in range(PATIENTS)]


def spellings(canary: str) -> Iterator[bytes]:
    """As it is, and in every form in which it would still be it."""
    raw = canary.encode()
    for text in {raw, canary.lower().encode(), canary.upper().encode()}:
        yield text
        yield quopri.encodestring(text).rstrip(b"=\n")
        yield quote(text).encode()
        yield quote(text, safe="").encode()
        yield text.hex().encode()
        yield text.hex().upper().encode()
        digest = hashlib.sha256(text)
        yield from (digest.hexdigest().encode(), digest.digest()[:16], digest.hexdigest().upper().encode())
        yield base64.b64encode(digest.digest())[:40]
        for shift in range(3):
            start = 4 if shift else 0
            yield base64.b64encode(b"\0" * shift + text)[start : -(4 + shift)]


NEEDLES = {spelling: canary for canary in CANARIES for spelling in spellings(canary) if len(spelling) >= 8}


def found_in(*contents: bytes) -> set[str]:
    everything = b"\0".join(contents)
    return {canary for spelling, canary in NEEDLES.items() if spelling in everything}


def contents_of(folder: Path) -> list[bytes]:
    """Every file's bytes and name; of Parquet also every value and what its footer says."""
    contents = []
    for path in (path for path in folder.rglob("*") if path.is_file()):
        contents += [path.name.encode(), path.read_bytes()]
        if path.suffix == ".parquet":
            table = pq.read_table(path, partitioning=None)
            contents += [str(pq.read_metadata(path).to_dict()).encode(), str(table.schema).encode()]
            contents += [
                value if isinstance(value, bytes) else str(value).encode()
                for column in table.columns
                for value in column.to_pylist()
            ]
    return contents


# --- the world of canaries ----------------------------------------------------------------------------------------


@pytest.fixture
async def line(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> Line:
    """Every register, record and message of this practice is full of canaries."""
    world = await build(means, clock, tmp_path)
    await world.enrol()
    await world.register([
        patient(
            str(n), **identifiers(n),
            representative_kind=Addressee.MANDATE if n % 8 == 0 else None,
            representative_name="Piaf Tuteur" if n % 8 == 0 else "",
            representative_email=f"piaf{n:03}.tuteur@courriel.example.org" if n % 8 == 0 else "",
        )
        for n in range(PATIENTS)
    ])  # fmt: skip
    await world.tell()
    world.wait(40)
    await world.read_returns()
    made = Line(world)
    await made.open()
    return made


def write_records(path: Path) -> None:
    """Records with columns that nobody asked for, and canaries where a code should be."""
    with path.open("w", newline="", encoding="utf-8") as file:
        extra = ["family_name", "nir", "telephone", "comment"]
        writer = csv.DictWriter(file, [*RECORD, *extra])
        writer.writeheader()
        for n in range(PATIENTS):
            who = identifiers(n)
            more = dict(zip(extra, (who["family_name"], nir(n), who["phone"], who["address"]), strict=True))
            for changes in ({}, {"diagnosis": who["family_name"]}, {"diagnosis": f"sct|{nir(n)}"}):
                writer.writerow(record(str(n), **changes) | more)


async def extract(line: Line) -> Path:
    """As a practice does it, with the records of canaries."""
    await line.extract(record("1"))  # a first one, for its permit
    folder = line.world.folder / "practice-a-1"
    write_records(folder / "canaries.csv")
    permit = read_permit(
        folder / "permit", line.world.means.ring.public_key(), line.world.clock.now(), crossing=Crossing.EXTRACTION
    )
    line.counted = filter_extraction(permit, folder / "canaries.csv", folder / "out", practice_key=line.key)
    return folder / "out"


@pytest.mark.shows("R11")
async def test_no_canary_leaves_through_the_gate_in_any_encoding(
    line: Line, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], record_property: Any
) -> None:
    record_property("trials", len(CANARIES))
    means, world = line.world.means, line.world
    with caplog.at_level(logging.DEBUG):
        extraction = await extract(line)
        assert line.counted is not None
        assert (line.counted.passed, line.counted.by_reason) == (PATIENTS, {"G33": 2 * PATIENTS})
        await line.receive(extraction)
        release_id = await approved(world)
        await opt_out.object_(means, next(iter(world.links.values())), Scope.EVERYTHING)
        await release.seal(means, release_id, by=world.operator)
        folder = await release.serve(means, release_id, by=world.recipient)
        await opt_out.object_(means, list(world.links.values())[-1], Scope.EVERYTHING)
        assert await reconcile(means) > 0
    left = [*contents_of(extraction), *contents_of(means.store), *contents_of(folder)]
    assert len(left) > 5 * PATIENTS
    assert found_in(*left) == set()
    out = capfd.readouterr()
    assert found_in(*(r.getMessage().encode() for r in caplog.records), out.out.encode(), out.err.encode()) == set()


@pytest.mark.shows("R11")
async def test_no_canary_stands_in_a_refusal(line: Line) -> None:
    """Registers and records that cannot be read are refused with their place, never with what stood there."""
    said = []
    bad = patient("7", **identifiers(7))
    broken: list[dict[str, Any]] = [
        {"birth_date": "Serinusahovitch"},
        {"email": bad.phone},
        {"person_key": f"ins:{nir(7)}9"},
    ]
    for changes in broken:
        with pytest.raises(Refused) as refused:
            await line.world.register([patient("7", **{**identifiers(7), **changes})], partial=True)
        said.append(repr(refused.value) + str(refused.value) + str(vars(refused.value)))
    for changes in (
        {"recorded_on": bad.family_name},
        {"recorded_on": f"2026-01-01 {bad.address}"},
        {"year_of_birth": bad.family_name},
    ):
        with pytest.raises(Refused) as refused:
            await line.extract(record("7", **changes))
        said.append(repr(refused.value) + str(refused.value) + str(vars(refused.value)))
    assert len(said) == 6
    assert found_in(*(text.encode() for text in said)) == set()


@pytest.mark.shows("R11")
async def test_no_canary_stands_on_an_error_page_or_in_the_log_of_one(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    who = identifiers(5)
    token = line.world.links["serin.005.canari@courriel.example.org"]
    async with site(line.world) as web:
        with caplog.at_level(logging.INFO):
            pages = [text async for text in errors(web, token, who)]
    ours = [r.getMessage().encode() for r in caplog.records if not r.name.startswith("httpx2")]
    assert len(pages) == 7
    assert found_in(*(page.encode() for page in pages), *ours) == set()


async def errors(web: Web, token: str, who: dict[str, Any]) -> AsyncIterator[str]:
    """Everything that can go wrong for somebody who types her name where it does not belong, or is unlucky."""
    browser = web.browser()
    yield (await browser.get(f"/{quote(who['family_name'])}")).text
    yield (await browser.get(f"/o/{quote(who['email'])}")).text
    yield (await browser.post(f"/o/{token}/object", data={"scope": who["family_name"]})).text
    yield (
        await browser.post(f"/o/{token}/object", data={"scope": "everything", "name": "x" * 100_000 + who["phone"]})
    ).text
    yield (await browser.post(f"/o/{token}/object", headers={"Origin": f"https://{who['email']}"})).text
    desk = await web.as_account(web.world.operator)
    yield (await desk.get(f"/desk/releases/{quote(who['given_names'])}")).text
    await connection().execute_script("ALTER TABLE objection RENAME TO lost")
    yield (await browser.get(f"/o/{token}")).text


def test_the_search_would_find_a_canary_in_every_spelling() -> None:
    for canary in (CANARIES[0], CANARIES[-1], nir(3)):
        for spelling in spellings(canary):
            if len(spelling) >= 8:
                assert found_in(b"before" + spelling + b"after"), spelling
    assert len(CANARIES) >= 500
