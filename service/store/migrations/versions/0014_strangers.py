"""Batches of addresses at servers that nobody named, which a process of their own sends to."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Go to this step."""
    op.add_column(
        "batch", sa.Column("strangers", sa.Boolean(), server_default=sa.false(), nullable=False)
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("batch", "strangers")
