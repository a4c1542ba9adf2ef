"""Retractions: what recipients of delivered releases must delete

Revision: 0002, after 0001
"""

import sqlalchemy as sa

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retraction",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("pseudonym", sa.String(length=32), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=80), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.Column("practice_id", sa.String(length=80), nullable=False),
        sa.Column("release_id", sa.String(length=80), nullable=False),
        sa.CheckConstraint("(acknowledged_at IS NULL) = (acknowledged_by IS NULL)", name="retraction_acknowledged"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("retraction_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("retraction_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("retraction_practice_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["release_id"], ["release.id"], name=op.f("retraction_release_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("retraction_pkey")),
        sa.UniqueConstraint(
            "release_id", "person_id", "practice_id", name="retraction_release_id_person_id_practice_id_key"
        ),
    )
    with op.batch_alter_table("retraction", schema=None) as batch_op:
        batch_op.create_index("retraction_entry", ["entry_id"], unique=False)
        batch_op.create_index("retraction_open", ["acknowledged_at", "due_on"], unique=False)
        batch_op.create_index("retraction_person", ["person_id"], unique=False)
        batch_op.create_index("retraction_practice", ["practice_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("retraction", schema=None) as batch_op:
        batch_op.drop_index("retraction_practice")
        batch_op.drop_index("retraction_person")
        batch_op.drop_index("retraction_open")
        batch_op.drop_index("retraction_entry")

    op.drop_table("retraction")
