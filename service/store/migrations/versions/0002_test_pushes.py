"""Test pushes to an editor's own devices, and an index for old follow-ups."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Go to this step."""
    op.add_column("staff", sa.Column("reader_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(None, "staff", "reader", ["reader_id"], ["id"], ondelete="SET NULL")
    op.create_index("staff_reader", "staff", ["reader_id"], unique=False)
    op.add_column("alert", sa.Column("reader_id", sa.BigInteger(), nullable=True))
    op.create_check_constraint(
        "alert_test_reader", "alert", "(kind = 'test') = (reader_id IS NOT NULL)"
    )
    op.create_index("follow_up_old", "follow_up", ["provider", "created_at"], unique=False)


def downgrade() -> None:
    """Go back; the tests that were sent go with it."""
    op.drop_index("follow_up_old", table_name="follow_up")
    op.execute("DELETE FROM alert WHERE kind = 'test'")
    op.drop_constraint("alert_test_reader", "alert", type_="check")
    op.drop_column("alert", "reader_id")
    op.drop_index("staff_reader", table_name="staff")
    op.drop_constraint("staff_reader_id_fkey", "staff", type_="foreignkey")
    op.drop_column("staff", "reader_id")
