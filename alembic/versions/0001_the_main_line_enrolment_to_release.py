"""The main line: enrolment to release

Revision: 0001, after
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("role", sa.String(length=9), nullable=False),
        sa.Column("issuer", sa.String(length=200), nullable=True),
        sa.Column("subject", sa.String(length=200), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("display_name", sa.String(length=160), nullable=False),
        sa.Column("rpps", sa.String(length=11), nullable=True),
        sa.Column("study_id", sa.String(length=80), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('doctor', 'operator', 'dpo', 'recipient', 'auditor')", name="account_role"),
        sa.CheckConstraint("(issuer IS NULL) = (subject IS NULL)", name="account_bound"),
        sa.PrimaryKeyConstraint("id", name=op.f("account_pkey")),
        sa.UniqueConstraint("email", "role", name="account_email_role_key"),
        sa.UniqueConstraint("issuer", "subject", "role", name="account_issuer_subject_role_key"),
    )
    op.create_table(
        "log_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("summary", sa.String(length=400), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("log_entry_pkey")),
    )
    op.create_table(
        "verdict",
        sa.Column("key", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("bits", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reason", sa.String(length=3), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("verdict_pkey")),
    )
    op.create_table(
        "verdict_version",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("rules_sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("verdict_version_pkey")),
    )
    op.create_table(
        "log_salt",
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("log_salt_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("log_salt_pkey")),
    )
    op.create_table(
        "log_touch",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("ref", sa.String(length=80), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("log_touch_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("log_touch_pkey")),
        sa.UniqueConstraint("kind", "ref", "entry_id", name="log_touch_kind_ref_entry_id_key"),
    )
    with op.batch_alter_table("log_touch", schema=None) as batch_op:
        batch_op.create_index("log_touch_entry", ["entry_id"], unique=False)

    op.create_table(
        "observatory",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("controller", sa.String(length=200), nullable=False),
        sa.Column("contact", sa.String(length=254), nullable=False),
        sa.Column("dpo_contact", sa.String(length=254), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("postal_address", sa.String(length=300), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("register_max_days", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("observatory_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("observatory_pkey")),
    )
    with op.batch_alter_table("observatory", schema=None) as batch_op:
        batch_op.create_index("observatory_entry", ["entry_id"], unique=False)

    op.create_table(
        "practice",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("finess", sa.String(length=9), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("city", sa.String(length=120), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("practice_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("practice_pkey")),
        sa.UniqueConstraint("finess", name=op.f("practice_finess_key")),
    )
    with op.batch_alter_table("practice", schema=None) as batch_op:
        batch_op.create_index("practice_entry", ["entry_id"], unique=False)

    op.create_table(
        "recipient",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("category", sa.String(length=80), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("contract_until", sa.Date(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("recipient_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("recipient_pkey")),
    )
    with op.batch_alter_table("recipient", schema=None) as batch_op:
        batch_op.create_index("recipient_entry", ["entry_id"], unique=False)

    op.create_table(
        "returns_reading",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("channel", sa.String(length=5), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("bounces", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("channel IN ('email', 'hand')", name="returns_reading_channel"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("returns_reading_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("returns_reading_pkey")),
    )
    with op.batch_alter_table("returns_reading", schema=None) as batch_op:
        batch_op.create_index("returns_reading_entry", ["entry_id"], unique=False)
        batch_op.create_index("returns_reading_latest", ["channel", "complete", "read_at"], unique=False)

    op.create_table(
        "session",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("second_factor", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "sites", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("session_account_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("session_pkey")),
    )
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.create_index("session_account", ["account_id"], unique=False)

    op.create_table(
        "agreement_text",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column(
            "body", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("grace_until", sa.Date(), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("observatory_id", sa.String(length=80), nullable=False),
        sa.CheckConstraint("language IN ('fr', 'en')", name="agreement_text_language"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("agreement_text_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["observatory_id"], ["observatory.id"], name=op.f("agreement_text_observatory_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("agreement_text_pkey")),
        sa.UniqueConstraint(
            "observatory_id", "version", "language", name="agreement_text_observatory_id_version_language_key"
        ),
    )
    with op.batch_alter_table("agreement_text", schema=None) as batch_op:
        batch_op.create_index("agreement_text_entry", ["entry_id"], unique=False)

    op.create_table(
        "authorisation",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("reference", sa.String(length=120), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("dpia_review_on", sa.Date(), nullable=True),
        sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "conditions", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("observatory_id", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("authorisation_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["observatory_id"], ["observatory.id"], name=op.f("authorisation_observatory_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("authorisation_pkey")),
    )
    with op.batch_alter_table("authorisation", schema=None) as batch_op:
        batch_op.create_index("authorisation_entry", ["entry_id"], unique=False)
        batch_op.create_index("authorisation_observatory", ["observatory_id"], unique=False)

    op.create_table(
        "campaign",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_by", sa.String(length=80), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("observatory_id", sa.String(length=80), nullable=False),
        sa.Column("practice_id", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("campaign_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["observatory_id"], ["observatory.id"], name=op.f("campaign_observatory_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("campaign_practice_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("campaign_pkey")),
    )
    with op.batch_alter_table("campaign", schema=None) as batch_op:
        batch_op.create_index("campaign_entry", ["entry_id"], unique=False)
        batch_op.create_index("campaign_observatory", ["observatory_id", "practice_id"], unique=False)
        batch_op.create_index("campaign_practice", ["practice_id"], unique=False)

    op.create_table(
        "notice_text",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("reader", sa.String(length=8), nullable=False),
        sa.Column(
            "body", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("author", sa.String(length=80), nullable=False),
        sa.Column("approved_by", sa.String(length=80), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("observatory_id", sa.String(length=80), nullable=False),
        sa.CheckConstraint("language IN ('fr', 'en')", name="notice_text_language"),
        sa.CheckConstraint("reader IN ('adult', 'teenager', 'child', 'easy')", name="notice_text_reader"),
        sa.CheckConstraint("state <> 'published' OR approved_by IS NOT NULL", name="notice_text_needs_approval"),
        sa.CheckConstraint("state IN ('draft', 'published', 'withdrawn')", name="notice_text_state"),
        sa.CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="notice_text_approved"),
        sa.CheckConstraint("approved_by IS NULL OR approved_by <> author", name="notice_text_two_persons"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("notice_text_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["observatory_id"], ["observatory.id"], name=op.f("notice_text_observatory_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("notice_text_pkey")),
        sa.UniqueConstraint(
            "observatory_id",
            "version",
            "language",
            "reader",
            name="notice_text_observatory_id_version_language_reader_key",
        ),
    )
    with op.batch_alter_table("notice_text", schema=None) as batch_op:
        batch_op.create_index("notice_text_entry", ["entry_id"], unique=False)

    op.create_table(
        "permit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("crossing", sa.String(length=10), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("cut", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "doctors", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("observatory_id", sa.String(length=80), nullable=False),
        sa.Column("practice_id", sa.String(length=80), nullable=False),
        sa.CheckConstraint("crossing IN ('extraction', 'release')", name="permit_crossing"),
        sa.ForeignKeyConstraint(["entry_id"], ["log_entry.id"], name=op.f("permit_entry_id_fkey"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(
            ["observatory_id"], ["observatory.id"], name=op.f("permit_observatory_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("permit_practice_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("permit_pkey")),
        sa.UniqueConstraint(
            "practice_id", "observatory_id", "serial", name="permit_practice_id_observatory_id_serial_key"
        ),
        sa.UniqueConstraint("sha256", name=op.f("permit_sha256_key")),
    )
    with op.batch_alter_table("permit", schema=None) as batch_op:
        batch_op.create_index("permit_entry", ["entry_id"], unique=False)
        batch_op.create_index("permit_observatory", ["observatory_id"], unique=False)

    op.create_table(
        "register_import",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file_sha256", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("partial", sa.Boolean(), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("practice_id", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("register_import_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("register_import_practice_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("register_import_pkey")),
    )
    with op.batch_alter_table("register_import", schema=None) as batch_op:
        batch_op.create_index("register_import_entry", ["entry_id"], unique=False)
        batch_op.create_index("register_import_practice", ["practice_id", "taken_at"], unique=False)

    op.create_table(
        "study",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("question", sa.String(length=600), nullable=False),
        sa.Column("purpose", sa.String(length=24), nullable=False),
        sa.Column("ethics_opinion", sa.String(length=120), nullable=False),
        sa.Column("k", sa.Integer(), nullable=False),
        sa.Column(
            "conditions", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("conditions_hash", sa.String(length=64), nullable=False),
        sa.Column("listed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("observatory_id", sa.String(length=80), nullable=False),
        sa.Column("recipient_id", sa.String(length=80), nullable=False),
        sa.CheckConstraint(
            "purpose IN ('public_health_research', 'care_evaluation', 'drug_safety', 'health_product_promotion', 'insurance')",
            name="study_purpose",
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["log_entry.id"], name=op.f("study_entry_id_fkey"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(
            ["observatory_id"], ["observatory.id"], name=op.f("study_observatory_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["recipient_id"], ["recipient.id"], name=op.f("study_recipient_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("study_pkey")),
    )
    with op.batch_alter_table("study", schema=None) as batch_op:
        batch_op.create_index("study_entry", ["entry_id"], unique=False)
        batch_op.create_index("study_observatory", ["observatory_id"], unique=False)
        batch_op.create_index("study_recipient", ["recipient_id"], unique=False)

    op.create_table(
        "enrolment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("doctor_number", sa.String(length=80), nullable=True),
        sa.Column("agreement_sha256", sa.String(length=64), nullable=True),
        sa.Column("includes_history", sa.Boolean(), nullable=True),
        sa.Column("identified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("active_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verified_by", sa.String(length=80), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("agreement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("observatory_id", sa.String(length=80), nullable=False),
        sa.Column("practice_id", sa.String(length=80), nullable=False),
        sa.CheckConstraint(
            "state IN ('identified', 'signed', 'active', 'paused', 'left', 'suspended')", name="enrolment_state"
        ),
        sa.CheckConstraint(
            "(active_from IS NULL) = (verified_by IS NULL) AND (active_from IS NULL) = (doctor_number IS NULL)",
            name="enrolment_verified",
        ),
        sa.CheckConstraint(
            "(signed_at IS NULL) = (agreement_id IS NULL) AND (signed_at IS NULL) = (agreement_sha256 IS NULL) AND (signed_at IS NULL) = (includes_history IS NULL)",
            name="enrolment_signed",
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("enrolment_account_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement_text.id"], name=op.f("enrolment_agreement_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("enrolment_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["observatory_id"], ["observatory.id"], name=op.f("enrolment_observatory_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("enrolment_practice_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("enrolment_pkey")),
        sa.UniqueConstraint(
            "account_id", "practice_id", "observatory_id", name="enrolment_account_id_practice_id_observatory_id_key"
        ),
    )
    with op.batch_alter_table("enrolment", schema=None) as batch_op:
        batch_op.create_index("enrolment_agreement", ["agreement_id"], unique=False)
        batch_op.create_index("enrolment_entry", ["entry_id"], unique=False)
        batch_op.create_index("enrolment_observatory", ["observatory_id"], unique=False)
        batch_op.create_index("enrolment_practice", ["practice_id", "observatory_id"], unique=False)

    op.create_table(
        "extraction",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("file_name", sa.String(length=120), nullable=False),
        sa.Column("file_sha256", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("practice_id", sa.String(length=80), nullable=False),
        sa.Column("permit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("extraction_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["permit_id"], ["permit.id"], name=op.f("extraction_permit_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("extraction_practice_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("extraction_pkey")),
        sa.UniqueConstraint("permit_id", name=op.f("extraction_permit_id_key")),
    )
    with op.batch_alter_table("extraction", schema=None) as batch_op:
        batch_op.create_index("extraction_entry", ["entry_id"], unique=False)
        batch_op.create_index("extraction_practice", ["practice_id"], unique=False)

    op.create_table(
        "person",
        sa.Column("id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.Column("import_batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_batch_id"], ["register_import.id"], name=op.f("person_import_batch_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("person_pkey")),
    )
    with op.batch_alter_table("person", schema=None) as batch_op:
        batch_op.create_index("person_import", ["import_batch_id"], unique=False)

    op.create_table(
        "release",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("cut", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("holds_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("conditions_hash", sa.String(length=64), nullable=False),
        sa.Column("list_sha256", sa.String(length=64), nullable=False),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=False),
        sa.Column(
            "summary", sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"), nullable=False
        ),
        sa.Column("prepared_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("prepared_by", sa.String(length=80), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_by", sa.String(length=80), nullable=True),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sealed_by", sa.String(length=80), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_id", sa.String(length=80), nullable=False),
        sa.CheckConstraint("state IN ('prepared', 'approved', 'sealed', 'withdrawn')", name="release_state"),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'sealed') OR approved_by IS NOT NULL", name="release_needs_approval"
        ),
        sa.CheckConstraint("(approved_at IS NULL) = (approved_by IS NULL)", name="release_approved"),
        sa.CheckConstraint("(sealed_at IS NULL) = (sealed_by IS NULL)", name="release_sealed"),
        sa.CheckConstraint("approved_by IS NULL OR approved_by <> prepared_by", name="release_two_persons"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("release_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("release_study_id_fkey"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("release_pkey")),
    )
    with op.batch_alter_table("release", schema=None) as batch_op:
        batch_op.create_index("release_entry", ["entry_id"], unique=False)
        batch_op.create_index("release_study", ["study_id"], unique=False)

    op.create_table(
        "patient",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("number", sa.String(length=80), nullable=False),
        sa.Column("doctor_number", sa.String(length=80), nullable=False),
        sa.Column("birth_date", sa.String(length=10), nullable=False),
        sa.Column("sex", sa.String(length=7), nullable=False),
        sa.Column("adult_on", sa.Date(), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("representative_kind", sa.String(length=8), nullable=True),
        sa.Column("deceased_on", sa.Date(), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("row_digest", sa.LargeBinary(), nullable=False),
        sa.Column("import_batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.Column("practice_id", sa.String(length=80), nullable=False),
        sa.CheckConstraint("language IN ('fr', 'en')", name="patient_language"),
        sa.CheckConstraint(
            "representative_kind IS NULL OR representative_kind IN ('self', 'parent', 'guardian', 'mandate')",
            name="patient_representative",
        ),
        sa.CheckConstraint("sex IN ('female', 'male', 'other', 'unknown')", name="patient_sex"),
        sa.ForeignKeyConstraint(
            ["import_batch_id"], ["register_import.id"], name=op.f("patient_import_batch_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("patient_person_id_fkey"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("patient_practice_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("patient_pkey")),
        sa.UniqueConstraint("practice_id", "number", name="patient_practice_id_number_key"),
    )
    with op.batch_alter_table("patient", schema=None) as batch_op:
        batch_op.create_index("patient_import", ["import_batch_id"], unique=False)
        batch_op.create_index("patient_person", ["person_id"], unique=False)

    op.create_table(
        "person_token",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("person_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("person_token_person_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("person_token_pkey")),
        sa.UniqueConstraint("person_id", "kind", "token", name="person_token_person_id_kind_token_key"),
    )
    with op.batch_alter_table("person_token", schema=None) as batch_op:
        batch_op.create_index("person_token_lookup", ["kind", "token"], unique=False)

    op.create_table(
        "release_person",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("pseudonym", sa.String(length=32), nullable=False),
        sa.Column("holds_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("person_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.Column("practice_id", sa.String(length=80), nullable=False),
        sa.Column("release_id", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("release_person_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["practice_id"], ["practice.id"], name=op.f("release_person_practice_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["release_id"], ["release.id"], name=op.f("release_person_release_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("release_person_pkey")),
        sa.UniqueConstraint(
            "release_id", "person_id", "practice_id", name="release_person_release_id_person_id_practice_id_key"
        ),
    )
    with op.batch_alter_table("release_person", schema=None) as batch_op:
        batch_op.create_index("release_person_person", ["person_id"], unique=False)
        batch_op.create_index("release_person_practice", ["practice_id"], unique=False)

    op.create_table(
        "contact",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("addressee", sa.String(length=8), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("email_index", sa.String(length=64), nullable=True),
        sa.Column("import_batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("addressee IN ('self', 'parent', 'guardian', 'mandate')", name="contact_addressee"),
        sa.ForeignKeyConstraint(
            ["import_batch_id"], ["register_import.id"], name=op.f("contact_import_batch_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("contact_patient_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("contact_pkey")),
        sa.UniqueConstraint("patient_id", "addressee", name="contact_patient_id_addressee_key"),
    )
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.create_index("contact_email", ["email_index"], unique=False)
        batch_op.create_index("contact_import", ["import_batch_id"], unique=False)

    op.create_table(
        "former_person",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("import_batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_batch_id"],
            ["register_import.id"],
            name=op.f("former_person_import_batch_id_fkey"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("former_person_patient_id_fkey"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("former_person_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("former_person_pkey")),
        sa.UniqueConstraint("patient_id", "person_id", name="former_person_patient_id_person_id_key"),
    )
    with op.batch_alter_table("former_person", schema=None) as batch_op:
        batch_op.create_index("former_person_import", ["import_batch_id"], unique=False)
        batch_op.create_index("former_person_person", ["person_id"], unique=False)

    op.create_table(
        "identity_doubt",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.String(length=80), nullable=True),
        sa.Column("import_batch_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("(settled_at IS NULL) = (settled_by IS NULL)", name="identity_doubt_settled"),
        sa.ForeignKeyConstraint(
            ["import_batch_id"],
            ["register_import.id"],
            name=op.f("identity_doubt_import_batch_id_fkey"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("identity_doubt_patient_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("identity_doubt_pkey")),
        sa.UniqueConstraint(
            "patient_id", "reason", "import_batch_id", name="identity_doubt_patient_id_reason_import_batch_id_key"
        ),
    )
    with op.batch_alter_table("identity_doubt", schema=None) as batch_op:
        batch_op.create_index("identity_doubt_import", ["import_batch_id"], unique=False)

    op.create_table(
        "notice",
        sa.Column("id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.Column("addressee", sa.String(length=8), nullable=False),
        sa.Column("channel", sa.String(length=5), nullable=False),
        sa.Column("state", sa.String(length=11), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("address_index", sa.String(length=64), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("server_answer", sa.String(length=12), nullable=True),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("campaign_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("text_id", sa.String(length=80), nullable=False),
        sa.CheckConstraint("addressee IN ('self', 'parent', 'guardian', 'mandate')", name="notice_addressee"),
        sa.CheckConstraint("channel IN ('email', 'hand')", name="notice_channel"),
        sa.CheckConstraint(
            "state IN ('queued', 'sent', 'bounced', 'returned', 'handed_over', 'unknown')", name="notice_state"
        ),
        sa.CheckConstraint(
            "CASE WHEN campaign_id IS NULL THEN 0 ELSE 1 END + CASE WHEN entry_id IS NULL THEN 0 ELSE 1 END = 1",
            name="notice_one_origin",
        ),
        sa.CheckConstraint("sent_at IS NULL OR server_answer IS NOT NULL", name="notice_sent"),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("notice_campaign_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["log_entry.id"], name=op.f("notice_entry_id_fkey"), ondelete="RESTRICT"),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("notice_patient_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["text_id"], ["notice_text.id"], name=op.f("notice_text_id_fkey"), ondelete="RESTRICT"),
        sa.PrimaryKeyConstraint("id", name=op.f("notice_pkey")),
        sa.UniqueConstraint(
            "patient_id",
            "text_id",
            "addressee",
            "channel",
            "address_index",
            name="notice_patient_id_text_id_addressee_channel_address_index_key",
        ),
        sa.UniqueConstraint("token_hash", name=op.f("notice_token_hash_key")),
    )
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.create_index("notice_campaign", ["campaign_id"], unique=False)
        batch_op.create_index("notice_entry", ["entry_id"], unique=False)
        batch_op.create_index("notice_text_fk", ["text_id"], unique=False)

    op.create_table(
        "objection",
        sa.Column("id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.Column("scope", sa.String(length=11), nullable=False),
        sa.Column("scope_ref", sa.String(length=80), nullable=False),
        sa.Column("channel", sa.String(length=6), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("entry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("notice_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=True),
        sa.Column("patient_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("person_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.Column("withdrawal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.CheckConstraint("channel IN ('link', 'paper', 'phone', 'doctor')", name="objection_channel"),
        sa.CheckConstraint("scope IN ('everything', 'observatory', 'study', 'practice')", name="objection_scope"),
        sa.CheckConstraint("(withdrawn_at IS NULL) = (withdrawal_id IS NULL)", name="objection_withdrawn"),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("objection_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("objection_notice_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name=op.f("objection_patient_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("objection_person_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["withdrawal_id"], ["log_entry.id"], name=op.f("objection_withdrawal_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("objection_pkey")),
    )
    with op.batch_alter_table("objection", schema=None) as batch_op:
        batch_op.create_index("objection_entry", ["entry_id"], unique=False)
        batch_op.create_index("objection_notice", ["notice_id"], unique=False)
        batch_op.create_index("objection_patient", ["patient_id"], unique=False)
        batch_op.create_index("objection_person", ["person_id", "withdrawn_at"], unique=False)
        batch_op.create_index("objection_withdrawal", ["withdrawal_id"], unique=False)

    op.create_table(
        "outbox_item",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("notice_id", sa.CHAR(length=36).with_variant(sa.Uuid(), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("outbox_item_notice_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("outbox_item_pkey")),
        sa.UniqueConstraint("notice_id", name=op.f("outbox_item_notice_id_key")),
    )
    with op.batch_alter_table("outbox_item", schema=None) as batch_op:
        batch_op.create_index("outbox_item_due", ["done_at", "due_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("outbox_item", schema=None) as batch_op:
        batch_op.drop_index("outbox_item_due")

    op.drop_table("outbox_item")
    with op.batch_alter_table("objection", schema=None) as batch_op:
        batch_op.drop_index("objection_withdrawal")
        batch_op.drop_index("objection_person")
        batch_op.drop_index("objection_patient")
        batch_op.drop_index("objection_notice")
        batch_op.drop_index("objection_entry")

    op.drop_table("objection")
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.drop_index("notice_text_fk")
        batch_op.drop_index("notice_entry")
        batch_op.drop_index("notice_campaign")

    op.drop_table("notice")
    with op.batch_alter_table("identity_doubt", schema=None) as batch_op:
        batch_op.drop_index("identity_doubt_import")

    op.drop_table("identity_doubt")
    with op.batch_alter_table("former_person", schema=None) as batch_op:
        batch_op.drop_index("former_person_person")
        batch_op.drop_index("former_person_import")

    op.drop_table("former_person")
    with op.batch_alter_table("contact", schema=None) as batch_op:
        batch_op.drop_index("contact_import")
        batch_op.drop_index("contact_email")

    op.drop_table("contact")
    with op.batch_alter_table("release_person", schema=None) as batch_op:
        batch_op.drop_index("release_person_practice")
        batch_op.drop_index("release_person_person")

    op.drop_table("release_person")
    with op.batch_alter_table("person_token", schema=None) as batch_op:
        batch_op.drop_index("person_token_lookup")

    op.drop_table("person_token")
    with op.batch_alter_table("patient", schema=None) as batch_op:
        batch_op.drop_index("patient_person")
        batch_op.drop_index("patient_import")

    op.drop_table("patient")
    with op.batch_alter_table("release", schema=None) as batch_op:
        batch_op.drop_index("release_study")
        batch_op.drop_index("release_entry")

    op.drop_table("release")
    with op.batch_alter_table("person", schema=None) as batch_op:
        batch_op.drop_index("person_import")

    op.drop_table("person")
    with op.batch_alter_table("extraction", schema=None) as batch_op:
        batch_op.drop_index("extraction_practice")
        batch_op.drop_index("extraction_entry")

    op.drop_table("extraction")
    with op.batch_alter_table("enrolment", schema=None) as batch_op:
        batch_op.drop_index("enrolment_practice")
        batch_op.drop_index("enrolment_observatory")
        batch_op.drop_index("enrolment_entry")
        batch_op.drop_index("enrolment_agreement")

    op.drop_table("enrolment")
    with op.batch_alter_table("study", schema=None) as batch_op:
        batch_op.drop_index("study_recipient")
        batch_op.drop_index("study_observatory")
        batch_op.drop_index("study_entry")

    op.drop_table("study")
    with op.batch_alter_table("register_import", schema=None) as batch_op:
        batch_op.drop_index("register_import_practice")
        batch_op.drop_index("register_import_entry")

    op.drop_table("register_import")
    with op.batch_alter_table("permit", schema=None) as batch_op:
        batch_op.drop_index("permit_observatory")
        batch_op.drop_index("permit_entry")

    op.drop_table("permit")
    with op.batch_alter_table("notice_text", schema=None) as batch_op:
        batch_op.drop_index("notice_text_entry")

    op.drop_table("notice_text")
    with op.batch_alter_table("campaign", schema=None) as batch_op:
        batch_op.drop_index("campaign_practice")
        batch_op.drop_index("campaign_observatory")
        batch_op.drop_index("campaign_entry")

    op.drop_table("campaign")
    with op.batch_alter_table("authorisation", schema=None) as batch_op:
        batch_op.drop_index("authorisation_observatory")
        batch_op.drop_index("authorisation_entry")

    op.drop_table("authorisation")
    with op.batch_alter_table("agreement_text", schema=None) as batch_op:
        batch_op.drop_index("agreement_text_entry")

    op.drop_table("agreement_text")
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.drop_index("session_account")

    op.drop_table("session")
    with op.batch_alter_table("returns_reading", schema=None) as batch_op:
        batch_op.drop_index("returns_reading_latest")
        batch_op.drop_index("returns_reading_entry")

    op.drop_table("returns_reading")
    with op.batch_alter_table("recipient", schema=None) as batch_op:
        batch_op.drop_index("recipient_entry")

    op.drop_table("recipient")
    with op.batch_alter_table("practice", schema=None) as batch_op:
        batch_op.drop_index("practice_entry")

    op.drop_table("practice")
    with op.batch_alter_table("observatory", schema=None) as batch_op:
        batch_op.drop_index("observatory_entry")

    op.drop_table("observatory")
    with op.batch_alter_table("log_touch", schema=None) as batch_op:
        batch_op.drop_index("log_touch_entry")

    op.drop_table("log_touch")
    op.drop_table("log_salt")
    op.drop_table("verdict_version")
    op.drop_table("verdict")
    op.drop_table("log_entry")
    op.drop_table("account")
