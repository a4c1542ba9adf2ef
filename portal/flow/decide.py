"""Decide a crossing: the batch first, then every patient in one pass; explain one patient with her evidence."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from portal.flow.means import Means
from portal.records.clearance import Thresholds, decided
from portal.records.database import Connection, as_day, as_moment, is_postgres, rows, transact
from portal.records.governance import AgreementText, Authorisation, NoticeText, Observatory, Recipient, Study
from portal.records.notices import lost_to_outages
from portal.records.retractions import first_due
from portal.rules import facts as f
from portal.rules.clearance import Verdict, Withheld, decide, reasons_of, rules_of
from portal.rules.conditions import (
    AuthorisationConditions,
    NoticeCoverage,
    StudyConditions,
    columns_beyond,
    fingerprint,
    precision_beyond,
)
from portal.rules.facts import BatchFacts, PersonFacts, Text, facts_of
from portal.rules.refusals import Refused
from portal.rules.waiting import began_before, midnight, paris_day, silence_counts_before
from portal.rules.words import BANNED_PURPOSES, Crossing, TextState


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the gate: the observatory's extraction, or a study's release; and who asks."""

    observatory_id: str
    study_id: str | None = None
    requester_entitled: bool = True

    @property
    def crossing(self) -> Crossing:
        return Crossing.RELEASE if self.study_id else Crossing.EXTRACTION


@dataclass(frozen=True, slots=True)
class Ground:
    """What the batch is decided on, read once: the rows, their conditions, and the moment."""

    asked: Asked
    now: datetime
    observatory: Observatory | None
    authorisation: Authorisation | None
    conditions: AuthorisationConditions | None
    study: Study | None
    study_conditions: StudyConditions | None
    recipient: Recipient | None
    must_delete_by: date | None
    """The day of the recipient's oldest open retraction: once it is past, nothing more goes there."""

    @property
    def columns(self) -> dict[str, Any]:
        given = self.conditions.columns if self.conditions else {}
        return dict(self.study_conditions.columns if self.study_conditions else given)


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
    facts = batch_facts(ground, own_key=means.ring.exists(_key_family(asked)))
    return Decision(cut, ground, decide(facts), await _thresholds(c, ground, as_delivered), _closes_at(ground))


def refuse_withheld_batch(decision: Decision) -> None:
    """Refused with the codes of every batch rule that fails: nothing passes."""
    if isinstance(decision.verdict, Withheld):
        codes = ", ".join(decision.verdict.reasons)
        raise Refused(decision.verdict.reasons[0], f"nothing may pass now: {codes}", where="gate")


async def snapshot(c: Connection) -> None:
    """Make every later statement of this transaction see the same database (SQLite's transactions already do)."""
    if is_postgres(c):
        await c.execute_script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _key_family(asked: Asked) -> str:
    return f"study:{asked.study_id}" if asked.study_id else f"observatory:{asked.observatory_id}"


async def ground_of(means: Means, c: Connection, asked: Asked) -> Ground:
    """The rows that a batch is decided on, and the moment."""
    now = await means.now(c)
    observatory = await Observatory.get_or_none(id=asked.observatory_id)
    authorisation = await Authorisation.filter(observatory_id=asked.observatory_id).order_by("-valid_until").first()
    study = await Study.get_or_none(id=asked.study_id) if asked.study_id else None
    recipient = await Recipient.get_or_none(id=study.recipient_id) if study else None
    return Ground(
        asked,
        now,
        observatory,
        authorisation,
        AuthorisationConditions.model_validate(authorisation.conditions) if authorisation else None,
        study,
        StudyConditions.model_validate(study.conditions) if study else None,
        recipient,
        await first_due(c, recipient.id) if recipient else None,
    )


def _yes(true: bool) -> f.Available:
    return f.Available.YES if true else f.Available.NO


def batch_facts(g: Ground, *, own_key: bool) -> BatchFacts:
    """The facts of the batch; whatever is missing takes the word that closes."""
    today = paris_day(g.now)
    a, given, s, asked = g.authorisation, g.conditions, g.study, g.study_conditions
    wanted = g.columns
    return BatchFacts(
        crossing=g.asked.crossing,
        system=f.Available.YES,
        observatory=_yes(g.observatory is not None and g.observatory.active),
        authorisation=_authorisation(a, g.now),
        impact_assessment=_yes(a is not None and a.dpia_review_on is not None and today < a.dpia_review_on),
        study_open=_study(g, s is not None and s.closed_at is None and bool(s.ethics_opinion)),
        purpose_covered=_study(
            g, s is not None and given is not None and s.purpose in given.purposes and s.purpose not in BANNED_PURPOSES
        ),
        recipient_entitled=_study(g, _entitled(g, today)),
        listed_long_enough=_study(
            g, s is not None and given is not None and s.listed_at < began_before(g.now, given.listing_days)
        ),
        requester_entitled=_yes(g.asked.requester_entitled),
        columns_authorised=_yes(given is not None and bool(wanted) and not columns_beyond(wanted, given.columns)),
        precision_allowed=_yes(
            given is not None
            and not precision_beyond(wanted, given.columns)
            and (asked is None or set(asked.quasi_identifiers) <= set(asked.columns))
        ),
        own_key=_yes(own_key),
    )


