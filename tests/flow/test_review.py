"""What a file loads is a draft: it counts for nothing until another person has approved it at the desk."""

from datetime import date, timedelta
from typing import Any

import pytest
from kept import dump, kinds_since, one_entry, refused
from tortoise.exceptions import IntegrityError
from world import COLUMNS, World, reviewed

from portal.flow import govern, review
from portal.flow.decide import Asked, stand
from portal.flow.sign_in import add_staff
from portal.records.accounts import Account
from portal.records.database import Connection, connection, transact
from portal.records.drafts import ReviewedDraft, waiting
from portal.records.governance import Authorisation, Observatory, Recipient, Study
from portal.records.ledger import last_entry
from portal.rules.clearance import Withheld
from portal.rules.refusals import RefusedFile
from portal.rules.reviewed import ReviewedFile
from portal.rules.words import DraftState, Role

GIVEN = reviewed().authorisation[0].conditions.model_dump(mode="json")
ASKED = reviewed().study[0].conditions.model_dump(mode="json")


async def withheld(world: World, *asked: str) -> tuple[str, ...]:
    async def step(c: Connection) -> tuple[str, ...]:
        verdict = (await stand(world.means, c, Asked(*asked), cut=0)).verdict
        return verdict.reasons if isinstance(verdict, Withheld) else ()

    return await transact(step)


def study(**changes: Any) -> ReviewedFile:
    named = {f"study__{name}": value for name, value in changes.items()}
    return ReviewedFile(study=reviewed(**named).study)


def authorisation(**conditions: Any) -> ReviewedFile:
    return ReviewedFile(authorisation=reviewed(authorisation__conditions={**GIVEN, **conditions}).authorisation)


async def loaded(world: World, file: ReviewedFile) -> ReviewedDraft:
    await govern.load(world.means, file, actor=world.operator.actor)
    (draft,) = await waiting()
    return draft


async def approve(world: World, draft: ReviewedDraft) -> None:
    await review.approve(world.means, draft.id, by=world.dpo, second_factor=True)


# --- a draft counts for nothing --------------------------------------------------------------------------------------


async def test_nothing_that_a_file_says_counts_before_it_is_approved(world: World) -> None:
    every: dict[str, Any] = {"observatory": "other", "id": "cnil-9"}
    given = reviewed(**{f"authorisation__{name}": value for name, value in every.items()})
    (observatory,) = given.observatory
    file = ReviewedFile(
        observatory=(observatory.model_copy(update={"id": "other"}),),
        authorisation=given.authorisation,
        recipient=(given.recipient[0].model_copy(update={"id": "lab-9"}),),
        study=reviewed(study__id="asthma", study__observatory="other", study__recipient="lab-9").study,
    )
    assert await govern.load(world.means, file, actor=world.operator.actor) == ["other", "lab-9", "cnil-9", "asthma"]
    assert {"G01", "G02"} <= set(await withheld(world, "other"))
    assert {"G01", "G02", "G05", "G06", "G07", "G08", "G10", "G12"} <= set(await withheld(world, "other", "asthma"))
    for draft, code in zip(await waiting(), [(), ("G02",), (), ()], strict=True):
        await approve(world, draft)
        assert set(code) <= set(await withheld(world, "other"))
    world.wait(31)
    assert set(await withheld(world, "other", "asthma")) == {"G13"}, "only its key is still missing"


async def test_the_approved_version_counts_until_the_new_one_is_approved(world: World) -> None:
    world.wait(40)
    assert await withheld(world, "demo", "diabetes") == ()
    draft = await loaded(world, authorisation(purposes=["drug_safety"]))
    assert await withheld(world, "demo", "diabetes") == ()
    await approve(world, draft)
    assert await withheld(world, "demo", "diabetes") == ("G06",)


