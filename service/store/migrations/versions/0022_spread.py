"""Over how many seconds an alert leaves."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Go to this step."""
    op.add_column("alert", sa.Column("spread_s", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Go back; what is planned leaves as it was planned."""
    op.drop_column("alert", "spread_s")
