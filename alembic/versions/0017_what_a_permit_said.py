"""What a permit said, so that what arrives is held against what a permit would say now

Revision: 0017, after 0016
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A permit issued before has no terms: what was extracted with it is refused, and extracted again."""
    terms = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
    op.add_column("permit", sa.Column("terms", terms, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("permit", schema=None) as batch_op:
        batch_op.drop_column("terms")
