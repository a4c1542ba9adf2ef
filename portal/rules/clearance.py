"""The gate's rules, in the order of DOMAIN §6, and `decide`, which is their union by construction.

Every rule is evaluated and every failing reason kept; the first one is the one shown and counted. What is not
a known word is withheld by G00, so no new or missing value can pass in silence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portal.rules import facts as f
from portal.rules.facts import BatchFacts, Facts, PersonFacts, RecordFacts, words_of
from portal.rules.words import Crossing


@dataclass(frozen=True, slots=True)
class Cleared:
    """Passes, until `holds_until` (None: no fact of this decision closes by itself)."""

    holds_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Withheld:
    """Does not pass; the first reason is the one shown and counted."""

    reasons: tuple[str, ...]


Verdict = Cleared | Withheld


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason. `reads` are all the fields its predicate `fails` looks at (a test traces it).

    `last_line`: it also withholds for a value, in any field of its grain, that is no word of that field.
    """

    code: str
    grain: type[Any]
    reads: tuple[str, ...]
    fails: Callable[[Any], bool]
    last_line: bool = False

    def withholds(self, facts: Facts) -> bool:
        return (self.last_line and _unknown(facts)) or self.fails(facts)


def _does_not_apply(value: f.Applies, crossing: Crossing) -> bool:
    return value is f.Applies.NOT_APPLICABLE and crossing is Crossing.EXTRACTION


def _unknown(facts: Facts) -> bool:
    return any(not isinstance(getattr(facts, name), words) for name, words in words_of(type(facts)).items())


def g00_unavailable(b: BatchFacts) -> bool:
    return b.system is not f.Available.YES


def g01_observatory_not_active(b: BatchFacts) -> bool:
    return b.observatory is not f.Available.YES


def g02_no_authorisation(b: BatchFacts) -> bool:
    return b.authorisation is f.Authorisation.ABSENT


def g03_authorisation_not_valid_now(b: BatchFacts) -> bool:
    return b.authorisation is f.Authorisation.NOT_VALID_NOW


def g04_impact_assessment_missing(b: BatchFacts) -> bool:
    return b.impact_assessment is not f.Available.YES


def g05_study_not_open(b: BatchFacts) -> bool:
    return b.study_open is not f.Applies.YES and not _does_not_apply(b.study_open, b.crossing)


def g06_purpose_not_covered(b: BatchFacts) -> bool:
    return b.purpose_covered is not f.Applies.YES and not _does_not_apply(b.purpose_covered, b.crossing)


def g07_recipient_not_entitled(b: BatchFacts) -> bool:
    return b.recipient_entitled is not f.Applies.YES and not _does_not_apply(b.recipient_entitled, b.crossing)


def g08_not_listed_long_enough(b: BatchFacts) -> bool:
    return b.listed_long_enough is not f.Applies.YES and not _does_not_apply(b.listed_long_enough, b.crossing)


def g09_requester_not_entitled(b: BatchFacts) -> bool:
    return b.requester_entitled is not f.Available.YES


def g10_column_not_authorised(b: BatchFacts) -> bool:
    return b.columns_authorised is not f.Available.YES


def g12_precision_too_fine(b: BatchFacts) -> bool:
    return b.precision_allowed is not f.Available.YES


def g13_foreign_pseudonym_key(b: BatchFacts) -> bool:
    return b.own_key is not f.Available.YES


def g20_not_enrolled(p: PersonFacts) -> bool:
    return p.practice is f.Practice.NOT_ENROLLED


def g21_not_verified(p: PersonFacts) -> bool:
    return p.practice is f.Practice.NOT_VERIFIED


def g22_not_signed(p: PersonFacts) -> bool:
    return p.practice is f.Practice.NOT_SIGNED


def g23_stopped(p: PersonFacts) -> bool:
    return p.practice is f.Practice.STOPPED


def g26_stale_register(p: PersonFacts) -> bool:
    return p.practice is f.Practice.STALE_REGISTER


def g25_outside_enrolment(r: RecordFacts) -> bool:
    return r.dated is f.Dated.OUTSIDE_ENROLMENT


def g30_teleservice(r: RecordFacts) -> bool:
    return r.origin is f.Origin.TELESERVICE_AUTO


def g31_unknown_provenance(r: RecordFacts) -> bool:
    return r.origin is f.Origin.UNKNOWN


