"""Drafts: what reviewed files say, until a second person approves it

Revision: 0008, after 0004
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reviewed_draft",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("ref", sa.String(length=80), nullable=False),
        sa.Column(
            "body", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("loaded_by", sa.String(length=80), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.String(length=80), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "kind IN ('observatory', 'recipient', 'authorisation', 'study')", name="reviewed_draft_kind"
        ),
        sa.CheckConstraint("state IN ('waiting', 'approved', 'refused', 'replaced')", name="reviewed_draft_state"),
        sa.CheckConstraint("(settled_at IS NULL) = (settled_by IS NULL)", name="reviewed_draft_settled"),
        sa.CheckConstraint("(state = 'waiting') = (settled_by IS NULL)", name="reviewed_draft_settled_once"),
        sa.CheckConstraint("state <> 'approved' OR settled_by <> loaded_by", name="reviewed_draft_two_persons"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("reviewed_draft_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("reviewed_draft_pkey")),
    )
    with op.batch_alter_table("reviewed_draft", schema=None) as batch_op:
        batch_op.create_index("reviewed_draft_entry", ["entry_id"], unique=False)
        batch_op.create_index("reviewed_draft_waiting", ["state", "kind", "ref"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("reviewed_draft", schema=None) as batch_op:
        batch_op.drop_index("reviewed_draft_waiting")
        batch_op.drop_index("reviewed_draft_entry")
    op.drop_table("reviewed_draft")
