"""Invitations, signatures one by one, mail to doctors; locums, suspensions and the directory

Revision: 0015, after 0014
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
UUID = sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql")

STATES = "('identified', 'signed', 'active', 'paused', 'left', 'suspended')"
WORDS = "('found', 'not_found', 'other_name', 'not_in_exercise', 'unreachable')"
ADDED = ("looked_up_at", "in_directory", "before_suspension", "closes_on")


def upgrade() -> None:
    op.create_table(
        "invitation",
        sa.Column("id", UUID, nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("invited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("account_id", BIG, nullable=True),
        sa.Column("entry_id", BIG, nullable=False),
        sa.Column("observatory_id", sa.String(length=80), nullable=False),
        sa.Column("practice_id", sa.String(length=80), nullable=True),
        sa.CheckConstraint("(account_id IS NULL) = (used_at IS NULL)", name="invitation_used"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("invitation_account_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("invitation_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["observatory_id"], ["observatory.id"], name=op.f("invitation_observatory_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("invitation_practice_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("invitation_pkey")),
        sa.UniqueConstraint("token_hash", name=op.f("invitation_token_hash_key")),
    )
    op.create_index("invitation_account", "invitation", ["account_id"], unique=False)
    op.create_index("invitation_entry", "invitation", ["entry_id"], unique=False)
    op.create_index("invitation_observatory", "invitation", ["observatory_id"], unique=False)
    op.create_index("invitation_practice", "invitation", ["practice_id"], unique=False)

    op.create_table(
        "signature",
        sa.Column("id", UUID, nullable=False),
        sa.Column("agreement_sha256", sa.String(length=64), nullable=False),
        sa.Column("includes_history", sa.Boolean(), nullable=False),
        sa.Column("closes_on", sa.Date(), nullable=True),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("rpps", sa.String(length=11), nullable=True),
        sa.Column("issuer", sa.String(length=200), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("acr", sa.String(length=200), nullable=False),
        sa.Column("amr", sa.String(length=200), nullable=False),
        sa.Column("signed_in_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("agreement_id", BIG, nullable=False),
        sa.Column("enrolment_id", BIG, nullable=False),
        sa.Column("entry_id", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement_text.id"], name=op.f("signature_agreement_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["enrolment_id"], ["enrolment.id"], name=op.f("signature_enrolment_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("signature_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("signature_pkey")),
    )
    op.create_index("signature_agreement", "signature", ["agreement_id"], unique=False)
    op.create_index("signature_enrolment", "signature", ["enrolment_id"], unique=False)
    op.create_index("signature_entry", "signature", ["entry_id"], unique=False)

    op.create_table(
        "doctor_mail",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("invitation_id", UUID, nullable=True),
        sa.Column("signature_id", UUID, nullable=True),
        sa.CheckConstraint("kind IN ('invitation', 'copy', 'active')", name="doctor_mail_kind"),
        sa.CheckConstraint(
            "CASE WHEN invitation_id IS NULL THEN 0 ELSE 1 END + CASE WHEN signature_id IS NULL THEN 0 ELSE 1 END = 1",
            name="doctor_mail_about",
        ),
        sa.ForeignKeyConstraint(
            ["invitation_id"], ["invitation.id"], name=op.f("doctor_mail_invitation_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["signature_id"], ["signature.id"], name=op.f("doctor_mail_signature_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("doctor_mail_pkey")),
    )
    op.create_index("doctor_mail_due", "doctor_mail", ["done_at", "due_at"], unique=False)
    op.create_index("doctor_mail_invitation", "doctor_mail", ["invitation_id"], unique=False)
    op.create_index("doctor_mail_signature", "doctor_mail", ["signature_id"], unique=False)

    with op.batch_alter_table("enrolment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("closes_on", sa.Date(), nullable=True))
        batch_op.add_column(sa.Column("before_suspension", sa.String(length=10), nullable=True))
        batch_op.add_column(sa.Column("in_directory", sa.String(length=15), nullable=True))
        batch_op.add_column(sa.Column("looked_up_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_check_constraint(
            "enrolment_before_suspension", f"before_suspension IS NULL OR before_suspension IN {STATES}"
        )
        batch_op.create_check_constraint("enrolment_in_directory", f"in_directory IS NULL OR in_directory IN {WORDS}")
        batch_op.create_check_constraint("enrolment_looked_up", "(in_directory IS NULL) = (looked_up_at IS NULL)")

    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.add_column(sa.Column("proof", JSON, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.drop_column("proof")
    with op.batch_alter_table("enrolment", schema=None) as batch_op:
        for name in ("looked_up", "in_directory", "before_suspension"):
            batch_op.drop_constraint(f"enrolment_{name}", type_="check")
        for name in ADDED:
            batch_op.drop_column(name)
    for table in ("doctor_mail", "signature", "invitation"):
        op.drop_table(table)
