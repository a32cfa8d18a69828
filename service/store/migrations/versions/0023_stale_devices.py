"""Devices that have not been seen for long."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Go to this step. The default is constant, so no row is written."""
    op.add_column(
        "device", sa.Column("stale", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_index(
        "device_stale",
        "device",
        ["reader_id"],
        postgresql_include=["id", "provider"],
        postgresql_where=sa.text("stale AND gone_at IS NULL"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("device_stale", "device")
    op.drop_column("device", "stale")
