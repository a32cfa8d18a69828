"""Search over stories, and the codes of Media Topics as aliases of topics."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

WORDS = (
    "to_tsvector('simple'::regconfig, regexp_replace(normalize(lower(normalize("
    "headline || ' ' || summary || ' ' || author || ' ' || left(body, 10000), NFKC)), NFKD), "
    "'[\u0300-\u036f\u00ad\u200b-\u200f\u2060\ufeff]', '', 'g'))"
)


def upgrade() -> None:
    """Go to this step."""
    op.create_index("story_words", "story", [sa.text(WORDS)], postgresql_using="gin")
    op.create_table(
        "topic_code",
        sa.Column("code", sa.Text(), primary_key=True),
        sa.Column(
            "topic_id",
            sa.BigInteger(),
            sa.ForeignKey("topic.id", ondelete="CASCADE"),
            nullable=False,
            autoincrement=False,
        ),
    )
    op.create_index("topic_code_topic", "topic_code", ["topic_id"])


def downgrade() -> None:
    """Go back."""
    op.drop_table("topic_code")
    op.drop_index("story_words", "story")
