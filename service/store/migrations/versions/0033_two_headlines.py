"""Alerts with two headlines: who gets which in the test, and which one goes to the rest."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Go to this step."""
    op.add_column("alert", sa.Column("headline_test", postgresql.JSONB()))
    op.create_index(
        "alert_headline_test",
        "alert",
        ["started_at"],
        postgresql_where=sa.text("headline_test IS NOT NULL"),
    )
    op.add_column("batch", sa.Column("headline", sa.SmallInteger()))
    op.add_column(
        "batch", sa.Column("in_test", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_table(
        "headline_choice",
        sa.Column(
            "alert_id",
            sa.BigInteger(),
            sa.ForeignKey("alert.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("headline", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column(
            "decided_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
    )


def downgrade() -> None:
    """Go back; what waited for the better headline leaves with the first."""
    op.execute(
        "UPDATE batch SET claimable_at = now() WHERE headline IS NULL AND NOT in_test "
        "AND finished_at IS NULL AND started_at IS NULL AND alert_id IN "
        "(SELECT id FROM alert WHERE headline_test IS NOT NULL)"
    )
    op.drop_table("headline_choice")
    op.drop_column("batch", "in_test")
    op.drop_column("batch", "headline")
    op.drop_index("alert_headline_test", "alert")
    op.drop_column("alert", "headline_test")
