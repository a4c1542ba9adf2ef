"""Decide a crossing: the batch first, then every patient in one pass; explain one patient with her evidence."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from portal.flow.batch import Asked, Ground, closes_at, facts_now, ground_of
from portal.flow.means import Means
from portal.records.bearing import Entry, entries_by_fact
from portal.records.canaries import NO_CANARY
from portal.records.clearance import Thresholds, decided
from portal.records.database import Connection, as_day, as_moment, is_postgres, transact
from portal.records.enrolments import agreements_that_count
from portal.records.governance import NoticeText
from portal.records.notices import lost_to_outages, silences
from portal.rules.clearance import Verdict, Withheld, decide, rules_of
from portal.rules.conditions import NoticeCoverage, fingerprint
from portal.rules.facts import PersonFacts, Text, facts_of
from portal.rules.refusals import Refused
from portal.rules.verdicts import reasons_of
from portal.rules.waiting import began_before, midnight, paris_day
from portal.rules.words import TextState

__all__ = [
    "Asked",
    "Decision",
    "Ground",
    "PatientVerdict",
    "explain",
    "ground_of",
    "person_closes_at",
    "refuse_withheld_batch",
    "snapshot",
    "stand",
    "text_word",
    "thresholds_of",
    "verdicts",
]


@dataclass(frozen=True, slots=True)
class Decision:
    """The cut it stands on, the batch's verdict, and the thresholds by which every person is decided."""

    cut: int
    ground: Ground
    verdict: Verdict
    thresholds: Thresholds
    closes_at: datetime | None
    """When the batch itself closes by time: the authorisation's end, the review of the impact assessment."""


async def stand(means: Means, c: Connection, asked: Asked, *, cut: int, as_delivered: bool = False) -> Decision:
    """The batch decided at this moment, and what every person is compared with. Reads only.

    `as_delivered`: for rows that have left, a text counts although a later one superseded it.
    """
    ground = await ground_of(means, c, asked)
    facts = await facts_now(means, c, ground)
    return Decision(cut, ground, decide(facts), await _thresholds(c, ground, as_delivered), closes_at(ground))


async def thresholds_of(means: Means, c: Connection, asked: Asked) -> Thresholds:
    """By what every person is decided at this moment, whatever the batch's own verdict would be. Reads only."""
    return await _thresholds(c, await ground_of(means, c, asked), False)


def refuse_withheld_batch(decision: Decision) -> None:
    """Refused with the codes of every batch rule that fails: nothing passes."""
    if isinstance(decision.verdict, Withheld):
        codes = ", ".join(decision.verdict.reasons)
        raise Refused(decision.verdict.reasons[0], f"nothing may pass now: {codes}", where="gate")


async def snapshot(c: Connection) -> None:
    """Make every later statement of this transaction see the same database (SQLite's transactions already do)."""
    if is_postgres(c):
        await c.execute_script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


async def _thresholds(c: Connection, g: Ground, as_delivered: bool) -> Thresholds:
    days = g.observatory.register_max_days if g.observatory else 0
    reflection = g.conditions.reflection_days if g.conditions else 30
    silent = await silences(c, g.now)
    texts = await NoticeText.filter(observatory_id=g.asked.observatory_id).order_by("id")
    return Thresholds(
        observatory_id=g.asked.observatory_id,
        study_id=g.asked.study_id or "",
        registers_since=g.now - timedelta(days=days),
        today=paris_day(g.now),
        reflected_before=began_before(g.now, reflection, await lost_to_outages(c, g.now)),
        silent_before=silent.mailed_before,
        posted_before=silent.posted_before,
        texts=tuple((text.id, text_word(text, g, as_delivered)) for text in texts),
        agreements=await agreements_that_count(g.now, g.asked.observatory_id),
    )


def text_word(text: NoticeText, g: Ground, as_delivered: bool = False) -> Text:
    """What a notice text is worth for this crossing."""
    if text.state != TextState.PUBLISHED or fingerprint(text.body) != text.sha256:
        return Text.NOT_VALID
    if not as_delivered and text.superseded_at is not None and text.superseded_at <= g.now:
        return Text.SUPERSEDED
    return Text.VALID if _covers(NoticeCoverage.model_validate(text.body["covers"]), g) else Text.TOO_NARROW


