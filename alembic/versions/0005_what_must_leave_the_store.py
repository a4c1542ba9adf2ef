"""What must leave the observatory's store, and which keys are an observatory's or a study's own

Revision: 0005, after 0004
"""

import sqlalchemy as sa

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "key_binding",
        sa.Column("family", sa.String(length=80), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("bound_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("key_binding_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("family", name=op.f("key_binding_pkey")),
    )
    with op.batch_alter_table("key_binding", schema=None) as batch_op:
        batch_op.create_index("key_binding_entry", ["entry_id"], unique=False)

    op.create_table(
        "store_change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("old_name", sa.String(length=120), nullable=False),
        sa.Column("old_sha256", sa.String(length=64), nullable=False),
        sa.Column("new_name", sa.String(length=120), nullable=False),
        sa.Column("new_sha256", sa.String(length=64), nullable=False),
        sa.Column("rows_removed", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("extraction_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("gone_entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint("(gone_at IS NULL) = (gone_entry_id IS NULL)", name="store_change_gone"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("store_change_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["extraction_id"], ["extraction.id"], name=op.f("store_change_extraction_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["gone_entry_id"], ["log_entry.id"], name=op.f("store_change_gone_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("store_change_pkey")),
    )
    with op.batch_alter_table("store_change", schema=None) as batch_op:
        batch_op.create_index("store_change_entry", ["entry_id"], unique=False)
        batch_op.create_index("store_change_extraction", ["extraction_id"], unique=False)
        batch_op.create_index("store_change_gone_entry", ["gone_entry_id"], unique=False)

    op.create_table(
        "stored_person",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("file_sha256", sa.String(length=64), nullable=False),
        sa.Column("pseudonym", sa.String(length=32), nullable=False),
        sa.Column("holds_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("person_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=True),
        sa.Column("practice_id", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("stored_person_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("stored_person_practice_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("stored_person_pkey")),
        sa.UniqueConstraint(
            "practice_id", "file_sha256", "pseudonym", name="stored_person_practice_id_file_sha256_pseudonym_key"
        ),
    )
    with op.batch_alter_table("stored_person", schema=None) as batch_op:
        batch_op.create_index("stored_person_person", ["person_id"], unique=False)

    op.create_table(
        "store_retraction",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("part", sa.String(length=6), nullable=False),
        sa.Column("ref", sa.String(length=32), nullable=False),
        sa.Column("erase_on", sa.Date(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alarmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("change_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("extraction_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("part IN ('file', 'doctor', 'person')", name="store_retraction_part"),
        sa.ForeignKeyConstraint(
            ["change_id"], ["store_change.id"], name=op.f("store_retraction_change_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("store_retraction_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["extraction_id"], ["extraction.id"], name=op.f("store_retraction_extraction_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("store_retraction_pkey")),
        sa.UniqueConstraint("extraction_id", "part", "ref", name="store_retraction_extraction_id_part_ref_key"),
    )
    with op.batch_alter_table("store_retraction", schema=None) as batch_op:
        batch_op.create_index("store_retraction_change", ["change_id"], unique=False)
        batch_op.create_index("store_retraction_entry", ["entry_id"], unique=False)
        batch_op.create_index("store_retraction_open", ["erased_at", "due_on"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("store_retraction", schema=None) as batch_op:
        batch_op.drop_index("store_retraction_open")
        batch_op.drop_index("store_retraction_entry")
        batch_op.drop_index("store_retraction_change")

    op.drop_table("store_retraction")
    with op.batch_alter_table("stored_person", schema=None) as batch_op:
        batch_op.drop_index("stored_person_person")

    op.drop_table("stored_person")
    with op.batch_alter_table("store_change", schema=None) as batch_op:
        batch_op.drop_index("store_change_gone_entry")
        batch_op.drop_index("store_change_extraction")
        batch_op.drop_index("store_change_entry")

    op.drop_table("store_change")
    with op.batch_alter_table("key_binding", schema=None) as batch_op:
        batch_op.drop_index("key_binding_entry")

    op.drop_table("key_binding")
