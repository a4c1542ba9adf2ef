"""F7 (IQVIA, SAN-2026-008): the notices that patients were given did not say what was done with their data.

Here a text says every required thing or is not loaded; somebody else than its author approves it; what was approved
never changes; and a text that tells less than is done, or other words than were approved, tells nobody.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from kept import refused
from line import Line
from pydantic import ValidationError
from world import TEXTS, World, patient, publish

from portal.flow import govern
from portal.flow.decide import Asked, verdicts
from portal.flow.sign_in import add_staff
from portal.records.accounts import Account
from portal.records.governance import NoticeText
from portal.records.notices import Notice
from portal.rules.refusals import RefusedFile
from portal.rules.reviewed import REQUIRED_ITEMS, NoticeFile, ReviewedFile
from portal.rules.words import Role

TEXT = (TEXTS / "notice-adult-fr.toml").read_text(encoding="utf-8")
PLAIN: dict[str, Any] = tomllib.loads(TEXT)


def without(item: str) -> str:
    """The shipped notice with another thing in the place of one of its items."""
    head, items, tail = TEXT.partition("\n[items]\n")
    return head + items + re.sub(rf"(?m)^(\[items\.|){item}(\]| =)", r"\1another_thing\2", tail)


@pytest.mark.parametrize("item", sorted(REQUIRED_ITEMS))
def test_a_text_that_leaves_out_a_required_item_is_not_read(item: str, tmp_path: Path) -> None:
    path = tmp_path / "notice.toml"
    path.write_text(without(item), encoding="utf-8")
    with pytest.raises(RefusedFile) as no:
        govern.read_reviewed(path)
    assert [(p.code, item in p.what) for p in no.value.problems] == [("toml_missing_item", True)]


@pytest.mark.parametrize("emptied", ["", " \n ", {"not_applicable": ""}, {}])
def test_an_item_that_says_nothing_is_none(emptied: Any) -> None:
    with pytest.raises(ValidationError):
        NoticeFile.model_validate({**PLAIN, "items": {**PLAIN["items"], "recipients": emptied}})


@pytest.mark.parametrize("key", ["objection", "covers", "facts", "title", "date", "version"])
def test_the_right_to_object_and_what_the_text_covers_stand_in_blocks_of_their_own(key: str) -> None:
    NoticeFile.model_validate(PLAIN)
    with pytest.raises(ValidationError):
        NoticeFile.model_validate({name: value for name, value in PLAIN.items() if name != key})


async def test_nobody_publishes_her_own_words_and_nobody_sends_a_draft(line: Line) -> None:
    world = line.world
    newer = NoticeFile.model_validate({**PLAIN, "version": "2026-10"})
    await govern.load(world.means, ReviewedFile(text=(newer,)), actor=world.operator.actor)
    second = await add_staff(world.means, email="second@example.org", role=Role.DPO, study_id=None, actor="system:test")
    await Account.filter(id=second.id).update(issuer=world.operator.issuer, subject=world.operator.subject)
    async with refused("own_text"):
        await govern.approve_text(world.means, newer.id, by=await Account.get(id=second.id))
    assert (await world.tell()).queued == 0, "who was told is not told again by a draft"
    assert await Notice.filter(text_id=newer.id).count() == 0


async def test_what_was_approved_never_changes_by_any_door(line: Line) -> None:
    altered = NoticeFile.model_validate({**PLAIN, "title": "Un autre titre"})
    async with refused("text_is_immutable"):
        await govern.load(line.world.means, ReviewedFile(text=(altered,)), actor=line.world.operator.actor)


async def reasons(world: World, asked: Asked) -> set[tuple[str, ...]]:
    _, found = await verdicts(world.means, asked)
    return {one.reasons for one in found}


async def test_words_that_were_altered_in_the_database_tell_nobody(line: Line) -> None:
    world = line.world
    assert await reasons(world, Asked("demo")) == {()}
    text = await NoticeText.get(id="demo-adult-fr-2026-06")
    await NoticeText.filter(id=text.id).update(body={**text.body, "title": "Rien ne part."})
    assert await reasons(world, Asked("demo")) == {("G51",)}


@pytest.mark.parametrize(
    "covers",
    [{"columns": ["sex"]}, {"purposes": ["care_evaluation"]}, {"retention_months": 12}],
    ids=["columns", "purposes", "retention"],
)
async def test_a_text_that_tells_less_than_is_done_tells_nobody(line: Line, covers: dict[str, Any]) -> None:
    """Who comes in later is told with a newer text, which covers less than the authorisation gives."""
    world = line.world
    await publish(world, "2026-11", **{f"covers__{name}": value for name, value in covers.items()})
    everybody = [patient(str(n)) for n in range(1, 5)]
    await world.register(everybody)
    await world.tell()
    world.wait(40)
    await world.register(everybody)
    await world.read_returns()
    assert await reasons(world, Asked("demo")) == {(), ("G53",)}
