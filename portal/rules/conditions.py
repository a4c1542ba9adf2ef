"""What an authorisation gives and what a study asks for: objects with conditions, and the difference.

Loaded from reviewed files and kept as JSON; read back through the same models, so that a condition that is
missing or misspelt is refused and never guessed.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from portal.rules.codes import normalise
from portal.rules.ladder import steps
from portal.rules.precision import COLUMNS, Kind, permits, resolve
from portal.rules.words import BANNED_PURPOSES, HealthDataBasis, LegalBasis, Precision, Purpose

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{1,78}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Category = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,78}$")]
Months = Annotated[int, Field(ge=1, le=600)]
K = Annotated[int, Field(ge=2, le=1000)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ColumnGrant(_Frozen):
    """A column at a precision; `codes` lists the codes of a coded column (none listed: nothing passes)."""

    precision: Precision
    codes: tuple[str, ...] | None = None


class _Columns(_Frozen):
    """Columns over a period, kept for some time, with the traits by which a neighbour could know a person."""

    period_from: date
    period_until: date
    retention_months: Months
    quasi_identifiers: tuple[str, ...]
    columns: Annotated[dict[str, ColumnGrant], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.period_until < self.period_from:
            raise PydanticCustomError("period", "the period ends before it begins: mend one of its two days")
        if strangers := sorted(set(self.quasi_identifiers) - self.columns.keys()):
            raise PydanticCustomError(
                "quasi_identifiers", f"quasi-identifiers are columns of the same list: {', '.join(strangers)}"
            )
        for name, grant in self.columns.items():
            _refuse_impossible(name, grant)
        return self


class AuthorisationConditions(_Columns):
    """Days are days in Europe/Paris. `reflection_days` and `listing_days` replace the defaults of the domain.

    `k` is the smallest that a study may ask for; `quasi_identifiers` are those that each study measures, if it has
    the column; `retention_months` is how long a recipient may keep what it was handed.
    """

    purposes: Annotated[tuple[Purpose, ...], Field(min_length=1)]
    banned_uses: tuple[Purpose, ...]
    legal_basis: LegalBasis
    health_data_basis: HealthDataBasis
    recipient_categories: Annotated[tuple[Category, ...], Field(min_length=1)]
    countries: Annotated[tuple[Country, ...], Field(min_length=1)]
    reflection_days: int = Field(default=30, ge=0, le=365)
    listing_days: int = Field(default=30, ge=0, le=365)
    k: K

    @model_validator(mode="after")
    def _bans_what_the_law_bans(self) -> Self:
        if missing := sorted(BANNED_PURPOSES - set(self.banned_uses)):
            raise PydanticCustomError("banned_uses", f"the law bans these uses: name {', '.join(missing)}")
        if both := sorted(set(self.purposes) & set(self.banned_uses)):
            raise PydanticCustomError("banned_purpose", f"a banned use is no purpose: take out {', '.join(both)}")
        return self


class StudyConditions(_Columns):
    """What one study asks for; each condition stays inside the authorisation's (see `beyond`).

    generalise: how coarse each quasi-identifier may become to reach k (none named: persons are suppressed only).
    suppressed_at_most: the share of persons that may be left out for it; beyond, the release is refused (G61).
    aggregates: the one or two columns of the table of persons that is released besides, small cells masked.
    """

    generalise: dict[str, Precision] = {}
    suppressed_at_most: float = Field(default=0.5, ge=0, le=1)
    aggregates: tuple[str, ...] = Field(default=(), max_length=2)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if not set(self.generalise) <= set(self.quasi_identifiers) & set(self.columns):
            raise PydanticCustomError(
                "generalise", "only quasi-identifiers that are columns of the study are generalised"
            )
        if not set(self.aggregates) <= set(self.columns) or len(set(self.aggregates)) != len(self.aggregates):
            raise PydanticCustomError("aggregates", "a table counts by columns of the study, each once")
        for name, coarsest in self.generalise.items():
            steps(name, self.columns[name].precision, coarsest)
        return self


class NoticeCoverage(_Frozen):
    """What a notice text tells its reader it covers (DOMAIN §4, 4)."""

    purposes: tuple[Purpose, ...]
    columns: tuple[str, ...]
    recipients: tuple[str, ...]
    countries: tuple[Country, ...]
    retention_months: Months
    general_clause: bool
    all_sources: bool
    teleservice: bool


def _refuse_impossible(name: str, grant: ColumnGrant) -> None:
    """A column that no record has, a precision that it cannot have, a code that no filter could find."""
    if name not in COLUMNS:
        raise PydanticCustomError("column", f"there is no column {name[:40]}: the columns are {', '.join(COLUMNS)}")
    column = COLUMNS[name]
    try:
        resolve(name, grant.precision)
    except ValueError:
        raise PydanticCustomError("precision", f"{name} can be: {', '.join(('full', *column.precisions))}") from None
    if grant.codes is not None and not column.listed:
        raise PydanticCustomError("codes", f"{name} holds no codes: take its list out")
    if column.kind is Kind.CODE and not grant.codes:
        raise PydanticCustomError("no_codes", f"{name} needs the list of its codes: what is not listed does not leave")
    if column.kind is Kind.CODE and any(normalise(code, name) is None for code in grant.codes or ()):
        raise PydanticCustomError("code", f"a code of {name} does not say its system: write system|code")
    if len(set(grant.codes or ())) < len(grant.codes or ()):
        raise PydanticCustomError("code_twice", f"a code of {name} is listed twice: take one out")


def tells_as_much(told: NoticeCoverage, newer: NoticeCoverage) -> bool:
    """True when a reader of `told` was told of everything that `newer` covers: nobody needs the newer text for it."""
    named = (
        (told.purposes, newer.purposes),
        (told.columns, newer.columns),
        (told.recipients, newer.recipients),
        (told.countries, newer.countries),
    )
    clauses = (
        (told.general_clause, newer.general_clause),
        (told.all_sources, newer.all_sources),
        (told.teleservice, newer.teleservice),
    )
    return (
        all(set(wanted) <= set(has) for has, wanted in named)
        and all(has or not wanted for has, wanted in clauses)
        and newer.retention_months <= told.retention_months
    )


def canonical(value: BaseModel | dict[str, Any]) -> bytes:
    """One byte string for one meaning: sorted keys, no spaces, UTF-8."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str).encode()