async def test_a_study_that_is_widened_after_it_was_listed_begins_its_time_on_the_page_anew(world: World) -> None:
    wider = {**ASKED, "columns": {**ASKED["columns"], "year_of_birth": {"precision": "year", "codes": None}}}
    await _is_listed_anew(world, study(conditions=wider))


async def test_a_study_that_asks_for_less_begins_its_time_anew_too(world: World) -> None:
    less = {name: grant for name, grant in ASKED["columns"].items() if name != "diagnosis"}
    await _is_listed_anew(world, study(conditions={**ASKED, "columns": less}))


async def test_a_study_whose_recipient_is_in_another_country_begins_its_time_anew(world: World) -> None:
    await world.load(authorisation(countries=["FR", "BE"]))
    await _is_listed_anew(world, ReviewedFile(recipient=reviewed(recipient__country="BE").recipient))


async def _is_listed_anew(world: World, file: ReviewedFile) -> None:
    first = await Study.get(id="diabetes")
    world.wait(40)
    draft = await loaded(world, file)
    world.wait(5)
    assert await withheld(world, "demo", "diabetes") == (), "what is listed counts until then"
    await approve(world, draft)
    changed = await Study.get(id="diabetes")
    assert changed.listed_at == world.clock.now() > first.listed_at
    assert changed.conditions_hash != first.conditions_hash
    assert await withheld(world, "demo", "diabetes") == ("G08",)
    world.wait(30)
    assert await withheld(world, "demo", "diabetes") == ("G08",), "thirty whole days in between"
    world.wait(1)
    assert await withheld(world, "demo", "diabetes") == ()


async def test_a_contract_that_is_prolonged_leaves_the_study_listed(world: World) -> None:
    first = await Study.get(id="diabetes")
    world.wait(3)
    longer = ReviewedFile(recipient=reviewed(recipient__contract_until=date(2029, 12, 31)).recipient)
    await approve(world, await loaded(world, longer))
    assert (await Study.get(id="diabetes")).listed_at == first.listed_at
    assert (await Recipient.get(id="lab")).contract_until == date(2029, 12, 31)


# --- two persons ------------------------------------------------------------------------------------------------------


async def test_an_approval_is_one_entry_that_names_what_it_touches(world: World) -> None:
    async with one_entry("study_loaded", ("draft", "diabetes")):
        draft = await loaded(world, study(k=3))
    async with one_entry("study_approved", ("study", "diabetes")):
        await approve(world, draft)
    done = await ReviewedDraft.get(id=draft.id)
    assert (done.state, done.settled_by) == (DraftState.APPROVED, world.dpo.actor)
    assert (await Study.get(id="diabetes")).k == 3
    async with refused("draft_settled"):
        await approve(world, draft)


async def test_nobody_approves_what_she_loaded_not_even_with_a_second_account(world: World) -> None:
    draft = await loaded(world, study(k=3))
    second = await add_staff(world.means, email="second@example.org", role=Role.DPO, study_id=None, actor="system:test")
    await Account.filter(id=second.id).update(issuer=world.operator.issuer, subject=world.operator.subject)
    async with refused("own_draft"):
        await review.approve(world.means, draft.id, by=await Account.get(id=second.id), second_factor=True)
    async with refused("G09"):
        await review.approve(world.means, draft.id, by=world.operator, second_factor=True)
    async with refused("G09"):
        await review.approve(world.means, draft.id, by=world.dpo, second_factor=False)
    async with refused("unknown_draft"):
        await review.approve(world.means, draft.id + 1, by=world.dpo, second_factor=True)


async def test_the_database_itself_refuses_a_draft_approved_by_who_loaded_it(world: World) -> None:
    draft = await loaded(world, study(k=3))
    mine = {"state": "approved", "settled_by": draft.loaded_by, "settled_at": world.clock.now()}
    for changes in (mine, {"state": "approved"}, {"settled_by": "dpo:2"}, {"state": "open"}, {"kind": "practice"}):
        with pytest.raises(IntegrityError):
            await ReviewedDraft.filter(id=draft.id).update(**changes)


