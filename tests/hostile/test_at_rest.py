"""What opens a personal page is nowhere at rest: the whole database is searched for every link token and typed code."""

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from whole_site import site
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow.means import Means
from portal.flow.paper import make_codes
from portal.outside.tokens import sent_letter_code, sent_link_token
from portal.records.database import connection, rows
from portal.records.notices import Notice
from portal.records.schema import metadata
from portal.rules.typed_code import grouped

HOME = {"email": "", "address": "3 rue de la Paix", "postcode": "75002", "city": "Paris"}


async def everything_kept() -> str:
    """Every value of every row, bytes as hexadecimal."""
    values: list[str] = []
    for name in sorted(metadata().tables):
        for row in await rows(connection(), f"SELECT * FROM {name}"):
            values += [v.hex() if isinstance(v, bytes | memoryview) else str(v) for v in row.values()]
    return "\n".join(values).lower()


def forms(secret: str) -> Iterator[str]:
    """As it is sent, cut for reading, and as bytes; each plain, in hexadecimal and in base64."""
    for said in {secret, secret.lower(), grouped(secret), grouped(secret).replace(" ", "-")}:
        yield said.lower()
        yield said.encode().hex()
        yield base64.b64encode(said.encode()).decode().rstrip("=").lower()


def forms_of_token(token: str) -> Iterator[str]:
    yield from forms(token)
    raw = base64.urlsafe_b64decode(token + "=")
    assert len(raw) * 8 >= 160
    yield raw.hex()
    yield base64.b64encode(raw).decode().rstrip("=").lower()


def forms_of_code(code: str) -> Iterator[str]:
    """No quick hash of a code either: whoever has the database could try them all."""
    yield from forms(code)
    for said in (code, code.lower(), grouped(code)):
        for quick in (hashlib.sha256, hashlib.sha1, hashlib.md5, hashlib.sha512):
            yield quick(said.encode()).hexdigest()


async def used(world: World, tokens: list[str], codes: list[str]) -> None:
    """Pages opened, codes typed, words said: whatever writes."""
    async with site(world) as web:
        browser = web.browser()
        for token in tokens[:5]:
            assert (await browser.get(f"/o/{token}")).status_code == 200
            assert (await browser.post(f"/o/{token}/object", data={"scope": "everything"})).status_code == 303
            assert (await browser.post(f"/o/{token}/withdraw")).status_code == 303
            assert (await browser.post(f"/o/{token}/keep")).status_code == 303
        assert (await browser.post("/code", data={"code": codes[0]})).status_code == 303
        assert (await browser.post("/code", data={"code": codes[1][:-1]})).status_code == 422


@pytest.mark.shows("R15")
async def test_no_token_and_no_code_is_anywhere_in_the_database(
    database: str,
    means: Means,
    clock: PlayedClock,
    tmp_path: Path,
    how_many: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    people = how_many(200, 2000)
    record_property("trials", people)
    world = await build(means, clock, tmp_path)
    await world.enrol()
    changes = [{}, HOME]
    await world.register([patient(str(n), **changes[n % 2]) for n in range(people)])
    await world.tell()
    while await make_codes(means):
        pass
    notices = await Notice.all()
    assert len(notices) == people
    tokens = [sent_link_token(means.ring, str(n.id), n.token_hash) for n in notices]
    letters = [n for n in notices if n.channel == "post"]
    codes = [sent_letter_code(means.ring, str(n.id), n.token_hash) for n in letters]
    assert len(set(tokens)) == people
    assert len(set(codes)) == people // 2
    await used(world, tokens, codes)
    kept = await everything_kept()
    assert [t for t in tokens if any(form in kept for form in forms_of_token(t))] == []
    assert [c for c in codes if any(form in kept for form in forms_of_code(c))] == []
    assert all(hashlib.sha256(t.encode()).hexdigest() in kept for t in tokens), "the search finds what is there"
