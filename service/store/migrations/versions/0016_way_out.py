"""Why a worker cannot send, in its heartbeat."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Go to this step."""
    op.add_column("worker", sa.Column("trouble", sa.Text(), nullable=True))


def downgrade() -> None:
    """Go back; workers send as before."""
    op.drop_column("worker", "trouble")
