"""Why a scheduled alert waits, and how often in a row its story's page was refused."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Go to this step."""
    op.add_column("alert", sa.Column("wait_reason", sa.Text(), nullable=True))
    op.add_column(
        "alert", sa.Column("page_refusals", sa.Integer(), nullable=False, server_default="0")
    )


def downgrade() -> None:
    """Go back; what waits waits on without a reason."""
    op.drop_column("alert", "page_refusals")
    op.drop_column("alert", "wait_reason")
