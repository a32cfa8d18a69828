"""Troubles that were seen, and what people and the newsroom know already."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Go to this step."""
    op.create_table(
        "alarm",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reported", sa.Boolean(), nullable=False),
        sa.Column("away_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "desk_note",
        sa.Column("alert_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Go back; what lasts is reported again."""
    op.drop_table("desk_note")
    op.drop_table("alarm")