def g32_outside_period(r: RecordFacts) -> bool:
    return r.dated in {f.Dated.OUTSIDE_PERIOD, f.Dated.OBJECTED_SPAN, f.Dated.UNKNOWN}


def g33_code_not_listed(r: RecordFacts) -> bool:
    return r.code is f.Code.NOT_LISTED


def g34_doctor_not_enrolled(r: RecordFacts) -> bool:
    return r.doctor in {f.RecordDoctor.COLLEAGUE, f.RecordDoctor.UNNAMED}


def g40_not_resolved(p: PersonFacts) -> bool:
    return p.identity is not f.Identity.RESOLVED


def g41_objects_to_everything(p: PersonFacts) -> bool:
    return p.objection is f.Objection.EVERYTHING


def g42_objects_to_observatory(p: PersonFacts) -> bool:
    return p.objection is f.Objection.OBSERVATORY


def g43_objects_to_study(p: PersonFacts) -> bool:
    return p.objection is f.Objection.STUDY


def g44_objects_to_source(p: PersonFacts) -> bool:
    return p.objection is f.Objection.SOURCE


def g45_possible_match(p: PersonFacts) -> bool:
    return p.doubt is not f.Doubt.NONE


def g46_right_pending(p: PersonFacts) -> bool:
    return p.pending is not f.Pending.NONE


def g47_capacity_unknown(p: PersonFacts) -> bool:
    return p.capacity is not f.Capacity.KNOWN


def g48_deceased(p: PersonFacts) -> bool:
    return p.presence is f.Presence.DECEASED


def g49_left_practice(p: PersonFacts) -> bool:
    return p.presence is f.Presence.LEFT


def g50_no_notice(p: PersonFacts) -> bool:
    return p.text is f.Text.NO_NOTICE


def g51_text_not_valid(p: PersonFacts) -> bool:
    return p.text is f.Text.NOT_VALID


def g52_text_superseded(p: PersonFacts) -> bool:
    return p.text is f.Text.SUPERSEDED


def g53_text_too_narrow(p: PersonFacts) -> bool:
    return p.text is f.Text.TOO_NARROW


def g54_wrong_addressee(p: PersonFacts) -> bool:
    return p.text is not f.Text.NO_NOTICE and p.addressed is not f.Addressed.RIGHT


def g55_not_delivered(p: PersonFacts) -> bool:
    return p.text is not f.Text.NO_NOTICE and p.delivery is f.Delivery.NOT_DELIVERED


def g56_reflection_running(p: PersonFacts) -> bool:
    return p.text is not f.Text.NO_NOTICE and p.reflection is not f.Reflection.OVER


def g57_no_evidence(p: PersonFacts) -> bool:
    return p.text is not f.Text.NO_NOTICE and p.delivery is f.Delivery.NO_EVIDENCE


def g58_extracted_before_told(p: PersonFacts) -> bool:
    return p.extracted is not f.Extracted.SINCE_TOLD


