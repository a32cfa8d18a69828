"""Stems of stories' words, topics' names in other languages, how often a feed wants to be asked."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

STEMMERS = {
    "ar": "arabic",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
STEMMER = "CASE split_part(language, '-', 1) {} ELSE 'simple'::regconfig END".format(
    " ".join(f"WHEN '{tag}' THEN '{name}'::regconfig" for tag, name in STEMMERS.items())
)
STEMS = (
    f"to_tsvector({STEMMER}, lower(normalize(headline || ' ' || summary || ' ' || author"
    " || ' ' || left(body, 10000), NFKC)))"
)


def upgrade() -> None:
    """Go to this step."""
    op.create_index("story_stems", "story", [sa.text(STEMS)], postgresql_using="gin")
    for index in ("story_words", "story_stems"):
        # whoever analyses the table would compute the words of thousands of stories
        op.execute(f"ALTER INDEX {index} ALTER COLUMN 1 SET STATISTICS 0")
    op.create_table(
        "topic_label",
        sa.Column(
            "topic_id",
            sa.BigInteger(),
            sa.ForeignKey("topic.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("language", sa.Text(), primary_key=True),
        sa.Column("label", sa.Text(), nullable=False),
    )
    op.add_column("feed", sa.Column("minutes_between_polls", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Go back; feeds are asked every few minutes again until their bodies change."""
    op.drop_column("feed", "minutes_between_polls")
    op.drop_table("topic_label")
    op.execute("ALTER INDEX story_words ALTER COLUMN 1 SET STATISTICS -1")
    op.drop_index("story_stems", "story")
