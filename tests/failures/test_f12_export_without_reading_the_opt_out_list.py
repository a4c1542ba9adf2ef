"""F12 (CMS DPC, fixed by pull request 1180): an export ran without reading its own opt-out list.

Here a crossing reads it in the transaction that commits the crossing: when it cannot be read, nothing crosses. And
there is one way out, which is that one.
"""

import ast
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from line import Line, record
from tortoise.exceptions import OperationalError
from world import World, patient

import portal
from portal.flow import release
from portal.records.database import connection, rows
from portal.records.ledger import LogEntry
from portal.records.releases import Delivery, Extraction, Release

HOUSE = Path(portal.__file__).parent


async def _prepare(world: World, release_id: str) -> None:
    await release.prepare(world.means, "diabetes", by=world.operator)


async def _seal(world: World, release_id: str) -> None:
    await release.seal(world.means, release_id, by=world.operator)


async def _serve(world: World, release_id: str) -> None:
    await release.serve(world.means, release_id, by=world.recipient)


@pytest.mark.parametrize("step", [_prepare, _seal, _serve], ids=lambda f: f.__name__)
async def test_without_the_list_of_objections_nothing_is_prepared_sealed_or_served(
    delivered: tuple[World, str], step: Callable[[World, str], Awaitable[None]]
) -> None:
    world, release_id = delivered
    if step is _seal:
        release_id = await release.prepare(world.means, "diabetes", by=world.operator)
        await release.approve(world.means, release_id, by=world.dpo, second_factor=True)
    await world.register([patient("9")], partial=True)  # names a practice: all of its persons are looked at
    before = await _crossed()
    await rows(connection(), "ALTER TABLE objection RENAME TO lost")
    with pytest.raises(OperationalError):
        await step(world, release_id)
    await rows(connection(), "ALTER TABLE lost RENAME TO objection")
    assert await _crossed() == before


async def test_without_the_list_of_objections_no_extraction_is_stored(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    line = Line(world, turn=5)
    await line.open()
    extraction = await line.extract(record("1"))
    await rows(connection(), "ALTER TABLE objection RENAME TO lost")
    with pytest.raises(OperationalError):
        await line.receive(extraction)
    assert await Extraction.all().count() == 1


async def _crossed() -> tuple[Any, ...]:
    """What has crossed, by every sign of it."""
    kinds = ["release_prepared", "release_sealed", "release_served"]
    return (
        await LogEntry.filter(kind__in=kinds).count(),
        await Delivery.all().count(),
        await Release.all().order_by("id").values_list("id", "state"),
    )


def test_there_is_one_way_out() -> None:
    """Who writes the folder that is handed over, and who enters that it was: one module, and one function of it."""
    assert {path for path, _ in _naming("write_delivery")} == {"flow/release.py"}
    entered = {(path, function) for path, function in _saying("release_served")}
    assert entered == {("flow/release.py", "_try_serve")}
    assert {function for path, function in _naming("_try_serve") if path == "flow/release.py"} == {"hand_over"}


def _functions() -> list[tuple[str, ast.AsyncFunctionDef | ast.FunctionDef]]:
    return [
        (path.relative_to(HOUSE).as_posix(), node)
        for path in sorted(HOUSE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
    ]


def _naming(name: str) -> set[tuple[str, str]]:
    return {
        (path, function.name)
        for path, function in _functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and node.id == name
    }


def _saying(word: str) -> set[tuple[str, str]]:
    return {
        (path, function.name)
        for path, function in _functions()
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and node.value == word
    }
