"""A practice's register is taken in whole or not at all; who a patient is never changes in silence."""

from dataclasses import replace
from datetime import timedelta

from kept import dump, one_entry, refused
from world import World, child, patient

from portal.flow import opt_out, register, register_rows
from portal.flow.decide import Asked, explain
from portal.gate.register import write_register_csv
from portal.gate.register_row import RegisterRow
from portal.records.database import transact
from portal.records.people import IdentityDoubt, Patient, RegisterImport
from portal.rules.clearance import Withheld
from portal.rules.words import Scope, Sex

KEY, OTHER_KEY = "ins:157049990786733", "ins:269054958815780"
KEY_OF_ANOTHER_TYPE = "niss:85073003328"


async def reasons(world: World, number: str, practice_id: str = "practice-a") -> tuple[str, ...]:
    verdict, _ = await explain(world.means, Asked("demo"), practice_id=practice_id, number=number)
    return verdict.reasons if isinstance(verdict, Withheld) else ()


async def person_of(number: str, practice_id: str = "practice-a") -> object:
    return (await Patient.get(practice_id=practice_id, number=number)).person_id


async def import_again(world: World, *rows: RegisterRow, practice_id: str = "practice-a") -> register.Imported:
    world.wait(1)
    return await world.register(list(rows), practice_id)


async def test_a_first_register_makes_patients_persons_and_sealed_contacts(world: World) -> None:
    async with one_entry("register_imported", ("practice", "practice-a")):
        done = await world.register([patient("1"), child("2")])
    assert done == register.Imported(rows=2, new=2, changed=0, left=0, doubts=0)
    everything = str(await dump())
    for name in ("Martin", "Bernard", "Camille", "patient1@", "parent2@", "Un Parent"):
        assert name not in everything


async def test_the_same_file_again_only_renews_its_freshness(world: World) -> None:
    await world.register([patient("1"), patient("2")])
    before = await dump()
    world.wait(1)
    assert await world.register([patient("1"), patient("2")]) == register.Imported(2, 0, 0, 0, 0)
    after = await dump()
    assert {name for name in before if before[name] != after[name]} == {
        "register_import", "log_entry", "log_touch", "log_salt",
    }  # fmt: skip
    assert (await RegisterImport.all().order_by("-id").first()).taken_at == world.clock.now()


async def import_taken(world: World, hours: int, practice_id: str = "practice-a") -> None:
    path = world.folder / "register.csv"
    write_register_csv([patient("1")], path)
    taken = world.clock.now() + timedelta(hours=hours)
    await register.import_register(world.means, practice_id, path, taken_at=taken, actor="operator:1")


async def test_an_older_a_future_and_a_strangers_register_are_refused_and_leave_nothing(world: World) -> None:
    await world.register([patient("1")])
    async with refused("older_register"):
        await import_taken(world, -1)
    async with refused("taken_in_future"):
        await import_taken(world, 1)
    async with refused("unknown_practice"):
        await import_taken(world, 0, "practice-z")


async def test_a_bad_row_refuses_the_whole_file_and_leaves_nothing(world: World) -> None:
    await world.register([patient("1")])
    bad = replace(patient("3"), birth_date="1960-02-30")
    async with refused("bad_birth_date", "bad_date"):
        await import_again(world, patient("1", email="new@example.org"), patient("2"), bad)


async def test_who_is_missing_from_a_full_file_has_left_and_may_come_back(world: World) -> None:
    await world.register([patient("1"), patient("2")])
    assert (await import_again(world, patient("1"))).left == 1
    assert (await Patient.get(number="2")).left_at == world.clock.now()
    assert (await import_again(world, patient("1"))).left == 0
    await import_again(world, patient("1"), patient("2"))
    assert (await Patient.get(number="2")).left_at is None


async def test_a_partial_file_marks_nobody_as_left(world: World) -> None:
    await world.register([patient("1"), patient("2")])
    world.wait(1)
    done = await world.register([patient("1", email="new@example.org")], partial=True)
    assert (done.changed, done.left) == (1, 0)
    assert (await Patient.get(number="2")).left_at is None


async def test_a_register_that_is_only_renewed_in_part_grows_old(told: World) -> None:
    told.wait(60)
    await told.register([patient("1")], partial=True)
    assert await reasons(told, "1") == ("G26",)


