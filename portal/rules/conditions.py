"""What an authorisation gives and what a study asks for: objects with conditions, and the difference.

Loaded from reviewed files and kept as JSON; read back through the same models, so that a condition that is
missing or misspelt is refused and never guessed.
"""

import hashlib
import json
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from portal.rules.precision import permits
from portal.rules.words import Precision, Purpose

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{1,78}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ColumnGrant(_Frozen):
    """A column at a precision; `codes` lists the codes of a coded column (none listed: nothing passes)."""

    precision: Precision
    codes: tuple[str, ...] | None = None


class AuthorisationConditions(_Frozen):
    """Days are days in Europe/Paris. `reflection_days` and `listing_days` replace the defaults of the domain."""

    purposes: tuple[Purpose, ...]
    recipient_categories: tuple[str, ...]
    countries: tuple[Country, ...]
    period_from: date
    period_until: date
    reflection_days: int = Field(default=30, ge=0, le=365)
    listing_days: int = Field(default=30, ge=0, le=365)
    columns: dict[str, ColumnGrant]


class StudyConditions(_Frozen):
    columns: dict[str, ColumnGrant]
    quasi_identifiers: tuple[str, ...]


class NoticeCoverage(_Frozen):
    """What a notice text tells its reader it covers (DOMAIN §4, 4)."""

    purposes: tuple[Purpose, ...]
    columns: tuple[str, ...]
    recipients: tuple[str, ...]
    countries: tuple[Country, ...]
    retention_months: int = Field(ge=1, le=600)
    general_clause: bool
    all_sources: bool
    teleservice: bool


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


def columns_beyond(asked: dict[str, ColumnGrant], given: dict[str, ColumnGrant]) -> list[str]:
    """Columns, or codes of them, that are asked for and not given (G10)."""
    return sorted(
        name
        for name, grant in asked.items()
        if name not in given or not set(grant.codes or ()) <= set(given[name].codes or ())
    )


def precision_beyond(asked: dict[str, ColumnGrant], given: dict[str, ColumnGrant]) -> list[str]:
    """Columns that are asked for more finely than given (G12)."""
    return sorted(
        name
        for name, grant in asked.items()
        if name in given and not permits(name, given[name].precision, grant.precision)
    )
