"""F13 (OpenSAFELY, July 2024): objections were lost when a patient, or a practice, moved to another supplier.

Here a no belongs to the person: whoever may be she is closed wherever she comes in, under any number, and whoever of
her was delivered is taken back.
"""

import pytest
from line import Line, record
from world import World, patient

from portal.flow import opt_out, provisional
from portal.flow.decide import Asked, explain
from portal.flow.provisional import Spoken
from portal.gate.register_row import RegisterRow
from portal.rules.clearance import Withheld
from portal.rules.words import ObjectionChannel, Scope

KEY = "ins:157049990786733"


async def reasons(world: World, practice_id: str, number: str) -> tuple[str, ...]:
    verdict, _ = await explain(world.means, Asked("demo", "diabetes"), practice_id=practice_id, number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


async def moves(world: World, *arriving: RegisterRow) -> None:
    """She is no longer on the list of her first practice; the second one tells her, and she does not answer again."""
    await world.enrol(2, number="doctor-2", rpps="10000000002")
    await world.register([patient("2"), patient("3")])
    await world.register(list(arriving), "practice-b")
    await world.tell("practice-b")
    world.wait(40)
    await world.read_returns()
    await world.register([patient("2"), patient("3")])
    await world.register(list(arriving), "practice-b")


def arrives(number: str, **changes: object) -> RegisterRow:
    """Patient 1 as another practice writes her; 8 is a stranger who comes in with her."""
    given = {"doctor_id": "doctor-2", "family_name": "BERNARD", "given_names": "Camille Anne"} | changes
    return patient(number, **given)


STRANGER = patient("8", doctor_id="doctor-2", family_name="Zorglub")


@pytest.mark.parametrize(("here", "there", "code"), [(KEY, KEY, "G41"), (KEY, None, "G45"), (None, KEY, "G45"),
                                                     (None, None, "G45")])  # fmt: skip
async def test_a_no_by_the_link_holds_at_the_next_practice_under_another_number(
    delivered: tuple[World, str], here: str | None, there: str | None, code: str
) -> None:
    world, _ = delivered
    await world.register([patient("1", person_key=here), patient("2"), patient("3")])
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.EVERYTHING)
    await moves(world, arrives("77", person_key=there), STRANGER)
    assert await reasons(world, "practice-b", "8") == ()
    assert code in await reasons(world, "practice-b", "77")
    line = Line(world, "practice-b")
    await line.open()
    records = [record(number, doctor_id="doctor-2") for number in ("77", "8")]
    assert (await line.receive(await line.extract(*records))).rows == 1


async def test_a_no_on_paper_holds_for_whoever_comes_in_at_any_practice_later(delivered: tuple[World, str]) -> None:
    world, _ = delivered
    said = Spoken(family_name="Bernard", given_names="Camille", birth="1960")
    await provisional.record(
        world.means, said, scope=Scope.EVERYTHING, channel=ObjectionChannel.PAPER, by=world.operator.actor
    )
    await moves(world, arrives("77"), STRANGER)
    assert await reasons(world, "practice-b", "8") == ()
    assert "G45" in await reasons(world, "practice-b", "77")


async def test_a_practice_that_changes_its_software_gives_new_numbers_and_loses_no_objection(
    delivered: tuple[World, str],
) -> None:
    world, _ = delivered
    await opt_out.object_(world.means, world.links["patient1@example.org"], Scope.EVERYTHING)
    renumbered = [patient(n, family_name=f, given_names="Camille") for n, f in (("101", "Bernard"), ("102", "Thomas"))]
    await world.register(renumbered)
    await world.tell()
    world.wait(40)
    await world.read_returns()
    await world.register(renumbered)
    assert await reasons(world, "practice-a", "102") == ("G58",), "told after the practice's last extraction"
    assert await reasons(world, "practice-a", "101") == ("G45", "G58")