async def test_the_same_key_birth_and_sex_at_two_practices_is_one_person(world: World) -> None:
    await world.register([patient("1", person_key=KEY)])
    await world.register([patient("7", person_key=KEY, family_name="Martin")], "practice-b")
    assert await person_of("1") == await person_of("7", "practice-b")
    assert await IdentityDoubt.all().count() == 0


async def test_a_shared_person_keeps_her_names_of_both_practices_when_one_of_them_changes_her_address(
    world: World,
) -> None:
    await world.register([patient("1", person_key=KEY)])
    await world.register([patient("7", person_key=KEY, birth_name="Tanguy")], "practice-b")
    done = await import_again(world, patient("1", person_key=KEY, email="moved@example.org"))
    assert (done.changed, done.doubts) == (1, 0)
    assert await person_of("1") == await person_of("7", "practice-b")


async def test_the_same_key_with_another_birth_or_sex_is_a_doubt_about_everybody_who_bears_it(told: World) -> None:
    await told.register([patient("1", person_key=KEY), patient("2"), patient("3"), child("4")])
    for number, change in (("7", {"birth_date": "1961-05-17"}), ("8", {"sex": Sex.MALE})):
        await told.register([patient(number, person_key=KEY, **change)], "practice-b", partial=True)
        assert await person_of(number, "practice-b") != await person_of("1")
        assert "G40" in await reasons(told, number, "practice-b")
    assert await reasons(told, "1") == ("G40",)
    assert await reasons(told, "2") == ()


async def test_the_same_key_twice_at_one_practice_is_a_doubt_about_both(told: World) -> None:
    await told.register([patient("1", person_key=KEY), patient("2", person_key=KEY), patient("3"), child("4")])
    assert await reasons(told, "1") == await reasons(told, "2") == ("G40",)
    assert await reasons(told, "3") == ()


async def test_the_same_key_twice_in_a_file_is_a_doubt_also_when_another_practice_bears_it(told: World) -> None:
    await told.register([patient("1", person_key=KEY), patient("2"), patient("3"), child("4")])
    both = [patient(n, person_key=KEY, given_names="Camille", family_name="Bernard") for n in ("7", "8")]
    await told.register(both, "practice-b", partial=True)
    assert await person_of("7", "practice-b") != await person_of("8", "practice-b")
    for number, practice in (("1", "practice-a"), ("7", "practice-b"), ("8", "practice-b")):
        assert "G40" in await reasons(told, number, practice)
    assert await reasons(told, "2") == ()


async def test_a_changed_birth_date_name_or_key_is_a_new_person_with_an_open_doubt(told: World) -> None:
    for number, change in (
        ("1", {"birth_date": "1961-05-17"}),
        ("2", {"family_name": "Zimmermann"}),
        ("3", {"person_key": OTHER_KEY}),
    ):
        first = patient(number, person_key=KEY) if number == "3" else patient(number)
        await told.register([first], partial=True)
        before = await person_of(number)
        await told.register([replace(first, **change)], partial=True)
        assert await person_of(number) != before
        assert "G40" in await reasons(told, number)


async def test_an_objection_stays_with_the_person_and_the_row_stays_closed_when_its_identity_changes(
    told: World,
) -> None:
    await opt_out.object_(told.means, told.links["patient1@example.org"], Scope.EVERYTHING)
    await told.register([patient("1", birth_date="1961-05-17")], partial=True)
    assert "G40" in await reasons(told, "1")


async def test_an_empty_field_that_becomes_known_enriches_the_same_person(told: World) -> None:
    before = await person_of("1")
    done = await told.register([patient("1", person_key=KEY, birth_name="Tanguy")], partial=True)
    assert (done.changed, done.doubts) == (1, 0)
    assert await person_of("1") == before
    assert await reasons(told, "1") == ()


async def test_a_key_that_becomes_known_and_is_borne_elsewhere_is_a_doubt_about_all(told: World) -> None:
    """Else somebody who said no at one practice would pass at the other once both know her key."""
    await told.enrol(2, number="doctor-2")
    await told.register([patient("7", person_key=KEY, email="other@example.org")], "practice-b")
    await told.register([patient("1", person_key=KEY)], partial=True)
    assert await reasons(told, "1") == ("G40",)
    assert "G40" in await reasons(told, "7", "practice-b")


async def test_who_has_the_same_key_as_an_objector_does_not_pass_even_without_an_open_doubt(told: World) -> None:
    """So two registers that came in at the same moment, neither seeing the other, leave no gap."""
    await told.register([patient("1", person_key=KEY), patient("2", person_key=KEY)], partial=True)
    await opt_out.object_(told.means, told.links["patient1@example.org"], Scope.EVERYTHING)
    await IdentityDoubt.all().update(settled_at=told.clock.now(), settled_by="dpo:2")
    assert await reasons(told, "2") == ("G45",)


