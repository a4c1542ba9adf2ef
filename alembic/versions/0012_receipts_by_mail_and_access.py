"""Receipts by mail; access as a right that is asked for

Revision: 0012, after 0011
"""

import sqlalchemy as sa

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


KINDS_BEFORE = "('restriction', 'erasure', 'rectification')"
KINDS = "('restriction', 'erasure', 'rectification', 'access')"


def _allow(kinds: str) -> None:
    with op.batch_alter_table("rights_request", schema=None) as batch_op:
        batch_op.drop_constraint("rights_request_kind", type_="check")
        batch_op.create_check_constraint("rights_request_kind", f"kind IN {kinds}")


def upgrade() -> None:
    op.create_table(
        "receipt_mail",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("objection_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["objection_id"], ["objection.id"], name=op.f("receipt_mail_objection_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("receipt_mail_pkey")),
        sa.UniqueConstraint("objection_id", name=op.f("receipt_mail_objection_id_key")),
    )
    op.create_index("receipt_mail_due", "receipt_mail", ["done_at", "due_at"], unique=False)
    _allow(KINDS)


def downgrade() -> None:
    """Fails, and changes nothing, while a request for access is on record: none is dropped."""
    _allow(KINDS_BEFORE)
    op.drop_table("receipt_mail")
