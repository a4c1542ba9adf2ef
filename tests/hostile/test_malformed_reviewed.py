"""Malformed reviewed files (R8): each is refused whole, with file, line and key, and nothing is written."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from kept import dump
from world import TEXTS, World, build

from portal.demo.clock import PlayedClock
from portal.flow import govern
from portal.flow.means import Means
from portal.gate.toml_file import LARGEST, WHAT, read_reviewed
from portal.rules.refusals import RefusedFile

GOOD = """\
[[observatory]]
id = "demo"
name = "Observatoire d’essai"
controller = "Association d’essai"
contact = "contact@example.org"
dpo_contact = "dpo@example.org"
phone = "01 99 00 00 00"
postal_address = "1 rue de l’Essai, 75000 Paris"
register_max_days = 60

[[recipient]]
id = "lab"
name = "Laboratoire d’essai"
category = "public_research"
country = "FR"
contract_until = 2027-12-31

[[authorisation]]
id = "cnil-2"
observatory = "demo"
reference = "DR-2026-002"
valid_from = 2026-01-01
valid_until = 2027-12-31
dpia_review_on = 2027-06-01

[authorisation.conditions]
purposes = ["public_health_research"]
banned_uses = ["health_product_promotion", "insurance"]
legal_basis = "public_task"
health_data_basis = "public_health"
recipient_categories = ["public_research"]
countries = ["FR"]
period_from = 2020-01-01
period_until = 2026-12-31
retention_months = 60
reflection_days = 30
listing_days = 30
k = 3
quasi_identifiers = ["sex"]

[authorisation.conditions.columns]
recorded_on = { precision = "month" }
sex = { precision = "full" }

[authorisation.conditions.columns.diagnosis]
precision = "category"
codes = [
  "cim10|E11",
  "cim10|I10",
]

[[study]]
id = "asthma"
observatory = "demo"
recipient = "lab"
title = "Un titre"
question = "Une question assez longue ?"
purpose = "public_health_research"
ethics_opinion = "CESREES 2026-02"
k = 4

[study.conditions]
period_from = 2021-01-01
period_until = 2025-12-31
retention_months = 24
quasi_identifiers = ["sex"]

[study.conditions.columns]
recorded_on = { precision = "year" }
sex = { precision = "full" }

[study.conditions.columns.diagnosis]
precision = "chapter"
codes = ["cim10|E11"]

