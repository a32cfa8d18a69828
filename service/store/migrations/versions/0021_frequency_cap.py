"""The most alerts in a day: readers' wishes, and whom an alert went to while that counts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Go to this step."""
    op.add_column("reader", sa.Column("alerts_per_day", sa.SmallInteger()))
    op.create_index(
        "reader_wish",
        "reader",
        ["id"],
        postgresql_include=["alerts_per_day"],
        postgresql_where=sa.text("alerts_per_day IS NOT NULL"),
    )
    op.add_column("alert", sa.Column("frequency_cap", sa.SmallInteger()))
    op.create_index(
        "alert_counts",
        "alert",
        ["started_at"],
        postgresql_where=sa.text("started_at IS NOT NULL AND urgency < 2"),
    )
    op.create_table(
        "recent_send",
        sa.Column(
            "alert_id",
            sa.BigInteger(),
            sa.ForeignKey("alert.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("first_reader_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("reader_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("recent_send")
    op.drop_index("alert_counts", "alert")
    op.drop_column("alert", "frequency_cap")
    op.drop_index("reader_wish", "reader")
    op.drop_column("reader", "alerts_per_day")