async def test_what_nobody_in_person_has_loaded_waits_for_somebody_who_does(world: World) -> None:
    await govern.load(world.means, study(k=3), actor="system:cli")
    (draft,) = await waiting()
    async with refused("author_unknown"):
        await approve(world, draft)
    assert await govern.load(world.means, study(k=3), actor=world.operator.actor) == ["diabetes"]
    (again,) = await waiting()
    await approve(world, again)
    assert (await ReviewedDraft.get(id=draft.id)).state == DraftState.REPLACED


async def test_a_draft_that_was_altered_in_the_database_is_not_approved(world: World) -> None:
    draft = await loaded(world, study(k=3))
    await ReviewedDraft.filter(id=draft.id).update(body={**draft.body, "k": 2})
    async with refused("draft_altered"):
        await approve(world, draft)


async def test_a_refused_draft_changes_nothing_and_can_be_loaded_again(world: World) -> None:
    draft = await loaded(world, study(k=3))
    async with refused("G09"):
        await review.refuse(world.means, draft.id, by=world.operator)
    async with one_entry("draft_refused", ("draft", "diabetes")):
        await review.refuse(world.means, draft.id, by=world.dpo)
    assert (await Study.get(id="diabetes")).k == 2
    async with refused("draft_settled"):
        await review.refuse(world.means, draft.id, by=world.dpo)
    assert (await loaded(world, study(k=3))).id != draft.id


async def test_a_newer_file_replaces_the_draft_and_what_counts_already_takes_it_back(world: World) -> None:
    first = await loaded(world, study(k=3))
    second = await loaded(world, study(k=4))
    before = await dump()
    assert await govern.load(world.means, study(k=4), actor=world.operator.actor) == []
    assert await dump() == before
    async with refused("draft_settled"):
        await approve(world, first)
    assert await govern.load(world.means, study(), actor=world.operator.actor) == ["diabetes"]
    assert await waiting() == []
    assert {d.state for d in await ReviewedDraft.filter(id__in=[first.id, second.id])} == {DraftState.REPLACED}


# --- what does not fit ------------------------------------------------------------------------------------------------

TOO_MUCH: dict[str, Any] = {
    "purpose": "drug_safety", "k": 2,
    "conditions": {
        "period_from": date(2019, 12, 31), "period_until": date(2027, 1, 1), "retention_months": 61,
        "quasi_identifiers": ["sex"],
        "columns": {
            "recorded_on": {"precision": "week"},
            "year_of_birth": {"precision": "year"},
            "sex": {"precision": "full"},
            "height_cm": {"precision": "five"},
            "diagnosis": {"precision": "full", "codes": ["sct|44054006", "sct|1", "sct|2"]},
        },
    },
}  # fmt: skip
LESS: dict[str, Any] = {
    **GIVEN, "k": 5,
    "columns": {**COLUMNS, "year_of_birth": {"precision": "decade"}, "recorded_on": {"precision": "year"}},
}  # fmt: skip


async def test_a_study_that_asks_for_more_is_refused_with_every_difference_and_nothing_is_written(
    world: World,
) -> None:
    abroad = {"recipient__country": "US", "recipient__category": "company"}
    asking = {f"study__{name}": value for name, value in TOO_MUCH.items()}
    file = reviewed(authorisation__conditions=LESS, **asking, **abroad)
    before = await dump()
    with pytest.raises(RefusedFile) as no:
        await govern.load(world.means, file, actor=world.operator.actor)
    assert await dump() == before
    assert {(p.code, p.where.removeprefix("study.0.")) for p in no.value.problems} == {
        ("G06", "purpose"), ("G07", "recipient"), ("G07", "conditions.retention_months"),
        ("G10", "conditions.columns.height_cm"), ("G10", "conditions.columns.diagnosis.codes"),
        ("G32", "conditions.period_from"), ("G32", "conditions.period_until"),
        ("G12", "conditions.columns.recorded_on.precision"), ("G12", "conditions.columns.year_of_birth.precision"),
        ("G12", "k"), ("G12", "conditions.quasi_identifiers"),
    }  # fmt: skip
    said = "\n".join(str(p) for p in no.value.problems)
    for named in ("drug_safety", "US", "company", "61 months", "height_cm", "sct|1", "sct|2", "2019-12-31", "of 5"):
        assert named in said
    assert len(no.value.problems) == 13, "two codes and both the country and the category"