[[practice]]
id = "practice-c"
finess = "750000003"
name = "Cabinet C"
city = "Paris"
"""
NOTICE = (TEXTS / "notice-adult-fr.toml").read_text(encoding="utf-8")
AGREEMENT = (TEXTS / "agreement-fr.toml").read_text(encoding="utf-8")


def instead(old: str, new: str, *, of: str = GOOD, last: bool = False) -> bytes:
    """The good file with one thing changed: the first place that reads so, or the last one."""
    assert old in of, old
    place = of.rindex(old) if last else of.index(old)
    return (of[:place] + new + of[place + len(old) :]).encode()


def without(line: str, *, of: str = GOOD, last: bool = False) -> bytes:
    found = re.findall(rf"(?m)^{re.escape(line)}.*\n", of)
    return instead(found[-1 if last else 0], "", of=of, last=last)


def notice(old: str, new: str) -> bytes:
    return instead(old, new, of=NOTICE)


def section(name: str, of: str) -> str:
    """A whole `[name]` or `[[name]]` table of a text."""
    found = re.search(rf"(?ms)^\[+{re.escape(name)}\]+\n.*?(?=^\[|\Z)", of)
    assert found, name
    return found[0]


SYNTAX: list[tuple[str, bytes, str]] = [
    ("bad_toml", b"[observatory", "end of document"),
    ("bad_toml", instead('id = "lab"', "id = lab"), "line 12"),
    ("bad_toml", instead('id = "lab"', 'id = "lab'), "line 12"),
    ("bad_toml", instead('id = "lab"', '= "lab"'), "line 12"),
    ("bad_toml", instead('id = "lab"', 'id: "lab"'), "line 12"),
    ("bad_toml", instead('id = "lab"', 'id = "lab"\nid = "lab"'), "line 13"),
    ("bad_toml", instead('country = "FR"', "country = 'FR\""), "end of document"),
    ("bad_toml", instead("2027-12-31", "2027-13-31"), "line 16"),
    ("bad_toml", instead("2027-12-31", "31/12/2027"), "line 16"),
    ("bad_toml", instead("60", "060"), "line 9"),
    ("bad_toml", instead("[authorisation.conditions]", "[authorisation]"), "line 26"),
    ("bad_toml", instead("[study.conditions]", "[study.conditions"), ""),
    ("bad_toml", instead('countries = ["FR"]', 'countries = ["FR"'), ""),
    ("bad_toml", instead('name = "Obs', 'name = "\\qObs'), "line 3"),
    ("bad_toml", instead('name = "Obs', 'name = "\x00Obs'), "line 3"),
    ("bad_toml", b"\xef\xbb\xbf" + GOOD.encode(), "line 1"),
    ("bad_toml", GOOD.encode() + b"k = {", ""),
    ("bad_toml", b"a = " + b"[" * 5000, ""),
    ("bad_toml", b"k = 1" + b"0" * 5000, ""),
    ("bad_toml", b"<study><id>asthma</id></study>", "line 1"),
    ("bad_toml", b'{"study": []}', "line 1"),
    ("not_utf8", GOOD.encode("utf-16"), "line 1"),
    ("not_utf8", GOOD.encode("cp1252", "replace"), "line 3"),
    ("toml_too_large", GOOD.encode() + b"#" * LARGEST, ""),
    ("toml_too_deep", b"x" + b".x" * 5000 + b" = 1", ""),
    ("toml_empty", b"", ""),
    ("toml_empty", b"# nothing\n", ""),
    ("toml_extra_forbidden", b"x = 1", "line 1"),
    ("toml_extra_forbidden", instead("[[study]]", "[[studies]]"), "line "),
]

STUDY = GOOD.index("[[study]]")


def study(old: str, new: str) -> bytes:
    return (GOOD[:STUDY] + GOOD[STUDY:].replace(old, new, 1)).encode()


SHAPES: list[tuple[str, bytes, str]] = [
    ("toml_missing", without("controller"), "line 1, observatory.0.controller"),
    ("toml_missing", without("contract_until"), "line 11, recipient.0.contract_until"),
    ("toml_missing", without("valid_until"), "line 18, authorisation.0.valid_until"),
    ("toml_missing", without("banned_uses"), "line 26, authorisation.0.conditions.banned_uses"),
    ("toml_missing", without("legal_basis"), "line 26, authorisation.0.conditions.legal_basis"),
    ("toml_missing", without("health_data_basis"), "conditions.health_data_basis"),
    ("toml_missing", without("retention_months"), "authorisation.0.conditions.retention_months"),
    ("toml_missing", without("retention_months", last=True), "study.0.conditions.retention_months"),
    ("toml_missing", without("k = 3"), "authorisation.0.conditions.k"),
    ("toml_missing", without("k = 4"), "study.0.k"),
    ("toml_missing", without("quasi_identifiers", last=True), "study.0.conditions.quasi_identifiers"),
    ("toml_missing", without("period_from", last=True), "study.0.conditions.period_from"),
    ("toml_missing", without("purpose = "), "study.0.purpose"),
    ("toml_missing", without("precision = "), "line 45, authorisation.0.conditions.columns.diagnosis.precision"),
    ("toml_missing", without("finess"), "practice.0.finess"),
    ("toml_extra_forbidden", instead("phone =", "telephone ="), "line 7, observatory.0.telephone"),
    ("toml_extra_forbidden", instead("reflection_days", "reflexion_days"), "authorisation.0.conditions.reflexion_days"),
    ("toml_extra_forbidden", instead('"month" }', '"month", finer = true }'), "recorded_on.finer"),
    ("toml_extra_forbidden", study("k = 4", 'k = 4\nauthorisation = "cnil-2"'), "study.0.authorisation"),
    ("toml_string_pattern_mismatch", instead('id = "lab"', 'id = "Lab"'), "line 12, recipient.0.id"),
    ("toml_string_pattern_mismatch", instead('id = "lab"', 'id = "../lab"'), "line 12, recipient.0.id"),
    ("toml_string_pattern_mismatch", instead('country = "FR"', 'country = "France"'), "line 15, recipient.0.country"),
    ("toml_string_pattern_mismatch", instead('countries = ["FR"]', 'countries = ["fr"]'), "countries.0"),
    ("toml_string_pattern_mismatch", instead('"public_research"', '"Public research"'), "recipient.0.category"),
    ("toml_string_pattern_mismatch", instead('finess = "750000003"', 'finess = "75000000"'), "practice.0.finess"),
    ("toml_string_too_short", instead('title = "Un titre"', 'title = " "'), "study.0.title"),
    ("toml_string_too_short", instead('"Une question assez longue ?"', '"Pourquoi"'), "study.0.question"),
    ("toml_string_too_long", instead('title = "Un titre"', f'title = "{"x" * 301}"'), "study.0.title"),
    ("toml_string_type", instead('id = "lab"', "id = 12"), "line 12, recipient.0.id"),
    ("toml_string_type", instead('finess = "750000003"', "finess = 750000003"), "practice.0.finess"),
    ("toml_string_type", instead('reference = "DR-2026-002"', "reference = 2026"), "authorisation.0.reference"),
    ("toml_int_type", instead("register_max_days = 60", 'register_max_days = "60"'), "line 9, "),
    ("toml_int_type", instead("register_max_days = 60", "register_max_days = true"), "line 9, "),
    ("toml_int_type", instead("register_max_days = 60", "register_max_days = 60.0"), "line 9, "),
    ("toml_int_type", instead("k = 4", "k = nan"), "study.0.k"),
    ("toml_int_type", instead("k = 4", "k = [4]"), "study.0.k"),
    ("toml_bool_type", instead("register_max_days", 'active = "yes"\nregister_max_days'), "line 9, "),
    ("toml_bool_type", instead("register_max_days", "active = 1\nregister_max_days"), "line 9, observatory.0.active"),
    ("toml_greater_than_equal", instead("k = 3", "k = 1"), "authorisation.0.conditions.k"),
    ("toml_greater_than_equal", instead("k = 4", "k = -4"), "study.0.k"),
    ("toml_greater_than_equal", instead("reflection_days = 30", "reflection_days = -1"), "reflection_days"),
    ("toml_greater_than_equal", instead("register_max_days = 60", "register_max_days = 0"), "line 9, "),
    ("toml_less_than_equal", instead("listing_days = 30", "listing_days = 366"), "listing_days"),
    ("toml_less_than_equal", instead("retention_months = 60", "retention_months = 601"), "retention_months"),
    ("toml_less_than_equal", instead("k = 4", "k = 1001"), "study.0.k"),
    ("toml_enum", instead('purposes = ["public_health_research"]', 'purposes = ["marketing"]'), "purposes.0"),
    ("toml_enum", instead('legal_basis = "public_task"', 'legal_basis = "because"'), "line 29, "),
    ("toml_enum", instead('health_data_basis = "public_health"', 'health_data_basis = "none"'), "line 30, "),
    ("toml_enum", study('purpose = "public_health_research"', 'purpose = "curiosity"'), "study.0.purpose"),
    ("toml_enum", instead('precision = "category"', 'precision = "exact"'), "line 46, "),
    ("toml_enum", instead('"insurance"]', '"insurances"]'), "line 28, authorisation.0.conditions.banned_uses.1"),
    ("toml_tuple_type", instead('countries = ["FR"]', 'countries = "FR"'), "conditions.countries"),
    ("toml_tuple_type", instead("[[practice]]", "[practice]"), "practice"),
    ("toml_tuple_type", instead('codes = ["cim10|E11"]', 'codes = "cim10|E11"'), "diagnosis.codes"),
    ("toml_too_short", instead('purposes = ["public_health_research"]', "purposes = []"), "conditions.purposes"),
    ("toml_too_short", instead('countries = ["FR"]', "countries = []"), "conditions.countries"),
    ("toml_too_short", instead('categories = ["public_research"]', "categories = []"), "recipient_categories"),
    ("toml_date_parsing", instead("2027-12-31", "2027-12-31T12:00:00"), "line 16, "),
    ("toml_date_type", instead("contract_until = 2027-12-31", "contract_until = 2027"), "line 16, "),
    ("toml_date_parsing", instead("2027-12-31", '"2027-02-30"'), "line 16, "),
    ("toml_date_parsing", instead("2027-12-31", '"one day"'), "line 16, "),
    ("toml_model_type", instead('recorded_on = { precision = "month" }', 'recorded_on = "month"'), "line 42, "),
]  # fmt: skip

MEANING: list[tuple[str, bytes, str]] = [
    ("toml_twice", GOOD.encode() + b"\n" + section("practice", GOOD).encode(), "line "),
    ("toml_validity", instead("valid_until = 2027-12-31", "valid_until = 2025-12-31"), "line 18, authorisation.0"),
    ("toml_period", instead("period_until = 2026-12-31", "period_until = 2019-12-31"), "line 26, "),
    ("toml_period", study("period_from = 2021-01-01", "period_from = 2026-01-01"), "study.0.conditions"),
    ("toml_banned_uses", instead(', "insurance"]', "]"), "line 26, authorisation.0.conditions"),
    ("toml_banned_uses", instead('"health_product_promotion", ', ""), "line 26, authorisation.0.conditions"),
    ("toml_banned_purpose", instead('purposes = ["', 'purposes = ["insurance", "'), "authorisation.0.conditions"),
    ("toml_banned_purpose", study('purpose = "public_health_research"', 'purpose = "insurance"'), "study.0"),
    ("toml_banned_purpose", study('"public_health_research"', '"health_product_promotion"'), "study.0"),
    ("toml_quasi_identifiers", instead('identifiers = ["sex"]', 'identifiers = ["height_cm"]'), "line 26, "),
    ("toml_quasi_identifiers", study('quasi_identifiers = ["sex"]', 'quasi_identifiers = ["religion"]'), "study.0"),
    ("toml_column", instead("recorded_on = {", "postcode = {"), "authorisation.0.conditions"),
    ("toml_column", study("recorded_on = {", "doctor_id = {"), "study.0.conditions"),
    ("toml_precision", instead('precision = "month"', 'precision = "five"'), "authorisation.0.conditions"),
    ("toml_precision", study('sex = { precision = "full" }', 'sex = { precision = "decade" }'), "study.0.conditions"),
    ("toml_codes", study('sex = { precision = "full" }', 'sex = { precision = "full", codes = ["x"] }'), "study.0"),
    ("toml_no_codes", instead('codes = ["cim10|E11"]', "codes = []"), "study.0.conditions"),
    ("toml_no_codes", instead('codes = ["cim10|E11"]', ""), "study.0.conditions"),
    ("toml_code", instead('["cim10|E11"]', '["cim10|"]'), "study.0.conditions"),
    ("toml_code_twice", instead('  "cim10|I10"', '  "cim10|E11"'), "authorisation.0.conditions"),
    ("called_anonymous", instead('title = "Un titre"', 'title = "Des données anonymes"'), "study.0.title"),
    ("called_anonymous", instead('name = "Cabinet C"', 'name = "Anonymised data"'), "practice.0.name"),
    ("toml_too_short", re.sub(r"(?ms)^\[study\.conditions\.columns\].*?(?=\[\[practice)",
                              "[study.conditions.columns]\n", GOOD).encode(), "study.0.conditions"),
]  # fmt: skip

BESIDE: list[tuple[str, bytes, str]] = [
    ("G06", study('purpose = "public_health_research"', 'purpose = "drug_safety"'), "study.0.purpose"),
    ("G07", instead('country = "FR"', 'country = "US"'), "study.0.recipient"),
    ("G07", instead('category = "public_research"', 'category = "industry"'), "study.0.recipient"),
    ("G07", study("retention_months = 24", "retention_months = 61"), "study.0.conditions.retention_months"),
    ("G10", study("sex = {", 'height_cm = { precision = "five" }\nsex = {'), "study.0.conditions.columns.height_cm"),
    ("G10", study('["cim10|E11"]', '["cim10|E11", "cim10|J45"]'), "study.0.conditions.columns.diagnosis.codes"),
    ("G12", study("k = 4", "k = 2"), "study.0.k"),
    ("G12", study('{ precision = "year" }', '{ precision = "week" }'), "columns.recorded_on.precision"),
    ("G12", study('precision = "chapter"', 'precision = "full"'), "columns.diagnosis.precision"),
    ("G12", study('quasi_identifiers = ["sex"]', "quasi_identifiers = []"), "study.0.conditions.quasi_identifiers"),
    ("G32", study("period_from = 2021-01-01", "period_from = 2019-12-31"), "study.0.conditions.period_from"),
    ("G32", study("period_until = 2025-12-31", "period_until = 2027-01-01"), "study.0.conditions.period_until"),
    ("unknown_observatory", study('observatory = "demo"', 'observatory = "other"'), "study.0.observatory"),
    ("unknown_recipient", study('recipient = "lab"', 'recipient = "other"'), "study.0.recipient"),
    ("other_observatory", study('id = "asthma"\nobservatory = "demo"', 'id = "diabetes"\nobservatory = "demo-2"'),
     "study.0.observatory"),
]  # fmt: skip
"""What only shows beside what stands already, or beside the rest of the file."""

TEXT_FILES: list[tuple[str, bytes, str]] = [
    ("toml_union_tag_invalid", notice('kind = "notice"', 'kind = "poster"'), ""),
    ("toml_extra_forbidden", notice('kind = "notice"', 'sort = "notice"'), "line 1, sort"),
    ("toml_enum", notice('reader = "adult"', 'reader = "everybody"'), ", reader"),
    ("toml_enum", notice('language = "fr"', 'language = "la"'), ", language"),
    ("toml_string_pattern_mismatch", notice('version = "2026-06"', 'version = "new"'), ", version"),
    ("toml_missing", without("title", of=NOTICE), ", title"),
    ("toml_missing", notice(section("covers", NOTICE), ""), ", covers"),
    ("toml_missing", re.sub(r"(?ms)^\[\[facts\]\].*?(?=^\[)", "", NOTICE).encode(), ", facts"),
    ("toml_missing_item", notice(section("items", NOTICE), "[items]\n"), ""),
    ("toml_missing_heading", notice(section("headings", NOTICE), "[headings]\n"), ""),
    ("called_anonymous", notice('title = "', 'title = "Vos données anonymes '), ", title"),
    ("called_anonymous", instead("summary = [", 'summary = [ "Tout est anonymisé.",', of=AGREEMENT), "summary"),
    ("toml_too_long", instead("summary = [", "summary = [" + '"x",' * 9, of=AGREEMENT), "summary"),
]  # fmt: skip

CASES = [*SYNTAX, *SHAPES, *MEANING, *TEXT_FILES]


def ids(cases: list[tuple[str, bytes, str]]) -> list[str]:
    return [f"{n}-{code}" for n, (code, _, _) in enumerate(cases)]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is refused before anything is asked of the database is the same on both."""
    return sqlite_url


