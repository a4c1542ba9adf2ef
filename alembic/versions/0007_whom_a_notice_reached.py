"""Whom a notice reached: every holder of authority, minors alone, evidence, outages of the path

What was sent before has its published text's hash filled in: a published text never changes. Representatives of
earlier imports have no reader index: their notices count again after the next import and telling.

Revision: 0007, after 0004
"""

import sqlalchemy as sa

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATES = ("queued", "sent", "bounced", "returned", "reported", "handed_over", "unknown")
STATES_BEFORE = ("queued", "sent", "bounced", "returned", "handed_over", "unknown")
REASONS = "('unknown_address', 'no_contact', 'abroad', 'incapacitated', 'court_order')"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("patient", sa.Column("teen_on", sa.Date(), nullable=True))
    _notices()
    _contacts()
    _entered(
        "path_outage",
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("ended_at IS NULL OR began_at <= ended_at", name="path_outage_in_order"),
    )
    _entered(
        "minor_alone",
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("patient_id", BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("minor_alone_patient_id_fkey"), ondelete="RESTRICT"
        ),
    )
    op.create_index("minor_alone_patient", "minor_alone", ["patient_id", "ended_at"], unique=False)


def _entered(table: str, *columns: sa.schema.SchemaItem) -> None:
    """A table whose rows begin with one log entry and end with another."""
    op.create_table(
        table,
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        *columns,
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entry_id", BIG, nullable=False),
        sa.Column("ending_id", BIG, nullable=True),
        sa.CheckConstraint("(ended_at IS NULL) = (ending_id IS NULL)", name=f"{table}_ended"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f(f"{table}_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["ending_id"], ["log_entry.id"], name=op.f(f"{table}_ending_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"{table}_pkey")),
    )
    op.create_index(f"{table}_entry", table, ["entry_id"], unique=False)
    op.create_index(f"{table}_ending", table, ["ending_id"], unique=False)


def _notices() -> None:
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.add_column(sa.Column("reader_index", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("text_sha256", sa.String(length=64), nullable=True))
        batch_op.drop_constraint("notice_state", type_="check")
        batch_op.create_check_constraint("notice_state", f"state IN {STATES}")
    op.execute(
        "UPDATE notice SET text_sha256 = (SELECT t.sha256 FROM notice_text t WHERE t.id = notice.text_id "
        "AND t.state <> 'draft') WHERE sent_at IS NOT NULL"
    )


def _contacts() -> None:
    op.add_column("contact", sa.Column("rank", sa.Integer(), nullable=True))
    op.execute("UPDATE contact SET rank = CASE addressee WHEN 'self' THEN 0 ELSE 1 END")
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.alter_column("rank", existing_type=sa.Integer(), nullable=False)
        batch_op.add_column(sa.Column("reader_index", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("unreachable_reason", sa.String(length=15), nullable=True))
        batch_op.drop_constraint("contact_patient_id_addressee_key", type_="unique")
        batch_op.create_unique_constraint("contact_patient_id_rank_key", ["patient_id", "rank"])
        batch_op.create_check_constraint("contact_self", "(rank = 0) = (addressee = 'self')")
        batch_op.create_check_constraint(
            "contact_unreachable", f"unreachable_reason IS NULL OR unreachable_reason IN {REASONS}"
        )


def downgrade() -> None:
    op.drop_table("minor_alone")
    op.drop_table("path_outage")
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.drop_constraint("contact_unreachable", type_="check")
        batch_op.drop_constraint("contact_self", type_="check")
        batch_op.drop_constraint("contact_patient_id_rank_key", type_="unique")
        batch_op.create_unique_constraint("contact_patient_id_addressee_key", ["patient_id", "addressee"])
        for column in ("unreachable_reason", "reader_index", "rank"):
            batch_op.drop_column(column)
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.drop_constraint("notice_state", type_="check")
        batch_op.create_check_constraint("notice_state", f"state IN {STATES_BEFORE}")
        batch_op.drop_column("text_sha256")
        batch_op.drop_column("reader_index")
    op.drop_column("patient", "teen_on")
