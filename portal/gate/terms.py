"""The terms of a permit: what may cross, from whom, until when; and their form as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from portal.rules.precision import COLUMNS, permits, resolve
from portal.rules.words import Crossing, Precision, Provenance


@dataclass(frozen=True, slots=True)
class ColumnTerm:
    """A column that may cross. codes: its list; None where the column takes none (a coded one then passes nothing)."""

    name: str
    precision: Precision
    codes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class DoctorSpan:
    """A doctor at a practice and the record days that may pass, both included; None is open.

    In a permit for a release, `doctor_id` is already the doctor's pseudonym.
    """

    practice_id: str
    doctor_id: str
    pseudonym: str
    recorded_from: date | None = None
    recorded_until: date | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What the portal signed. Periods are whole Paris days, both included; moments carry their zone."""

    permit_id: str
    crossing: Crossing
    observatory_id: str
    study_id: str | None
    practices: tuple[str, ...]
    cut: int
    rule_version: str
    columns: tuple[ColumnTerm, ...]
    provenance: tuple[Provenance, ...]
    period_from: date
    period_until: date
    doctors: tuple[DoctorSpan, ...]
    unnamed_doctor_ok: tuple[str, ...]
    not_before: datetime
    expires_at: datetime
    serial: int
    list_sha256: str = ""

    def __post_init__(self) -> None:
        """ValueError for terms that no filter could keep."""
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names) or not set(names) <= set(COLUMNS):
            raise ValueError("columns: unknown or twice")
        for column in self.columns:
            resolve(column.name, column.precision)
        if self.not_before.tzinfo is None or self.expires_at.tzinfo is None:
            raise ValueError("moments without a zone")
        if self.expires_at <= self.not_before or self.period_until < self.period_from:
            raise ValueError("an end before its beginning")
        if (self.crossing is Crossing.RELEASE) != isinstance(self.study_id, str):
            raise ValueError("a release is for one study, an extraction for none")
        if not self.practices or not {d.practice_id for d in self.doctors} <= set(self.practices):
            raise ValueError("practices: none, or doctors of others")

    def precision_of(self, column: str) -> Precision | None:
        """How finely a column may cross; None when it may not."""
        return next((resolve(c.name, c.precision) for c in self.columns if c.name == column), None)


def exceeds(then: Terms, now: Terms) -> str | None:
    """The rule by which something that `then` let pass may not pass any more; None when all of it still may.

    Of columns, codes, precisions, periods, provenances and doctors; who is in the list is asked person by person.
    """
    columns, spans = {c.name: c for c in now.columns}, {(d.practice_id, d.doctor_id): d for d in now.doctors}
    if not {c.name for c in then.columns} <= columns.keys():
        return "G10"
    if any(set(c.codes or ()) - set(columns[c.name].codes or ()) for c in then.columns):
        return "G33"
    if not all(permits(c.name, columns[c.name].precision, c.precision) for c in then.columns):
        return "G12"
    if not set(then.provenance) <= set(now.provenance):
        return "G31"
    if then.period_from < now.period_from or then.period_until > now.period_until:
        return "G32"
    named = {(d.practice_id, d.doctor_id): d for d in then.doctors}
    if not (named.keys() <= spans.keys() and set(then.unnamed_doctor_ok) <= set(now.unnamed_doctor_ok)):
        return "G34"
    return None if all(_within(span, spans[who]) for who, span in named.items()) else "G25"


def _within(span: DoctorSpan, other: DoctorSpan) -> bool:
    first, last = other.recorded_from or date.min, other.recorded_until or date.max
    return first <= (span.recorded_from or date.min) and (span.recorded_until or date.max) <= last


def as_payload(terms: Terms) -> dict[str, object]:
    """The terms in plain JSON values."""
    plain: dict[str, Any] = {name: getattr(terms, name) for name in Terms.__slots__}
    plain["columns"] = [
        {"name": c.name, "precision": c.precision, "codes": None if c.codes is None else sorted(c.codes)}
        for c in terms.columns
    ]
    plain["doctors"] = [
        {
            "practice_id": d.practice_id,
            "doctor_id": d.doctor_id,
            "pseudonym": d.pseudonym,
            "recorded_from": d.recorded_from and d.recorded_from.isoformat(),
            "recorded_until": d.recorded_until and d.recorded_until.isoformat(),
        }
        for d in terms.doctors
    ]
    for name in ("period_from", "period_until", "not_before", "expires_at"):
        plain[name] = plain[name].isoformat()
    return plain


def from_payload(plain: Mapping[str, Any]) -> Terms:
    """The inverse of `as_payload`. KeyError, TypeError or ValueError for anything that is not exactly that."""
    if set(plain) != set(Terms.__slots__):
        raise ValueError("other fields than those of a permit")
    fields = dict(plain)
    for name, kind in _PLAIN.items():
        if type(fields[name]) is not kind:
            raise TypeError(f"{name} is not what it must be")
    fields["crossing"] = Crossing(fields["crossing"])
    fields["provenance"] = tuple(Provenance(word) for word in fields["provenance"])
    fields["practices"] = _texts(fields["practices"])
    fields["unnamed_doctor_ok"] = _texts(fields["unnamed_doctor_ok"])
    fields["columns"] = tuple(
        ColumnTerm(c["name"], Precision(c["precision"]), None if c["codes"] is None else _texts(c["codes"]))
        for c in fields["columns"]
    )
    fields["doctors"] = tuple(
        DoctorSpan(
            d["practice_id"], d["doctor_id"], d["pseudonym"], _day(d["recorded_from"]), _day(d["recorded_until"])
        )
        for d in fields["doctors"]
    )
    for name in ("period_from", "period_until"):
        fields[name] = date.fromisoformat(fields[name])
    for name in ("not_before", "expires_at"):
        fields[name] = datetime.fromisoformat(fields[name])
    return Terms(**fields)


_PLAIN = {
    "permit_id": str, "observatory_id": str, "cut": int, "rule_version": str, "serial": int, "list_sha256": str,
}  # fmt: skip


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError("not a list of texts")
    return tuple(str(value) for value in values)


def _day(value: str | None) -> date | None:
    return None if value is None else date.fromisoformat(value)
