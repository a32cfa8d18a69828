"""What earlier alerts say of a device: accepted before, refused how often."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Go to this step.

    Devices of before count as accepted: nothing was noted of them, and they were pushed to. The
    default is taken once for all rows, so that no row is written.
    """
    op.add_column(
        "device",
        sa.Column(
            "trusted_at", sa.DateTime(timezone=True), nullable=True, server_default=sa.func.now()
        ),
    )
    op.alter_column("device", "trusted_at", server_default=None)
    op.add_column(
        "device", sa.Column("refusals", sa.SmallInteger(), nullable=False, server_default="0")
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("device", "refusals")
    op.drop_column("device", "trusted_at")
