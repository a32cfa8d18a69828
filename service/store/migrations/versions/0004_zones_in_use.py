"""An index that lists the time zones in use by a few probes."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Go to this step."""
    op.create_index(
        "reader_zone",
        "reader",
        ["timezone"],
        unique=False,
        postgresql_where=sa.text("quiet_from <> quiet_to"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("reader_zone", table_name="reader")
