"""What an authorisation gives against what a study asks for; where a key stands; what a text may not say."""

import tomllib
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from world import COLUMNS, TEXTS, reviewed

from portal.rules.bech32 import encode
from portal.rules.conditions import (
    Asks,
    AuthorisationConditions,
    StudyConditions,
    beyond,
    canonical,
    fingerprint,
)
from portal.rules.differences import changes
from portal.rules.precision import allowed, permits
from portal.rules.toml_lines import Places, lines_of
from portal.rules.wording import called_anonymous, texts_called_anonymous
from portal.rules.words import Precision, Purpose

GIVEN = reviewed().authorisation[0].conditions
ASKED = reviewed().study[0].conditions


def asks(conditions: StudyConditions = ASKED, k: int = 2, purpose: Purpose = Purpose.PUBLIC_HEALTH_RESEARCH) -> Asks:
    return Asks(purpose, k, "public_research", "FR", conditions)


def test_a_study_inside_its_authorisation_is_not_beyond_it() -> None:
    assert beyond(asks(), GIVEN) == []


@pytest.mark.parametrize("purpose", [Purpose.INSURANCE, Purpose.HEALTH_PRODUCT_PROMOTION])
def test_a_banned_use_is_beyond_every_authorisation(purpose: Purpose) -> None:
    """Even one whose stored conditions name it among the purposes."""
    wrong = GIVEN.model_copy(update={"purposes": tuple(Purpose), "banned_uses": ()})
    (found,) = beyond(asks(purpose=purpose), wrong)
    assert (found.code, found.at) == ("G06", ("purpose",))
    assert purpose in found.what


def test_a_recipient_that_nobody_knows_is_beyond_in_category_and_country() -> None:
    nobody = Asks(Purpose.PUBLIC_HEALTH_RESEARCH, 2, None, None, ASKED)
    assert [b.code for b in beyond(nobody, GIVEN)] == ["G07", "G07"]


_NAMES = st.sampled_from(["recorded_on", "year_of_birth", "height_cm", "sex"])
_GRANTS = st.dictionaries(_NAMES, st.integers(0, 2), min_size=1)


def _conditions(chosen: dict[str, int]) -> dict[str, object]:
    columns = {name: {"precision": allowed(name)[place % len(allowed(name))]} for name, place in chosen.items()}
    return {"columns": columns, "quasi_identifiers": []}


@given(_GRANTS, _GRANTS, st.integers(2, 9), st.integers(2, 9), st.integers(1, 90), st.integers(1, 90))
def test_what_is_beyond_is_exactly_what_is_not_given(
    asked: dict[str, int], granted: dict[str, int], k: int, least: int, months: int, most: int
) -> None:
    study = StudyConditions.model_validate(
        {**ASKED.model_dump(mode="json"), **_conditions(asked), "retention_months": months}
    )
    authorisation = AuthorisationConditions.model_validate(
        {**GIVEN.model_dump(mode="json"), **_conditions(granted), "k": least, "retention_months": most}
    )
    found = [(b.code, b.at[-1]) for b in beyond(asks(study, k=k), authorisation)]
    expected = [("G07", "retention_months")] if months > most else []
    expected += [("G10", name) for name in sorted(asked) if name not in granted]
    expected += [
        ("G12", "precision")
        for name in sorted(asked)
        if name in granted and not permits(name, authorisation.columns[name].precision, study.columns[name].precision)
    ]
    expected += [("G12", "k")] if k < least else []
    assert found == expected


def test_full_is_the_default_of_a_column_and_never_finer() -> None:
    full = ASKED.model_copy(update={"columns": {"year_of_birth": ASKED.columns["sex"]}, "quasi_identifiers": ()})
    decade = {"year_of_birth": ASKED.columns["year_of_birth"]}
    assert ASKED.columns["year_of_birth"].precision is Precision.DECADE
    given_decade = GIVEN.model_copy(update={"columns": decade, "quasi_identifiers": ()})
    assert [b.code for b in beyond(asks(full), given_decade)] == ["G12"]


def _with(column: str, *codes: str) -> StudyConditions:
    return StudyConditions.model_validate(
        {
            **ASKED.model_dump(mode="json"),
            **_conditions({"sex": 0}),
            "columns": {column: {"precision": "full", "codes": codes}},
        }
    )


def test_a_bare_code_is_listed_only_where_its_column_says_what_it_means() -> None:
    assert _with("diagnosis", "J45.0").columns["diagnosis"].codes == ("J45.0",)
    with pytest.raises(ValidationError, match="does not say its system"):
        _with("allergy", "J45.0")


