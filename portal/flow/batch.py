"""The batch: what a crossing is asked on, and whether the observatory, authorisation, study and recipient allow it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from portal.flow.key_custody import own_key
from portal.flow.means import Means
from portal.records.database import Connection
from portal.records.governance import (
    Authorisation,
    Observatory,
    Recipient,
    Study,
    deciding_authorisation,
    next_authorisation,
)
from portal.records.retractions import first_due
from portal.rules import facts as f
from portal.rules.conditions import Asks, AuthorisationConditions, StudyConditions, beyond
from portal.rules.facts import BatchFacts
from portal.rules.waiting import began_before, midnight, paris_day
from portal.rules.words import Crossing, Purpose

C = TypeVar("C", bound=BaseModel)


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
    another_from: date | None
    """When the next of the observatory's other authorisations begins, and perhaps decides in place of this one."""

    @property
    def columns(self) -> dict[str, Any]:
        given = self.conditions.columns if self.conditions else {}
        return dict(self.study_conditions.columns if self.study_conditions else given)

    @property
    def period(self) -> tuple[date, date] | None:
        """The first and the last day of the records that may pass: those of the study that are authorised. None
        without an authorisation, and when no day is left."""
        if self.conditions is None:
            return None
        asked = self.study_conditions or self.conditions
        first = max(asked.period_from, self.conditions.period_from)
        last = min(asked.period_until, self.conditions.period_until)
        return (first, last) if first <= last else None


async def ground_of(means: Means, c: Connection, asked: Asked) -> Ground:
    """The rows that a batch is decided on, and the moment."""
    now = await means.now(c)
    observatory = await Observatory.get_or_none(id=asked.observatory_id)
    authorisation = await deciding_authorisation(asked.observatory_id, paris_day(now))
    study = await Study.get_or_none(id=asked.study_id) if asked.study_id else None
    recipient = await Recipient.get_or_none(id=study.recipient_id) if study else None
    return Ground(
        asked,
        now,
        observatory,
        authorisation,
        _readable(AuthorisationConditions, authorisation.conditions) if authorisation else None,
        study,
        _readable(StudyConditions, study.conditions) if study else None,
        recipient,
        await first_due(c, recipient.id) if recipient else None,
        await next_authorisation(asked.observatory_id, paris_day(now)),
    )


def _readable(shape: type[C], stored: Any) -> C | None:
    """None for conditions that are not whole: they give nothing and ask for nothing that is given."""
    try:
        return shape.model_validate(stored)
    except ValidationError:
        return None


def _beyond(g: Ground) -> frozenset[str]:
    """The codes of all that the study asks for beyond its authorisation; every one when either is not known."""
    s, asked, given, r = g.study, g.study_conditions, g.conditions, g.recipient
    if s is None or asked is None or given is None:
        return frozenset({"G06", "G07", "G10", "G12"})
    category, country = (r.category, r.country) if r else (None, None)
    return frozenset(each.code for each in beyond(Asks(Purpose(s.purpose), s.k, category, country, asked), given))


def _yes(true: bool) -> f.Available:
    return f.Available.YES if true else f.Available.NO


def batch_facts(g: Ground, *, own_key: bool, signs: bool) -> BatchFacts:
    """The facts of the batch; whatever is missing takes the word that closes. signs: the portal's own key is there."""
    today = paris_day(g.now)
    a, given, s = g.authorisation, g.conditions, g.study
    release = g.asked.crossing is Crossing.RELEASE
    codes = _beyond(g) if release else frozenset() if given and given.columns else frozenset({"G10", "G12"})
    return BatchFacts(
        crossing=g.asked.crossing,
        system=_yes(signs),
        observatory=_yes(g.observatory is not None and g.observatory.active),
        authorisation=_authorisation(a, g.now),
        impact_assessment=_yes(a is not None and a.dpia_review_on is not None and today < a.dpia_review_on),
        study_open=_study(g, s is not None and s.closed_at is None and bool(s.ethics_opinion)),
        purpose_covered=_study(g, "G06" not in codes),
        recipient_entitled=_study(g, "G07" not in codes and _may_receive(g, today)),
        listed_long_enough=_study(
            g, s is not None and given is not None and s.listed_at < began_before(g.now, given.listing_days)
        ),
        requester_entitled=_yes(g.asked.requester_entitled),
        columns_authorised=_yes("G10" not in codes),
        precision_allowed=_yes("G12" not in codes),
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


def _may_receive(g: Ground, today: date) -> bool:
    """The contract runs, and no deletion is overdue."""
    late = g.must_delete_by is not None and g.must_delete_by < today
    return g.recipient is not None and not late and g.recipient.contract_until >= today


def closes_at(g: Ground) -> datetime | None:
    """The first midnight at which the authorisation, its impact assessment or the contract is no longer good, another
    authorisation begins, or a retraction is overdue."""
    ends = [midnight(g.another_from)] if g.another_from else []
    if g.authorisation is not None:
        ends.append(midnight(g.authorisation.valid_until + timedelta(days=1)))
        if g.authorisation.dpia_review_on is not None:
            ends.append(midnight(g.authorisation.dpia_review_on))
    if g.recipient is not None:
        ends.append(midnight(g.recipient.contract_until + timedelta(days=1)))
    if g.must_delete_by is not None:
        ends.append(midnight(g.must_delete_by + timedelta(days=1)))
    return min(ends, default=None)


def key_family(asked: Asked) -> str:
    return f"study:{asked.study_id}" if asked.study_id else f"observatory:{asked.observatory_id}"


async def facts_now(means: Means, c: Connection, ground: Ground) -> BatchFacts:
    """The batch as it stands, with the keys that there are."""
    own = await own_key(means, c, key_family(ground.asked))
    return batch_facts(ground, own_key=own, signs=means.ring.exists("signing"))