@pytest.mark.shows("R8")
@pytest.mark.parametrize(("code", "content", "where"), CASES, ids=ids(CASES))
def test_a_malformed_file_is_refused_with_its_places(code: str, content: bytes, where: str, tmp_path: Path) -> None:
    problems = refused(tmp_path, content, read_reviewed)
    assert any(p[0] == code and where in p[1] for p in problems), problems
    assert all(place.startswith("reviewed.toml") for _, place, _ in problems)
    placed = [place for found, place, _ in problems if found.startswith(("toml_", "called_")) and where]
    assert all(re.search(r"line \d+", place) for place in placed)
    assert all(len(what) > 10 and "\n" not in what for _, _, what in problems)
    assert all(what == WHAT.get(found.removeprefix("toml_"), what) for found, _, what in problems)


def refused(folder: Path, content: bytes, read: Callable[[Path], object]) -> list[tuple[str, str, str]]:
    path = folder / "reviewed.toml"
    path.write_bytes(content)
    with pytest.raises(RefusedFile) as no:
        read(path)
    return [(p.code, p.where, p.what) for p in no.value.problems]


@pytest.fixture
async def world(database: str, means: Means, clock: PlayedClock, tmp_path: Path) -> World:
    return await build(means, clock, tmp_path)


@pytest.mark.shows("R8")
@pytest.mark.parametrize(("code", "content", "where"), BESIDE, ids=ids(BESIDE))
async def test_a_file_that_does_not_fit_is_refused_with_its_places_and_nothing_is_written(
    code: str, content: bytes, where: str, world: World
) -> None:
    path = world.folder / "reviewed.toml"
    path.write_bytes(content)
    before = await dump()
    with pytest.raises(RefusedFile) as no:
        await govern.load(world.means, read_reviewed(path), actor=world.operator.actor)
    assert await dump() == before
    found = [p.where for p in no.value.problems if p.code == code]
    assert any(re.fullmatch(rf"reviewed\.toml, line \d+, .*{re.escape(where)}", place) for place in found), found


async def test_the_good_file_itself_is_taken(world: World) -> None:
    path = world.folder / "reviewed.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert await govern.load(world.means, read_reviewed(path), actor=world.operator.actor) == [
        "demo", "cnil-2", "asthma", "practice-c",
    ]  # fmt: skip
    for text in (NOTICE, AGREEMENT):
        path.write_text(text, encoding="utf-8")
        read_reviewed(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedFile) as no:
        read_reviewed(tmp_path / "nothing.toml")
    assert (no.value.code, no.value.where) == ("toml_unreadable", "nothing.toml")
    assert "check its name" in no.value.what


def test_the_longest_file_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_bytes(GOOD.encode() + b"#" * (LARGEST - len(GOOD.encode())))
    assert read_reviewed(tmp_path / "long.toml").study[0].id == "asthma"


def test_there_are_many_kinds_and_many_codes() -> None:
    every = [*CASES, *BESIDE]
    assert len({content for _, content, _ in every}) == len(every) >= 80
    assert len({code for code, _, _ in every}) >= 25