RULES: tuple[Rule, ...] = (
    Rule("G00", BatchFacts, ("system",), g00_unavailable, last_line=True),
    Rule("G01", BatchFacts, ("observatory",), g01_observatory_not_active),
    Rule("G02", BatchFacts, ("authorisation",), g02_no_authorisation),
    Rule("G03", BatchFacts, ("authorisation",), g03_authorisation_not_valid_now),
    Rule("G04", BatchFacts, ("impact_assessment",), g04_impact_assessment_missing),
    Rule("G05", BatchFacts, ("study_open", "crossing"), g05_study_not_open),
    Rule("G06", BatchFacts, ("purpose_covered", "crossing"), g06_purpose_not_covered),
    Rule("G07", BatchFacts, ("recipient_entitled", "crossing"), g07_recipient_not_entitled),
    Rule("G08", BatchFacts, ("listed_long_enough", "crossing"), g08_not_listed_long_enough),
    Rule("G09", BatchFacts, ("requester_entitled",), g09_requester_not_entitled),
    Rule("G10", BatchFacts, ("columns_authorised",), g10_column_not_authorised),
    Rule("G12", BatchFacts, ("precision_allowed",), g12_precision_too_fine),
    Rule("G13", BatchFacts, ("own_key",), g13_foreign_pseudonym_key),
    Rule("G20", PersonFacts, ("practice",), g20_not_enrolled),
    Rule("G21", PersonFacts, ("practice",), g21_not_verified),
    Rule("G22", PersonFacts, ("practice",), g22_not_signed),
    Rule("G23", PersonFacts, ("practice",), g23_stopped),
    Rule("G26", PersonFacts, ("practice",), g26_stale_register),
    Rule("G25", RecordFacts, ("dated",), g25_outside_enrolment),
    Rule("G30", RecordFacts, ("origin",), g30_teleservice),
    Rule("G31", RecordFacts, ("origin",), g31_unknown_provenance, last_line=True),
    Rule("G32", RecordFacts, ("dated",), g32_outside_period),
    Rule("G33", RecordFacts, ("code",), g33_code_not_listed),
    Rule("G34", RecordFacts, ("doctor",), g34_doctor_not_enrolled),
    Rule("G40", PersonFacts, ("identity",), g40_not_resolved, last_line=True),
    Rule("G41", PersonFacts, ("objection",), g41_objects_to_everything),
    Rule("G42", PersonFacts, ("objection",), g42_objects_to_observatory),
    Rule("G43", PersonFacts, ("objection",), g43_objects_to_study),
    Rule("G44", PersonFacts, ("objection",), g44_objects_to_source),
    Rule("G45", PersonFacts, ("doubt",), g45_possible_match),
    Rule("G46", PersonFacts, ("pending",), g46_right_pending),
    Rule("G47", PersonFacts, ("capacity",), g47_capacity_unknown),
    Rule("G48", PersonFacts, ("presence",), g48_deceased),
    Rule("G49", PersonFacts, ("presence",), g49_left_practice),
    Rule("G50", PersonFacts, ("text",), g50_no_notice),
    Rule("G51", PersonFacts, ("text",), g51_text_not_valid),
    Rule("G52", PersonFacts, ("text",), g52_text_superseded),
    Rule("G53", PersonFacts, ("text",), g53_text_too_narrow),
    Rule("G54", PersonFacts, ("text", "addressed"), g54_wrong_addressee),
    Rule("G55", PersonFacts, ("text", "delivery"), g55_not_delivered),
    Rule("G56", PersonFacts, ("text", "reflection"), g56_reflection_running),
    Rule("G57", PersonFacts, ("text", "delivery"), g57_no_evidence),
    Rule("G58", PersonFacts, ("extracted",), g58_extracted_before_told),
)
"""In the order in which reasons are shown and counted."""

ORDER: dict[str, int] = {rule.code: place for place, rule in enumerate(RULES)}

LATER_CODES = {
    "G11": "a direct identifier in a value that is about to leave: nothing crosses (gate/naming.py)",
    "G60": "duplicate: the same row of one person on the same day, a second time (gate/buckets.py)",
    "G61": "small cell: persons whose combination of quasi-identifiers is rarer than k (gate/protect.py)",
    "G62": "makes a table, or a release of another study, differ from an earlier one by a few persons (flow/differ.py)",
    "G70": "closed since the decision: taken out by the second look (flow/release.py)",
    "G71": "manifest, count or signature mismatch (gate/verify.py)",
    "G72": "the approval is for other conditions (flow/release.py)",
}
"""Reasons that are found on output files or under the lock, not by `decide`."""


def rules_of(grain: type[Any]) -> tuple[Rule, ...]:
    """The rules of one grain, in order."""
    return _BY_GRAIN[grain]


_BY_GRAIN = {g: tuple(r for r in RULES if r.grain is g) for g in (BatchFacts, PersonFacts, RecordFacts)}


def decide(facts: Facts, holds_until: datetime | None = None, *, rules: tuple[Rule, ...] | None = None) -> Verdict:
    """Every failing reason of one grain, in order; or cleared until `holds_until`.

    Other `rules` only where it is shown that each of them is needed.
    """
    grain = type(facts)
    asked = rules_of(grain) if rules is None else [rule for rule in rules if rule.grain is grain]
    reasons = tuple(rule.code for rule in asked if rule.withholds(facts))
    return Withheld(reasons) if reasons else Cleared(holds_until)


def first_reason(*verdicts: Verdict) -> str | None:
    """The reason that counts when several grains decided about one record; None when all cleared."""
    reasons = [reason for v in verdicts if isinstance(v, Withheld) for reason in v.reasons]
    return min(reasons, key=ORDER.__getitem__, default=None)
