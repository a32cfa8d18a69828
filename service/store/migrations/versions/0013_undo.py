"""Whether an alert waits a moment before it leaves, so that its editor can undo it."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Go to this step."""
    op.add_column(
        "alert",
        sa.Column("undoable", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    """Go back; what waits leaves when its time comes, once its page answers."""
    op.drop_column("alert", "undoable")
