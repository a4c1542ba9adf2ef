"""What an authorisation gives and what a study asks for: objects with conditions, and the difference.

Loaded from reviewed files and kept as JSON; read back through the same models, so that a condition that is
missing or misspelt is refused and never guessed.
"""

import hashlib
import json
from datetime import date
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from portal.rules.ladder import steps
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
    """generalise: how coarse each quasi-identifier may become to reach k (none named: persons are suppressed only).

    suppressed_at_most: the share of persons that may be left out for it; beyond, the release is refused (G61).
    aggregates: the one or two columns of the table of persons that is released besides, small cells masked.
    """

    columns: dict[str, ColumnGrant]
    quasi_identifiers: tuple[str, ...]
    generalise: dict[str, Precision] = {}
    suppressed_at_most: float = Field(default=0.5, ge=0, le=1)
    aggregates: tuple[str, ...] = Field(default=(), max_length=2)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if not set(self.generalise) <= set(self.quasi_identifiers) & set(self.columns):
            raise ValueError("only quasi-identifiers that are columns of the study are generalised")
        if not set(self.aggregates) <= set(self.columns) or len(set(self.aggregates)) != len(self.aggregates):
            raise ValueError("a table counts by columns of the study, each once")
        for name, coarsest in self.generalise.items():
            steps(name, self.columns[name].precision, coarsest)
        return self


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
