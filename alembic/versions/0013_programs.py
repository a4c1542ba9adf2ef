"""Programs that speak to the portal, and a no that practice software passes on

Revision: 0013, after 0012
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TABLES = ("objection", "provisional_objection")
CHANNELS = "('link', 'paper', 'phone', 'doctor', 'form', 'software')"
CHANNELS_BEFORE = "('link', 'paper', 'phone', 'doctor', 'form')"


def _allow(channels: str, before: int, length: int) -> None:
    for table in TABLES:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(f"{table}_channel", type_="check")
            batch_op.alter_column(
                "channel", existing_type=sa.String(before), type_=sa.String(length), existing_nullable=False
            )
            batch_op.create_check_constraint(f"{table}_channel", f"channel IN {channels}")


def upgrade() -> None:
    op.create_table(
        "client",
        sa.Column("id", sa.String(length=40), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("keys", _JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entry_id", _ID, nullable=False),
        sa.CheckConstraint("kind IN ('practice', 'software', 'partner')", name="client_kind"),
        sa.ForeignKeyConstraint(["entry_id"], ["log_entry.id"], name=op.f("client_entry_id_fkey"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("client_pkey")),
    )
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.create_index("client_entry", ["entry_id"], unique=False)

    op.create_table(
        "client_answer",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("client_answer_client_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("client_answer_pkey")),
        sa.UniqueConstraint("client_id", "key_hash", name="client_answer_client_id_key_hash_key"),
    )
    with op.batch_alter_table("client_answer", schema=None) as batch_op:
        batch_op.create_index("client_answer_at", ["at"], unique=False)

    op.create_table(
        "client_practice",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("client_id", sa.String(length=40), nullable=False),
        sa.Column("entry_id", _ID, nullable=False),
        sa.Column("practice_id", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("client_practice_account_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("client_practice_client_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("client_practice_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("client_practice_practice_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("client_practice_pkey")),
    )
    with op.batch_alter_table("client_practice", schema=None) as batch_op:
        batch_op.create_index("client_practice_account", ["account_id"], unique=False)
        batch_op.create_index("client_practice_both", ["client_id", "practice_id"], unique=False)
        batch_op.create_index("client_practice_entry", ["entry_id"], unique=False)
        batch_op.create_index("client_practice_practice", ["practice_id"], unique=False)

    op.create_table(
        "client_token",
        sa.Column("token_hash", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("assertion", sa.String(length=64), nullable=False),
        sa.Column("access", _JSON, nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("client_token_client_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("client_token_pkey")),
        sa.UniqueConstraint("client_id", "assertion", name="client_token_client_id_assertion_key"),
    )
    with op.batch_alter_table("client_token", schema=None) as batch_op:
        batch_op.create_index("client_token_ends", ["ends_at"], unique=False)

    _allow(CHANNELS, 6, 8)


def downgrade() -> None:
    """Fails, and changes nothing, while an objection by software is on record: none is dropped or renamed."""
    _allow(CHANNELS_BEFORE, 8, 6)
    op.drop_table("client_token")
    op.drop_table("client_practice")
    op.drop_table("client_answer")
    op.drop_table("client")
