"""Who is who: objections without a token, requests that withhold, doubts settled

Revision: 0006, after 0004
"""

import sqlalchemy as sa

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provisional_objection",
        sa.Column("id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), autoincrement=False, nullable=False),
        sa.Column("scope", sa.String(length=11), nullable=False),
        sa.Column("scope_ref", sa.String(length=80), nullable=False),
        sa.Column("channel", sa.String(length=6), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("recorded_by", sa.String(length=80), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.String(length=80), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("settlement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint("channel IN ('link', 'paper', 'phone', 'doctor')", name="provisional_objection_channel"),
        sa.CheckConstraint(
            "outcome IS NULL OR outcome IN ('bound', 'not_here', 'no_authority')", name="provisional_objection_outcome"
        ),
        sa.CheckConstraint(
            "scope IN ('everything', 'observatory', 'study', 'practice')", name="provisional_objection_scope"
        ),
        sa.CheckConstraint(
            "(outcome IS NULL) = (settled_at IS NULL) AND (outcome IS NULL) = (settled_by IS NULL) AND (outcome IS NULL) = (settlement_id IS NULL)",
            name="provisional_objection_settled",
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("provisional_objection_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["settlement_id"],
            ["log_entry.id"],
            name=op.f("provisional_objection_settlement_id_fkey"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("provisional_objection_pkey")),
    )
    with op.batch_alter_table("provisional_objection", schema=None) as batch_op:
        batch_op.create_index("provisional_objection_entry", ["entry_id"], unique=False)
        batch_op.create_index("provisional_objection_settlement", ["settlement_id"], unique=False)

    op.create_table(
        "provisional_token",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("provisional_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["provisional_id"],
            ["provisional_objection.id"],
            name=op.f("provisional_token_provisional_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("provisional_token_pkey")),
        sa.UniqueConstraint("provisional_id", "kind", "token", name="provisional_token_provisional_id_kind_token_key"),
    )
    with op.batch_alter_table("provisional_token", schema=None) as batch_op:
        batch_op.create_index("provisional_token_lookup", ["kind", "token"], unique=False)

    op.create_table(
        "provisional_cleared",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("person_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.Column("provisional_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("provisional_cleared_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["provisional_id"],
            ["provisional_objection.id"],
            name=op.f("provisional_cleared_provisional_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("provisional_cleared_pkey")),
        sa.UniqueConstraint("provisional_id", "person_id", name="provisional_cleared_provisional_id_person_id_key"),
    )
    with op.batch_alter_table("provisional_cleared", schema=None) as batch_op:
        batch_op.create_index("provisional_cleared_person", ["person_id"], unique=False)

    op.create_table(
        "rights_request",
        sa.Column("id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=13), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("opened_by", sa.String(length=80), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.String(length=80), nullable=True),
        sa.Column("closing_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.CheckConstraint("kind IN ('restriction', 'erasure', 'rectification')", name="rights_request_kind"),
        sa.CheckConstraint(
            "state IN ('open', 'granted', 'refused', 'taken_back', 'ended')", name="rights_request_state"
        ),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (closed_by IS NULL) AND (closed_at IS NULL) = (closing_id IS NULL)",
            name="rights_request_closed",
        ),
        sa.ForeignKeyConstraint(
            ["closing_id"], ["log_entry.id"], name=op.f("rights_request_closing_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("rights_request_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("rights_request_patient_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("rights_request_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("rights_request_pkey")),
    )
    with op.batch_alter_table("rights_request", schema=None) as batch_op:
        batch_op.create_index("rights_request_closing", ["closing_id"], unique=False)
        batch_op.create_index("rights_request_entry", ["entry_id"], unique=False)
        batch_op.create_index("rights_request_open", ["state", "due_on"], unique=False)
        batch_op.create_index("rights_request_patient", ["patient_id"], unique=False)
        batch_op.create_index("rights_request_person", ["person_id"], unique=False)

    op.create_table(
        "objection_binding",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("objection_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.Column("person_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("objection_binding_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["objection_id"], ["objection.id"], name=op.f("objection_binding_objection_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("objection_binding_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("objection_binding_pkey")),
        sa.UniqueConstraint("objection_id", "person_id", name="objection_binding_objection_id_person_id_key"),
    )
    with op.batch_alter_table("objection_binding", schema=None) as batch_op:
        batch_op.create_index("objection_binding_entry", ["entry_id"], unique=False)
        batch_op.create_index("objection_binding_person", ["person_id"], unique=False)

    with op.batch_alter_table("former_person", schema=None) as batch_op:
        batch_op.add_column(sa.Column("stood_since", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("deceased_on", sa.Date(), nullable=True))

    with op.batch_alter_table("patient", schema=None) as batch_op:
        batch_op.add_column(sa.Column("traits", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("stands_since", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("patient", schema=None) as batch_op:
        batch_op.drop_column("stands_since")
        batch_op.drop_column("traits")

    with op.batch_alter_table("former_person", schema=None) as batch_op:
        batch_op.drop_column("deceased_on")
        batch_op.drop_column("stood_since")

    with op.batch_alter_table("objection_binding", schema=None) as batch_op:
        batch_op.drop_index("objection_binding_person")
        batch_op.drop_index("objection_binding_entry")

    op.drop_table("objection_binding")
    with op.batch_alter_table("rights_request", schema=None) as batch_op:
        batch_op.drop_index("rights_request_person")
        batch_op.drop_index("rights_request_patient")
        batch_op.drop_index("rights_request_open")
        batch_op.drop_index("rights_request_entry")
        batch_op.drop_index("rights_request_closing")

    op.drop_table("rights_request")
    with op.batch_alter_table("provisional_cleared", schema=None) as batch_op:
        batch_op.drop_index("provisional_cleared_person")

    op.drop_table("provisional_cleared")
    with op.batch_alter_table("provisional_token", schema=None) as batch_op:
        batch_op.drop_index("provisional_token_lookup")

    op.drop_table("provisional_token")
    with op.batch_alter_table("provisional_objection", schema=None) as batch_op:
        batch_op.drop_index("provisional_objection_settlement")
        batch_op.drop_index("provisional_objection_entry")

    op.drop_table("provisional_objection")
