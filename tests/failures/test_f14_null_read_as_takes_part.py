"""F14 (EMIS, ehrql 2843): a NULL was read as "takes part". Here nothing that is not known lets anybody pass."""

import pytest
from world import World, patient

from portal.flow import opt_out, provisional, rights, who_is_who
from portal.flow.decide import Asked, explain, verdicts
from portal.flow.provisional import Spoken
from portal.records.database import connection, rows
from portal.records.people import IdentityDoubt
from portal.rules.clearance import Withheld
from portal.rules.words import ObjectionChannel, RightsKind, RightsState, Scope

HER_NOTICE = "(SELECT id FROM notice WHERE patient_id = (SELECT id FROM patient WHERE number = '1'))"


async def reasons(world: World, number: str = "1") -> tuple[str, ...]:
    verdict, _ = await explain(world.means, Asked("demo", "diabetes"), practice_id="practice-a", number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE patient SET adult_on = NULL WHERE number = '1'", "G47"),
        (f"UPDATE notice SET sent_at = NULL, server_answer = NULL, state = 'queued' WHERE id IN {HER_NOTICE}", "G55"),
        (f"UPDATE notice SET address_index = NULL WHERE id IN {HER_NOTICE}", "G57"),
        ("UPDATE contact SET email_index = NULL WHERE patient_id = (SELECT id FROM patient WHERE number = '1')", "G54"),
        ("UPDATE register_import SET partial = TRUE", "G26"),
        ("DELETE FROM returns_reading", "G55"),
        ("DELETE FROM verdict", "G40"),
    ],
)  # fmt: skip
async def test_what_was_never_written_down_closes(delivered: tuple[World, str], statement: str, code: str) -> None:
    world, _ = delivered
    assert await reasons(world) == ()
    await rows(connection(), statement)
    _, found = await verdicts(world.means, Asked("demo", "diabetes"))
    assert code in next(v.reasons for v in found if v.number == "1")


async def settle_everything(world: World) -> None:
    """Everything that can stand against a person, settled in her favour: now she passes."""
    means, by = world.means, world.dpo
    link = world.links["patient1@example.org"]
    await opt_out.object_(means, link, Scope.EVERYTHING)
    await opt_out.withdraw(means, link)
    said = Spoken(family_name="Bernard", given_names="Camille", birth="1960")
    no = await provisional.record(
        means, said, scope=Scope.EVERYTHING, channel=ObjectionChannel.PAPER, by=world.operator.actor
    )
    await provisional.not_here(means, no.id, by=by)
    asked = await rights.open_request(means, practice_id="practice-a", number="1", kind=RightsKind.RESTRICTION, by=by)
    await rights.answer(means, asked.id, RightsState.REFUSED, by=by)
    await world.register([patient("1", deceased_on=world.clock.now().date())], partial=True)
    await world.register([patient("1")], partial=True)
    await who_is_who.wrong_entry(means, (await IdentityDoubt.get()).id, by=by)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE objection SET withdrawn_at = NULL, withdrawal_id = NULL", "G41"),
        ("UPDATE identity_doubt SET settled_at = NULL, settled_by = NULL", "G40"),
        ("DELETE FROM provisional_cleared", "G45"),
        ("UPDATE rights_request SET state = 'open', closed_at = NULL, closed_by = NULL, closing_id = NULL", "G46"),
    ],
)
async def test_a_settlement_that_is_lost_leaves_what_it_settled_standing(
    delivered: tuple[World, str], statement: str, code: str
) -> None:
    world, _ = delivered
    await settle_everything(world)
    assert await reasons(world) == ()
    await rows(connection(), statement)
    assert code in await reasons(world)


async def test_who_has_no_fact_at_all_does_not_pass(delivered: tuple[World, str]) -> None:
    """A patient of whom only a number and a name are known: nobody told her, nothing is recorded against her."""
    world, _ = delivered
    bare = patient("9", birth_date="", email="", doctor_id="")
    await world.register([bare], partial=True)
    assert await reasons(world, "9") == ("G47", "G50")
