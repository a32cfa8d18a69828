"""From which place in the log on a replica sees an alert's audience."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Go to this step."""
    op.add_column("alert", sa.Column("start_place", sa.Text()))


def downgrade() -> None:
    """Go back; the primary reads everything then."""
    op.drop_column("alert", "start_place")
