"""The place of an alert in a trace."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Go to this step."""
    op.add_column("alert", sa.Column("traceparent", sa.Text()))


def downgrade() -> None:
    """Go back; alerts that the sweep begins are traces of their own then."""
    op.drop_column("alert", "traceparent")
