"""The gate's rules over every combination of facts: what passes is what may pass, and nothing unknown does."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from portal.rules import facts as f
from portal.rules.clearance import (
    LATER_CODES,
    ORDER,
    RULES,
    Cleared,
    Rule,
    Withheld,
    decide,
    first_reason,
    rules_of,
)
from portal.rules.facts import BatchFacts, PersonFacts, RecordFacts, every_combination, facts_of, key_of, words_of
from portal.rules.verdicts import reasons_of, verdict_table
from portal.rules.words import Crossing

PERSONS = list(every_combination(PersonFacts))
RECORDS = list(every_combination(RecordFacts))

STUDY_FACTS = ("study_open", "purpose_covered", "recipient_entitled", "listed_long_enough")

MEANINGS: dict[str, tuple[type[Any], str, Any]] = {
    "G02": (BatchFacts, "authorisation", f.Authorisation.ABSENT),
    "G03": (BatchFacts, "authorisation", f.Authorisation.NOT_VALID_NOW),
    "G20": (PersonFacts, "practice", f.Practice.NOT_ENROLLED),
    "G21": (PersonFacts, "practice", f.Practice.NOT_VERIFIED),
    "G22": (PersonFacts, "practice", f.Practice.NOT_SIGNED),
    "G23": (PersonFacts, "practice", f.Practice.STOPPED),
    "G26": (PersonFacts, "practice", f.Practice.STALE_REGISTER),
    "G25": (RecordFacts, "dated", f.Dated.OUTSIDE_ENROLMENT),
    "G30": (RecordFacts, "origin", f.Origin.TELESERVICE_AUTO),
    "G31": (RecordFacts, "origin", f.Origin.UNKNOWN),
    "G32": (RecordFacts, "dated", f.Dated.OBJECTED_SPAN),
    "G33": (RecordFacts, "code", f.Code.NOT_LISTED),
    "G34": (RecordFacts, "doctor", f.RecordDoctor.COLLEAGUE),
    "G40": (PersonFacts, "identity", f.Identity.UNRESOLVED),
    "G41": (PersonFacts, "objection", f.Objection.EVERYTHING),
    "G42": (PersonFacts, "objection", f.Objection.OBSERVATORY),
    "G43": (PersonFacts, "objection", f.Objection.STUDY),
    "G44": (PersonFacts, "objection", f.Objection.SOURCE),
    "G45": (PersonFacts, "doubt", f.Doubt.POSSIBLE_MATCH),
    "G46": (PersonFacts, "pending", f.Pending.PENDING),
    "G47": (PersonFacts, "capacity", f.Capacity.UNKNOWN),
    "G48": (PersonFacts, "presence", f.Presence.DECEASED),
    "G49": (PersonFacts, "presence", f.Presence.LEFT),
    "G50": (PersonFacts, "text", f.Text.NO_NOTICE),
    "G51": (PersonFacts, "text", f.Text.NOT_VALID),
    "G52": (PersonFacts, "text", f.Text.SUPERSEDED),
    "G53": (PersonFacts, "text", f.Text.TOO_NARROW),
    "G54": (PersonFacts, "addressed", f.Addressed.WRONG),
    "G55": (PersonFacts, "delivery", f.Delivery.NOT_DELIVERED),
    "G56": (PersonFacts, "reflection", f.Reflection.RUNNING),
    "G57": (PersonFacts, "delivery", f.Delivery.NO_EVIDENCE),
    "G58": (PersonFacts, "extracted", f.Extracted.BEFORE_TOLD),
    **{
        code: (BatchFacts, field, no)
        for code, field, no in (
            ("G00", "system", f.Available.NO),
            ("G01", "observatory", f.Available.NO),
            ("G04", "impact_assessment", f.Available.NO),
            ("G05", "study_open", f.Applies.NO),
            ("G06", "purpose_covered", f.Applies.NO),
            ("G07", "recipient_entitled", f.Applies.NO),
            ("G08", "listed_long_enough", f.Applies.NO),
            ("G09", "requester_entitled", f.Available.NO),
            ("G10", "columns_authorised", f.Available.NO),
            ("G12", "precision_allowed", f.Available.NO),
            ("G13", "own_key", f.Available.NO),
        )
    },
}
"""Each code with the one fact that means it, as DOMAIN §6 says: (grain, field, word)."""


def open_facts(grain: type[Any]) -> Any:
    """The combination of first words: the one that passes everything."""
    return grain(**{name: next(iter(words)) for name, words in words_of(grain).items()} | _release(grain))


def _release(grain: type[Any]) -> dict[str, Any]:
    return {"crossing": Crossing.RELEASE} if grain is BatchFacts else {}


def batches(crossing: Crossing) -> list[BatchFacts]:
    """Every combination of the batch facts at one crossing."""
    lists = [[crossing] if name == "crossing" else list(words) for name, words in words_of(BatchFacts).items()]
    return [BatchFacts(*values) for values in product(*lists)]


def passes(facts: Any) -> bool:
    return isinstance(decide(facts), Cleared)


# --- what passes ---------------------------------------------------------------------------------------------------


@pytest.mark.shows("R4")
def test_there_are_as_many_persons_as_words_multiply_to() -> None:
    assert len(PERSONS) == len(set(PERSONS)) == 172_800
    assert len(RECORDS) == len(set(RECORDS)) == 120


@pytest.mark.shows("R4")
def test_a_person_passes_only_when_told_not_objecting_enrolled_and_known() -> None:
    for p in PERSONS:
        assert passes(p) == (
            p.practice is f.Practice.ACTIVE
            and p.identity is f.Identity.RESOLVED
            and p.doubt is f.Doubt.NONE
            and p.objection is f.Objection.NONE
            and p.pending is f.Pending.NONE
            and p.capacity is f.Capacity.KNOWN
            and p.presence is f.Presence.PRESENT
            and p.text is f.Text.VALID
            and p.addressed is f.Addressed.RIGHT
            and p.delivery is f.Delivery.DELIVERED
            and p.reflection is f.Reflection.OVER
            and p.extracted is f.Extracted.SINCE_TOLD
        )


@pytest.mark.shows("R4")
def test_a_record_passes_only_of_allowed_origin_in_its_span_by_an_enrolled_doctor_with_a_listed_code() -> None:
    for r in RECORDS:
        assert passes(r) == (
            r.origin is f.Origin.ALLOWED
            and r.dated is f.Dated.WITHIN
            and r.doctor in {f.RecordDoctor.ENROLLED, f.RecordDoctor.UNNAMED_ALL_ENROLLED}
            and r.code is f.Code.LISTED
        )


@pytest.mark.shows("R4")
def test_a_release_passes_only_with_every_study_fact_and_an_extraction_may_have_none() -> None:
    for crossing in Crossing:
        allowed = {f.Applies.YES} if crossing is Crossing.RELEASE else {f.Applies.YES, f.Applies.NOT_APPLICABLE}
        for b in batches(crossing):
            plain = b.authorisation is f.Authorisation.VALID and all(
                getattr(b, name) is f.Available.YES
                for name, words in words_of(BatchFacts).items()
                if words is f.Available
            )
            assert passes(b) == (plain and all(getattr(b, name) in allowed for name in STUDY_FACTS))


@pytest.mark.shows("R4")
@pytest.mark.parametrize("name", STUDY_FACTS)
def test_not_applicable_never_passes_at_a_release(name: str) -> None:
    batch = replace(open_facts(BatchFacts), **{name: f.Applies.NOT_APPLICABLE})
    assert not passes(batch)
    assert passes(replace(batch, crossing=Crossing.EXTRACTION))


@pytest.mark.shows("R4")
def test_what_passes_holds_as_long_as_it_was_told_to() -> None:
    until = datetime(2026, 5, 1, tzinfo=UTC)
    assert decide(open_facts(PersonFacts), until) == Cleared(until)
    assert decide(open_facts(PersonFacts)) == Cleared(None)


# --- each rule -----------------------------------------------------------------------------------------------------


@pytest.mark.shows("R4")
def test_every_rule_has_its_meaning_written_down() -> None:
    assert set(MEANINGS) == {rule.code for rule in RULES}


@pytest.mark.shows("R4")
@pytest.mark.parametrize("code", MEANINGS)
def test_one_fact_alone_withholds_under_its_own_code_and_no_other(code: str) -> None:
    """Reachable and necessary: without this rule, these facts would pass."""
    grain, name, word = MEANINGS[code]
    assert decide(replace(open_facts(grain), **{name: word})) == Withheld((code,))


@pytest.mark.shows("R4")
def test_without_a_notice_only_that_is_said() -> None:
    nothing = PersonFacts(
        f.Practice.ACTIVE, f.Identity.RESOLVED, f.Doubt.NONE, f.Objection.NONE, f.Pending.NONE, f.Capacity.KNOWN,
        f.Presence.PRESENT,
        f.Text.NO_NOTICE, f.Addressed.WRONG, f.Delivery.NOT_DELIVERED, f.Reflection.RUNNING,
        f.Extracted.SINCE_TOLD,
    )  # fmt: skip
    assert decide(nothing) == Withheld(("G50",))


@pytest.mark.shows("R4")
def test_who_said_no_is_shown_her_no_before_any_missing_notice() -> None:
    for p in PERSONS:
        if (
            p.objection is not f.Objection.NONE
            and p.identity is f.Identity.RESOLVED
            and p.practice is f.Practice.ACTIVE
        ):
            assert first_reason(decide(p)) in {"G41", "G42", "G43", "G44"}


@pytest.mark.shows("R4")
def test_every_failing_reason_is_kept() -> None:
    closed = decide(PersonFacts(*(list(words)[-1] for words in words_of(PersonFacts).values())))
    assert closed == Withheld(("G26", "G40", "G44", "G45", "G46", "G47", "G49", "G53", "G54", "G56", "G57", "G58"))


class Traced:
    """Facts that note which of their fields are read."""

    def __init__(self, facts: Any, read: set[str]) -> None:
        self._facts, self._read = facts, read

    def __getattr__(self, name: str) -> Any:
        self._read.add(name)
        return getattr(self._facts, name)


def samples(rule: Rule) -> list[Any]:
    """Every combination of the fields that a rule declares."""
    words = [list(words_of(rule.grain)[name]) for name in rule.reads]
    return [replace(open_facts(rule.grain), **dict(zip(rule.reads, values, strict=True))) for values in product(*words)]


@pytest.mark.shows("R4")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_reads_exactly_the_fields_that_it_declares(rule: Rule) -> None:
    read: set[str] = set()
    for facts in samples(rule):
        rule.fails(Traced(facts, read))
    assert read == set(rule.reads)


@pytest.mark.shows("R4")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_every_field_that_a_rule_declares_matters_to_it(rule: Rule) -> None:
    for name in rule.reads:
        others = list(words_of(rule.grain)[name])
        assert any(
            rule.fails(replace(facts, **{name: other})) != rule.fails(facts)
            for facts in samples(rule)
            for other in others
        ), f"{rule.code} declares {name} and never needs it"


# --- what is not known ---------------------------------------------------------------------------------------------

FOREIGN: tuple[Any, ...] = (None, "", "yes", -1, 99, f.Available.YES, f.Objection.NONE, object())
"""What no field may hold: nothing, bare texts and numbers (also 0, which equals a passing word), foreign words."""

LAST_LINE = {BatchFacts: "G00", PersonFacts: "G40", RecordFacts: "G31"}


@pytest.mark.shows("R4")
@pytest.mark.parametrize(("grain", "name"), [(grain, name) for grain in LAST_LINE for name in words_of(grain)], ids=str)
def test_a_value_that_is_no_word_of_its_field_never_passes(grain: type[Any], name: str) -> None:
    for value in (*FOREIGN, 0, True):
        if isinstance(value, words_of(grain)[name]):
            continue
        verdict = decide(replace(open_facts(grain), **{name: value}))
        assert isinstance(verdict, Withheld), value
        assert LAST_LINE[grain] in verdict.reasons, value


# --- as one integer ------------------------------------------------------------------------------------------------


@pytest.mark.shows("R4")
@pytest.mark.parametrize("grain", [PersonFacts, RecordFacts])
def test_key_and_facts_are_inverse_and_keys_leave_no_gap(grain: type[Any]) -> None:
    every = list(every_combination(grain))
    assert [key_of(facts) for facts in every] == list(range(len(every)))
    assert all(facts_of(grain, key) == facts for key, facts in enumerate(every))


@pytest.mark.shows("R4")
@pytest.mark.parametrize("grain", [PersonFacts, RecordFacts])
def test_a_key_outside_the_space_is_refused(grain: type[Any]) -> None:
    with pytest.raises(ValueError, match="no such combination"):
        facts_of(grain, len(list(every_combination(grain))))
    with pytest.raises(ValueError, match="no such combination"):
        facts_of(grain, -1)


@pytest.mark.shows("R4")
def test_what_passes_has_the_key_zero_and_nothing_else_has() -> None:
    assert key_of(open_facts(PersonFacts)) == 0
    assert [key for key, bits, _ in verdict_table(PersonFacts) if bits == 0] == [0]


@pytest.mark.shows("R4")
@pytest.mark.parametrize(("grain", "every"), [(PersonFacts, PERSONS), (RecordFacts, RECORDS)], ids=["person", "record"])
def test_the_table_says_what_decide_says(grain: type[Any], every: list[Any]) -> None:
    assert len(verdict_table(grain)) == len(every)
    for key, bits, reason in verdict_table(grain):
        verdict = decide(every[key])
        reasons = verdict.reasons if isinstance(verdict, Withheld) else ()
        assert reasons_of(bits) == reasons
        assert reason == first_reason(verdict)


# --- the domain's table --------------------------------------------------------------------------------------------

DOMAIN = tuple(
    f"G{number:02d}"
    for number in (*range(14), 20, 21, 22, 23, 26, 25, *range(30, 35), *range(40, 50), *range(50, 59), *range(60, 63),
                   *range(70, 73))
)  # fmt: skip
"""The codes in the order in which the domain says a record does not pass."""


@pytest.mark.shows("R4")
def test_every_code_of_the_domain_stands_in_exactly_one_place() -> None:
    places = Counter([rule.code for rule in RULES] + list(LATER_CODES))
    assert places == Counter(DOMAIN)


@pytest.mark.shows("R4")
def test_reasons_are_kept_in_the_order_of_the_domain() -> None:
    codes = [rule.code for rule in RULES]
    assert codes == [code for code in DOMAIN if code in codes]
    assert sorted(ORDER, key=ORDER.__getitem__) == codes
    for grain in (BatchFacts, PersonFacts, RecordFacts):
        assert [rule for rule in RULES if rule.grain is grain] == list(rules_of(grain))


@pytest.mark.shows("R4")
def test_of_several_grains_the_first_reason_in_order_counts() -> None:
    person, record = Withheld(("G41", "G50")), Withheld(("G34",))
    assert first_reason(person, record) == "G34"
    assert first_reason(person, Cleared()) == "G41"
    assert first_reason(Withheld(("G25",)), Withheld(("G26",))) == "G26", "in the order of the rules, not of numbers"
    assert first_reason(Cleared(), Cleared()) is None


@pytest.mark.shows("R4")
def test_every_code_that_is_not_a_rule_says_why() -> None:
    assert all(len(reason) > 20 for reason in LATER_CODES.values())
