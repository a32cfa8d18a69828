"""Imported readers whom no browser or app has claimed yet."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Go to this step. Readers that were imported before keep what they have."""
    op.add_column(
        "reader", sa.Column("unclaimed", sa.Boolean(), server_default=sa.false(), nullable=False)
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("reader", "unclaimed")