def _covers(told: NoticeCoverage, g: Ground) -> bool:
    """The text names this study's purpose, columns, recipient, country and retention; or has the general clause, which
    needs the study to stand on the transparency page long enough (G08 sees to that). Columns and retention bound what
    a reader was told, with the clause too. An extraction has the observatory's own purposes, columns and retention."""
    kept = g.study_conditions or g.conditions
    if kept is None or not set(g.columns) <= set(told.columns) or kept.retention_months > told.retention_months:
        return False
    if g.study is None:
        return g.conditions is not None and set(g.conditions.purposes) <= set(told.purposes)
    if told.general_clause:
        return True
    r = g.recipient
    return (
        r is not None
        and g.study.purpose in told.purposes
        and r.category in told.recipients
        and r.country in told.countries
    )


@dataclass(frozen=True, slots=True)
class PatientVerdict:
    """One patient of one practice: passes when there are no reasons."""

    practice_id: str
    number: str
    person_id: UUID
    reasons: tuple[str, ...]


async def verdicts(means: Means, asked: Asked) -> tuple[Verdict, list[PatientVerdict]]:
    """The batch's verdict, and every patient's with all reasons: what `portal gate simulate` counts."""

    async def step(c: Connection) -> tuple[Verdict, list[PatientVerdict]]:
        decision = await stand(means, c, asked, cut=0)
        found = await decided(
            c,
            decision.thresholds,
            "SELECT practice_id, number, person_id, bits FROM decided ORDER BY 1, 2",
            among=f"WHERE {NO_CANARY}",
        )
        return decision.verdict, [
            PatientVerdict(
                row["practice_id"],
                row["number"],
                UUID(str(row["person_id"])),
                reasons_of(row["bits"]) if row["bits"] >= 0 else ("G40",),
            )
            for row in found
        ]

    return await transact(step)


# --- one person --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Explained:
    """One line of an explanation: a rule, whether it holds, the evidence that was looked at, and the entries of the log
    that bear on it."""

    code: str
    passes: bool
    evidence: str
    entries: tuple[Entry, ...]


async def explain(means: Means, asked: Asked, *, practice_id: str, number: str) -> tuple[Verdict, list[Explained]]:
    """Every batch and person rule for one patient, with evidence and the log's entries; Refused when there is no such
    patient."""

    async def step(c: Connection) -> tuple[Verdict, list[Explained]]:
        decision = await stand(means, c, asked, cut=0)
        found = await decided(
            c,
            decision.thresholds,
            "SELECT * FROM decided",
            among="WHERE p.practice_id = {v1} AND p.number = {v2}",
            values=[practice_id, number],
        )
        if not found:
            raise Refused("unknown_patient", "the practice has no patient of this number", status=404)
        doubting = await decided(
            c,
            decision.thresholds,
            "SELECT coalesce(o.entry_id, s.entry_id) AS entry_id FROM doubted d LEFT JOIN objection o ON o.id = d.id "
            "LEFT JOIN provisional_objection s ON s.id = d.id WHERE d.person_id = {v1}",
            values=[found[0]["person_id"]],
        )
        entries = await entries_by_fact(
            c,
            patient_id=found[0]["id"],
            observatory_id=asked.observatory_id,
            study_id=asked.study_id or "",
            doubting={int(row["entry_id"]) for row in doubting},
        )
        batch = await facts_now(means, c, decision.ground)
        person = facts_of(PersonFacts, int(found[0]["key"]))
        lines = [
            Explained(
                rule.code,
                not rule.withholds(facts),
                ", ".join(f"{n}={_shown(getattr(facts, n))}" for n in rule.reads),
                tuple(sorted({one for n in rule.reads for one in entries.get(n, ())}, key=lambda one: one.id)),
            )
            for facts in (batch, person)
            for rule in rules_of(type(facts))
        ]
        reasons = tuple(line.code for line in lines if not line.passes)
        closes = [m for m in (decision.closes_at, person_closes_at(found[0], decision)) if m is not None]
        return decide(person, min(closes, default=None)) if not reasons else Withheld(reasons), lines

    return await transact(step)


def _shown(value: Any) -> str:
    return str(getattr(value, "name", value)).lower()


def person_closes_at(row: dict[str, Any], decision: Decision) -> datetime | None:
    """When a person who passes closes by time alone: an 18th birthday, the end of the practice's last locum, or a
    register that grows too old."""
    days = (as_day(row[name]) for name in ("closes_on", "practice_closes_on"))
    ends = [midnight(day) for day in days if day is not None]
    taken_at = as_moment(row["taken_at"])
    if taken_at is not None and decision.ground.observatory is not None:
        ends.append(taken_at + timedelta(days=decision.ground.observatory.register_max_days))
    return min(ends, default=None)
