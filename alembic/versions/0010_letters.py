"""Letters: postal addresses, codes typed by hand, print runs; campaigns that are stopped

Contacts that came in before have no postal address until the practice's next register, which is taken in whole even
when nothing in it changed.

Revision: 0010, after 0009
"""

import sqlalchemy as sa

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("notice", "returns_reading")
CHANNELS, CHANNELS_BEFORE = "('email', 'post', 'hand')", "('email', 'hand')"


def _allow(channels: str) -> None:
    for table in TABLES:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(f"{table}_channel", type_="check")
            batch_op.create_check_constraint(f"{table}_channel", f"channel IN {channels}")


def upgrade() -> None:
    op.add_column("contact", sa.Column("postal_index", sa.String(length=64), nullable=True))
    op.add_column("campaign", sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "code_attempt",
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("code_attempt_pkey")),
    )
    op.create_index("code_attempt_free", "code_attempt", ["free_at"], unique=False)
    _print_runs()
    _allow(CHANNELS)
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.add_column(sa.Column("code_hash", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("print_run_id", BIG, nullable=True))
        batch_op.add_column(sa.Column("place", sa.Integer(), nullable=True))
        batch_op.create_unique_constraint("notice_code_hash_key", ["code_hash"])
        batch_op.create_unique_constraint("notice_print_run_id_place_key", ["print_run_id", "place"])
        batch_op.create_check_constraint("notice_printed", "(print_run_id IS NULL) = (place IS NULL)")
        batch_op.create_foreign_key(
            "notice_print_run_id_fkey", "print_run", ["print_run_id"], ["id"], ondelete="RESTRICT"
        )


def _print_runs() -> None:
    op.create_table(
        "print_run",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.Column("printed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("posted_on", sa.Date(), nullable=True),
        sa.Column("observatory_id", sa.String(length=80), nullable=False),
        sa.Column("entry_id", BIG, nullable=False),
        sa.Column("posting_id", BIG, nullable=True),
        sa.CheckConstraint("(posted_on IS NULL) = (posting_id IS NULL)", name="print_run_posted"),
        sa.ForeignKeyConstraint(
            ["observatory_id"], ["observatory.id"], name=op.f("print_run_observatory_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("print_run_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["posting_id"], ["log_entry.id"], name=op.f("print_run_posting_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("print_run_pkey")),
    )
    op.create_index("print_run_observatory", "print_run", ["observatory_id"], unique=False)
    op.create_index("print_run_entry", "print_run", ["entry_id"], unique=False)
    op.create_index("print_run_posting", "print_run", ["posting_id"], unique=False)


def downgrade() -> None:
    """Fails, and changes nothing, while a letter is on record: none is dropped."""
    _allow(CHANNELS_BEFORE)
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.drop_constraint("notice_print_run_id_fkey", type_="foreignkey")
        batch_op.drop_constraint("notice_printed", type_="check")
        batch_op.drop_constraint("notice_print_run_id_place_key", type_="unique")
        batch_op.drop_constraint("notice_code_hash_key", type_="unique")
        for column in ("place", "print_run_id", "code_hash"):
            batch_op.drop_column(column)
    op.drop_table("print_run")
    op.drop_table("code_attempt")
    op.drop_column("campaign", "stopped_at")
    op.drop_column("contact", "postal_index")
