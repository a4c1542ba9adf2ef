"""The canary's rounds, what was counted of each channel, and which entries of the log were read

Revision: 0011, after 0010
"""

import sqlalchemy as sa

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OUTCOMES = (
    "'worked', 'unreachable', 'no_page', 'no_way', 'withheld_anyway', 'not_recorded', 'no_receipt', 'not_withheld', "
    "'not_taken_back'"
)


def upgrade() -> None:
    op.create_table(
        "canary_round",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=15), nullable=True),
        sa.Column("entry_id", _ID, nullable=True),
        sa.CheckConstraint(f"outcome IS NULL OR outcome IN ({OUTCOMES})", name="canary_round_outcome"),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (outcome IS NULL) AND (ended_at IS NULL) = (entry_id IS NULL)",
            name="canary_round_ended",
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("canary_round_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("canary_round_pkey")),
    )
    with op.batch_alter_table("canary_round", schema=None) as batch_op:
        batch_op.create_index("canary_round_entry", ["entry_id"], unique=False)
    op.create_table(
        "channel_count",
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("received", sa.Integer(), nullable=False),
        sa.Column("committed", sa.Integer(), nullable=False),
        sa.Column("withheld", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("silent_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("channel_count_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("channel", name=op.f("channel_count_pkey")),
    )
    with op.batch_alter_table("channel_count", schema=None) as batch_op:
        batch_op.create_index("channel_count_entry", ["entry_id"], unique=False)
    op.create_table(
        "log_review",
        sa.Column("entry_id", _ID, nullable=False),
        sa.Column("review_id", _ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("log_review_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["review_id"], ["log_entry.id"], name=op.f("log_review_review_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("log_review_pkey")),
    )
    with op.batch_alter_table("log_review", schema=None) as batch_op:
        batch_op.create_index("log_review_review", ["review_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("log_review", schema=None) as batch_op:
        batch_op.drop_index("log_review_review")
    op.drop_table("log_review")
    with op.batch_alter_table("channel_count", schema=None) as batch_op:
        batch_op.drop_index("channel_count_entry")
    op.drop_table("channel_count")
    with op.batch_alter_table("canary_round", schema=None) as batch_op:
        batch_op.drop_index("canary_round_entry")
    op.drop_table("canary_round")
