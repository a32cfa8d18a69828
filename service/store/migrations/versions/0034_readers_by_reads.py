"""Readers by the languages that they read: fan-out looks up those who do not read an alert."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Go to this step; `reader_reads` stays for the release before."""
    op.create_index(
        "reader_by_reads", "reader", ["reads", "id"], postgresql_where=sa.text("reads <> '{}'")
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("reader_by_reads", "reader")