async def test_a_possible_match_of_an_objector_is_doubted_only_while_a_key_is_missing(told: World) -> None:
    twin = replace(patient("1"), patient_id="9", email="twin@example.org")
    await told.register([twin], partial=True)
    assert await reasons(told, "1") == ()
    await told.tell()
    await opt_out.object_(told.means, told.links["twin@example.org"], Scope.EVERYTHING)
    assert await reasons(told, "1") == ("G45",)
    await told.register([replace(twin, person_key=OTHER_KEY), patient("1", person_key=KEY)], partial=True)
    assert await reasons(told, "1") == ()


async def test_keys_of_two_types_tell_nobody_apart(told: World) -> None:
    twin = replace(patient("1"), patient_id="9", email="twin@example.org", person_key=KEY_OF_ANOTHER_TYPE)
    await told.register([twin, patient("1", person_key=KEY)], partial=True)
    await told.tell()
    await opt_out.object_(told.means, told.links["twin@example.org"], Scope.EVERYTHING)
    assert await reasons(told, "1") == ("G45",)


async def test_an_objection_binds_every_person_that_its_row_ever_stood_for(told: World) -> None:
    """Row 1 turns out to be somebody else: her no still holds for whom she was at the other practice, and here."""
    await told.enrol(2, number="doctor-9")
    await told.register([patient("1", person_key=KEY), patient("2"), patient("3"), child("4")])
    await told.register([patient("7", person_key=KEY, family_name="Martin", given_names="Dominique",
                                 birth_date="1960-05-17", email="seven@example.org", doctor_id="doctor-9"),
                         patient("8", doctor_id="doctor-9")], "practice-b")  # fmt: skip
    await told.tell("practice-b")
    told.wait(40)
    await told.read_returns()
    assert await person_of("7", "practice-b") == await person_of("1")
    assert await reasons(told, "7", "practice-b") == ()
    await told.register([patient("1", person_key=OTHER_KEY), patient("2"), patient("3"), child("4")])
    assert await person_of("7", "practice-b") != await person_of("1")
    await opt_out.object_(told.means, told.links["patient1@example.org"], Scope.EVERYTHING)
    assert "G41" in await reasons(told, "7", "practice-b")
    assert "G41" in await reasons(told, "1")


async def test_another_sex_under_a_key_shared_with_another_practice_is_a_doubt_about_both(told: World) -> None:
    await told.register([patient("1", person_key=KEY)], partial=True)
    await told.register([patient("7", person_key=KEY, family_name="Bernard", given_names="Camille")], "practice-b")
    assert await person_of("7", "practice-b") == await person_of("1")
    await told.register([patient("1", person_key=KEY, sex=Sex.MALE)], partial=True)
    assert await person_of("7", "practice-b") != await person_of("1")
    assert await reasons(told, "1") == ("G40", "G50")
    assert "G40" in await reasons(told, "7", "practice-b")


async def test_a_key_known_at_one_practice_and_not_at_the_other_is_a_possible_match_beside_a_no(told: World) -> None:
    await told.enrol(2, number="doctor-2")
    same = patient("7", family_name="Bernard", given_names="Camille", email="seven@example.org", doctor_id="doctor-2")
    await told.register([patient("1", person_key=KEY)], partial=True)
    await told.register([same], "practice-b")
    await told.tell("practice-b")
    assert await reasons(told, "1") == ()
    await opt_out.object_(told.means, told.links["seven@example.org"], Scope.EVERYTHING)
    assert await reasons(told, "1") == ("G45",)


async def test_a_file_that_came_in_while_a_doubt_was_settled_changes_nobody_back(told: World) -> None:
    """The rows that it would write are those of whom the patients were when it began."""
    one = await Patient.get(number="1")
    plan = register.Plan(new=0, changed=1)
    row = register_rows.make_ready(told.means.ring, "practice-a", patient("1", email="new@example.org"))
    other = await Patient.get(number="2")
    batch = one.import_batch_id
    plan.updates.append((one.person_id, *register._columns(row), batch + 1, None, "practice-a", "1", other.person_id))
    async with refused("changed_meanwhile"):
        await transact(lambda c: register._write(c, plan, "practice-a", batch + 1))
