"""The languages that a reader reads, and how many devices an alert left out by which rule."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Go to this step."""
    for name in ("languages", "reads"):
        tags = postgresql.ARRAY(sa.Text())
        empty = sa.text("'{}'")
        op.add_column("reader", sa.Column(name, tags, server_default=empty, nullable=False))
    op.create_index(
        "reader_reads",
        "reader",
        ["id"],
        postgresql_include=["reads"],
        postgresql_where=sa.text("reads <> '{}'"),
    )
    op.add_column("alert", sa.Column("languages", postgresql.ARRAY(sa.Text())))
    op.add_column("shard", sa.Column("left_out", postgresql.ARRAY(sa.Integer())))


def downgrade() -> None:
    """Go back."""
    op.drop_column("shard", "left_out")
    op.drop_column("alert", "languages")
    op.drop_index("reader_reads", "reader")
    op.drop_column("reader", "reads")
    op.drop_column("reader", "languages")
