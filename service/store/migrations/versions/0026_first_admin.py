"""The link by which the first admin sets a password."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Go to this step."""
    op.create_table(
        "first_admin_link",
        sa.Column("token_hash", sa.LargeBinary(), primary_key=True),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Go back; `newszop migrate` of before adds the admin by itself."""
    op.drop_table("first_admin_link")
