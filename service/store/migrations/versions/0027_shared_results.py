"""What a reader lets us count and asks for in the morning; batches of which nothing is counted."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Go to this step."""
    op.add_column("reader", sa.Column("results", sa.Boolean()))
    op.create_index(
        "reader_results",
        "reader",
        ["id"],
        postgresql_include=["results"],
        postgresql_where=sa.text("results IS NOT NULL"),
    )
    digest: sa.Column[bool] = sa.Column(
        "digest", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("reader", digest)
    results: sa.Column[bool] = sa.Column(
        "results", sa.Boolean(), nullable=False, server_default=sa.true()
    )
    op.add_column("batch", results)


def downgrade() -> None:
    """Go back: what everybody opens is counted."""
    op.drop_column("batch", "results")
    op.drop_column("reader", "digest")
    op.drop_index("reader_results", "reader")
    op.drop_column("reader", "results")
