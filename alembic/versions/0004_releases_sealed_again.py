"""Releases sealed again: their version, who left which, what was delivered as it was; two humans; recipients' keys

Revision: 0004, after 0003
"""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_CHECKS = {
    "release_two_subjects": "approver_subject IS NULL OR preparer_subject IS NULL OR "
    "approver_subject <> preparer_subject",
    "release_two_addresses": "approver_address IS NULL OR preparer_address IS NULL OR "
    "approver_address <> preparer_address",
    "release_approver_is_known": "approved_by IS NULL OR approver_subject IS NOT NULL",
}

_HUMAN = ("preparer_subject", "preparer_address", "approver_subject", "approver_address")


def upgrade() -> None:
    op.add_column("recipient", sa.Column("age_recipient", sa.String(length=62), nullable=True))
    op.add_column("release_person", sa.Column("left_version", sa.Integer(), nullable=True))
    op.add_column("release", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    for name in _HUMAN:
        op.add_column("release", sa.Column(name, sa.String(length=64), nullable=True))
    op.create_table(
        "delivery",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("cut", _ID, nullable=False),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=False),
        sa.Column("doctors", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_id", _ID, nullable=False),
        sa.Column("release_id", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["log_entry.id"], name=op.f("delivery_entry_id_fkey"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["release_id"], ["release.id"], name=op.f("delivery_release_id_fkey"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("delivery_pkey")),
        sa.UniqueConstraint("release_id", "version", name="delivery_release_id_version_key"),
    )
    op.create_index("delivery_entry", "delivery", ["entry_id"])
    _tell_the_humans()
    _keep_what_was_delivered()
    with op.batch_alter_table("release") as batch:
        for name, text in _CHECKS.items():
            batch.create_check_constraint(name, text)


def _tell_the_humans() -> None:
    """The fingerprints of those who prepared and approved, as flow/sign_in.py takes them."""
    c = op.get_bind()
    accounts = {
        f"{a.role}:{a.id}": (_hash(a.subject and f"{a.issuer}\0{a.subject}"), _hash(a.email))
        for a in c.execute(sa.text("SELECT id, role, issuer, subject, email FROM account"))
    }
    for release in c.execute(sa.text("SELECT id, prepared_by, approved_by FROM release")).all():
        humans = accounts.get(release.prepared_by, (None, None)) + accounts.get(release.approved_by, (None, None))
        values: dict[str, Any] = dict(zip(_HUMAN, humans, strict=True)) | {"id": release.id}
        c.execute(sa.text(f"UPDATE release SET {', '.join(f'{n} = :{n}' for n in _HUMAN)} WHERE id = :id"), values)


def _hash(text: str | None) -> str | None:
    return hashlib.sha256(text.encode()).hexdigest() if text else None


def _keep_what_was_delivered() -> None:
    """Releases served before: one version each."""
    c = op.get_bind()
    served = c.execute(
        sa.text(
            "SELECT r.id, r.cut, r.manifest_sha256, r.summary, e.at, e.id AS entry_id FROM release r "
            "JOIN (SELECT t.ref, min(t.entry_id) AS entry_id FROM log_touch t JOIN log_entry l ON l.id = t.entry_id "
            "WHERE t.kind = 'release' AND l.kind = 'release_served' GROUP BY t.ref) s ON s.ref = r.id "
            "JOIN log_entry e ON e.id = s.entry_id"
        )
    ).all()
    for row in served:
        summary = json.loads(row.summary) if isinstance(row.summary, str) else row.summary
        doctors = [[practice, name] for practice, name, _ in summary["basis"]["spans"]]
        c.execute(
            sa.text(
                "INSERT INTO delivery (release_id, version, cut, manifest_sha256, doctors, served_at, entry_id) "
                f"VALUES (:id, 1, :cut, :sha, {_json(c)}, :at, :entry)"
            ),
            {
                "id": row.id, "cut": row.cut, "sha": row.manifest_sha256, "doctors": json.dumps(doctors),
                "at": row.at, "entry": row.entry_id,
            },
        )  # fmt: skip


def _json(c: sa.Connection) -> str:
    return "CAST(:doctors AS jsonb)" if c.dialect.name == "postgresql" else ":doctors"


def downgrade() -> None:
    with op.batch_alter_table("release") as batch:
        for name in _CHECKS:
            batch.drop_constraint(name, type_="check")
        for column in (*_HUMAN, "version"):
            batch.drop_column(column)
    op.drop_table("delivery")
    op.drop_column("release_person", "left_version")
    op.drop_column("recipient", "age_recipient")
