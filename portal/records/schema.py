"""The bridge from the Tortoise models to SQLAlchemy metadata, by which Alembic migrates and compares.

The models are the one description of the schema; this module only translates it. A test proves, on both
databases, that the migrations lead to exactly what the models say.
"""

from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from tortoise import fields
from tortoise.apps import Apps
from tortoise.connection import ConnectionHandler
from tortoise.fields.relational import ForeignKeyFieldInstance
from tortoise.migrations.constraints import CheckConstraint
from tortoise.models import Model

from portal.records.database import configuration

_DOUBLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.DateTime(timezone=True)
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
_UUID = sa.CHAR(36).with_variant(sa.Uuid(), "postgresql")


def _type_of(field: fields.Field[Any]) -> sa.types.TypeEngine[Any]:
    match field:
        case fields.CharField():
            return sa.String(field.max_length)
        case fields.BigIntField():
            return _DOUBLE
        case fields.IntField():
            return sa.Integer()
        case fields.BooleanField():
            return sa.Boolean()
        case fields.DatetimeField():
            return _MOMENT
        case fields.DateField():
            return sa.Date()
        case fields.UUIDField():
            return _UUID
        case fields.BinaryField():
            return sa.LargeBinary()
        case fields.JSONField():
            return _JSON
        case _:
            raise TypeError(f"no column type for {type(field).__name__}")


def _column(model: type[Model], name: str) -> sa.Column[Any]:
    field = model._meta.fields_map[name]
    column = field.source_field or name
    target = next(
        (
            relation
            for key in model._meta.fk_fields | model._meta.o2o_fields
            if isinstance(relation := model._meta.fields_map[key], ForeignKeyFieldInstance)
            and relation.source_field == column
        ),
        None,
    )
    keys = []
    if target is not None:
        other = target.related_model
        keys = [
            sa.ForeignKey(f"{other._meta.db_table}.{other._meta.db_pk_column}", ondelete=str(target.on_delete.value))
        ]
    return sa.Column(
        column,
        _type_of(field),
        *keys,
        primary_key=field.pk,
        autoincrement=bool(field.generated) if field.pk else "auto",
        nullable=field.null,
        unique=(field.unique and not field.pk) or None,
    )


def _columns_of(model: type[Model], names: tuple[str, ...] | list[str]) -> list[str]:
    """Database columns of field names; a relation stands for its key column."""
    found = []
    for name in names:
        field = model._meta.fields_map[name]
        found.append(str(field.source_field or name))
    return found


def _table(metadata: sa.MetaData, model: type[Model]) -> None:
    meta = model._meta
    items: list[Any] = [_column(model, name) for name in meta.fields_db_projection]
    for group in meta.unique_together:
        columns = _columns_of(model, group)
        items.append(sa.UniqueConstraint(*columns, name=f"{meta.db_table}_{'_'.join(columns)}_key"))
    for constraint in getattr(meta, "constraints", ()):
        if isinstance(constraint, CheckConstraint):
            items.append(sa.CheckConstraint(constraint.check, name=constraint.name))
    for index in meta.indexes:
        if not isinstance(index, tuple):
            items.append(sa.Index(index.name, *_columns_of(model, index.fields)))
    sa.Table(meta.db_table, metadata, *items)


@cache
def metadata() -> sa.MetaData:
    """SQLAlchemy metadata of every model, with keys, checks and indexes under fixed names; to be read only."""
    described = sa.MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_name)s_key",
        }
    )
    for model in _models():
        _table(described, model)
    return described


def _models() -> list[type[Model]]:
    """Every model, its relations resolved, without opening a connection."""
    config = configuration("sqlite://:memory:")
    handler = ConnectionHandler()
    handler._init_config(config["connections"])
    apps = Apps(config["apps"], handler, validate_connections=False)
    return sorted(apps.apps["portal"].values(), key=lambda model: model._meta.db_table)
