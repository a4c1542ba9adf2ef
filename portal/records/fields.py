"""Columns that several tables share, and the constraints that come with a closed word."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from tortoise import fields
from tortoise.migrations.constraints import CheckConstraint


def word(words: type[StrEnum], **options: Any) -> "fields.CharField[str]":
    """A column that holds one closed word; pair it with `one_of` in Meta.constraints."""
    return fields.CharField(max_length=max(map(len, words)), **options)


def one_of(column: str, words: Iterable[str], *, name: str, or_null: bool = False) -> CheckConstraint:
    listed = ", ".join(f"'{w}'" for w in words)
    null = f"{column} IS NULL OR " if or_null else ""
    return CheckConstraint(check=f"{null}{column} IN ({listed})", name=name)


def together(*columns: str, name: str) -> CheckConstraint:
    """All of the columns or none: who and when of an act belong together."""
    first = f"{columns[0]} IS NULL"
    same = " AND ".join(f"({first}) = ({c} IS NULL)" for c in columns[1:])
    return CheckConstraint(check=same, name=name)


def exactly_one(*columns: str, name: str) -> CheckConstraint:
    """Each fact carries the entry that made it count, or the batch it came with."""
    total = " + ".join(f"CASE WHEN {c} IS NULL THEN 0 ELSE 1 END" for c in columns)
    return CheckConstraint(check=f"{total} = 1", name=name)
