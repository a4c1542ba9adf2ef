"""Who may be the same person, and who may decide."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rules.people import (
    AgeBand,
    addressee,
    age_band,
    birthday,
    capacity,
    family_sounds,
    iso_day,
    match_traits,
    said_birth,
    speakers,
    typed_key,
    words_of_name,
)
from portal.rules.words import Addressee

TODAY = date(2026, 11, 24)
PARENT, GUARDIAN, MANDATE = Addressee.PARENT, Addressee.GUARDIAN, Addressee.MANDATE


# --- ages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("birth", "years", "day"),
    [
        ("2008-11-24", 18, date(2026, 11, 24)),
        ("2008-02-29", 18, date(2026, 3, 1)),  # a common year: the bound that closes
        ("2008-02-29", 16, date(2024, 2, 29)),
        ("2008", 18, date(2027, 1, 1)),  # until the year has certainly passed
        ("2008", 15, date(2024, 1, 1)),
    ],
)
def test_a_birthday_is_the_first_day_on_which_the_age_is_certain(birth: str, years: int, day: date) -> None:
    assert birthday(birth, years) == day


@pytest.mark.parametrize("birth", ["", "2008-02-30", "2008-2-1", "20080201", "0000", "2008-06"])
def test_without_a_birth_there_is_no_birthday_and_no_age(birth: str) -> None:
    assert age_band(birth, TODAY) is AgeBand.UNKNOWN
    assert capacity(birth, PARENT, TODAY) is AgeBand.UNKNOWN
    with pytest.raises(ValueError, match="no birth date"):
        birthday(birth, 18)


@pytest.mark.parametrize(
    ("birth", "band"),
    [
        ("2008-11-24", AgeBand.ADULT),  # turns 18 today
        ("2008-11-25", AgeBand.TEENAGER),
        ("2011-11-24", AgeBand.TEENAGER),  # turns 15 today
        ("2011-11-25", AgeBand.CHILD),
        ("2026-11-24", AgeBand.CHILD),
        ("1936", AgeBand.ADULT),
        ("2007", AgeBand.ADULT),
        ("2008", AgeBand.TEENAGER),  # a minor for the whole year
        ("2011", AgeBand.CHILD),
    ],
)
def test_the_age_band_changes_on_the_birthday(birth: str, band: AgeBand) -> None:
    assert age_band(birth, TODAY) is band


@given(born=st.dates(date(1900, 1, 1), date(2100, 1, 1)), years=st.integers(1, 100))
def test_nobody_has_an_age_before_the_birthday_and_everybody_after(born: date, years: int) -> None:
    day = birthday(born.isoformat(), years)
    assert day.year - born.year == years
    assert (day.month, day.day) >= (born.month, born.day)
    assert birthday(str(born.year), years) > day  # a year alone is never sooner than a day of it


@pytest.mark.parametrize(
    ("birth", "kind", "right"),
    [
        ("1957-04-16", None, Addressee.SELF),
        ("1957-04-16", PARENT, Addressee.SELF),  # grown up: a parent's notice stops counting
        ("1957-04-16", GUARDIAN, GUARDIAN),
        ("1957-04-16", MANDATE, MANDATE),
        ("2018-07-16", PARENT, PARENT),
        ("2018-07-16", GUARDIAN, GUARDIAN),
        ("2018-07-16", MANDATE, None),  # a mandate is an adult's
        ("2018-07-16", None, None),
        ("2010-07-16", PARENT, PARENT),
        ("2010-07-16", None, None),
        ("", PARENT, None),
    ],
)
def test_a_notice_goes_to_whoever_may_decide(birth: str, kind: Addressee | None, right: Addressee | None) -> None:
    assert addressee(birth, kind, TODAY) is right
    assert (capacity(birth, kind, TODAY) is AgeBand.UNKNOWN) is (right is None)


# --- national keys ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_text", "key"),
    [
        ("157049990786733", "ins:157049990786733"),
        ("1 57 04 99 907 867 33", "ins:157049990786733"),
        ("nir:157049990786733", "ins:157049990786733"),
        ("NISS: 85 07 30 033 28", "niss:85073003328"),
        ("INS:157049990786733", "ins:157049990786733"),
        ("253072a07300443", "ins:253072A07300443"),
        ("253072B07300470", "ins:253072B07300470"),
        ("niss:85073003328", "niss:85073003328"),
        ("ab-12", "id:AB-12"),
        ("1.2.250:77", "id:1.2.250:77"),
    ],
)
def test_a_national_key_is_typed_and_typing_it_twice_changes_nothing(given_text: str, key: str) -> None:
    assert typed_key(given_text) == key
    assert typed_key(key) == key


@pytest.mark.parametrize("wrong", ["157049990786734", "ins:1570499907867", "nir:ab", "", "x" * 65, "été", "a\x00b"])
def test_a_wrong_key_is_refused_without_being_repeated(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^not an (INS|identifier)$"):
        typed_key(wrong)


# --- names ------------------------------------------------------------------------------------------------------

ALIKE = [
    ("Dupont", "Dupond"),
    ("Lefebvre", "LEFÈVRE"),
    ("Gauthier", "Gaultier"),
    ("Renault", "Renaud"),
    ("Schmitt", "Schmidt"),
    ("Lecomte", "Leconte"),
    ("Lecomte", "Lecompte"),
    ("Philippe", "Filipe"),
    ("Le Goff", "Legoff"),
    ("Le Goff", "Goff"),
    ("de La Tour", "Latour"),
    ("d’Estaing", "Estaing"),
    ("D'Estaing", "d Estaing"),
    ("L’Hermite", "Lhermitte"),
    ("Villepin (de)", "de Villepin"),
    ("Dupont-Martin", "Martin"),
    ("Dupont-Martin", "DUPONT MARTIN"),
    ("Henry", "Henri"),
    ("Perez", "Pérès"),
    ("Meyer", "Maier"),
    ("Laurent", "Laurant"),
    ("Moreau", "Moreaux"),
    ("Petit", "Petits"),
    ("Œuvrard", "Oeuvrard"),
    ("Ælvoet", "Aelvoet"),
    ("François", "FRANCOIS"),
    ("Noël", "Noe\u0308l"),
    ("李", "李"),
]
APART = [("Martin", "Morton"), ("Martin", "Martinez"), ("Petit", "Petite"), ("Robert", "Rabier"), ("李", "王")]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_spellings_that_sound_alike_meet(one: str, other: str) -> None:
    assert family_sounds(one) & family_sounds(other)


@pytest.mark.parametrize(("one", "other"), APART)
def test_names_that_sound_different_do_not_meet(one: str, other: str) -> None:
    assert not family_sounds(one) & family_sounds(other)


def test_the_sounds_are_pinned_because_stored_tokens_depend_on_them() -> None:
    names = ["Lecomte", "Schmitt", "Lefebvre", "Chevallier", "Guérin", "Montaigne", "Xavier", "Quentin", "Le Du"]
    names += ["Dupont de Nemours", "Li Roy"]
    assert [sorted(family_sounds(name)) for name in names] == [
        ["LEKONT"],
        ["XMI"],
        ["LEFEVR"],
        ["XEVALIER"],
        ["GERIN"],
        ["MONTEN"],
        ["KSAVIER"],
        ["KANTIN"],
        ["LEDU"],
        ["DUPON", "DUPONTDENEMOUR", "DUPONTNEMOUR", "NEMOUR"],
        ["LIROI", "ROI"],  # two letters alone would meet too many
    ]


@given(st.text())
def test_case_accents_and_marks_never_matter(name: str) -> None:
    assert all(word == word.upper() for word in words_of_name(name))
    assert family_sounds("-".join(words_of_name(name))) == family_sounds(name)


def _traits(**changed: str) -> list[tuple[str, str]]:
    person = {
        "person_key": "",
        "family_name": "Collet",
        "birth_name": "",
        "given_names": "Jean-Pierre",
        "birth_date": "1957-04-16",
    } | changed
    return match_traits(**person)


def test_traits_join_family_and_birth_name_with_the_first_given_name_and_the_birth() -> None:
    assert _traits(person_key="157049990786733", birth_name="Tanguy") == [
        ("key", "ins:157049990786733"),
        ("name_date", "KOLE|JEAN|1957-04-16"),
        ("name_date", "TANGI|JEAN|1957-04-16"),
        ("name_year", "KOLE|JEAN|1957"),
        ("name_year", "TANGI|JEAN|1957"),
    ]


def test_who_is_known_by_year_meets_who_is_known_by_day_through_the_year() -> None:
    assert _traits(birth_date="1957") == [("name_year", "KOLE|JEAN|1957")]
    assert set(_traits(birth_date="1957")) < set(_traits())


@pytest.mark.parametrize("changed", [{"birth_date": ""}, {"given_names": ""}, {"family_name": "-"}])
def test_without_name_or_birth_only_a_key_is_left(changed: dict[str, str]) -> None:
    assert _traits(**changed) == []
    assert _traits(**changed, person_key="niss:85073003328") == [("key", "niss:85073003328")]


@given(st.dates(date(1880, 1, 1), date(2100, 1, 1)))
def test_an_iso_day_is_read_and_nothing_else(day: date) -> None:
    assert iso_day(day.isoformat()) == day
    assert iso_day(day.strftime("%Y%m%d")) is None
    assert iso_day(f" {day.isoformat()}") is None


# --- who is told, of all who may be ----------------------------------------------------------------------------------

PARENT, GUARDIAN, MANDATE, SELF = Addressee.PARENT, Addressee.GUARDIAN, Addressee.MANDATE, Addressee.SELF


@pytest.mark.parametrize(
    ("text", "birth"),
    [
        ("16/04/1957", "1957-04-16"),
        (" 1.4.1957 ", "1957-04-01"),
        ("1 4 1957", "1957-04-01"),
        ("01-04-1957", "1957-04-01"),
        ("1957-04-16", "1957-04-16"),
        ("1957", "1957"),
        ("31/02/1957", None),
        ("04/16/1957", None),
        ("16/04/57", None),
        ("avril 1957", None),
        ("", None),
    ],
)
def test_a_birth_is_read_as_people_write_it_day_first(text: str, birth: str | None) -> None:
    assert said_birth(text) == birth


@pytest.mark.parametrize(
    ("birth", "holders", "alone", "told"),
    [
        ("2019-01-01", {PARENT}, False, {PARENT}),
        ("2019-01-01", {PARENT, GUARDIAN, MANDATE}, False, {PARENT, GUARDIAN}),
        ("2019-01-01", {PARENT}, True, {PARENT}),
        ("2019-01-01", {MANDATE}, False, set()),
        ("2019-01-01", set(), False, set()),
        ("1980-01-01", {PARENT}, False, {SELF}),
        ("1980-01-01", {PARENT, MANDATE, GUARDIAN}, True, {MANDATE, GUARDIAN}),
        ("", {PARENT}, True, set()),
    ],
)
def test_every_holder_of_a_kind_that_speaks_is_told(
    birth: str, holders: set[Addressee], alone: bool, told: set[Addressee]
) -> None:
    assert speakers(birth, holders, TODAY, alone=alone) == told


def test_a_minor_who_asked_is_told_alone_from_her_fifteenth_birthday_until_her_eighteenth() -> None:
    day = timedelta(days=1)
    fifteen, eighteen = birthday("2010-05-04", 15), birthday("2010-05-04", 18)
    for today, told in (
        (fifteen - day, {PARENT}),
        (fifteen, {SELF}),
        (eighteen - day, {SELF}),
        (eighteen, {SELF}),
    ):
        assert speakers("2010-05-04", {PARENT}, today, alone=True) == told
    assert speakers("2010-05-04", {PARENT}, eighteen - day) == {PARENT}
