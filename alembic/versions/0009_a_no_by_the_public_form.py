"""A no may come by the public form

Revision: 0009, after 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("objection", "provisional_objection")
CHANNELS = "('link', 'paper', 'phone', 'doctor', 'form')"
CHANNELS_BEFORE = "('link', 'paper', 'phone', 'doctor')"


def _allow(channels: str) -> None:
    for table in TABLES:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(f"{table}_channel", type_="check")
            batch_op.create_check_constraint(f"{table}_channel", f"channel IN {channels}")


def upgrade() -> None:
    _allow(CHANNELS)


def downgrade() -> None:
    """Fails, and changes nothing, while an objection by the form is on record: none is dropped or renamed."""
    _allow(CHANNELS_BEFORE)
