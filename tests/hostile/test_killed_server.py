"""The serving process is killed at any moment while people say no: whoever was answered has been heard."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx2
import pytest
from forked import forked
from killed_server import Place, serve
from tortoise.backends.base.executor import EXECUTOR_CACHE
from world import World, build, patient

from portal.demo.clock import PlayedClock
from portal.flow.means import Means
from portal.flow.opt_out import look
from portal.records.database import connection, opened
from portal.records.objections import ProvisionalObjection

PEOPLE = [str(number) for number in range(1, 9)]
STATES = {"object": "no_everything", "withdraw": "taken_back"}


@dataclass
class Heard:
    """What was answered: by link, the last word; of the form, every reference. `asked`: the word under way."""

    last: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    references: list[str] = field(default_factory=list)
    answers: int = 0

    def allowed(self, link: str) -> set[str]:
        """What may be kept of this link after a kill."""
        words = {STATES[w] for w in (self.last.get(link), self.asked.get(link)) if w}
        return words | (set() if link in self.last else {"not_answered"})


@pytest.fixture
async def place(database_url: str, means: Means, clock: PlayedClock, tmp_path: Path) -> tuple[Place, list[str]]:
    """Eight people who were told, their links; nobody holds the database open."""
    async with _opened(database_url):
        world: World = await build(means, clock, tmp_path)
        await world.enrol()
        await world.register([patient(number) for number in PEOPLE])
        await world.tell()
    return Place(database_url, tmp_path, world.clock.now(), 0), sorted(world.links.values())


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[None]:
    EXECUTOR_CACHE.clear()
    async with opened(url):
        yield


async def started(place: Place) -> tuple[BaseProcess, Place]:
    """A server at a port of its own, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = replace(place, port=free.getsockname()[1])
    process = forked(serve, place)
    async with httpx2.AsyncClient(base_url=place.base) as browser:
        for _ in range(600):
            assert process.is_alive(), "the server did not start"
            with suppress(httpx2.HTTPError):
                if (await browser.get("/readyz")).status_code == 200:
                    return process, place
            await asyncio.sleep(0.05)
    raise TimeoutError


async def says(place: Place, link: str, heard: Heard) -> None:
    """Says no, takes it back, says no again, until the line is cut."""
    async with httpx2.AsyncClient(base_url=place.base, headers={"Origin": place.base}) as browser:
        while True:
            word = "object" if heard.last.get(link) != "object" else "withdraw"
            heard.asked[link] = word
            answer = await browser.post(f"/o/{link}/{word}", data={"scope": "everything"})
            assert answer.status_code == 303, answer.text
            heard.last[link] = word
            del heard.asked[link]
            heard.answers += 1


async def fills_in(place: Place, heard: Heard) -> None:
    """Says no by the form without a link, again and again, until the line is cut."""
    said = {"for_whom": "self", "family_name": "Inconnu", "given_names": "Alix", "birth": "12/03/1970"}
    async with httpx2.AsyncClient(base_url=place.base, headers={"Origin": place.base}) as browser:
        while True:
            answer = await browser.post("/object", data=said)
            assert answer.status_code == 303, answer.text
            heard.references.append(answer.headers["location"].rpartition("/")[2])
            heard.answers += 1


async def kept(place: Place, heard: Heard, links: list[str]) -> None:
    """Everything that was answered is in the database; what was under way is there whole, or not at all."""
    async with _opened(place.database_url):
        for link in links:
            state = (await look(connection(), link)).state
            assert state in heard.allowed(link), "an answered word was lost"
            if link in heard.asked:
                heard.last.update((link, word) for word, made in STATES.items() if made == state)
        there = {str(id_) for id_ in await ProvisionalObjection.all().values_list("id", flat=True)}
        assert set(heard.references) <= there, "an answered form was lost"
    heard.asked.clear()


@pytest.mark.shows("R1")
async def test_whoever_was_answered_is_there_after_the_server_was_killed(
    place: tuple[Place, list[str]],
    how_many: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    chance, kills = random.Random(1), how_many(20, 1000)
    record_property("trials", kills)
    heard, cut_short = Heard(), 0
    for _ in range(kills):
        process, served = await started(place[0])
        people = [asyncio.create_task(says(served, link, heard)) for link in place[1]]
        people.append(asyncio.create_task(fills_in(served, heard)))
        enough = heard.answers + chance.randint(1, 12)
        while heard.answers < enough and not any(task.done() for task in people):  # noqa: ASYNC110 - no event tells what several tasks did
            await asyncio.sleep(0.005)
        await asyncio.sleep(chance.uniform(0, 0.02))
        process.kill()
        for ended in await asyncio.gather(*people, return_exceptions=True):
            assert isinstance(ended, httpx2.HTTPError), ended
        process.join()
        cut_short += len(heard.asked)
        await kept(served, heard, place[1])
    assert heard.answers >= kills
    assert cut_short >= kills, "the kills hit words under way"
