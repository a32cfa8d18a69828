"""The last step whose one-time code was accepted, and how many codes in a row were wrong."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Go to this step."""
    op.add_column("staff", sa.Column("totp_step", sa.BigInteger(), nullable=True))
    op.add_column(
        "staff",
        sa.Column("totp_failures", sa.Integer(), nullable=False, server_default="0"),
    )


def downgrade() -> None:
    """Go back; a code that was just used could be used once more."""
    op.drop_column("staff", "totp_failures")
    op.drop_column("staff", "totp_step")
