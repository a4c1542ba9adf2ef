"""Consents that programs send, and a no that a partner passes on

Revision: 0016, after 0015
"""

import sqlalchemy as sa

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_UUID = sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql")
TABLES = ("objection", "provisional_objection")
CHANNELS = "('link', 'paper', 'phone', 'doctor', 'form', 'software', 'partner')"
CHANNELS_BEFORE = "('link', 'paper', 'phone', 'doctor', 'form', 'software')"


def _allow(channels: str) -> None:
    for table in TABLES:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(f"{table}_channel", type_="check")
            batch_op.create_check_constraint(f"{table}_channel", f"channel IN {channels}")


def upgrade() -> None:
    _allow(CHANNELS)
    op.create_table(
        "sent_consent",
        sa.Column("id", _UUID, nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("about", sa.String(length=64), nullable=False),
        sa.Column("taken_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("client_id", sa.String(length=40), nullable=False),
        sa.Column("entry_id", _ID, nullable=False),
        sa.Column("objection_id", _UUID, nullable=True),
        sa.Column("provisional_id", _UUID, nullable=True),
        sa.CheckConstraint(
            "CASE WHEN objection_id IS NULL THEN 0 ELSE 1 END + CASE WHEN provisional_id IS NULL THEN 0 ELSE 1 END = 1",
            name="sent_consent_one_no",
        ),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.id"], name=op.f("sent_consent_client_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("sent_consent_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["objection_id"], ["objection.id"], name=op.f("sent_consent_objection_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["provisional_id"],
            ["provisional_objection.id"],
            name=op.f("sent_consent_provisional_id_fkey"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("sent_consent_pkey")),
        sa.UniqueConstraint("client_id", "key_hash", name="sent_consent_client_id_key_hash_key"),
    )
    with op.batch_alter_table("sent_consent", schema=None) as batch_op:
        batch_op.create_index("sent_consent_client", ["client_id", "id"], unique=False)
        batch_op.create_index("sent_consent_entry", ["entry_id"], unique=False)
        batch_op.create_index("sent_consent_objection", ["objection_id"], unique=False)
        batch_op.create_index("sent_consent_provisional", ["provisional_id"], unique=False)


def downgrade() -> None:
    """Fails, and changes nothing, while a no that a partner passed on is on record: none is dropped or renamed."""
    op.drop_table("sent_consent")
    _allow(CHANNELS_BEFORE)
