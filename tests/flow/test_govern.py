"""Reviewed files make the observatory; what people were shown never changes, and nobody approves her own text."""

from pathlib import Path

import pytest
from kept import dump, one_entry, refused
from tortoise.exceptions import IntegrityError
from world import TEXTS, World, reviewed

from portal.flow import govern
from portal.flow.sign_in import add_staff
from portal.records.accounts import Account
from portal.records.database import connection
from portal.records.governance import AgreementText, NoticeText
from portal.records.ledger import last_entry
from portal.rules.refusals import RefusedFile
from portal.rules.words import Role, TextState

NOTICE = (TEXTS / "notice-adult-fr.toml").read_text(encoding="utf-8")


def notice(folder: Path, *, version: str = "2026-09", title: str | None = None) -> govern.ReviewedFile:
    """The demo's French notice as another version, or with another title."""
    lines = [
        f'version = "{version}"' if line.startswith("version =")
        else f'title = "{title}"' if title and line.startswith("title =")
        else line
        for line in NOTICE.splitlines()
    ]  # fmt: skip
    path = folder / "notice.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return govern.read_reviewed(path)


async def draft(world: World) -> str:
    [name] = await govern.load(world.means, notice(world.folder), actor=world.operator.actor)
    return name


async def test_loading_the_same_files_again_changes_nothing(world: World) -> None:
    before = await dump()
    assert await govern.load(world.means, reviewed(), actor="operator:1") == []
    for path in sorted((*TEXTS.glob("agreement-*.toml"), *TEXTS.glob("notice-adult-*.toml"))):
        assert await govern.load(world.means, govern.read_reviewed(path), actor="operator:1") == []
    assert await dump() == before


async def test_a_loaded_notice_is_a_draft_until_somebody_else_approves_it(world: World) -> None:
    async with one_entry("notice_text_loaded"):
        name = await draft(world)
    assert (await NoticeText.get(id=name)).state == TextState.DRAFT
    async with one_entry("notice_text_approved", ("text", name)):
        await govern.approve_text(world.means, name, by=world.dpo)
    text = await NoticeText.get(id=name)
    assert (text.state, text.approved_by) == (TextState.PUBLISHED, world.dpo.actor)
    async with refused("not_a_draft"):
        await govern.approve_text(world.means, name, by=world.dpo)


async def test_nobody_approves_her_own_text_not_even_with_a_second_account(world: World) -> None:
    name = await draft(world)
    second = await add_staff(world.means, email="second@example.org", role=Role.DPO, study_id=None, actor="system:test")
    await Account.filter(id=second.id).update(issuer=world.operator.issuer, subject=world.operator.subject)
    async with refused("own_text"):
        await govern.approve_text(world.means, name, by=await Account.get(id=second.id))
    async with refused("other_role"):
        await govern.approve_text(world.means, name, by=world.operator)


async def test_the_database_itself_refuses_the_author_as_approver_and_a_text_without_approval(world: World) -> None:
    name = await draft(world)
    mine = {"approved_by": world.operator.actor, "approved_at": world.clock.now()}
    for changes in (mine, {"state": TextState.PUBLISHED}, {"approved_by": "dpo:2"}):
        with pytest.raises(IntegrityError):
            await NoticeText.filter(id=name).update(**changes)


async def test_a_draft_may_be_written_again_and_a_published_text_never(world: World, tmp_path: Path) -> None:
    name = await draft(world)
    again = notice(tmp_path, title="Un autre titre")
    assert await govern.load(world.means, again, actor="operator:1") == [name]
    await govern.approve_text(world.means, name, by=world.dpo)
    async with refused("text_is_immutable"):
        await govern.load(world.means, notice(tmp_path, title="Encore un titre"), actor="operator:1")


async def test_an_agreement_that_was_loaded_never_changes(world: World, tmp_path: Path) -> None:
    path = tmp_path / "agreement.toml"
    text = (TEXTS / "agreement-fr.toml").read_text(encoding="utf-8")
    lines = ['title = "Un autre titre"' if line.startswith("title =") else line for line in text.splitlines()]
    path.write_text("\n".join(lines), encoding="utf-8")
    async with refused("text_is_immutable"):
        await govern.load(world.means, govern.read_reviewed(path), actor="operator:1")
    assert await AgreementText.all().count() == 2


async def test_a_text_that_was_altered_in_the_database_is_not_approved(world: World) -> None:
    name = await draft(world)
    text = await NoticeText.get(id=name)
    await NoticeText.filter(id=name).update(body={**text.body, "title": "altered"})
    async with refused("text_altered"):
        await govern.approve_text(world.means, name, by=world.dpo)


async def test_a_withdrawal_and_a_suspension_are_entered_and_happen_once(world: World) -> None:
    text = await NoticeText.get(language="fr")
    async with one_entry("notice_text_withdrawn", ("text", text.id)):
        await govern.withdraw_text(world.means, text.id, by=world.dpo)
    async with refused("not_published"):
        await govern.withdraw_text(world.means, text.id, by=world.dpo)
    async with one_entry("authorisation_suspended", ("authorisation", "cnil-1")):
        await govern.suspend_authorisation(world.means, "cnil-1", by=world.dpo)
    for authorisation in ("cnil-1", "nothing"):
        async with refused("unknown_authorisation"):
            await govern.suspend_authorisation(world.means, authorisation, by=world.dpo)


async def test_a_study_is_closed_at_once_and_once(world: World) -> None:
    async with one_entry("study_closed", ("study", "diabetes")):
        await govern.close_study(world.means, "diabetes", by=world.operator)
    for study in ("diabetes", "nothing"):
        async with refused("unknown_study"):
            await govern.close_study(world.means, study, by=world.operator)


async def test_a_text_of_an_observatory_that_nobody_approved_is_refused(world: World) -> None:
    file = notice(world.folder)
    other = file.model_copy(update={"text": tuple(t.model_copy(update={"observatory": "other"}) for t in file.text)})
    async with refused("unknown_observatory"):
        await govern.load(world.means, other, actor=world.operator.actor)


@pytest.mark.parametrize("content", ["[observatory", '[[observatory]]\nid = "demo"', 'kind = "notice"', "x = 1"])
async def test_a_file_that_is_off_is_refused_with_its_places(world: World, tmp_path: Path, content: str) -> None:
    path = tmp_path / "off.toml"
    path.write_text(content)
    before = await last_entry(connection())
    with pytest.raises(RefusedFile) as no:
        govern.read_reviewed(path)
    assert all(problem.where for problem in no.value.problems)
    assert await last_entry(connection()) == before
