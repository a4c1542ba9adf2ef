"""A world that was played, decided again as it stands: by all rules, or by all but one.

Every record of every practice that handed in a register, under the first code that stands against its crossing to the
study now. Facts come from the portal's database and from its filter; only the rules that judge them change.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from story.oracle import ORDER as ORDER_OF_ORACLE
from story.oracle import World as Rules
from story.oracle_reading import read_records, read_registers, read_story

from portal.flow.basis import Basis, basis_of
from portal.flow.decide import Asked, Decision, stand
from portal.flow.means import Means
from portal.flow.permit import allowed_table, doctor_spans, make_terms
from portal.gate.filtering import record_reasons
from portal.gate.permit import Permit, read_permit, write_permit
from portal.records.clearance import decided
from portal.records.database import Connection, transact
from portal.records.enrolments import named_only
from portal.rules.clearance import RULES, Cleared, Rule, Withheld, decide, first_reason
from portal.rules.facts import Identity, PersonFacts, RecordFacts, facts_of
from portal.rules.words import Crossing

Key = tuple[str, str]


def without(code: str) -> tuple[Rule, ...]:
    return tuple(rule for rule in RULES if rule.code != code)


@dataclass(frozen=True)
class Again:
    """`records`: where they lie, by practice. `persons`: the facts of each patient, read once."""

    records: Path
    permit: Permit
    persons: dict[Key, PersonFacts]
    judged: dict[tuple[Rule, ...], list[dict[str, Any]]] = field(default_factory=dict)
    """The filter's answer by the rules about records that it was asked with."""

    def counts(self, rules: tuple[Rule, ...] = RULES) -> Counter[str]:
        """Records by first code; what passes under no code is "passed"."""
        counted: Counter[str] = Counter()
        for row in self._judged(tuple(rule for rule in rules if rule.grain is RecordFacts)):
            if row["practice_id"] in self.permit.terms.practices:
                person = decide(self._facts(row["practice_id"], row["patient_id"]), rules=rules)
                record = Withheld((row["first_reason"],)) if row["first_reason"] else Cleared()
                counted[first_reason(record, person) or "passed"] += row["n"]
        return counted

    def _judged(self, rules: tuple[Rule, ...]) -> list[dict[str, Any]]:
        if rules not in self.judged:
            table = record_reasons(self.permit.terms, self.records, permit=self.permit, rules=rules)
            self.judged[rules] = table.to_pylist()
        return self.judged[rules]

    def _facts(self, practice: str, number: str) -> PersonFacts:
        """Of a patient in no register only her practice is known."""
        known = self.persons.get((practice, number))
        if known is not None:
            return known
        neighbour = next(facts for (where, _), facts in self.persons.items() if where == practice)
        open_facts = facts_of(PersonFacts, 0)
        return replace(open_facts, practice=neighbour.practice, identity=Identity.UNRESOLVED)


async def decide_again(means: Means, asked: Asked, *, records: Path, work: Path) -> Again:
    """Reads the facts of a played world; `records` holds a folder for each practice, `work` gets the permit."""
    basis = await basis_of(means, str(asked.study_id))
    persons = await transact(lambda c: _persons(means, c, asked))
    practices = sorted({practice for practice, _ in persons})
    permit = await transact(lambda c: _permit(means, c, basis, practices, work))
    return Again(records, permit, persons)


async def _persons(means: Means, c: Connection, asked: Asked) -> dict[Key, PersonFacts]:
    decision = await stand(means, c, asked, cut=0)
    found = await decided(c, decision.thresholds, "SELECT practice_id, number, key FROM decided")
    return {(row["practice_id"], row["number"]): facts_of(PersonFacts, row["key"]) for row in found}


async def _permit(means: Means, c: Connection, basis: Basis, practices: list[str], folder: Path) -> Permit:
    """What a permit for all the practices' own records would say: the study's columns, the practices' own numbers."""
    decision: Decision = basis.decision
    observatory = decision.ground.asked.observatory_id
    spans, _ = await doctor_spans(means, observatory, *practices)
    named = await named_only(c, means.clock.now(), observatory)
    unnamed = [one for one in practices if one not in named]
    terms = make_terms(decision, permit_id="again", practices=tuple(practices), spans=spans, unnamed=unnamed, serial=1)
    listed: Any = ((p.member.practice_id, p.number, p.member.person_id.hex, p) for p in basis.listed)
    write_permit(folder, terms, allowed_table(listed), means.ring.signing_key())
    return read_permit(folder, means.ring.public_key(), decision.ground.now, crossing=Crossing.RELEASE)


def oracle_counts(folder: Path, at: str) -> Counter[str]:
    """The same question put to the oracle: `at` names the moment of the story's release, as `sealed_at`."""
    story = read_story(folder)
    registers = read_registers(folder, story)
    world, handing_in = Rules(story, registers), {register.practice for register in registers}
    moment = story["release"][at]
    counted: Counter[str] = Counter()
    for record in read_records(folder):
        if record.practice in handing_in:
            codes = world.codes(record, moment, world.release)
            counted[min(codes, key=ORDER_OF_ORACLE.__getitem__, default="passed")] += 1
    return counted