def test_one_meaning_is_one_text_and_one_fingerprint() -> None:
    """Versions of texts and conditions of studies are compared by it: it must not depend on how they were written."""
    assert canonical({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()
    assert canonical({"day": date(2026, 1, 2)}) == b'{"day":"2026-01-02"}'
    assert canonical(ASKED) == canonical(ASKED.model_dump(mode="json"))
    assert canonical(StudyConditions.model_validate(ASKED.model_dump())) == canonical(ASKED)
    assert fingerprint({"a": 1}) == sha256(b'{"a":1}').hexdigest()
    assert fingerprint(ASKED) != fingerprint(ASKED.model_copy(update={"retention_months": 7}))


def test_what_is_asked_for_beyond_is_told_in_the_order_of_the_file() -> None:
    wide = {
        "recorded_on": {"precision": "week"}, "height_cm": {"precision": "five"},
        "diagnosis": {"precision": "full", "codes": ["sct|44054006", "sct|9", "sct|1"]},
    }  # fmt: skip
    study = StudyConditions.model_validate(
        {**ASKED.model_dump(mode="json"), "columns": wide, "quasi_identifiers": [], "period_from": "2019-12-31",
         "period_until": "2027-01-01", "retention_months": 61}
    )  # fmt: skip
    month = {**GIVEN.model_dump(mode="json")["columns"], "recorded_on": {"precision": "month"}}
    given_ = AuthorisationConditions.model_validate(
        {**GIVEN.model_dump(mode="json"), "columns": month, "quasi_identifiers": ["recorded_on", "sex"], "k": 5,
         "countries": ["FR", "BE"]}
    )  # fmt: skip
    at = ("conditions", "columns")
    told = beyond(Asks(Purpose.DRUG_SAFETY, 4, "company", "US", study), given_)
    assert [(b.code, b.at) for b in told] == [
        ("G06", ("purpose",)),
        ("G07", ("recipient",)), ("G07", ("recipient",)), ("G07", ("conditions", "retention_months")),
        ("G10", (*at, "diagnosis", "codes")), ("G10", (*at, "diagnosis", "codes")), ("G10", (*at, "height_cm")),
        ("G32", ("conditions", "period_from")), ("G32", ("conditions", "period_until")),
        ("G12", (*at, "recorded_on", "precision")), ("G12", ("k",)), ("G12", ("conditions", "quasi_identifiers")),
    ]  # fmt: skip
    said = [b.what for b in told]
    named = [
        "public_health_research", "public_research", "FR, BE", "61", "sct|1", "sct|9", "height_cm", "2019-12-31",
        "2027-01-01", "month", "5", "recorded_on",
    ]  # fmt: skip
    assert [word for word, what in zip(named, said, strict=True) if word not in what] == []


def test_what_the_authorisation_measures_is_measured_only_where_the_study_has_the_column() -> None:
    without = {name: grant for name, grant in ASKED.columns.items() if name != "sex"}
    study = ASKED.model_copy(update={"columns": without, "quasi_identifiers": ("year_of_birth",)})
    assert beyond(asks(study), GIVEN) == []
    assert [b.code for b in beyond(asks(study.model_copy(update={"quasi_identifiers": ()})), GIVEN)] == ["G12"]


def test_a_release_is_encrypted_for_a_key_of_age_and_for_nothing_else() -> None:
    key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
    assert reviewed(recipient__age_recipient=key).recipient[0].age_recipient == key
    for wrong in (key.upper(), key[:-1], f"{key[:-1]}q", encode("age", b"\1" * 31), encode("old", b"\1" * 32), ""):
        with pytest.raises(ValidationError, match="age public key"):
            reviewed(recipient__age_recipient=wrong)


# --- lines ------------------------------------------------------------------------------------------------------------

FILE = '''# a comment
[[study]]
id = "one"
k = 5

[study.conditions]
quasi_identifiers = [
  "sex", # a = 1
]
question = """
looks = like a key
[[study]]
"""

[study.conditions.columns."sex"]
precision = "full"

[[study]]
id = "two"
recipient.name = "a # no comment"
'''


def test_each_key_is_found_on_its_line_and_what_stands_in_a_text_is_not_a_key() -> None:
    assert lines_of(FILE) == {
        ("study", 0): 2, ("study", 0, "id"): 3, ("study", 0, "k"): 4, ("study", 0, "conditions"): 6,
        ("study", 0, "conditions", "quasi_identifiers"): 7, ("study", 0, "conditions", "question"): 10,
        ("study", 0, "conditions", "columns", "sex"): 15, ("study", 0, "conditions", "columns", "sex", "precision"): 16,
        ("study", 1): 18, ("study", 1, "id"): 19, ("study", 1, "recipient"): 20, ("study", 1, "recipient", "name"): 20,
    }  # fmt: skip


@pytest.mark.parametrize(
    "path", [*sorted(TEXTS.glob("*.toml")), TEXTS.parent / "observatory.toml"], ids=lambda p: p.name
)
def test_every_key_of_the_demos_files_has_a_line(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = lines_of(text)

    def keys(value: object, at: tuple[str | int, ...]) -> None:
        for name, each in value.items() if isinstance(value, dict) else []:
            if isinstance(each, list) and each and isinstance(each[0], dict):
                for place, item in enumerate(each):
                    keys(item, (*at, name, place))
            elif isinstance(each, dict) and not any(line.startswith(f"{name} = {{") for line in text.splitlines()):
                keys(each, (*at, name))
            else:
                line = text.splitlines()[found[(*at, name)] - 1]
                assert line.lstrip().startswith((str(name), f'"{name}"'))

    keys(tomllib.loads(text), ())
    assert len(found) > 5


def test_keys_outside_every_table_have_lines_too() -> None:
    assert lines_of("# x\nXX = 1\na.b = 2\n") == {("XX",): 2, ("a",): 3, ("a", "b"): 3}
    assert Places("a.toml", lines_of("\nXX = 1")).of("XX") == "a.toml, line 2, XX"


@pytest.mark.parametrize("after", ["", "  ", "  # c = 2"])
@pytest.mark.parametrize(("begin", "end"), [("", ""), ("[\n", ",\n]"), ("[ # d = 1\n", "\n]")])
def test_a_value_of_several_lines_is_passed_over_to_its_end(begin: str, end: str, after: str) -> None:
    text = f"a = {begin}'''\nb = 1\n'''{end}{after}\nz = 1\n"
    assert tomllib.loads(text).keys() == {"a", "z"}
    assert lines_of(text) == {("a",): 1, ("z",): len(text.splitlines())}


def test_a_place_without_a_line_of_its_own_has_that_of_its_table() -> None:
    places = Places("study.toml", lines_of(FILE))
    assert places.of("study", 1, "k") == "study.toml, line 18, study.1.k"
    assert places.of("study", 0, "conditions", "quasi_identifiers", 0).startswith("study.toml, line 7, ")
    assert places.of("nothing") == "study.toml, line 1, nothing"
    assert Places().of("study", 0, "k") == "study.0.k"


# --- differences ------------------------------------------------------------------------------------------------------


def test_a_difference_names_each_field_once_and_of_a_list_what_comes_and_goes() -> None:
    before = {"k": 2, "name": "x", "conditions": {"columns": {"sex": {"codes": ["a", "b"]}}, "list": [1, 2]}}
    after = {"k": 3, "name": "x", "conditions": {"columns": {"sex": {"codes": ["b", "c"]}}, "list": [2, 1]}, "new": 1}
    found = {c.path: c for c in changes(before, after)}
    assert set(found) == {("k",), ("conditions", "columns", "sex", "codes"), ("new",)}
    codes = found["conditions", "columns", "sex", "codes"]
    assert (codes.added, codes.removed, codes.listed) == (("c",), ("a",), True)
    assert (found["k",].before, found["k",].after) == (2, 3)
    assert {c.path for c in changes(after, before)} == set(found)
    assert {c.path for c in changes(None, before)} == {
        ("k",), ("name",), ("conditions", "columns", "sex", "codes"), ("conditions", "list"),
    }  # fmt: skip


def test_what_says_nothing_is_no_difference() -> None:
    assert changes({"a": 1}, {"a": 1, "n": None, "e": "", "t": {"n": None, "e": ""}}) == []
    assert [(c.path, c.before, c.after) for c in changes({"a": 1}, {"a": None})] == [(("a",), 1, None)]
    assert [(c.path, c.before, c.after) for c in changes({"a": ""}, {"a": "x"})] == [(("a",), None, "x")]


# --- wording ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Vos données sont anonymes.", "Les données sont anonymisées avant l’envoi.", "Your data are anonymous.",
        "Fully anonymised data leave the practice.", "an ANONYMOUS number", "pseudo-anonymised",
        "L’anonymat est garanti",
        "We do not sell data. They are anonymous.", "not your name, anonymous data only", "not only anonymous but safe",
        "Ce n’est pas un secret : tout est anonyme.", "an\u00adony\u200bmous", "des données dé-anonymisées",
        "They are not, as some say, shared: they are anonymous", "ａｎｏｎｙｍｏｕｓ",
    ],
)  # fmt: skip
def test_a_text_that_calls_data_anonymous_is_seen(text: str) -> None:
    assert called_anonymous(text)


@pytest.mark.parametrize(
    "text",
    [
        "It is not anonymous", "pseudonymised, not anonymous", "pseudonymised, not\nanonymous", "They aren't anonymous",
        "Elles sont pseudonymisées, pas anonymes.", "ce ne sont pas des données anonymes", "jamais anonyme",
        "never called anonymous", "Pseudonymised personal data.", "une synonymie", "",
    ],
)  # fmt: skip
def test_a_text_that_denies_it_is_right(text: str) -> None:
    assert not called_anonymous(text)


def test_the_place_of_each_such_text_is_given() -> None:
    value = {"title": "ok", "facts": [{"answer": "ok"}, {"answer": "anonymous"}], "n": 3, "items": {"a": "anonyme"}}
    assert list(texts_called_anonymous(value)) == [("facts", 1, "answer"), ("items", "a")]


def test_the_period_of_the_worlds_study_is_its_authorisations() -> None:
    """What the tests above stand on."""
    assert (ASKED.period_from, ASKED.period_until) == (GIVEN.period_from, GIVEN.period_until)
    assert GIVEN.period_from == date(2020, 1, 1)
    assert set(ASKED.columns) == set(COLUMNS)
