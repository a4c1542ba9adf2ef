"""Small worlds, random and known to be hard, played through the portal: it lets out and counts what the oracle does."""

import asyncio
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy
from story.living import compared
from story.made import DIABETES
from story.plans import PLAIN, PLANS, TANGLED, Enrolled, Event, Person, Plan, Said
from story.playing import START
from world import World, copied

FEW, MANY = 50, 2_000
"""Examples in `make test` and in `make test-long`."""


@pytest.mark.parametrize("plans", [PLANS, TANGLED], ids=["of every kind", "who is who"])
def test_what_random_worlds_let_through_is_what_the_oracle_lets_through(
    plans: SearchStrategy[Plan], first: World, seed: Path, tmp_path: Path, how_many: Callable[[int, int], int]
) -> None:
    numbers, passed = count(), 0

    @settings(
        max_examples=how_many(FEW, MANY), deadline=None, database=None, derandomize=True, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(plans)
    def check(plan: Plan) -> None:
        nonlocal passed
        folder = tmp_path / str(next(numbers))
        passed += asyncio.run(compared(copied(first, seed, folder, START), plan)).passed
        shutil.rmtree(folder)

    check()
    assert passed, "nothing was let through: too little to prove anything"


# --- known to be hard -----------------------------------------------------------------------------------------------


def one(
    practice: int, family: str = "Martin", birth: str = "1987-05-05", key: str = "", birth_name: str = ""
) -> Person:
    return Person(practice, family, birth, key, "female", "", False, birth_name)


DOCTORS = (Enrolled(0, "verified", True), Enrolled(1, "verified", True), Enrolled(0, "verified", True))
OTHERS = (one(0, "Petit"), one(1, "Moreau"))
RECORDS = (
    *PLAIN,
    *(Said(person, DIABETES, "2026-02-13", "entered", "first") for person in (3, 4)),
    Said(0, DIABETES, "2025-06-10", "entered", "second"),
    Said(1, DIABETES, "2025-06-17", "entered", "first"),
    Said(2, DIABETES, "2025-06-10", "entered", "nobody"),
)
OF_TWO = (one(0, key="local:1"), one(1, key="local:1"), one(0, "Durand"))
STRANGERS = (one(0), one(1, "Laurent"), one(0, "Durand"))

HARD: dict[str, tuple[tuple[Person, ...], tuple[Event, ...]]] = {
    "a patient of two closes one as a source before the seal": (OF_TWO, (Event("03-03", "say_no", 0, "practice"),)),
    "a patient of two leaves one before the seal": (OF_TWO, (Event("03-03", "reregister", 0, "gone"),)),
    "a patient of two took a no to one back": (
        OF_TWO, (Event("02-01", "say_no", 0, "practice"), Event("02-12", "take_back", 0, "")),
    ),
    "a patient of two has died at one": (OF_TWO, (Event("03-03", "reregister", 0, "dead"),)),
    "no to one source and back between preparation and seal": (
        OF_TWO, (Event("03-03", "say_no", 0, "practice"), Event("03-03", "take_back", 0, "")),
    ),
    "no before the preparation, taken back after it": (
        STRANGERS, (Event("03-01", "say_no", 2, "everything"), Event("03-03", "take_back", 2, "")),
    ),
    "no to the study taken back, and her mail came back": (
        STRANGERS,
        (Event("02-01", "say_no", 2, "study"), Event("02-12", "take_back", 2, ""),
         Event("02-20", "bounce", 2, "complete")),
    ),
    "a no taken back, and her mail came back": (
        STRANGERS,
        (Event("01-16", "say_no", 0, "everything"), Event("02-20", "take_back", 0, ""),
         Event("02-28", "bounce", 0, "complete")),
    ),
    "a key twice at one practice": ((one(0, key="local:1"), one(1, "Laurent"), one(0, key="local:1")), ()),
    "a key becomes known that another bears": (
        (one(0), one(1, key="local:1"), one(0, "Durand")), (Event("02-12", "reregister", 0, "key"),),
    ),
    "an objector whose key was found with somebody else": (
        (one(0, key="local:1"), one(1, birth="1987-05-06", key="local:1"), one(1, key="local:2")),
        (Event("02-01", "say_no", 0, "everything"),),
    ),
    "one without a key may be who bears an objector's key twice": (
        (one(0), one(1, "Durand", key="local:1"), one(0, key="local:1"), one(0, key="local:1")),
        (Event("01-16", "say_no", 1, "everything"),),
    ),
    "one without a key may be who was found with an objector's key": (
        (one(0), one(1, "Durand", key="local:1"), one(0, birth="1987-05-06"), one(0, birth="1987-05-06")),
        (Event("01-16", "say_no", 1, "everything"), Event("02-12", "reregister", 3, "key")),
    ),
    "an objector's key twice, and she objects after the preparation": (
        (one(0), one(1, "Durand", key="local:1"), one(0, key="local:1"), one(0, key="local:1")),
        (Event("03-03", "say_no", 1, "everything"),),
    ),
    "said on the telephone under the name that another practice knows": (
        (one(0, key="local:1"), one(1, "Durand", key="local:1"), one(0)),
        (Event("01-16", "telephone", 0, "everything"),),
    ),
    "said on the telephone under a name that she no longer has": (
        STRANGERS, (Event("02-01", "telephone", 0, "everything"), Event("02-12", "reregister", 0, "family")),
    ),
    "said on the telephone under one of two names, and another practice knows the other": (
        (one(0), one(1, "Durand"), one(0, birth_name="Durand")), (Event("01-16", "telephone", 0, "everything"),),
    ),
    "said after the preparation of somebody whose row has become who may be a stranger": (
        (one(0, key="local:1"), one(1, "Durand", key="local:1"), one(0, "Laurent")),
        (Event("02-12", "reregister", 0, "other key"), Event("02-20", "reregister", 0, "family"),
         Event("02-28", "reregister", 1, "gone"), Event("03-03", "letter", 1, "everything")),
    ),
    "an objector's row has become who may be somebody else's": (
        (one(0, key="local:1"), one(1, "Moreau"), one(1, key="local:1"), one(0, "Durand")),
        (Event("01-16", "say_no", 2, "everything"), Event("02-12", "reregister", 0, "family")),
    ),
    "said by a letter that tells a key, and who bears it may be another": (
        (one(0, key="local:1"), one(1), one(0, "Durand")), (Event("01-16", "letter", 0, "everything"),),
    ),
    "one of two doctors leaves while the extraction is under way": (OF_TWO, (Event("03-02", "leave", 0, ""),)),
    "one of two doctors leaves before the seal": (OF_TWO, (Event("03-03", "leave", 0, ""),)),
    "a bounce after the preparation": (STRANGERS, (Event("03-03", "bounce", 2, "complete"),)),
    "somebody else by the register after the preparation": (STRANGERS, (Event("03-03", "reregister", 2, "birth"),)),
    "a material version after the preparation": (STRANGERS, (Event("03-03", "publish", 0, "material"),)),
}  # fmt: skip
"""Where portal and oracle once differed, or each has to look twice: persons, and what happens."""


@pytest.mark.parametrize("name", HARD)
async def test_what_hard_worlds_let_through_is_what_the_oracle_lets_through(
    name: str, first: World, seed: Path, tmp_path: Path
) -> None:
    persons, events = HARD[name]
    plan = Plan(DOCTORS, (*persons, *OTHERS), RECORDS, events)
    assert (await compared(copied(first, seed, tmp_path / "world", START), plan)).withheld
