"""What alerts did: openings by minute, departures, results, and rows of the audience by day."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Go to this step."""
    op.add_column(
        "receipt",
        sa.Column(
            "openings",
            postgresql.ARRAY(sa.Integer()),
            nullable=False,
            server_default=sa.text("'{}'"),
        ),
    )
    op.create_table(
        "departure",
        sa.Column("id", sa.Uuid(), primary_key=True, server_default=sa.text("gen_random_uuid()")),
        _reference("topic_id", "topic.id"),
        _moment("since"),
        sa.Column("unfollows", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("mutes", sa.Integer(), nullable=False, server_default="0"),
    )
    op.create_index("departure_topic", "departure", ["topic_id", "since"])
    op.create_index("departure_since", "departure", ["since"])
    op.create_index(
        "device_gone",
        "device",
        ["gone_at"],
        postgresql_include=["provider", "gone_why"],
        postgresql_where=sa.text("gone_at IS NOT NULL"),
    )
    op.create_table(
        "alert_result",
        _reference("alert_id", "alert.id", primary_key=True),
        _moment("counted_at", server_default=sa.text("now()")),
        sa.Column("figures", postgresql.JSONB(), nullable=False),
    )
    op.create_table(
        "audience_day",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("provider", sa.Text(), primary_key=True),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("devices", "removals", "gone")
        ),
    )
    op.create_table(
        "provider_sample",
        _moment("minute", primary_key=True),
        sa.Column("provider", sa.Text(), primary_key=True),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("accepted", "errors", "waiting")
        ),
    )


def downgrade() -> None:
    """Go back; what was counted is lost."""
    for table in ("provider_sample", "audience_day", "alert_result", "departure"):
        op.drop_table(table)
    op.drop_index("device_gone", "device")
    op.drop_column("receipt", "openings")


def _moment(name: str, **options: Any) -> "sa.Column[Any]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, **options)


def _reference(name: str, target: str, **options: Any) -> "sa.Column[Any]":
    return sa.Column(
        name,
        sa.BigInteger(),
        sa.ForeignKey(target, ondelete="CASCADE"),
        nullable=False,
        autoincrement=False,
        **options,
    )
