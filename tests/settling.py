"""Registers that contradict each other, and the DPO who settles who is who."""

from dataclasses import replace
from uuid import UUID

from world import World, child, patient

from portal.flow import opt_out, who_is_who
from portal.flow.decide import Asked, explain
from portal.gate.register_row import RegisterRow
from portal.records.people import IdentityDoubt, Patient
from portal.rules.clearance import Withheld
from portal.rules.words import Scope, Sex

KEY, OTHER_KEY = "ins:157049990786733", "ins:269054958815780"
EVERYBODY = [patient("1"), patient("2"), patient("3"), child("4")]
OF_B = {"doctor_id": "doctor-2"}
SEVEN = replace(patient("19"), patient_id="7", email="seven@example.org", person_key=OTHER_KEY, **OF_B)


async def reasons(world: World, number: str, practice_id: str = "practice-a") -> tuple[str, ...]:
    verdict, _ = await explain(world.means, Asked("demo"), practice_id=practice_id, number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


async def row(number: str, practice_id: str = "practice-a") -> Patient:
    return await Patient.get(practice_id=practice_id, number=number)


async def person_of(number: str, practice_id: str = "practice-a") -> UUID:
    return (await row(number, practice_id)).person_id


async def doubt_of(number: str, practice_id: str = "practice-a") -> int:
    """The oldest open doubt about a patient."""
    found = IdentityDoubt.filter(patient_id=(await row(number, practice_id)).id, settled_at=None)
    return (await found.order_by("id"))[0].id


async def hand_in(world: World, *rows: RegisterRow, practice_id: str = "practice-a") -> None:
    world.wait(0.1)
    await world.register(list(rows), practice_id, partial=True)


async def says_no(world: World, who: str) -> None:
    await opt_out.object_(world.means, world.links[f"{who}@example.org"], Scope.EVERYTHING)


async def clash(world: World) -> None:
    """Both practices learn of one key, with two birth dates."""
    await hand_in(world, patient("1", person_key=KEY))
    seven = replace(patient("1"), patient_id="7", email="seven@example.org", doctor_id="doctor-2")
    await hand_in(world, replace(seven, person_key=KEY, sex=Sex.FEMALE), practice_id="practice-b")


async def merge(world: World, number: str, practice_id: str, into: UUID) -> None:
    await who_is_who.same_person(world.means, await doubt_of(number, practice_id), into, by=world.dpo)


async def stood_for_one(two: World) -> UUID:
    """Patient 7 of practice-b and patient 1 stand for one person, who is returned."""
    await clash(two)
    one = await person_of("1")
    await merge(two, "7", "practice-b", one)
    return one
