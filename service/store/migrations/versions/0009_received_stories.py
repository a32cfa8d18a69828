"""What senders last sent of their stories: their own versions, and kills that came first."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Go to this step."""
    op.create_table(
        "received_story",
        sa.Column("uri", sa.Text(), primary_key=True),
        sa.Column(
            "story_id",
            sa.BigInteger(),
            sa.ForeignKey("story.id", ondelete="CASCADE"),
            nullable=True,
        ),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=True),
        sa.Column("is_kill", sa.Boolean(), nullable=False),
        sa.Column("received_by", sa.Text(), nullable=False),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    op.create_index("received_story_by", "received_story", ["received_by"])
    op.create_index(
        "received_story_alone",
        "received_story",
        ["received_at"],
        postgresql_where=sa.text("story_id IS NULL"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("received_story")
