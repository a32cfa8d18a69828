"""Feeds that are polled, alerts that sources suggest, and a second secret in rotation."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), nullable=False, server_default="")


def _moment(name: str, *, now: bool = False) -> "sa.Column[object]":
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not now)


def _parent(name: str, target: str, *, key: bool = False) -> "sa.Column[int]":
    reference = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(
        name, sa.BigInteger(), reference, primary_key=key, nullable=False, autoincrement=False
    )


def upgrade() -> None:
    """Go to this step."""
    empty = sa.text("'{}'")
    for column in (
        sa.Column("categories", postgresql.JSONB(), nullable=False, server_default=empty),
        sa.Column("alert", sa.Text(), nullable=False, server_default="never"),
        sa.Column("alert_rule", postgresql.JSONB(), nullable=False, server_default=empty),
        sa.Column("old_secret", sa.LargeBinary(), nullable=True),
        _moment("old_secret_until"),
    ):
        op.add_column("source", column)
    _create_feeds()
    op.create_table(
        "suggested_alert",
        _parent("story_id", "story.id", key=True),
        _parent("source_id", "source.id"),
        sa.Column("urgency", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        _text("settled_by"),
        _moment("settled_at"),
        _moment("created_at", now=True),
    )
    op.create_index(
        "suggested_alert_waiting",
        "suggested_alert",
        ["created_at"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("suggested_alert_source", "suggested_alert", ["source_id", "settled_at"])


def _create_feeds() -> None:
    op.create_table(
        "feed",
        _parent("source_id", "source.id", key=True),
        sa.Column("address", sa.Text(), nullable=False, unique=True),
        sa.Column("host", sa.Text(), nullable=False),
        _text("etag"),
        _text("last_modified"),
        _text("body_hash"),
        _moment("poll_at", now=True),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        _text("error"),
        _moment("polled_at"),
        _moment("changed_at"),
        _text("hub"),
        _text("hub_topic"),
        sa.Column("hub_token", sa.Text(), nullable=True, unique=True),
        sa.Column("hub_secret", sa.LargeBinary(), nullable=True),
        _moment("hub_asked_at"),
        _moment("hub_until"),
    )
    op.create_index("feed_due", "feed", ["poll_at"])


def downgrade() -> None:
    """Go back."""
    op.drop_table("suggested_alert")
    op.drop_table("feed")
    for name in ("old_secret_until", "old_secret", "alert_rule", "alert", "categories"):
        op.drop_column("source", name)
