"""Alerts that leave at a time of day where each reader is; batches of one zone and deadline."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Go to this step."""
    op.add_column("alert", sa.Column("local_release", postgresql.JSONB()))
    op.add_column("batch", sa.Column("expires_at", sa.DateTime(timezone=True)))
    op.add_column("batch", sa.Column("zone", sa.Text()))


def downgrade() -> None:
    """Go back; what is planned leaves as it was planned."""
    op.drop_column("batch", "zone")
    op.drop_column("batch", "expires_at")
    op.drop_column("alert", "local_release")