def _study(g: Ground, holds: bool) -> f.Applies:
    if g.asked.study_id is None:
        return f.Applies.NOT_APPLICABLE
    return f.Applies.YES if holds else f.Applies.NO


def _authorisation(a: Authorisation | None, now: datetime) -> f.Authorisation:
    if a is None:
        return f.Authorisation.ABSENT
    valid = a.valid_from <= paris_day(now) <= a.valid_until and a.suspended_at is None
    return f.Authorisation.VALID if valid else f.Authorisation.NOT_VALID_NOW


def _entitled(g: Ground, today: Any) -> bool:
    r, given = g.recipient, g.conditions
    if r is None or given is None or (g.must_delete_by is not None and g.must_delete_by < today):
        return False
    return r.contract_until >= today and r.country in given.countries and r.category in given.recipient_categories


def _closes_at(g: Ground) -> datetime | None:
    """The first midnight at which the authorisation, its impact assessment or the contract is no longer good, or a
    retraction is overdue."""
    ends = []
    if g.authorisation is not None:
        ends.append(midnight(g.authorisation.valid_until + timedelta(days=1)))
        if g.authorisation.dpia_review_on is not None:
            ends.append(midnight(g.authorisation.dpia_review_on))
    if g.recipient is not None:
        ends.append(midnight(g.recipient.contract_until + timedelta(days=1)))
    if g.must_delete_by is not None:
        ends.append(midnight(g.must_delete_by + timedelta(days=1)))
    return min(ends, default=None)


async def _thresholds(c: Connection, g: Ground, as_delivered: bool) -> Thresholds:
    days = g.observatory.register_max_days if g.observatory else 0
    reflection = g.conditions.reflection_days if g.conditions else 30
    reading = await rows(c, "SELECT max(read_at) AS at FROM returns_reading WHERE channel = 'email' AND complete")
    texts = await NoticeText.filter(observatory_id=g.asked.observatory_id).order_by("id")
    return Thresholds(
        observatory_id=g.asked.observatory_id,
        study_id=g.asked.study_id or "",
        registers_since=g.now - timedelta(days=days),
        today=paris_day(g.now),
        reflected_before=began_before(g.now, reflection, await lost_to_outages(c, g.now)),
        silent_before=silence_counts_before(g.now, as_moment(reading[0]["at"])),
        texts=tuple((text.id, text_word(text, g, as_delivered)) for text in texts),
        agreements=await _agreements_that_count(g),
    )


async def _agreements_that_count(g: Ground) -> tuple[int, ...]:
    """Every version except those that a newer one has replaced for good (its grace date is past)."""
    texts = await AgreementText.filter(observatory_id=g.asked.observatory_id).order_by("version")
    today = paris_day(g.now)
    floor = max((t.version for t in texts if t.grace_until is not None and t.grace_until < today), default="")
    return tuple(t.id for t in texts if t.version >= floor)


def text_word(text: NoticeText, g: Ground, as_delivered: bool = False) -> Text:
    """What a notice text is worth for this crossing."""
    if text.state != TextState.PUBLISHED or fingerprint(text.body) != text.sha256:
        return Text.NOT_VALID
    if not as_delivered and text.superseded_at is not None and text.superseded_at <= g.now:
        return Text.SUPERSEDED
    return Text.VALID if _covers(NoticeCoverage.model_validate(text.body["covers"]), g) else Text.TOO_NARROW


def _covers(told: NoticeCoverage, g: Ground) -> bool:
    """The text names this study's purpose, columns, recipient and country; or has the general clause, which needs
    the study to stand on the transparency page long enough (G08 sees to that)."""
    if not set(g.columns) <= set(told.columns):
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
            c, decision.thresholds, "SELECT practice_id, number, person_id, bits FROM decided ORDER BY 1, 2"
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
    """One line of an explanation: a rule, whether it holds, and the evidence that was looked at."""

    code: str
    passes: bool
    evidence: str


async def explain(means: Means, asked: Asked, *, practice_id: str, number: str) -> tuple[Verdict, list[Explained]]:
    """Every batch and person rule for one patient, with evidence; Refused when there is no such patient."""

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
        batch = batch_facts(decision.ground, own_key=means.ring.exists(_key_family(asked)))
        person = facts_of(PersonFacts, int(found[0]["key"]))
        lines = [
            Explained(
                rule.code, not rule.fails(facts), ", ".join(f"{n}={_shown(getattr(facts, n))}" for n in rule.reads)
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
    """When a person who passes closes by time alone: an 18th birthday, or a register that grows too old."""
    ends = []
    closes_on = as_day(row["closes_on"])
    if closes_on is not None:
        ends.append(midnight(closes_on))
    taken_at = as_moment(row["taken_at"])
    if taken_at is not None and decision.ground.observatory is not None:
        ends.append(taken_at + timedelta(days=decision.ground.observatory.register_max_days))
    return min(ends, default=None)