def fingerprint(value: BaseModel | dict[str, Any]) -> str:
    """SHA-256 (hex) of the canonical form: versions of texts, conditions of studies."""
    return hashlib.sha256(canonical(value)).hexdigest()


# --- the difference --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asks:
    """What a study asks for. A recipient that nobody knows (None) is in no category and in no country."""

    purpose: Purpose
    k: int
    category: str | None
    country: str | None
    conditions: StudyConditions


@dataclass(frozen=True, slots=True)
class Beyond:
    """One thing that a study asks for and its authorisation does not give. at: where it stands in the study's file."""

    code: str
    at: tuple[str, ...]
    what: str


def beyond(asks: Asks, given: AuthorisationConditions) -> list[Beyond]:
    """The complete difference, each thing once; empty when the study stays inside its authorisation.

    Asked when a study is loaded and approved, and by every decision: the codes are those of the gate.
    """
    return [
        *_purpose_beyond(asks, given),
        *_recipient_beyond(asks, given),
        *_columns_beyond(asks.conditions.columns, given.columns),
        *_period_beyond(asks.conditions, given),
        *_precision_beyond(asks.conditions.columns, given.columns),
        *_measures_beyond(asks, given),
    ]


def _purpose_beyond(asks: Asks, given: AuthorisationConditions) -> Iterator[Beyond]:
    if asks.purpose in BANNED_PURPOSES | set(given.banned_uses):
        yield Beyond("G06", ("purpose",), f"{asks.purpose} is banned, whatever is authorised")
    elif asks.purpose not in given.purposes:
        yield Beyond("G06", ("purpose",), f"{asks.purpose} is not authorised; authorised: {_listed(given.purposes)}")


def _recipient_beyond(asks: Asks, given: AuthorisationConditions) -> Iterator[Beyond]:
    at = ("recipient",)
    if asks.category not in given.recipient_categories:
        allowed = _listed(given.recipient_categories)
        yield Beyond("G07", at, f"a recipient of category {asks.category} is not authorised; authorised: {allowed}")
    if asks.country not in given.countries:
        allowed = _listed(given.countries)
        yield Beyond("G07", at, f"a recipient in {asks.country} is not authorised; authorised: {allowed}")
    months = asks.conditions.retention_months
    if months > given.retention_months:
        yield Beyond(
            "G07",
            ("conditions", "retention_months"),
            f"{months} months of retention; authorised: {given.retention_months}",
        )


def _columns_beyond(asked: dict[str, ColumnGrant], given: dict[str, ColumnGrant]) -> Iterator[Beyond]:
    for name, grant in sorted(asked.items()):
        at = ("conditions", "columns", name)
        if name not in given:
            yield Beyond("G10", at, f"the column {name} is not authorised")
            continue
        for code in sorted(set(grant.codes or ()) - set(given[name].codes or ())):
            yield Beyond("G10", (*at, "codes"), f"the code {code} of {name} is not authorised")


def _period_beyond(asked: _Columns, given: _Columns) -> Iterator[Beyond]:
    if asked.period_from < given.period_from:
        what = f"records from {asked.period_from}; authorised: from {given.period_from}"
        yield Beyond("G32", ("conditions", "period_from"), what)
    if asked.period_until > given.period_until:
        what = f"records until {asked.period_until}; authorised: until {given.period_until}"
        yield Beyond("G32", ("conditions", "period_until"), what)


def _precision_beyond(asked: dict[str, ColumnGrant], given: dict[str, ColumnGrant]) -> Iterator[Beyond]:
    for name, grant in sorted(asked.items()):
        if name in given and not permits(name, given[name].precision, grant.precision):
            at = ("conditions", "columns", name, "precision")
            yield Beyond("G12", at, f"{name} by {grant.precision}; authorised: by {given[name].precision}")


def _measures_beyond(asks: Asks, given: AuthorisationConditions) -> Iterator[Beyond]:
    """A smaller k, or fewer traits to measure it over, lets finer groups out."""
    if asks.k < given.k:
        yield Beyond("G12", ("k",), f"groups of {asks.k}; authorised: of {given.k} or more")
    wanted = set(given.quasi_identifiers) & asks.conditions.columns.keys()
    for name in sorted(wanted - set(asks.conditions.quasi_identifiers)):
        at = ("conditions", "quasi_identifiers")
        yield Beyond("G12", at, f"{name} is not measured: the authorisation makes it a quasi-identifier")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