async def test_what_was_loaded_while_more_was_given_is_not_approved_once_less_is(world: World) -> None:
    draft = await loaded(world, study(k=3))
    await govern.load(world.means, authorisation(k=5), actor=world.operator.actor)
    narrowing = next(d for d in await waiting() if d.kind == "authorisation")
    assert [p.shuts for p in await review.pending(world.clock.now())] == [["diabetes"], []]
    await approve(world, narrowing)
    async with refused("G12"):
        await approve(world, draft)
    (shown,) = await review.pending(world.clock.now())
    assert [p.where for p in shown.problems] == ["study.0.k"]


async def test_a_study_of_a_suspended_authorisation_is_refused_as_if_there_were_none(world: World) -> None:
    draft = await loaded(world, study(k=3))
    await govern.suspend_authorisation(world.means, "cnil-1", by=world.dpo)
    async with refused("G02"):
        await approve(world, draft)
    async with refused("G02"):
        await govern.load(world.means, study(k=4), actor=world.operator.actor)


async def test_what_a_file_refers_to_is_approved_first(world: World) -> None:
    (recipient,) = reviewed().recipient
    file = ReviewedFile(
        recipient=(recipient.model_copy(update={"id": "lab-9"}),), study=reviewed(study__recipient="lab-9").study
    )
    await govern.load(world.means, file, actor=world.operator.actor)
    first, second = await waiting()
    async with refused("unknown_recipient"):
        await approve(world, second)
    await approve(world, first)
    await approve(world, second)
    assert (await Study.get(id="diabetes")).recipient_id == "lab-9"


@pytest.mark.parametrize(
    ("code", "file"),
    [
        ("unknown_observatory", ReviewedFile(authorisation=reviewed(authorisation__observatory="other").authorisation)),
        ("unknown_observatory", study(observatory="other")),
        ("unknown_recipient", study(recipient="other")),
    ],
)
async def test_a_file_that_refers_to_nothing_is_refused(code: str, file: ReviewedFile, world: World) -> None:
    async with refused(code):
        await govern.load(world.means, file, actor=world.operator.actor)


async def test_a_study_never_moves_to_another_observatory(world: World) -> None:
    (observatory,) = reviewed().observatory
    await world.load(ReviewedFile(observatory=(observatory.model_copy(update={"id": "other"}),)))
    with pytest.raises(RefusedFile) as no:
        await govern.load(world.means, study(observatory="other"), actor=world.operator.actor)
    assert {p.code for p in no.value.problems} == {"other_observatory", "G02"}


async def test_a_whole_file_approved_in_its_order_makes_the_observatory(world: World) -> None:
    """A change of each kind in one file; each is one draft, and one entry when it is approved."""
    before = await last_entry(connection())
    file = reviewed(study__k=3, authorisation__reference="DR-2026-002", recipient__name="Un autre nom")
    (observatory,) = file.observatory
    file = file.model_copy(update={"observatory": (observatory.model_copy(update={"register_max_days": 30}),)})
    await world.load(file)
    kinds = ("observatory", "recipient", "authorisation", "study")
    assert await kinds_since(before) == [f"{k}_loaded" for k in kinds] + [f"{k}_approved" for k in kinds]
    assert (await Observatory.get(id="demo")).register_max_days == 30
    assert (await Authorisation.get(id="cnil-1")).reference == "DR-2026-002"
    assert (await Study.get(id="diabetes")).listed_at - world.clock.now() == timedelta(0)
