"""An index that finds the endpoints of browsers whose push services have ended them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Go to this step."""
    op.create_index(
        "device_dead_endpoint",
        "device",
        ["address_hash"],
        unique=False,
        postgresql_where=sa.text("gone_at IS NOT NULL AND kind = 'endpoint'"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("device_dead_endpoint", table_name="device")
